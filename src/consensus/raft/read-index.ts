/**
 * Reads that need a proof of leadership: a majority must answer a heartbeat that was sent after
 * the read came in. Source: Raft dissertation 6.4. A round whose answers promise to elect nobody
 * else is worth a lease (`lease.ts`), and may be opened for that alone.
 *
 * Invariants:
 * 1. One round is open at a time; its context is unique in the term, and answers of other terms
 *    do not get here, so an answer counts for no read but those of its own round.
 * 2. A round's index is the commit index when it opens, and it opens only after an entry of the
 *    leader's own term is committed: until then the commit index may be behind an older leader's.
 */
import type { LogIndex, MonotonicMs, ReplicaId } from '../../core/ids.js'
import { type Electorate, tallyVotes } from './quorum.js'

interface Round {
  readonly context: number
  readonly index: LogIndex
  readonly requestIds: readonly number[]
  readonly acks: Map<ReplicaId, boolean>
  /** Of those, who promised; the leader itself elects nobody else. */
  readonly promises: Map<ReplicaId, boolean>
  readonly openedAt: MonotonicMs
  readonly configurationIndex: LogIndex
}

export interface ConfirmedRound
  extends Pick<Round, 'index' | 'requestIds' | 'openedAt' | 'configurationIndex'> {
  readonly isPromised: boolean
}

export interface RoundBegin extends Pick<Round, 'index' | 'openedAt' | 'configurationIndex'> {
  readonly self: ReplicaId
}

export class ReadRounds {
  readonly #pendingReadsMax: number
  #waiting: number[] = []
  #round: Round | null = null
  #lastContext = 0
  /** A round is wanted though nobody waits for it. */
  #isLeaseWanted = false

  constructor(pendingReadsMax: number) {
    this.#pendingReadsMax = pendingReadsMax
  }

  /** What a heartbeat carries; 0 when no round is open. */
  get context(): number {
    return this.#round?.context ?? 0
  }

  get pending(): number {
    return this.#waiting.length + (this.#round?.requestIds.length ?? 0)
  }

  /** False: full. */
  add(requestId: number): boolean {
    if (this.pending >= this.#pendingReadsMax) return false
    this.#waiting.push(requestId)
    return true
  }

  /** The round that is open, if one is, will do. */
  wantLease(): void {
    if (this.#round === null) this.#isLeaseWanted = true
  }

  /** True when a round was opened, and heartbeats must go out. */
  maybeOpen({ self, ...begin }: RoundBegin): boolean {
    if (this.#round !== null) return false
    if (this.#waiting.length === 0 && !this.#isLeaseWanted) return false
    this.#lastContext++
    this.#round = {
      ...begin,
      context: this.#lastContext,
      requestIds: this.#waiting,
      acks: new Map([[self, true]]),
      promises: new Map([[self, true]])
    }
    this.#waiting = []
    this.#isLeaseWanted = false
    return true
  }

  acknowledge(from: ReplicaId, context: number, promised: boolean): void {
    const round = this.#round
    if (round === null || context !== round.context) return
    round.acks.set(from, true)
    if (promised) round.promises.set(from, true)
  }

  /** Closes the open round when a quorum has answered. */
  takeConfirmed(electorate: Electorate): ConfirmedRound | null {
    const round = this.#round
    if (round === null || tallyVotes(electorate, round.acks) !== 'won') return null
    this.#round = null
    return { ...round, isPromised: tallyVotes(electorate, round.promises) === 'won' }
  }

  takeAll(): number[] {
    const all = [...(this.#round?.requestIds ?? []), ...this.#waiting]
    this.#round = null
    this.#waiting = []
    return all
  }
}
