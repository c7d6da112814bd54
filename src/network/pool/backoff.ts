import { after } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'

export interface BackoffLimits {
  readonly reconnectBackoffMinMs: number
  readonly reconnectBackoffMaxMs: number
}

/**
 * The pause before the next dial: doubles from the minimum to the maximum with each failure in a
 * row, and is drawn from its upper half, so that two nodes that lost each other do not dial in
 * step.
 */
export class Backoff {
  readonly #limits: BackoffLimits
  readonly #random: Random
  #failures = 0
  #notBefore = 0 as MonotonicMs

  constructor(random: Random, limits: BackoffLimits) {
    this.#random = random
    this.#limits = limits
  }

  /** When the next dial may begin. */
  get notBefore(): MonotonicMs {
    return this.#notBefore
  }

  get failures(): number {
    return this.#failures
  }

  handleFailure(now: MonotonicMs): void {
    const { reconnectBackoffMinMs, reconnectBackoffMaxMs } = this.#limits
    const doubled = reconnectBackoffMinMs * 2 ** Math.min(this.#failures, 30)
    const pauseMs = Math.min(doubled, reconnectBackoffMaxMs)
    this.#failures++
    this.#notBefore = after(now, pauseMs * (0.5 + this.#random.nextFloat() / 2))
  }

  handleSuccess(): void {
    this.#failures = 0
    this.#notBefore = 0 as MonotonicMs
  }
}
