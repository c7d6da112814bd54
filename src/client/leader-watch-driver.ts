/**
 * A second watch beside `WatchDriver`'s, at another member, for what may not wait: who leads. The
 * member that tells the view may be the very leader that falls silent, and its silence is noticed
 * only when the interval is over. What is told here of members does not count: two views side by
 * side would be two truths.
 */
import { after } from '../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import { isServing } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import { type ClusterAnswer, watchCluster } from '../routing/index.js'
import type { KnownCluster } from './known-cluster.js'
import { Pause } from './pause-driver.js'

export interface LeaderWatchComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  readonly cluster: KnownCluster
  /** Whom the other watch asks now. */
  readonly watched: () => NodeId | null
  readonly onAnswer: (answer: ClusterAnswer) => void
}

export interface LeaderWatchOptions {
  readonly watchIntervalMs: number
  /** For a member that was not asked just now. */
  readonly answerTimeoutMs: number
}

/** After a failure, and where nobody else is known or a member does not hold the request. */
const pauseMinMs = 50
const pauseMaxMs = 1_000

export class LeaderWatch {
  readonly #parts: LeaderWatchComponents
  readonly #options: LeaderWatchOptions
  readonly #controller = new AbortController()
  #target: NodeId | null = null
  /** What is known of its view; 0: nothing. */
  #revision = 0
  #failures = 0
  readonly #pause: Pause

  constructor(components: LeaderWatchComponents, options: LeaderWatchOptions) {
    this.#parts = components
    this.#pause = new Pause(components)
    this.#options = options
  }

  /** Whom it asks now. */
  get target(): NodeId | null {
    return this.#target
  }

  /** Ends when stopped; never rejects. */
  async keepWatching(): Promise<void> {
    while (!this.#isStopped) {
      this.#chooseTarget()
      const isHeld = this.#target !== null && (await this.#watch(this.#target))
      if (!isHeld) await this.#pause.wait(Math.min(pauseMinMs * 2 ** this.#failures++, pauseMaxMs))
      else this.#failures = 0
    }
  }

  stop(): void {
    this.#controller.abort()
    this.#pause.end()
  }

  get #isStopped(): boolean {
    return this.#controller.signal.aborted
  }

  /** Who told something new is asked on, unless the other watch has come to it. */
  #chooseTarget(): void {
    const { cluster, random, watched } = this.#parts
    const other = watched()
    if (this.#target !== null && this.#target !== other && this.#revision > 0) return
    const members = cluster.members().filter((one) => isServing(one) && one.nodeId !== other)
    const others = members.filter(({ nodeId }) => nodeId !== this.#target)
    const choice = others.length > 0 ? others : members
    this.#target = choice[random.nextInt(Math.max(1, choice.length))]?.nodeId ?? null
    this.#revision = 0
  }

  /** False: it failed, or answered at once without news. */
  async #watch(target: NodeId): Promise<boolean> {
    const { clock, logger, messenger, onAnswer } = this.#parts
    const { answerTimeoutMs, watchIntervalMs } = this.#options
    const known = this.#revision
    const begun = clock.now()
    const deadline = after(begun, known === 0 ? answerTimeoutMs : watchIntervalMs) as MonotonicMs
    const { signal } = this.#controller
    this.#revision = 0
    try {
      const body = { revision: known }
      const answer = await messenger.request(target, watchCluster, body, { deadline, signal })
      if (this.#isStopped) return true
      const isNews = answer.revision !== known
      if (isNews) this.#revision = answer.revision
      onAnswer(answer)
      return isNews || clock.now() - begun > watchIntervalMs / 2
    } catch (error) {
      logger.debug({ target, error }, 'a member did not tell who leads')
      return false
    }
  }
}
