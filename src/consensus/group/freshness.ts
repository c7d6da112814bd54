/**
 * How old what a replica has applied can be, proved by read indexes. A read index that was asked
 * for at some moment, and confirmed by a quorum, covers everything acknowledged before that moment;
 * so when it is applied, everything acknowledged before that moment is here.
 *
 * 1. Time is this replica's own monotonic clock, from before the question left: no delay, no other
 *    clock and no leader that was deposed can make data look fresher than they are.
 * 2. A heartbeat proves nothing: it may be late, and its sender may not lead any more.
 * 3. What is proved grows older by itself until another read index is applied.
 */
import type { LogIndex, MonotonicMs } from '../../core/ids.js'

interface Confirmed {
  readonly index: LogIndex
  readonly askedAt: MonotonicMs
}

export class Freshness {
  #proved: Confirmed | null = null
  /** Not applied yet: the one that will be first, and the newest. */
  #next: Confirmed | null = null
  #newest: Confirmed | null = null

  /** `index` covers what was acknowledged before `askedAt`. */
  handleConfirmed(index: LogIndex, askedAt: MonotonicMs, appliedIndex: LogIndex): void {
    const confirmed = { index, askedAt }
    if (this.#next === null) this.#next = confirmed
    else this.#newest = confirmed
    this.handleApplied(appliedIndex)
  }

  handleApplied(appliedIndex: LogIndex): void {
    while (this.#next !== null && this.#next.index <= appliedIndex) {
      if (this.#proved === null || this.#next.askedAt > this.#proved.askedAt) {
        this.#proved = this.#next
      }
      this.#next = this.#newest
      this.#newest = null
    }
  }

  /** Null: nothing is proved. */
  stalenessMs(now: MonotonicMs): number | null {
    return this.#proved === null ? null : Math.max(0, now - this.#proved.askedAt)
  }

  /** Applied, and proves it; 0: nothing does. */
  get provedIndex(): LogIndex {
    return this.#proved?.index ?? (0 as LogIndex)
  }
}
