/**
 * How many retries may be added to the load: a share of the queries of the last ten seconds, and
 * a few per second in any case, so that a quiet node may retry too. Without it every failure of a
 * loaded cluster becomes several queries, and the load that made it fail grows.
 *
 * The first retry after its node was lost costs a query nothing: the node has dropped what it had
 * taken, so the others do not get more than clients asked for.
 *
 * Source: Finagle's retry budget and Envoy's `retry_budget`; both default to 20 %.
 *
 * 1. Within any window of ten seconds there are never more other retries than
 *    ratio · queries + minPerSecond · 10.
 */
import { must } from '../../core/assert.js'
import type { MonotonicMs } from '../../core/ids.js'

export interface RetryBudgetOptions {
  readonly retryBudgetRatio: number
  readonly retryBudgetMinPerSecond: number
}

/** The window, in parts of a second. */
const windowSeconds = 10

interface Second {
  number: number
  queries: number
  retries: number
}

export class RetryBudget {
  readonly #options: RetryBudgetOptions
  readonly #seconds: readonly Second[]

  constructor(options: RetryBudgetOptions) {
    this.#options = options
    this.#seconds = Array.from({ length: windowSeconds }, () => ({
      number: -1,
      queries: 0,
      retries: 0
    }))
  }

  /** A query begins. */
  deposit(now: MonotonicMs): void {
    this.#secondAt(now).queries++
  }

  /** Whether a retry may be made; it counts when it may. */
  tryWithdraw(now: MonotonicMs): boolean {
    const current = this.#secondAt(now)
    if (this.#balance(current.number) < 1) return false
    current.retries++
    return true
  }

  /** Retries that may be made now. */
  left(now: MonotonicMs): number {
    return Math.max(0, Math.floor(this.#balance(this.#secondAt(now).number)))
  }

  #balance(last: number): number {
    const { retryBudgetRatio, retryBudgetMinPerSecond } = this.#options
    let [queries, retries] = [0, 0]
    for (const second of this.#seconds) {
      if (second.number <= last - windowSeconds) continue
      queries += second.queries
      retries += second.retries
    }
    return queries * retryBudgetRatio + retryBudgetMinPerSecond * windowSeconds - retries
  }

  #secondAt(now: MonotonicMs): Second {
    const number = Math.floor(now / 1_000)
    const second = must(this.#seconds[number % windowSeconds], 'second')
    if (second.number !== number) {
      second.number = number
      second.queries = 0
      second.retries = 0
    }
    return second
  }
}
