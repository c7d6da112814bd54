import type { MonotonicMs } from '../../../core/ids.js'

export interface FloodLimits {
  readonly perSecondMax: number
  readonly perMinuteMax: number
}

const secondMs = 1_000
const minuteMs = 60_000

/**
 * How often something happened within the last second and the last minute, exactly: it remembers
 * the last `perMinuteMax` times.
 */
export class FloodMeter {
  readonly #limits: FloodLimits
  /** A ring; the oldest is at `#next` once it is full. */
  readonly #times: MonotonicMs[] = []
  #next = 0

  constructor(limits: FloodLimits) {
    this.#limits = limits
  }

  /** Whether `count` more fit in now. */
  hasRoom(now: MonotonicMs, count = 1): boolean {
    const { perSecondMax, perMinuteMax } = this.#limits
    return (
      !this.#happened(perSecondMax - count + 1, now - secondMs) &&
      !this.#happened(perMinuteMax - count + 1, now - minuteMs)
    )
  }

  /** False: it was one too many. */
  count(now: MonotonicMs): boolean {
    const fits = this.hasRoom(now)
    if (this.#times.length < this.#limits.perMinuteMax) this.#times.push(now)
    else {
      this.#times[this.#next] = now
      this.#next = (this.#next + 1) % this.#times.length
    }
    return fits
  }

  /** Whether at least `times` happened after `since`. */
  #happened(times: number, since: number): boolean {
    return times <= 0 || this.#timeOf(times) > since
  }

  /** When the `nth` last one happened, from 1; long ago when there were not so many. */
  #timeOf(nth: number): number {
    const length = this.#times.length
    if (nth > length) return Number.NEGATIVE_INFINITY
    return this.#times[(this.#next + length - nth) % length] as number
  }
}
