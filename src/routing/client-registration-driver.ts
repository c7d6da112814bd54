import { after } from '../core/deadlines.js'
import { NoEligibleNodeError } from '../core/errors.js'
import type { ClientId, GroupId, MonotonicMs } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { QueryTools } from './query-tools-driver.js'
import { isWaiting, Outcomes, outcomeOf } from './retry-policy.js'
import { cancellable } from './waiting-driver.js'

/** Registers clients that number their own writes, wherever the leader is. */
export class ClientRegistrationDriver {
  /** Pause after a failure. */
  retryBackoffMs: number
  readonly #clock: Clock
  readonly #tools: Pick<QueryTools, 'attempts' | 'placements' | 'waiting'>
  readonly #isStopping: () => boolean

  constructor(
    components: {
      readonly clock: Clock
      readonly tools: Pick<QueryTools, 'attempts' | 'placements' | 'waiting'>
      readonly isStopping: () => boolean
    },
    options: { readonly retryBackoffMs: number }
  ) {
    this.#clock = components.clock
    this.#tools = components.tools
    this.#isStopping = components.isStopping
    this.retryBackoffMs = options.retryBackoffMs
  }

  /** A registration is idempotent, so any failure that may pass is tried again. */
  async register(
    group: GroupId,
    clientId: ClientId,
    deadline: MonotonicMs,
    signal: AbortSignal | undefined
  ): Promise<void> {
    for (;;) {
      const leader = this.#tools.placements.of(group)?.leader ?? null
      let failure: unknown = new NoEligibleNodeError(`no leader of group ${group} is known`)
      if (leader !== null) {
        try {
          const asked = this.#tools.attempts.registerClient(leader, group, clientId, deadline)
          return await cancellable(asked, signal)
        } catch (thrown) {
          failure = thrown
        }
      }
      const pausedUntil = after(this.#clock.now(), this.retryBackoffMs)
      const isFinal = outcomeOf(failure) === Outcomes.Final || signal?.aborted
      if (isFinal || pausedUntil >= deadline || this.#isStopping()) throw failure
      if (isWaiting(failure)) await this.#tools.placements.refresh()
      await this.#tools.waiting.pauseUntil(pausedUntil, signal)
    }
  }
}
