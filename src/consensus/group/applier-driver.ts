/**
 * Brings committed entries into the engine: strictly in order, each once, the exactly-once table
 * in the same engine transaction as the commands. Entries that the engine has already are skipped.
 *
 * Errors are not caught here: whatever `open` or an apply throws is fail-stop for the replica.
 */
import { assert, must } from '../../core/assert.js'
import { LogCorruptedError } from '../../core/errors.js'
import { compareText, type LogIndex, type Term } from '../../core/ids.js'
import type { Command, Engine, SystemWrite } from '../../core/ports/engine.js'
import type { LogBase, LogEntry, RecoveredGroup } from '../../core/ports/log-store.js'
import { ClientTable, clientKeyPrefix } from '../client-table.js'
import { decodeEntryPayload } from '../entry.js'
import { baseKey, decodeBase, type Reconciled, reconcile } from '../log/engine-base.js'
import { decodePayload, type GroupPayload } from './group-payload.js'

/** Entries of a follower that are applied in one engine transaction, and their commands. */
export const applyEntriesMax = 64
export const applyCommandsMax = 4_096

/** A committed entry, decoded. Null: Raft's own entry, which does not concern the engine. */
export interface DecodedEntry {
  readonly index: LogIndex
  readonly term: Term
  readonly payload: GroupPayload | null
}

export class Applier {
  readonly #engine: Engine
  #table = new ClientTable()
  #appliedIndex = 0 as LogIndex
  #engineIndex = 0 as LogIndex
  #appliedTerm = 0 as Term

  constructor(components: { readonly engine: Engine }) {
    this.#engine = components.engine
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

  /**
   * Answers what the log is when the engine has had its say, and what it has to be told.
   * @throws LogCorruptedError the engine has applied what the log does not hold, or lacks what it
   * holds no more
   */
  async open(found: RecoveredGroup): Promise<Reconciled> {
    const { appliedIndex } = await this.#engine.open()
    const [known] = await this.#engine.readSystem(baseKey)
    const value = known?.key === baseKey ? known.value : null
    const reconciled = reconcile(found, value === null ? null : decodeBase(value))
    const { base, entries } = reconciled.recovered
    const baseIndex = base?.index ?? 0
    if (appliedIndex < baseIndex || appliedIndex > baseIndex + entries.length) {
      const has = `${baseIndex + 1}…${baseIndex + entries.length}`
      throw new LogCorruptedError(`the engine has applied ${appliedIndex}, the log has ${has}`)
    }
    await this.#readTable()
    this.#appliedIndex = appliedIndex
    this.#engineIndex = appliedIndex
    return reconciled
  }

  /** The engine's content is another one. */
  async handleRestored({ index, term }: LogBase): Promise<void> {
    await this.#readTable()
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
    const commands: Command[] = []
    const writes = new Map<string, SystemWrite>()
    for (const entry of entries) {
      for (const write of this.#keep(entry)) writes.set(write.key, write)
      if (entry.payload?.kind === 'batch') commands.push(...entry.payload.commands.map(toCommand))
    }
    const sorted = [...writes.values()].sort((a, b) => compareText(a.key, b.key))
    await this.#engine.apply(planned ?? commands, sorted, last.index)
    this.#advance(last)
    this.#engineIndex = last.index
  }

  async #readTable(): Promise<void> {
    this.#table = ClientTable.restore(await this.#engine.readSystem(clientKeyPrefix))
  }

  #keep({ payload, index }: DecodedEntry): SystemWrite[] {
    if (payload?.kind === 'batch') {
      const answers = payload.commands.flatMap(({ client, kept }) =>
        client === null ? [] : [{ tag: client, result: kept }]
      )
      return this.#table.apply(payload.logTime, payload.limits, answers, index)
    }
    if (payload?.kind === 'register') {
      return this.#table.register(payload.logTime, payload.limits, payload.clients)
    }
    return []
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
