/**
 * What a scan of the log's records leaves for each group. Entries replace whatever stands at and
 * after their first index; hard states and bases follow one another.
 *
 * Where segments were deleted a group's entries may begin behind its base; a later base then
 * reaches them.
 *
 * Invariants: 1. a group's entries are contiguous, and in the end from its base on; 2. neither its
 * term nor its base falls.
 */
import { LogCorruptedError } from '../../core/errors.js'
import type { GroupId, Term } from '../../core/ids.js'
import type {
  BaseChange,
  HardState,
  LogBase,
  LogEntry,
  RecoveredGroup
} from '../../core/ports/log-store.js'
import type { LogRecord } from './segment-format.js'

interface Group {
  hardState: HardState
  base: LogBase | null
  entries: LogEntry[]
}

type GroupRecord = Exclude<LogRecord, { readonly kind: 'firstSegment' }>

export class RecoveredGroups {
  readonly #groups = new Map<GroupId, Group>()

  /** @throws LogCorruptedError whole records that contradict each other */
  add(record: GroupRecord): void {
    const group = this.#groupOf(record.group)
    if (record.kind === 'hardState') {
      if (record.hardState.term < group.hardState.term) {
        throw new LogCorruptedError(`term of group ${record.group} falls in the log`)
      }
      group.hardState = record.hardState
    } else if (record.kind === 'base') {
      rebase(group, record.change, record.group)
    } else {
      put(group, record.entries, record.group)
    }
  }

  /**
   * In the order of the group ids.
   * @throws LogCorruptedError entries are missing
   */
  result(): ReadonlyMap<GroupId, RecoveredGroup> {
    for (const [id, { base, entries }] of this.#groups) {
      const [head] = entries
      const expected = (base?.index ?? 0) + 1
      if (head !== undefined && head.index !== expected) {
        throw new LogCorruptedError(
          `group ${id}: entries ${expected}…${head.index - 1} are missing`
        )
      }
    }
    return new Map([...this.#groups].sort(([a], [b]) => a - b))
  }

  #groupOf(group: GroupId): Group {
    const known = this.#groups.get(group)
    if (known !== undefined) return known
    const fresh = { hardState: { term: 0 as Term, vote: null }, base: null, entries: [] }
    this.#groups.set(group, fresh)
    return fresh
  }
}

function rebase(group: Group, { base, replacesLog }: BaseChange, id: GroupId): void {
  if (base.index < (group.base?.index ?? 0)) {
    throw new LogCorruptedError(`base of group ${id} falls in the log`)
  }
  group.base = base
  if (replacesLog) group.entries = []
  const head = group.entries[0]
  if (head === undefined || head.index > base.index) return
  const gone = base.index + 1 - head.index
  if (gone > group.entries.length) {
    throw new LogCorruptedError(`group ${id}: base ${base.index} is beyond its entries`)
  }
  group.entries.splice(0, gone)
}

function put(group: Group, entries: readonly LogEntry[], id: GroupId): void {
  const first = entries[0]
  if (first === undefined) return
  const baseIndex = group.base?.index ?? 0
  const head = group.entries[0]
  const from = head?.index ?? first.index
  const keep = Math.max(0, first.index - from)
  // Entries may begin anywhere behind the base where earlier segments are gone.
  const isBeforeAll = first.index < from && from === baseIndex + 1
  if (first.index <= baseIndex || isBeforeAll || keep > group.entries.length) {
    const has = `${from}…${from + group.entries.length - 1}`
    throw new LogCorruptedError(`group ${id}: entry ${first.index} does not follow ${has}`)
  }
  group.entries.length = keep
  for (const entry of entries) group.entries.push(entry)
}
