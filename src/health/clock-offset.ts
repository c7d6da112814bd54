/**
 * How far a peer's wall clock is from ours, by the four timestamps of NTP (RFC 5905, section 8):
 * asked at t0 (ours), received at t1 and answered at t2 (theirs), heard at t3 (ours).
 *
 *   offset = ((t1 − t0) + (t2 − t3)) / 2      delay = (t3 − t0) − (t2 − t1)
 *
 * The error of an offset is at most half its delay, so of a window the one with the shortest delay
 * is believed (NTP's clock filter).
 */
import { assert } from '../core/assert.js'
import type { ClockOffset } from '../core/health-views.js'

export interface FourTimestamps {
  readonly askedAt: number
  readonly receivedAt: number
  readonly answeredAt: number
  readonly heardAt: number
}

export function offsetOf(times: FourTimestamps): ClockOffset {
  const { askedAt, receivedAt, answeredAt, heardAt } = times
  const delayMs = Math.max(0, heardAt - askedAt - (answeredAt - receivedAt))
  return {
    offsetMs: (receivedAt - askedAt + (answeredAt - heardAt)) / 2,
    delayMs,
    errorMs: delayMs / 2
  }
}

export class OffsetWindow {
  readonly #lengthMax: number
  readonly #offsets: ClockOffset[] = []

  constructor(lengthMax: number) {
    assert(lengthMax > 0, `a window of ${lengthMax}`)
    this.#lengthMax = lengthMax
  }

  push(times: FourTimestamps): void {
    this.#offsets.push(offsetOf(times))
    if (this.#offsets.length > this.#lengthMax) this.#offsets.shift()
  }

  /** The one with the shortest delay, the newest of equals; null while there is none. */
  best(): ClockOffset | null {
    let best: ClockOffset | null = null
    for (const offset of this.#offsets) {
      if (best === null || offset.delayMs <= best.delayMs) best = offset
    }
    return best
  }
}
