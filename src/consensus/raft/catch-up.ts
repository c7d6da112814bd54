/**
 * Whether a learner keeps up well enough to vote: a voter that lags holds up commits. Source: Raft
 * dissertation 4.2.1. A round ends when the learner has what the log had at the round's beginning;
 * a round no longer than an election timeout shows that it has caught up, until one takes longer.
 *
 * Whoever takes in more than is written, however little more, has shorter and shorter rounds: each
 * is the time that what was written in the one before takes. So it is not their number that tells
 * of a learner that will not arrive, but that none has been shorter for a long time, by the measure
 * of the shortest.
 */
import type { LogIndex, MonotonicMs } from '../../core/ids.js'

export class CatchUp {
  readonly #roundMsMax: number
  #target: LogIndex
  #since: MonotonicMs
  #wasShort = false
  #shortestMs = Number.POSITIVE_INFINITY
  /** The end of the last round that was the shortest, or short enough. */
  #gainedAt: MonotonicMs

  constructor(lastIndex: LogIndex, roundMsMax: number, now: MonotonicMs) {
    this.#roundMsMax = roundMsMax
    this.#target = lastIndex
    this.#since = now
    this.#gainedAt = now
  }

  /** For how many times the shortest round has there been none that is shorter; 0 in the first. */
  roundsWithoutGain(now: MonotonicMs): number {
    const roundMs = Math.max(this.#shortestMs, this.#roundMsMax)
    return Math.floor((now - this.#gainedAt) / roundMs)
  }

  /** The learner has told that it has everything up to `match`. */
  note(match: LogIndex, lastIndex: LogIndex, now: MonotonicMs): void {
    if (match < this.#target) return
    const roundMs = now - this.#since
    this.#wasShort = roundMs <= this.#roundMsMax
    if (this.#wasShort || roundMs < this.#shortestMs) this.#gainedAt = now
    this.#shortestMs = Math.min(this.#shortestMs, roundMs)
    this.#target = lastIndex
    this.#since = now
  }

  isCaughtUp(now: MonotonicMs): boolean {
    return this.#wasShort && now - this.#since <= this.#roundMsMax
  }
}
