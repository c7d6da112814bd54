/**
 * Keeps the log of a group within its bounds: when it has outgrown them, the engine makes what it
 * has applied durable, and the log forgets that, but for a tail that followers may still need.
 */
import type { Config } from '../../core/config/schema.js'
import type { Engine } from '../../core/ports/engine.js'
import type { ConsensusCounters } from '../counters.js'
import type { RaftDriver } from './raft-driver.js'

/** So many times its bounds the log may be while others catch up who need it. */
export const heldLogFactor = 4
/** A log that could not be made small enough is looked at again when it has grown by so much. */
const stepShare = 1 / 8

type Bounds = Pick<Config['consensus'], 'logEntriesMax' | 'logBytesMax' | 'logTailShare'>

export class LogKeeper {
  readonly #engine: Engine
  readonly #raft: RaftDriver
  readonly #counters: ConsensusCounters
  readonly #bounds: Bounds
  /** Not before the log is as long, or as large. */
  #dueEntries: number
  #dueBytes: number

  constructor(
    components: {
      readonly engine: Engine
      readonly raft: RaftDriver
      readonly counters: ConsensusCounters
    },
    bounds: Bounds
  ) {
    this.#engine = components.engine
    this.#raft = components.raft
    this.#counters = components.counters
    this.#bounds = bounds
    this.#dueEntries = bounds.logEntriesMax
    this.#dueBytes = bounds.logBytesMax
  }

  get isDue(): boolean {
    const { logEntries, logBytes } = this.#raft.core
    return logEntries > this.#dueEntries || logBytes > this.#dueBytes
  }

  /** In a turn of the owner's in which nothing else is done with the engine. */
  async compact(): Promise<void> {
    const { logEntriesMax, logBytesMax, logTailShare } = this.#bounds
    const { core } = this.#raft
    const durableIndex = await this.#engine.flush()
    const count = this.#raft.compact({
      durableIndex,
      tail: {
        entriesMax: Math.floor(logEntriesMax * logTailShare),
        bytesMax: Math.floor(logBytesMax * logTailShare)
      },
      heedsSnapshots:
        core.logEntries <= heldLogFactor * logEntriesMax &&
        core.logBytes <= heldLogFactor * logBytesMax
    })
    this.#counters.add('log_entries_compacted', count)
    const { logEntries, logBytes } = core
    const step = (max: number) => Math.ceil(max * stepShare)
    this.#dueEntries = Math.max(logEntriesMax, logEntries + step(logEntriesMax))
    this.#dueBytes = Math.max(logBytesMax, logBytes + step(logBytesMax))
    if (logEntries <= logEntriesMax) this.#dueEntries = logEntriesMax
    if (logBytes <= logBytesMax) this.#dueBytes = logBytesMax
  }
}
