/**
 * Two states that are not left at the first doubt.
 *
 * 1. It becomes hot when `enters`, and cold when no longer `stays`: `stays` must be the weaker
 *    condition, else it flaps.
 * 2. Either state lasts at least `dwellMs`.
 */
import type { MonotonicMs } from '../../core/ids.js'

export type Change = 'heated' | 'cooled' | null

export class Hysteresis {
  readonly #dwellMs: number
  #isHot = false
  #since = Number.NEGATIVE_INFINITY

  constructor(options: { readonly dwellMs: number }) {
    this.#dwellMs = options.dwellMs
  }

  get isHot(): boolean {
    return this.#isHot
  }

  get since(): number {
    return this.#since
  }

  /** Cold for long enough that nothing need be remembered. */
  isForgettable(now: MonotonicMs): boolean {
    return !this.#isHot && now - this.#since >= this.#dwellMs
  }

  update(enters: boolean, stays: boolean, now: MonotonicMs): Change {
    if (now - this.#since < this.#dwellMs) return null
    if (this.#isHot ? stays : !enters) return null
    this.#isHot = !this.#isHot
    this.#since = now
    return this.#isHot ? 'heated' : 'cooled'
  }
}
