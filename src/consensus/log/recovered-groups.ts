/**
 * What a scan of the log's records leaves for each group. Entries replace whatever stands at and
 * after their first index; hard states follow one another.
 *
 * Invariants: 1. a group's entries are contiguous; 2. its term never falls.
 */
import { LogCorruptedError } from '../../core/errors.js'
import type { GroupId, LogIndex, Term } from '../../core/ids.js'
import type { HardState, LogEntry, RecoveredGroup } from '../../core/ports/log-store.js'
import type { LogRecord } from './segment-format.js'

export class RecoveredGroups {
  readonly #groups = new Map<GroupId, { hardState: HardState; entries: LogEntry[] }>()

  /** @throws LogCorruptedError whole records that contradict each other */
  add(record: LogRecord): void {
    const group = this.#groupOf(record.group)
    if (record.kind === 'hardState') {
      if (record.hardState.term < group.hardState.term) {
        throw new LogCorruptedError(`term of group ${record.group} falls in the log`)
      }
      group.hardState = record.hardState
      return
    }
    const first = record.entries[0]
    if (first === undefined) return
    this.#cutFrom(group.entries, first.index, record.group)
    for (const entry of record.entries) group.entries.push(entry)
  }

  /** In the order of the group ids. */
  result(): ReadonlyMap<GroupId, RecoveredGroup> {
    return new Map([...this.#groups].sort(([a], [b]) => a - b))
  }

  #groupOf(group: GroupId): { hardState: HardState; entries: LogEntry[] } {
    const known = this.#groups.get(group)
    if (known !== undefined) return known
    const fresh = { hardState: { term: 0 as Term, vote: null }, entries: [] }
    this.#groups.set(group, fresh)
    return fresh
  }

  #cutFrom(entries: LogEntry[], index: LogIndex, group: GroupId): void {
    const head = entries[0]
    if (head === undefined) return
    const keep = index - head.index
    if (keep < 0 || keep > entries.length) {
      const last = head.index + entries.length - 1
      throw new LogCorruptedError(
        `group ${group}: entry ${index} does not follow ${head.index}…${last}`
      )
    }
    entries.length = keep
  }
}
