/**
 * Whether a learner keeps up well enough to vote: a voter that lags holds up commits. Source: Raft
 * dissertation 4.2.1. A round ends when the learner has what the log had at the round's beginning;
 * a round no longer than an election timeout shows that it has caught up, until one takes longer.
 */
import type { LogIndex, MonotonicMs } from '../../core/ids.js'

export class CatchUp {
  readonly #roundMsMax: number
  #target: LogIndex
  #since: MonotonicMs
  #wasShort = false
  #rounds = 0

  constructor(lastIndex: LogIndex, roundMsMax: number, now: MonotonicMs) {
    this.#roundMsMax = roundMsMax
    this.#target = lastIndex
    this.#since = now
  }

  /** Rounds until it was caught up for the first time. */
  get rounds(): number {
    return this.#rounds
  }

  /** The learner has told that it has everything up to `match`. */
  note(match: LogIndex, lastIndex: LogIndex, now: MonotonicMs): void {
    if (match < this.#target) return
    if (!this.#wasShort) this.#rounds++
    this.#wasShort = now - this.#since <= this.#roundMsMax
    this.#target = lastIndex
    this.#since = now
  }

  isCaughtUp(now: MonotonicMs): boolean {
    return this.#wasShort && now - this.#since <= this.#roundMsMax
  }
}
