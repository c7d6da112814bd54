/**
 * Tells every peer this start's mark, hears from each what it has heard of this replica, and judges
 * (`start-mark.ts`). Told at every connection: a peer whose process is a new one remembers nothing.
 *
 * 1. Who may know better is heard first: what concerns elections is not taken from a node that has
 *    not answered yet, for `answerWaitMs` after it was met. An older copy does not vote for
 *    somebody who could have told it.
 * 2. Longer than that nobody is waited for, so that what keeps answers away keeps no leader away.
 * 3. A node of the version before answers without a mark, and so proves nothing.
 */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { ReplicaHello } from '../founding-driver.js'
import { replicaHello } from '../group/group-messages.js'
import type { RaftMessage } from '../messages.js'
import { HeardMarks, isOutlived, type StartMark } from './start-mark.js'

/** Peers that have not answered are asked again at this interval. */
export const askIntervalMs = 500
/** From when a peer was met: so long its part in elections waits for its answer. */
export const answerWaitMs = 1_000
/** Peers that are remembered to have answered, or not; the one met longest ago is forgotten. */
export const watchedPeersMax = 1_024

export interface RollbackWatchComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  /** As it would be told now. */
  hello(): ReplicaHello
  /** `peer` has heard of a later start, or of another one under this one's count. */
  onOutlived(peer: NodeId, own: StartMark, heard: StartMark): void
}

interface Peer {
  readonly metAt: MonotonicMs
  isConnected: boolean
  hasAnswered: boolean
}

export class RollbackWatch {
  readonly #components: RollbackWatchComponents
  readonly #heard = new HeardMarks()
  readonly #peers = new Map<NodeId, Peer>()
  readonly #timer: DeadlineTimer
  #own: StartMark | null = null
  #isStopped = false

  constructor(components: RollbackWatchComponents) {
    this.#components = components
    this.#timer = new DeadlineTimer(components.clock, () => this.#askAgain())
  }

  /** Null: this start has no mark, and cannot be judged by one. */
  begin(own: StartMark | null): void {
    this.#own = own
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
  }

  handlePeer(node: NodeId, connected: boolean): void {
    if (this.#own === null || this.#isStopped) return
    const peer = this.#peers.get(node) ?? this.#meet(node)
    peer.isConnected = connected
    if (connected) this.#ask(node)
  }

  /**
   * What the answer to the hello of `node` has in addition. Who speaks first is asked as well, and
   * counts as connected until it is said to be lost.
   */
  answerTo(node: NodeId, { self, start }: ReplicaHello): { readonly heard?: StartMark } {
    if (!this.#peers.has(node)) this.handlePeer(node, true)
    return start === undefined ? {} : { heard: this.#heard.note(self, start) }
  }

  /** Whether `node` may still tell something that has to be known before this is taken from it. */
  holdsBack(node: NodeId, kind: RaftMessage['kind']): boolean {
    if (!isOfElection(kind) || this.#own === null) return false
    const peer = this.#peers.get(node)
    if (peer === undefined) {
      this.#meet(node)
      this.#ask(node)
      return true
    }
    return !peer.hasAnswered && this.#components.clock.now() < after(peer.metAt, answerWaitMs)
  }

  #meet(node: NodeId): Peer {
    const { clock } = this.#components
    const peer = { metAt: clock.now(), isConnected: false, hasAnswered: false }
    this.#peers.set(node, peer)
    if (this.#peers.size > watchedPeersMax) {
      for (const [oldest] of this.#peers) {
        this.#peers.delete(oldest)
        break
      }
    }
    return peer
  }

  #ask(node: NodeId): void {
    const { clock, hello, messenger } = this.#components
    const own = this.#own
    if (own === null || this.#isStopped) return
    const at = after(clock.now(), askIntervalMs)
    messenger.request(node, replicaHello, { ...hello(), start: own }, { deadline: at }).then(
      ({ heard }) => this.#handleAnswer(node, own, heard),
      (error: unknown) => this.#handleSilence(node, error)
    )
    if (!this.#timer.isArmed) this.#timer.arm(at)
  }

  #askAgain(): void {
    for (const [node, { hasAnswered, isConnected }] of this.#peers) {
      if (isConnected && !hasAnswered) this.#ask(node)
    }
  }

  #handleAnswer(node: NodeId, own: StartMark, heard: StartMark | undefined): void {
    if (this.#isStopped) return
    const peer = this.#peers.get(node)
    if (peer !== undefined) peer.hasAnswered = true
    if (heard !== undefined && isOutlived(own, heard)) {
      this.#components.onOutlived(node, own, heard)
    }
  }

  #handleSilence(node: NodeId, error: unknown): void {
    this.#components.logger.debug({ node, error }, 'a peer does not say what it has heard')
  }
}

/** What this replica is asked for as a voter, and what it is answered as a candidate. */
const isOfElection = (kind: RaftMessage['kind']): boolean =>
  kind === 'vote' || kind === 'voteResponse' || kind === 'preVote' || kind === 'preVoteResponse'
