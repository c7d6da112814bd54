/**
 * Brings committed entries into the engine: strictly in order, each once, the exactly-once table
 * and what sections write in the same engine transaction as the commands. Entries that the engine
 * has already are skipped.
 *
 * Errors are not caught here: whatever `open` or an apply throws is fail-stop for the replica.
 */
import { assert, must } from '../../core/assert.js'
import { LogCorruptedError, ProtocolError } from '../../core/errors.js'
import { compareText, type LogIndex, type MonotonicMs, type Term } from '../../core/ids.js'
import { nextLogTime } from '../../core/log-time.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Command, Engine, EngineOpenOptions, SystemWrite } from '../../core/ports/engine.js'
import type { LogBase, LogEntry, RecoveredGroup } from '../../core/ports/log-store.js'
import { ClientTable, clientKeyPrefix } from '../client-table.js'
import { decodeEntryPayload } from '../entry.js'
import { baseKey, decodeBase, type Reconciled, reconcile } from '../log/engine-base.js'
import { decodePayload, type GroupPayload, type SystemPayload } from './group-payload.js'
import type { GroupSection, SectionAt, SectionEffects } from './group-section.js'
import { NewCommands } from './new-commands.js'

/** Entries of a follower that are applied in one engine transaction, and their commands. */
export const applyEntriesMax = 64
export const applyCommandsMax = 4_096

/** As much of an engine as entries are brought into. */
export type AppliedEngine = Pick<Engine, 'open' | 'readSystem' | 'apply'>

/** A committed entry, decoded. Null: Raft's own entry, which does not concern the engine. */
export interface DecodedEntry {
  readonly index: LogIndex
  readonly term: Term
  readonly payload: GroupPayload | null
}

/** What an entry of a section has made, before its owner is told. */
interface SectionApplied {
  readonly section: GroupSection
  readonly answer: unknown
  readonly at: SectionAt
}

/** What the entries of one engine transaction change. */
interface Gathered {
  readonly commands: Command[]
  readonly writes: Map<string, SystemWrite>
  readonly applied: SectionApplied[]
}

export class Applier {
  readonly #engine: AppliedEngine
  readonly #sections: readonly GroupSection[]
  #table = new ClientTable()
  #appliedIndex = 0 as LogIndex
  #engineIndex = 0 as LogIndex
  #appliedTerm = 0 as Term
  readonly #clock: Clock
  /** The last entry with a time in it. */
  #timedAt: MonotonicMs

  constructor(components: {
    readonly clock: Clock
    readonly engine: AppliedEngine
    readonly sections?: readonly GroupSection[] | undefined
  }) {
    this.#clock = components.clock
    this.#timedAt = components.clock.now()
    this.#engine = components.engine
    this.#sections = components.sections ?? []
  }

  /** Every entry up to here has been applied or skipped. */
  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  /** What the engine itself has seen: the last entry that concerned it. */
  get engineIndex(): LogIndex {
    return this.#engineIndex
  }

  /** Term of the last applied entry; zero at the start. */
  get appliedTerm(): Term {
    return this.#appliedTerm
  }

  get table(): ClientTable {
    return this.#table
  }

