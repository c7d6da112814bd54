/**
 * When to ask whether the peer is still there, and when to stop believing it. After
 * `keepAliveIntervalMs` without a byte from the peer a ping is due; after `idleTimeoutMs` the
 * peer is gone, but only if a ping was out for a whole interval meanwhile: a process that was
 * stopped itself must first read what arrived in the meantime.
 */
import { after } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'

export interface KeepAliveLimits {
  readonly keepAliveIntervalMs: number
  readonly idleTimeoutMs: number
}

export const KeepAliveVerdicts = { Fine: 'fine', Ping: 'ping', Gone: 'gone' } as const
export type KeepAliveVerdict = (typeof KeepAliveVerdicts)[keyof typeof KeepAliveVerdicts]

export class KeepAlive {
  readonly #limits: KeepAliveLimits
  #receivedAt: MonotonicMs
  /** Also the earliest time at which anything may have to be done. */
  #checkAt: MonotonicMs
  #pingedAt: MonotonicMs | null = null

  constructor(limits: KeepAliveLimits, now: MonotonicMs) {
    this.#limits = limits
    this.#receivedAt = now
    this.#checkAt = after(now, limits.keepAliveIntervalMs)
  }

  handleReceived(now: MonotonicMs): void {
    this.#receivedAt = now
    this.#pingedAt = null
  }

  /** Later than the truth is never, earlier often: traffic does not move it. */
  nextDeadline(): MonotonicMs {
    return this.#checkAt
  }

  check(now: MonotonicMs): KeepAliveVerdict {
    if (now < this.#checkAt) return KeepAliveVerdicts.Fine
    const { keepAliveIntervalMs, idleTimeoutMs } = this.#limits
    const stalled = now > after(this.#checkAt, keepAliveIntervalMs)
    const quietUntil = after(this.#receivedAt, keepAliveIntervalMs)
    if (now < quietUntil) {
      this.#checkAt = quietUntil
      return KeepAliveVerdicts.Fine
    }
    const goneAt = Math.max(
      after(this.#receivedAt, idleTimeoutMs),
      after(this.#pingedAt ?? now, keepAliveIntervalMs)
    ) as MonotonicMs
    if (this.#pingedAt !== null && !stalled && now >= goneAt) return KeepAliveVerdicts.Gone
    this.#pingedAt = this.#pingedAt === null || stalled ? now : this.#pingedAt
    const again = after(now, keepAliveIntervalMs)
    this.#checkAt = stalled || goneAt <= now ? again : (Math.min(again, goneAt) as MonotonicMs)
    return KeepAliveVerdicts.Ping
  }
}
