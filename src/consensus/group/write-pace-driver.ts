/**
 * Keeps the writes of a leader in step with a replica that catches up. The log behind its snapshot
 * is held for it, in memory and within bounds; were more written in the time of one transfer than
 * they hold, it would need another snapshot, and another, for ever.
 *
 * 1. Nothing waits before the log is `freeLogFactor` times its bounds; from there to
 *    `pacedLogFactor` it may grow as far as the transfer has come.
 * 2. A batch waits `pacedBatchMsMax` at most: a replica that takes in less than what comes through
 *    then does not arrive, and holds up nobody for good.
 */
import type { Config } from '../../core/config/schema.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { ConsensusCounters } from '../counters.js'
import type { RaftDriver } from './raft-driver.js'

/** So many times its bounds the log may be before a write waits for whoever catches up. */
export const freeLogFactor = 2
/** The same when the transfer has come to its end; up to `heldLogFactor` there is a reserve. */
export const pacedLogFactor = 3.5
/** A batch of writes waits so long for whoever catches up. */
export const pacedBatchMsMax = 100

export interface WritePaceComponents {
  readonly clock: Clock
  readonly raft: RaftDriver
  readonly counters: ConsensusCounters
  /** How far the snapshot is on its way, from 0 to 1; 1 also when there is none. */
  transferredShare(): number
  /** A batch may go that had to wait. */
  onRelease(): void
}

export class WritePace {
  readonly #components: WritePaceComponents
  readonly #bounds: Pick<Config['consensus'], 'logEntriesMax' | 'logBytesMax'>
  readonly #timer: DeadlineTimer
  #waitingSince: MonotonicMs | null = null

  constructor(
    components: WritePaceComponents,
    bounds: Pick<Config['consensus'], 'logEntriesMax' | 'logBytesMax'>
  ) {
    this.#components = components
    this.#bounds = bounds
    this.#timer = new DeadlineTimer(components.clock, () => components.onRelease())
  }

  /** False: the next batch waits; `onRelease` tells when to ask again. */
  get mayPropose(): boolean {
    if (!this.#isAhead) return true
    const { clock, counters } = this.#components
    const now = clock.now()
    if (this.#waitingSince === null) {
      this.#waitingSince = now
      counters.add('batches_paced')
    }
    const until = after(this.#waitingSince, pacedBatchMsMax)
    if (now >= until) return true
    this.#timer.arm(until)
    return false
  }

  noteProposed(): void {
    this.#waitingSince = null
  }

  /** Somebody has come further. */
  handleProgress(): void {
    if (this.#waitingSince !== null && !this.#isAhead) this.#components.onRelease()
  }

  stop(): void {
    this.#timer.stop()
  }

  get #isAhead(): boolean {
    const { core } = this.#components.raft
    const { logEntriesMax, logBytesMax } = this.#bounds
    const factor = Math.max(core.logEntries / logEntriesMax, core.logBytes / logBytesMax)
    if (factor <= freeLogFactor || !core.isLogHeld) return false
    const share = this.#components.transferredShare()
    return factor > freeLogFactor + share * (pacedLogFactor - freeLogFactor)
  }
}
