/**
 * So many bytes per second, with bursts of a tenth of a second. A piece may begin while the bucket
 * is not in debt, and is then taken whole, so that one that is larger than any burst passes too,
 * and whatever comes after it waits until it is paid for.
 */
import { after } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'

const burstSeconds = 0.1

export class TokenBucket {
  #bytesPerSecond: number
  /** Below zero: debt. */
  #tokens = 0
  #filledAt: MonotonicMs

  /** @param bytesPerSecond zero: no bound */
  constructor(bytesPerSecond: number, now: MonotonicMs) {
    this.#bytesPerSecond = bytesPerSecond
    this.#filledAt = now
  }

  /** What is owed stays owed, and is paid for at the new rate. */
  setRate(bytesPerSecond: number, now: MonotonicMs): void {
    this.#fill(now)
    if (bytesPerSecond === 0) this.#tokens = 0
    this.#bytesPerSecond = bytesPerSecond
  }

  /** When the next piece may begin; not after `now`: at once. */
  readyAt(now: MonotonicMs): MonotonicMs {
    this.#fill(now)
    if (this.#bytesPerSecond === 0 || this.#tokens >= 0) return now
    return after(now, (-this.#tokens / this.#bytesPerSecond) * 1_000)
  }

  /** The piece begins: call it no earlier than `readyAt`. */
  take(bytes: number, now: MonotonicMs): void {
    this.#fill(now)
    if (this.#bytesPerSecond > 0) this.#tokens -= bytes
  }

  #fill(now: MonotonicMs): void {
    const earned = ((now - this.#filledAt) / 1_000) * this.#bytesPerSecond
    this.#tokens = Math.min(this.#tokens + earned, burstSeconds * this.#bytesPerSecond)
    this.#filledAt = now
  }
}
