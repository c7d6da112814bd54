import { after, type Clock, type MonotonicMs, type Timer } from '../core/index.js'

/** A timer that is later than this fired late because the process did not run. */
const lateMs = 50

/**
 * Ends a dial at its deadline, but not for time in which this process did not run: what the peer
 * has sent by then is in the system's buffers, and must be read before the peer is called silent.
 * So much time is added, and at most as much as there was in the first place.
 */
export class DialLimit {
  readonly #clock: Clock
  readonly #onOver: () => void
  #leftMs: number
  #timer: Timer

  constructor(clock: Clock, deadline: MonotonicMs, onOver: () => void) {
    this.#clock = clock
    this.#onOver = onOver
    this.#leftMs = deadline - clock.now()
    this.#timer = this.#arm(deadline)
  }

  cancel(): void {
    this.#timer.cancel()
  }

  #arm(at: MonotonicMs): Timer {
    return this.#clock.schedule(at, () => this.#handleDue(at))
  }

  #handleDue(at: MonotonicMs): void {
    const now = this.#clock.now()
    const grantedMs = Math.min(now - at, this.#leftMs)
    if (now - at < lateMs || grantedMs <= 0) {
      this.#onOver()
      return
    }
    this.#leftMs -= grantedMs
    this.#timer = this.#arm(after(now, grantedMs))
  }
}
