import { assert } from '../core/assert.js'
import type { LatencySummary, Tail } from '../core/health-views.js'

/** A percentile of fewer samples than this says less than their maximum. */
export const tailSamplesMin = 500

export const tailOf = (count: number, p99Ms: number, maxMs: number): Tail =>
  count >= tailSamplesMin ? { ms: p99Ms, basis: 'p99', count } : { ms: maxMs, basis: 'max', count }

/** The newest `lengthMax` round trips to one peer. */
export class LatencyWindow {
  readonly #values: Float64Array
  #length = 0
  #next = 0

  constructor(lengthMax: number) {
    assert(Number.isInteger(lengthMax) && lengthMax > 0, `a window of ${lengthMax}`)
    this.#values = new Float64Array(lengthMax)
  }

  push(ms: number): void {
    this.#values[this.#next] = ms
    this.#next = (this.#next + 1) % this.#values.length
    if (this.#length < this.#values.length) this.#length++
  }

  get length(): number {
    return this.#length
  }

  /** Null while nothing was measured. */
  summary(): LatencySummary | null {
    const count = this.#length
    if (count === 0) return null
    const sorted = this.#values.slice(0, count).sort()
    const at = (quantile: number) => sorted[Math.ceil(quantile * count) - 1] as number
    const maxMs = at(1)
    return {
      count,
      averageMs: sorted.reduce((sum, ms) => sum + ms, 0) / count,
      minMs: sorted[0] as number,
      p50Ms: at(0.5),
      maxMs,
      tail: tailOf(count, at(0.99), maxMs)
    }
  }
}