  /** Of the entry after what is applied. */
  nextLogTime(): number {
    const elapsedMs = this.#clock.now() - this.#timedAt
    const wallNow = this.#clock.wallNow()
    return nextLogTime({ last: this.#table.logTime, elapsedMs, wallNow })
  }

  /**
   * Answers what the log is when the engine has had its say, and what it has to be told.
   * @throws LogCorruptedError the engine has applied what the log does not hold, or lacks what it
   * holds no more
   */
  async open(found: RecoveredGroup, options: EngineOpenOptions): Promise<Reconciled> {
    const { appliedIndex } = await this.#engine.open(options)
    const [known] = await this.#engine.readSystem(baseKey)
    const value = known?.key === baseKey ? known.value : null
    const reconciled = reconcile(found, value === null ? null : decodeBase(value))
    const { base, entries } = reconciled.recovered
    const baseIndex = base?.index ?? 0
    if (appliedIndex < baseIndex || appliedIndex > baseIndex + entries.length) {
      const has = `${baseIndex + 1}…${baseIndex + entries.length}`
      throw new LogCorruptedError(`the engine has applied ${appliedIndex}, the log has ${has}`)
    }
    await this.#readState()
    this.#appliedIndex = appliedIndex
    this.#engineIndex = appliedIndex
    return reconciled
  }

  /** The engine's content is another one. */
  async handleRestored({ index, term }: LogBase): Promise<void> {
    await this.#readState()
    this.#appliedIndex = index
    this.#engineIndex = index
    this.#appliedTerm = term
  }

  /** An entry without commands: Raft's own, or a check. */
  skip(entry: DecodedEntry): void {
    this.#expectNext([entry])
    this.#advance(entry)
  }

  /**
   * One engine transaction for all of them; `planned` are the engine's own commands, when it led.
   */
  async apply(
    entries: readonly DecodedEntry[],
    planned: readonly Command[] | null = null
  ): Promise<void> {
    this.#expectNext(entries)
    const last = must(entries.at(-1), 'entry to apply')
    const gathered: Gathered = { commands: [], writes: new Map(), applied: [] }
    for (const entry of entries) {
      for (const write of this.#take(entry, gathered)) gathered.writes.set(write.key, write)
    }
    const { commands, writes, applied } = gathered
    const sorted = [...writes.values()].sort((a, b) => compareText(a.key, b.key))
    await this.#engine.apply(planned ?? commands, sorted, last.index)
    this.#advance(last)
    this.#timedAt = this.#clock.now()
    this.#engineIndex = last.index
    for (const { section, answer, at } of applied) section.handleApplied(answer, at)
  }

  async #readState(): Promise<void> {
    this.#timedAt = this.#clock.now()
    this.#table = ClientTable.restore(await this.#engine.readSystem(clientKeyPrefix))
    for (const section of this.#sections) {
      section.restore(await this.#engine.readSystem(section.keyPrefix))
    }
  }

  /** Its commands go into `gathered`; answers what is kept of it. */
  #take(entry: DecodedEntry, gathered: Gathered): readonly SystemWrite[] {
    const { payload, index } = entry
    switch (payload?.kind) {
      case 'batch': {
        const answers = payload.commands.flatMap(({ client, kept }) =>
          client === null ? [] : [{ tag: client, result: kept }]
        )
        gathered.commands.push(...payload.commands.map(toCommand))
        return this.#table.apply(payload.logTime, payload.limits, answers, index)
      }
      case 'register':
        return this.#table.register(payload.logTime, payload.limits, payload.clients)
      case 'system':
        return this.#takeSystem(entry, payload, gathered)
      default:
        return []
    }
  }

  #takeSystem(
    { index, term }: DecodedEntry,
    { logTime, limits, section: name, bytes }: SystemPayload,
    { commands, applied }: Gathered
  ): readonly SystemWrite[] {
    const section = this.#sections.find((one) => one.name === name)
    if (section === undefined) throw new ProtocolError(`an entry of section ${name}`)
    const at = { index, term, now: logTime }
    const news = new NewCommands(this.#table, logTime, limits)
    const effects: SectionEffects<unknown> = section.apply(bytes, {
      ...at,
      isNew: (tag) => news.isNew(tag)
    })
    commands.push(...effects.commands)
    applied.push({ section, answer: effects.answer, at })
    const kept = this.#table.apply(logTime, limits, effects.answered, index)
    return [...kept, ...effects.writes]
  }

  #expectNext(entries: readonly DecodedEntry[]): void {
    let previous = this.#appliedIndex
    for (const { index } of entries) {
      assert(index === previous + 1, `entry ${index} after ${previous}`)
      previous = index
    }
  }

  #advance({ index, term }: DecodedEntry): void {
    this.#appliedIndex = index
    this.#appliedTerm = term
  }
}

export function decodeEntry({ index, term, payload }: LogEntry): DecodedEntry {
  const outer = decodeEntryPayload(payload)
  return { index, term, payload: outer.kind === 'batch' ? decodePayload(outer.bytes) : null }
}

const toCommand = ({ tag, bytes }: { tag: string; bytes: Uint8Array }): Command => ({ tag, bytes })
