import {
  type BreakerState,
  BreakerStates,
  CircuitBreaker,
  type CircuitBreakerOptions
} from '../../core/circuit-breaker.js'
import { CircuitOpenError, type ErrorCode, SkeinError } from '../../core/errors.js'
import type { StateSyncEvent } from '../../core/events.js'
import { compareText, type MonotonicMs, type NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Messenger, RequestOptions, RequestType } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import { RemoteError } from '../../core/remote-error.js'
import type { BreakerView } from '../../core/state-sync.js'
import type { StateSyncCounters } from './counters.js'

/** Peers of which is remembered how they fared; beyond it those at rest are forgotten first. */
const breakersMax = 1_024

/** The peer was not reached, or did not answer. */
const isUnreached = (code: ErrorCode): boolean =>
  code === 'ERR_SKEIN_NOT_SENT' ||
  code === 'ERR_SKEIN_TIMEOUT' ||
  code === 'ERR_SKEIN_CONNECTION_LOST' ||
  code === 'ERR_SKEIN_DIAL_FAILED' ||
  code === 'ERR_SKEIN_HANDSHAKE_REFUSED'

export interface GuardedRequestsComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly counters: StateSyncCounters
  readonly publish: (event: StateSyncEvent) => void
}

/** Requests of this room, each behind the circuit breaker of the peer that it goes to. */
export class GuardedRequestsDriver {
  readonly #components: GuardedRequestsComponents
  readonly #options: CircuitBreakerOptions
  readonly #breakers = new Map<NodeId, CircuitBreaker>()

  constructor(components: GuardedRequestsComponents, options: CircuitBreakerOptions) {
    this.#components = components
    this.#options = options
  }

  /** @throws CircuitOpenError it was not asked; others: as `Messenger.request` */
  async request<Body, Answer>(
    to: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    options: RequestOptions
  ): Promise<Answer> {
    const { clock, messenger, counters } = this.#components
    const breaker = this.#breakerOf(to)
    const ticket = this.#changing(to, breaker, () => breaker.begin(clock.now()))
    if (ticket === null) {
      counters.add('breaker_refusals')
      throw this.#refusal(to, breaker)
    }
    try {
      const answer = await messenger.request(to, type, body, options)
      this.#changing(to, breaker, () => breaker.handleSuccess(ticket))
      return answer
    } catch (error) {
      this.#changing(to, breaker, () => {
        if (error instanceof RemoteError) breaker.handleSuccess(ticket)
        else if (error instanceof SkeinError && isUnreached(error.code)) {
          breaker.handleFailure(ticket, clock.now())
        } else breaker.handleAbandoned(ticket, clock.now())
      })
      throw error
    }
  }

  /** Of peers whose breaker is not at rest, by name. */
  views(): BreakerView[] {
    const now = this.#components.clock.now()
    return [...this.#breakers]
      .filter(([, breaker]) => breaker.state !== BreakerStates.Closed)
      .sort(([a], [b]) => compareText(a, b))
      .map(([nodeId, { state, retryAt }]) => ({
        nodeId,
        state,
        retryInMs: state === BreakerStates.Open ? Math.max(0, retryAt - now) : null
      }))
  }

  get size(): number {
    return this.#breakers.size
  }

  #breakerOf(nodeId: NodeId): CircuitBreaker {
    const known = this.#breakers.get(nodeId)
    if (known !== undefined) return known
    const { clock, random } = this.#components
    if (this.#breakers.size >= breakersMax) this.#forgetIdle(clock.now())
    const breaker = new CircuitBreaker(random.split(`breaker ${nodeId}`), this.#options)
    this.#breakers.set(nodeId, breaker)
    return breaker
  }

  #forgetIdle(now: MonotonicMs): void {
    for (const [nodeId, breaker] of this.#breakers) {
      if (breaker.isIdle(now)) this.#breakers.delete(nodeId)
    }
    const [oldest] = this.#breakers.keys()
    if (this.#breakers.size >= breakersMax && oldest !== undefined) this.#breakers.delete(oldest)
  }

  #refusal(nodeId: NodeId, { retryAt }: CircuitBreaker): CircuitOpenError {
    const waitMs = retryAt - this.#components.clock.now()
    const retryAfterMs = Number.isFinite(waitMs) ? Math.max(0, Math.ceil(waitMs)) : 0
    return new CircuitOpenError(`${nodeId} failed too often to be asked now`, {
      nodeId,
      details: { retryAfterMs }
    })
  }

  #changing<T>(nodeId: NodeId, breaker: CircuitBreaker, act: () => T): T {
    const previous: BreakerState = breaker.state
    const result = act()
    const { state } = breaker
    if (state === previous) return result
    const { counters, publish } = this.#components
    if (state === BreakerStates.Open) counters.add('breaker_openings')
    if (state === BreakerStates.Open) counters.add('breakers_open')
    if (previous === BreakerStates.Open) counters.add('breakers_open', -1)
    publish({ type: 'BreakerChanged', nodeId, previous, state })
    return result
  }
}
