/** The way to the control group's leader: who it is, a question to it, a pause before the next. */
import { after } from '../core/deadlines.js'
import { IndeterminateError, NoLeaderError, RequestTimeoutError } from '../core/errors.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Messenger, RequestType } from '../core/ports/messenger.js'
import type { ReplicatedGroup } from '../core/ports/replicated-group.js'
import { LeaderSearch } from './leader-search.js'
import { PausesDriver } from './pauses-driver.js'

export interface PeersComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  /** This node's replica of the control group; null: it has none (yet). */
  replica(): ReplicatedGroup | null
  /** Whom to ask where the control group is, when nobody knows: members that serve. */
  members(): readonly NodeId[]
}

/** One attempt at another node may take so long; there may be another leader by then. */
const attemptTimeoutMs = 2_000
/** Between two attempts, unless another leader is heard of; doubled each time, up to the second. */
const retryPauseMs = 50
const retryPauseLongestMs = 1_000

export class ControlPeers {
  readonly #components: PeersComponents
  readonly #pauses: PausesDriver
  readonly #search: LeaderSearch
  readonly #self: NodeId
  #isStopped = false

  constructor(components: PeersComponents, options: { readonly nodeId: NodeId }) {
    this.#components = components
    this.#pauses = new PausesDriver(components.clock)
    this.#search = new LeaderSearch(options.nodeId)
    this.#self = options.nodeId
  }

  stop(): void {
    this.#isStopped = true
    this.#pauses.wakeAll()
  }

  /** Whoever waits for a leader tries it now. */
  wake(): void {
    this.#pauses.wakeAll()
  }

  leader(): NodeId | null {
    const own = this.own()
    return own === null ? this.#search.leader : own.leadership().leader
  }

  /** This node's replica; not one that was taken out, which says for ever what was. */
  own(): ReplicatedGroup | null {
    const replica = this.#components.replica()
    if (replica === null) return null
    const { voters, learners } = replica.status()
    return voters.includes(this.#self) || learners.includes(this.#self) ? replica : null
  }

  /**
   * The leader, or who may know it.
   * @throws NoLeaderError
   */
  target(): NodeId {
    const own = this.own()
    const { members } = this.#components
    const target = own === null ? this.#search.next(members()) : own.leadership().leader
    if (target !== null) return target
    throw new NoLeaderError('no leader of the control group is known')
  }

  /** @throws IndeterminateError there was no answer in time */
  async ask<Body, Answer>(
    target: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    deadline: MonotonicMs
  ): Promise<Answer> {
    const { clock, messenger } = this.#components
    const attemptUntil = after(clock.now(), attemptTimeoutMs)
    const until = Math.min(deadline, attemptUntil) as MonotonicMs
    try {
      const answer = await messenger.request(target, type, body, { deadline: until })
      this.#search.handleAnswer(target)
      return answer
    } catch (cause) {
      // The other node's own time-out says that nothing was done; this one says nothing.
      if (!(cause instanceof RequestTimeoutError)) throw cause
      throw new IndeterminateError(`${target} did not answer in time`, { cause })
    }
  }

  /** Waits a moment after so many failures; false: the deadline comes first, or the node stops. */
  async mayTryAgain(error: unknown, failures: number, deadline: MonotonicMs): Promise<boolean> {
    this.#search.handleFailure(error)
    const pauseMs = Math.min(retryPauseMs * 2 ** (failures - 1), retryPauseLongestMs)
    const at = after(this.#components.clock.now(), pauseMs)
    if (this.#isStopped || at >= deadline) return false
    await this.#pauses.until(at)
    return !this.#isStopped
  }
}
