import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import { JoinFailedError, StoppedError } from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Clock, Timer } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Random } from '../../core/ports/random.js'
import type { Address } from '../../core/ports/stream-network.js'
import { factsOf } from '../../core/remote-error.js'
import { pick } from '../../core/splittable-random.js'

/** One attempt at one seed. */
const seedAttemptTimeoutMs = 5_000
/** A node that sees nobody asks more and more seldom, up to the re-dial interval. */
const isolatedRetryMs = 250
/** Re-dials when state exchange, whose interval they share, is switched off. */
const redialIntervalDefaultMs = 30_000

export interface SeedsComponents {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Joins through one seed; false: the seed is this node itself. */
  readonly contact: (seed: Address, deadline: MonotonicMs) => Promise<boolean>
  readonly isIsolated: () => boolean
  /** Whether a live member is at this address. */
  readonly isMemberAt: (address: Address) => boolean
}

export interface SeedsOptions {
  readonly ownAddress: Address
  readonly pushPullIntervalMs: number
}

/**
 * The seeds: asked at the join until one answers, and ever after while one of them is nobody's
 * address, so that the two sides of a partition meet again even when each forgot the other.
 */
export class Seeds {
  readonly #components: SeedsComponents
  readonly #options: SeedsOptions
  readonly #redialTimer: DeadlineTimer
  readonly #redialIntervalMs: number
  readonly #waits = new Set<{ timer: Timer; wake: () => void }>()
  #seeds: readonly Address[] = []
  #known: readonly Address[] = []
  #isJoining = false
  #isRedialling = false
  #isStopped = false
  #retryMs = isolatedRetryMs

  constructor(components: SeedsComponents, options: SeedsOptions) {
    this.#components = components
    this.#options = options
    this.#redialIntervalMs = options.pushPullIntervalMs || redialIntervalDefaultMs
    this.#redialTimer = new DeadlineTimer(components.clock, () => void this.#redial())
  }

  /**
   * How many seeds answered; zero when there is none but this node itself.
   * @throws JoinFailedError none answered before the deadline; each seed's reason is in the details
   */
  async join(seeds: readonly Address[], deadline: MonotonicMs): Promise<number> {
    const { clock } = this.#components
    this.#seeds = [...new Set(seeds)].filter((seed) => seed !== this.#options.ownAddress)
    this.#isJoining = true
    try {
      for (let retryMs = isolatedRetryMs; ; retryMs *= 2) {
        const reasons: string[] = []
        const joined = await this.#contactAll(this.#all(), deadline, reasons)
        if (joined > 0 || reasons.length === 0) return joined
        const retryAt = this.#jittered(Math.min(retryMs, seedAttemptTimeoutMs))
        if (this.#isStopped) throw new StoppedError('membership stopped while joining')
        if (retryAt >= deadline) {
          throw new JoinFailedError(`none of ${reasons.length} seed(s) took this node in`, {
            details: { seeds: reasons }
          })
        }
        this.#components.logger.debug({ reasons, nextInMs: retryAt - clock.now() }, 'join failed')
        await this.#waitUntil(retryAt)
      }
    } finally {
      this.#isJoining = false
      this.#armRedial()
    }
  }

  /** Members of an earlier life; asked as seeds are, as long as this node sees nobody. */
  remember(peers: readonly Address[]): void {
    this.#known = peers.filter((peer) => peer !== this.#options.ownAddress)
    this.#armRedial()
  }

  /** The set of live members changed. */
  onMembersChanged(): void {
    if (!this.#isJoining && !this.#isRedialling) this.#armRedialWhenIsolated()
  }

  stop(): void {
    this.#isStopped = true
    this.#redialTimer.stop()
    for (const { timer, wake } of this.#waits) {
      timer.cancel()
      wake()
    }
    this.#waits.clear()
  }

  async #contactAll(
    seeds: readonly Address[],
    deadline: MonotonicMs,
    reasons: string[]
  ): Promise<number> {
    const { clock, contact } = this.#components
    const attemptEnds = Math.min(deadline, after(clock.now(), seedAttemptTimeoutMs)) as MonotonicMs
    const outcomes = await Promise.allSettled(seeds.map((seed) => contact(seed, attemptEnds)))
    let joined = 0
    outcomes.forEach((outcome, i) => {
      if (outcome.status === 'fulfilled') joined += outcome.value ? 1 : 0
      else reasons.push(`${seeds[i]}: ${reasonOf(outcome.reason)}`)
    })
    return joined
  }

  async #redial(): Promise<void> {
    const { isIsolated, isMemberAt, random, clock, logger } = this.#components
    const wanted = isIsolated() ? this.#all() : this.#seeds
    const missing = wanted.filter((seed) => !isMemberAt(seed))
    if (this.#isJoining || this.#isRedialling || missing.length === 0) {
      this.#armRedial()
      return
    }
    this.#isRedialling = true
    const asked = isIsolated() ? missing : [pick(random, missing)]
    const reasons: string[] = []
    const deadline = after(clock.now(), seedAttemptTimeoutMs)
    const joined = await this.#contactAll(asked, deadline, reasons)
    if (joined > 0) this.#retryMs = isolatedRetryMs
    else this.#retryMs = Math.min(this.#retryMs * 2, this.#redialIntervalMs)
    if (reasons.length > 0) logger.debug({ reasons }, 'seeds do not answer')
    this.#isRedialling = false
    this.#armRedial()
  }

  #all(): readonly Address[] {
    return [...new Set([...this.#seeds, ...this.#known])]
  }

  #armRedial(): void {
    if (this.#isStopped || this.#all().length === 0) return
    const delayMs = this.#components.isIsolated() ? this.#retryMs : this.#redialIntervalMs
    this.#redialTimer.arm(this.#jittered(delayMs))
  }

  #armRedialWhenIsolated(): void {
    if (this.#all().length === 0 || !this.#components.isIsolated()) return
    this.#retryMs = isolatedRetryMs
    this.#armRedial()
  }

  /** Half to all of it from now. */
  #jittered(delayMs: number): MonotonicMs {
    const { clock, random } = this.#components
    return after(clock.now(), delayMs * (0.5 + random.nextFloat() / 2))
  }

  #waitUntil(at: MonotonicMs): Promise<void> {
    return new Promise((resolve) => {
      const wait = {
        wake: resolve,
        timer: this.#components.clock.schedule(at, () => {
          this.#waits.delete(wait)
          resolve()
        })
      }
      this.#waits.add(wait)
    })
  }
}

function reasonOf(thrown: unknown): string {
  const { code, message } = factsOf(thrown)
  return `${message} (${code})`
}
