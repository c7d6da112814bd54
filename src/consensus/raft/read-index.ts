/**
 * Reads that need a proof of leadership: a majority must answer a heartbeat that was sent after
 * the read came in. Source: Raft dissertation 6.4.
 *
 * Invariants:
 * 1. One round is open at a time; its context is unique in the term, and answers of other terms
 *    do not get here, so an answer counts for no read but those of its own round.
 * 2. A round's index is the commit index when it opens, and it opens only after an entry of the
 *    leader's own term is committed: until then the commit index may be behind an older leader's.
 */
import { assert } from '../../core/assert.js'
import type { LogIndex, ReplicaId } from '../../core/ids.js'
import { type Electorate, tallyVotes } from './quorum.js'

interface Round {
  readonly context: number
  readonly index: LogIndex
  readonly requestIds: readonly number[]
  readonly acks: Map<ReplicaId, boolean>
}

export class ReadRounds {
  readonly #pendingReadsMax: number
  #waiting: number[] = []
  #round: Round | null = null
  #lastContext = 0

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

  /** True when a round was opened, and heartbeats must go out. */
  maybeOpen(commitIndex: LogIndex, self: ReplicaId): boolean {
    if (this.#round !== null || this.#waiting.length === 0) return false
    this.#lastContext++
    this.#round = {
      context: this.#lastContext,
      index: commitIndex,
      requestIds: this.#waiting,
      acks: new Map([[self, true]])
    }
    this.#waiting = []
    return true
  }

  acknowledge(from: ReplicaId, context: number): void {
    if (this.#round !== null && context === this.#round.context) this.#round.acks.set(from, true)
  }

  /** Closes the open round when a quorum has answered. */
  takeConfirmed(electorate: Electorate): Pick<Round, 'index' | 'requestIds'> | null {
    const round = this.#round
    if (round === null || tallyVotes(electorate, round.acks) !== 'won') return null
    assert(round.requestIds.length > 0, 'a round has requests')
    this.#round = null
    return round
  }

  takeAll(): number[] {
    const all = [...(this.#round?.requestIds ?? []), ...this.#waiting]
    this.#round = null
    this.#waiting = []
    return all
  }
}
