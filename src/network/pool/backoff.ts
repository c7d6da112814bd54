import { after, NEVER } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'

export interface BackoffLimits {
  readonly reconnectBackoffMinMs: number
  readonly reconnectBackoffMaxMs: number
}

/** A connection that breaks sooner is another failure in a row. */
const steadyAfterMs = 500

/**
 * The pause before the next dial: doubles from the minimum to the maximum with each failure in a
 * row, and is drawn from its upper half, so that two nodes that lost each other do not dial in
 * step. A connection ends the row only if it stands for a while: one that opens and breaks at once,
 * again and again, would be dialled without a pause to speak of.
 */
export class Backoff {
  readonly #limits: BackoffLimits
  readonly #random: Random
  #failures = 0
  #notBefore = 0 as MonotonicMs
  #openedAt: MonotonicMs = NEVER

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
    this.#endRow(now)
    this.#openedAt = NEVER
    const { reconnectBackoffMinMs, reconnectBackoffMaxMs } = this.#limits
    const doubled = reconnectBackoffMinMs * 2 ** Math.min(this.#failures, 30)
    const pauseMs = Math.min(doubled, reconnectBackoffMaxMs)
    this.#failures++
    this.#notBefore = after(now, pauseMs * (0.5 + this.#random.nextFloat() / 2))
  }

  handleSuccess(now: MonotonicMs): void {
    this.#endRow(now)
    this.#openedAt = now
    this.#notBefore = 0 as MonotonicMs
  }

  #endRow(now: MonotonicMs): void {
    if (now - this.#openedAt >= steadyAfterMs) this.#failures = 0
  }
}
