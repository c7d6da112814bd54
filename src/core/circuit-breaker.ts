/**
 * Whether a peer is worth asking. After too many failures in a short time nobody asks for a while;
 * then one call is let through, and its outcome decides: the field's circuit breaker.
 *
 * 1. Closed: every call may begin. `failuresMax` failures within `windowMs` open it.
 * 2. Open: no call begins before `retryAt`. The pause doubles with each opening that no success
 *    came between, from `backoffMinMs` to `backoffMaxMs`, and is drawn from its upper half, so that
 *    many who lost one peer do not come back in step.
 * 3. Half-open: one call is under way, the probe; others may not begin. Its success closes, its
 *    failure opens again, and a probe that was given up leaves its place to the next.
 * 4. An outcome counts only in the state in which its call began: what was under way when the
 *    breaker opened neither opens it further nor closes it.
 *
 * Owner's duties: `begin` before each call, and exactly one of `handleSuccess`, `handleFailure` and
 * `handleAbandoned` with what `begin` answered after it.
 */
import { after, NEVER } from './deadlines.js'
import type { MonotonicMs } from './ids.js'
import type { Random } from './ports/random.js'

export const BreakerStates = { Closed: 'closed', Open: 'open', HalfOpen: 'half-open' } as const
export type BreakerState = (typeof BreakerStates)[keyof typeof BreakerStates]

export interface CircuitBreakerOptions {
  /** So many failures within `windowMs` open it. */
  readonly failuresMax: number
  readonly windowMs: number
  readonly backoffMinMs: number
  readonly backoffMaxMs: number
}

/** Names the state in which a call began. */
export type BreakerTicket = number

export class CircuitBreaker {
  readonly #random: Random
  readonly #options: CircuitBreakerOptions
  #state: BreakerState = BreakerStates.Closed
  /** Rises with every change of state. */
  #ticket: BreakerTicket = 0
  /** The latest failures while closed, oldest first. */
  #failedAt: MonotonicMs[] = []
  #retryAt: MonotonicMs = NEVER
  #openings = 0

  constructor(random: Random, options: CircuitBreakerOptions) {
    this.#random = random
    this.#options = options
  }

  get state(): BreakerState {
    return this.#state
  }

  /** When the next call may begin, while it is open; else `NEVER`. */
  get retryAt(): MonotonicMs {
    return this.#retryAt
  }

  /** Nothing is remembered: a new breaker would do the same. */
  isIdle(now: MonotonicMs): boolean {
    return this.#state === BreakerStates.Closed && this.#recentFailures(now).length === 0
  }

  /** Null: the call may not begin. */
  begin(now: MonotonicMs): BreakerTicket | null {
    if (this.#state === BreakerStates.Closed) return this.#ticket
    if (this.#state === BreakerStates.HalfOpen || now < this.#retryAt) return null
    this.#become(BreakerStates.HalfOpen)
    this.#retryAt = NEVER
    return this.#ticket
  }

  handleSuccess(ticket: BreakerTicket): void {
    if (ticket !== this.#ticket || this.#state !== BreakerStates.HalfOpen) return
    this.#openings = 0
    this.#failedAt = []
    this.#become(BreakerStates.Closed)
  }

  handleFailure(ticket: BreakerTicket, now: MonotonicMs): void {
    if (ticket !== this.#ticket) return
    if (this.#state === BreakerStates.HalfOpen) {
      this.#open(now)
      return
    }
    this.#failedAt = [...this.#recentFailures(now), now]
    if (this.#failedAt.length >= this.#options.failuresMax) this.#open(now)
  }

  /** The call ended without an answer to whether the peer is well: its caller gave it up. */
  handleAbandoned(ticket: BreakerTicket, now: MonotonicMs): void {
    if (ticket !== this.#ticket || this.#state !== BreakerStates.HalfOpen) return
    this.#become(BreakerStates.Open)
    this.#retryAt = now
  }

  #open(now: MonotonicMs): void {
    const { backoffMinMs, backoffMaxMs } = this.#options
    const doubled = backoffMinMs * 2 ** Math.min(this.#openings, 30)
    const pauseMs = Math.min(doubled, backoffMaxMs) * (0.5 + this.#random.nextFloat() / 2)
    this.#openings++
    this.#failedAt = []
    this.#retryAt = after(now, Math.max(backoffMinMs, pauseMs))
    this.#become(BreakerStates.Open)
  }

  #become(state: BreakerState): void {
    this.#state = state
    this.#ticket++
  }

  #recentFailures(now: MonotonicMs): MonotonicMs[] {
    return this.#failedAt.filter((at) => now - at < this.#options.windowMs)
  }
}
