/**
 * Keeps the client's knowledge of the cluster fresh: one request for the view is always on its way,
 * and is answered when the view changes. A member that had nothing new within the interval is left
 * for another, so that one that is cut off from the rest does not keep the client ignorant. When no
 * known member answers, the seed addresses are dialled again. Beside it `LeaderWatch` asks another
 * member who leads.
 */
import { after } from '../core/deadlines.js'
import { CancelledError, JoinFailedError, SkeinError } from '../core/errors.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import type { Address } from '../core/ports/stream-network.js'
import { hasCode } from '../core/remote-error.js'
import { shuffle } from '../core/splittable-random.js'
import { type ClusterAnswer, watchCluster } from '../routing/index.js'
import type { KnownCluster } from './known-cluster.js'
import { LeaderWatch } from './leader-watch-driver.js'
import { Pause } from './pause-driver.js'

/** What a client needs of the transport beside messages. */
export interface ClientMessenger extends Messenger {
  /** @throws DialFailedError, PeerIdentityError, HandshakeRefusedError, ConnectionLostError */
  dialAddress(address: Address, deadline: MonotonicMs): Promise<NodeId>
  /** Begins to connect, unless it is connected, that is under way, or it failed just now. */
  dial(to: NodeId): void
}

export interface WatchComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: ClientMessenger
  readonly logger: Logger
  readonly cluster: KnownCluster
  readonly onAnswer: (answer: ClusterAnswer) => void
  /** Another member says where groups live. */
  readonly onLeaders: (answer: ClusterAnswer) => void
}

export interface WatchOptions {
  readonly addresses: readonly Address[]
  readonly watchIntervalMs: number
  /**
   * For a seed address to answer, and for a member that was never asked; twice as long with each
   * round in which no seed did.
   */
  readonly answerTimeoutMs: number
}

const pauseMinMs = 20
const pauseMaxMs = 1_000
const seedTimeoutDoublingsMax = 3

export class WatchDriver {
  readonly #parts: WatchComponents
  readonly #options: WatchOptions
  readonly #controller = new AbortController()
  readonly #leaders: LeaderWatch
  /** Whom it asks now. */
  #target: NodeId | null = null
  /** In which no seed answered, one after the other. */
  #seedRounds = 0
  /** Members still to be asked in this round. */
  #round: NodeId[] = []
  readonly #pause: Pause

  constructor(components: WatchComponents, options: WatchOptions) {
    this.#parts = components
    this.#pause = new Pause(components)
    this.#options = options
    const { random, onLeaders } = components
    this.#leaders = new LeaderWatch(
      {
        ...components,
        random: random.split('leaders'),
        watched: () => this.#target,
        onAnswer: onLeaders
      },
      options
    )
  }

  /**
   * Resolves with the first view, from whichever seed answers first in a random order.
   * @throws JoinFailedError naming each seed's last reason
   */
  async begin(deadline: MonotonicMs): Promise<void> {
    const { clock } = this.#parts
    for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
      const reasons = await this.#askSeeds(deadline)
      if (reasons === null) return
      const isLate = after(clock.now(), pauseMs) >= deadline
      if (isLate || this.#isStopped || reasons.every(isForGood)) throw joinFailed(reasons)
      await this.#pause.wait(pauseMs)
    }
  }

  /** Ends when stopped; never rejects. */
  async keepWatching(): Promise<void> {
    void this.#leaders.keepWatching()
    let failures = 0
    while (!this.#isStopped) {
      const isAnswered = await this.#watchOnce()
      failures = isAnswered ? 0 : failures + 1
      // The first failure says something about one member only.
      if (failures > 1)
        await this.#pause.wait(Math.min(pauseMinMs * 2 ** (failures - 2), pauseMaxMs))
    }
  }

  stop(): void {
    this.#controller.abort()
    this.#leaders.stop()
    this.#pause.end()
  }

  get #isStopped(): boolean {
    return this.#controller.signal.aborted
  }

  async #watchOnce(): Promise<boolean> {
    const { clock, cluster, logger } = this.#parts
    const target = this.#round.find((node) => node !== this.#leaders.target) ?? this.#round[0]
    if (target === undefined) return this.#beginRound()
    this.#target = target
    const known = cluster.revisionOf(target)
    const { answerTimeoutMs, watchIntervalMs } = this.#options
    const intervalMs = known === 0 ? answerTimeoutMs : watchIntervalMs
    try {
      const answer = await this.#ask(target, after(clock.now(), intervalMs))
      if (answer.revision === known) this.#leave(target)
      return true
    } catch (error) {
      this.#leave(target)
      logger.debug({ target, error }, 'a member did not tell its view')
      return false
    }
  }

  #leave(target: NodeId): void {
    this.#round = this.#round.filter((node) => node !== target)
  }

  /** True: there is somebody to ask. */
  async #beginRound(): Promise<boolean> {
    const { clock, cluster, random } = this.#parts
    this.#round = shuffle(random, cluster.nodeIds())
    const isSomeoneKnown = this.#round.length > 0
    if (isSomeoneKnown && this.#hasAnswered) {
      this.#hasAnswered = false
      return true
    }
    await this.#askSeeds(after(clock.now(), this.#seedTimeoutMs))
    return false
  }

  /** Somebody answered since the last round began. */
  #hasAnswered = true

  async #ask(target: NodeId, deadline: MonotonicMs): Promise<ClusterAnswer> {
    const { messenger, cluster, onAnswer } = this.#parts
    const body = { revision: cluster.revisionOf(target) }
    const { signal } = this.#controller
    const answer = await messenger.request(target, watchCluster, body, { deadline, signal })
    if (this.#isStopped) throw new CancelledError('the client is closed')
    this.#hasAnswered = true
    onAnswer(answer)
    return answer
  }

  /** Null: one answered. */
  async #askSeeds(deadline: MonotonicMs): Promise<SkeinError[] | null> {
    const { clock, messenger, cluster, random } = this.#parts
    const reasons: SkeinError[] = []
    for (const address of shuffle(random, [...this.#options.addresses])) {
      const soon = after(clock.now(), this.#seedTimeoutMs)
      const until = Math.min(soon, deadline) as MonotonicMs
      try {
        const nodeId = await messenger.dialAddress(address, until)
        cluster.learnSeed(nodeId, address)
        await this.#ask(nodeId, until)
        this.#seedRounds = 0
        return null
      } catch (error) {
        if (!(error instanceof SkeinError)) throw error
        reasons.push(error)
      }
      if (this.#isStopped || clock.now() >= deadline) break
    }
    this.#seedRounds++
    return reasons
  }

  get #seedTimeoutMs(): number {
    const times = 2 ** Math.min(this.#seedRounds, seedTimeoutDoublingsMax)
    return this.#options.answerTimeoutMs * times
  }
}

/** Waiting does not make it another cluster. */
const isForGood = (error: SkeinError): boolean =>
  hasCode(error, 'ERR_SKEIN_PEER_IDENTITY') || hasCode(error, 'ERR_SKEIN_HANDSHAKE_REFUSED')

function joinFailed(reasons: readonly SkeinError[]): JoinFailedError {
  const told = reasons.map(({ message }) => message)
  const [cause] = reasons
  return new JoinFailedError(`no node answered: ${told.join('; ')}`, {
    details: { reasons: told },
    ...(cause === undefined ? {} : { cause })
  })
}
