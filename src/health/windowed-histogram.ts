/**
 * A distribution of the last `slots × slotMs`, to a slot's width: samples go into the newest slot,
 * a slot that is too old is emptied and used again. Made for a worker: memory is constant, and
 * percentiles are of everything that was seen, not of a sample of it.
 */
import { assert } from '../core/assert.js'
import type { Distribution } from '../core/health-views.js'
import { tailOf } from './latency-window.js'

/** What is needed of a histogram; values are whole microseconds. */
export interface Histogram {
  record(valueUs: number): void
  add(other: Histogram): void
  readonly count: number
  readonly meanUs: number
  readonly maxUs: number
  /** @param percentile 0…100 */
  at(percentile: number): number
  reset(): void
  /** Its memory is given back; it is not used any more. */
  destroy(): void
}

/** Longer round trips count as this. */
export const roundTripUsMax = 60_000_000

export class WindowedHistogram {
  readonly #slotMs: number
  readonly #slots: readonly Histogram[]
  /** Number of the slot's time, since time 0. */
  readonly #epochs: Float64Array

  constructor(options: {
    readonly slots: number
    readonly slotMs: number
    readonly create: () => Histogram
  }) {
    assert(options.slots > 0 && options.slotMs > 0, 'a window has slots')
    this.#slotMs = options.slotMs
    this.#slots = Array.from({ length: options.slots }, options.create)
    this.#epochs = new Float64Array(options.slots).fill(-1)
  }

  record(ms: number, nowMs: number): void {
    const epoch = Math.floor(nowMs / this.#slotMs)
    const at = epoch % this.#slots.length
    const slot = this.#slots[at] as Histogram
    if (this.#epochs[at] !== epoch) {
      slot.reset()
      this.#epochs[at] = epoch
    }
    slot.record(Math.min(Math.max(1, Math.round(ms * 1_000)), roundTripUsMax))
  }

  /** @param scratch is overwritten. Null: nothing was seen in the window. */
  distribution(nowMs: number, scratch: Histogram): Distribution | null {
    const oldest = Math.floor(nowMs / this.#slotMs) - this.#slots.length + 1
    scratch.reset()
    this.#slots.forEach((slot, at) => {
      if ((this.#epochs[at] as number) >= oldest && slot.count > 0) scratch.add(slot)
    })
    const { count } = scratch
    if (count === 0) return null
    const maxMs = scratch.maxUs / 1_000
    return {
      count,
      averageMs: scratch.meanUs / 1_000,
      p50Ms: scratch.at(50) / 1_000,
      p90Ms: scratch.at(90) / 1_000,
      maxMs,
      tail: tailOf(count, scratch.at(99) / 1_000, maxMs)
    }
  }

  destroy(): void {
    for (const slot of this.#slots) slot.destroy()
  }
}
