/**
 * Reads of one replica: which index they must see, confirmed by a quorum where they ask for it, and
 * the wait until that is applied here. A read may name how old the data may be: what is not proved
 * to be young enough is asked for once, and refused.
 *
 * Under a lease a linearizable read asks nobody. The clock is looked at when the state has been
 * read: after a pause, of the process or of the engine, the lease may be over and others may have
 * written, so the answer is withheld, a quorum is asked, and the state read again.
 *
 * A linearizable read that meets rows of a branch in doubt waits until that is decided: it may be
 * committed elsewhere already. What is prepared while it is executed makes it look once more. Any
 * other read waits so for branches that were prepared at or below the index that it asks for: that
 * index may be all that its caller knows of a transaction which was committed in another group.
 */
import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  CancelledError,
  LockedError,
  NoLeaderError,
  RequestTimeoutError,
  TooStaleError
} from '../../core/errors.js'
import { type GroupId, type LogIndex, type MonotonicMs, nodeOf } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Engine, ReadOutcome } from '../../core/ports/engine.js'
import type { PrepareOutcome } from '../../core/ports/engine-prepare.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { ReadAnswer, ReadRequest } from '../../core/ports/replicated-group.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { ConsensusCounters } from '../counters.js'
import type { RaftEvent } from '../raft/types.js'
import type { Applier } from './applier-driver.js'
import { Freshness } from './freshness.js'
import { notLeader } from './group-errors.js'
import { readIndexRequest } from './group-messages.js'
import type { RowGuard, Rows } from './group-section.js'
import { lockedAnswerMs } from './proposal-pipeline-driver.js'
import type { RaftDriver } from './raft-driver.js'
import { ReadRounds } from './read-rounds.js'
import { statementError } from './statement-error.js'
import { Waiters } from './waiters.js'

/** A leader that confirms nothing within it leaves a read with a bound unproved. */
export const freshnessTimeoutMs = 500

export interface GroupReadsComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly engine: Engine
  readonly applier: Applier
  readonly raft: RaftDriver
  readonly counters: ConsensusCounters
  /** Null: nobody holds rows beyond an entry. */
  readonly rows: RowGuard | null
  /** @throws why this replica serves nothing */
  expectServing(): void
  /** Somebody waits, and must hear when it takes too long. */
  onWaiting(): void
}

export class GroupReads {
  readonly #components: GroupReadsComponents
  readonly #group: GroupId
  readonly #rounds: ReadRounds
  readonly #applied = new Waiters<LogIndex, void>()
  /** They met rows of a branch in doubt. */
  readonly #heldUp = new Waiters<null, void>()
  /** Of a follower to its leader, for the round that is under way. */
  #question: AbortController | null = null
  readonly #freshness = new Freshness()
  /** The round that is under way, and since when. */
  #asked: { readonly round: number; readonly at: MonotonicMs } | null = null

  constructor(
    components: GroupReadsComponents,
    options: { readonly group: GroupId; readonly pendingReadsMax: number }
  ) {
    this.#components = components
    this.#group = options.group
    this.#rounds = new ReadRounds(options.pendingReadsMax, (round, deadline) =>
      this.#beginRound(round, deadline)
    )
  }

  get length(): number {
    return this.#rounds.length + this.#applied.length + this.#heldUp.length
  }

  tellQueues(tell: TellQueue): void {
    tell('consensus.pendingReadsMax', this.#rounds.length, this.#rounds.lengthMax)
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    const { clock, counters, expectServing, rows } = this.#components
    expectServing()
    await this.untilApplied(request)
    if (request.staleness !== undefined) await this.#untilFresh(request, request.staleness.maxMs)
    expectServing()
    counters.add('reads')
    const stalenessMs =
      request.staleness === undefined ? null : this.#freshness.stalenessMs(clock.now())
    const outcome = await this.#executeMinding(this.#bounded(request), rows)
    if (outcome.kind === 'failed') throw statementError(outcome.failure)
    const { results, index } = outcome
    return stalenessMs === null ? { results, index } : { results, index, stalenessMs }
  }

  async readLinearizable(request: ReadRequest): Promise<ReadAnswer> {
    const { counters, raft } = this.#components
    const lease = raft.leaseRead()
    if (lease !== null) {
      const read = this.read(atLeast(request, lease.index))
      // An error tells of the state as well.
      await Promise.allSettled([read])
      if (raft.confirmLease(lease)) {
        counters.add('lease_reads')
        return read
      }
      counters.add('lease_reads_withheld')
    }
    return this.read(atLeast(request, await this.readIndex(request.deadline)))
  }

  /** For another node. */
  async confirmedIndex(deadline: MonotonicMs): Promise<LogIndex> {
    const { counters, raft } = this.#components
    const lease = raft.leaseRead()
    if (lease === null || !raft.confirmLease(lease)) return this.readIndex(deadline)
    counters.add('lease_reads')
    return lease.index
  }

  readIndex(deadline: MonotonicMs): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      this.#components.expectServing()
      if (!this.#rounds.join({ deadline, resolve, reject })) {
        throw new BackpressureError('too many reads wait for the leader')
      }
      this.#components.onWaiting()
    })
  }

  handleReady({ requestId, index }: Extract<RaftEvent, { type: 'ReadReady' }>): void {
    this.#handleConfirmed(requestId, index)
  }

  handleRefused(event: Extract<RaftEvent, { type: 'ReadRefused' }>): void {
    this.#rounds.handleRefused(event.requestId, () =>
      event.reason === 'backpressure'
        ? new BackpressureError('too many reads wait for a quorum')
        : notLeader(event.leaderHint)
    )
  }

  /** Another one leads. */
  askAgain(): void {
    this.#rounds.askAgain()
  }

  handleApplied(appliedIndex: LogIndex): void {
    this.#freshness.handleApplied(appliedIndex)
    this.#applied.resolveWhere((index) => index <= appliedIndex, undefined)
  }

  /** Rows are free: who waits for some looks again. */
  handleReleased(): void {
    this.#heldUp.resolveWhere(() => true, undefined)
  }

  sweep(now: MonotonicMs, makeError: () => Error): void {
    this.#heldUp.sweep(now, () => new LockedError('a distributed transaction holds its rows'))
    this.#rounds.sweep(now, makeError)
    this.#applied.sweep(now, makeError)
  }

  rejectAll(makeError: () => Error): void {
    this.#rounds.rejectAll(makeError)
    this.#applied.rejectAll(makeError)
    this.#heldUp.rejectAll(makeError)
  }

  #handleConfirmed(round: number, index: LogIndex): void {
    const { appliedIndex } = this.#components.applier
    if (this.#asked?.round === round) {
      this.#freshness.handleConfirmed(index, this.#asked.at, appliedIndex)
    }
    this.#rounds.handleReady(round, index)
  }

  /** @throws TooStaleError after one question, at the latest */
  async #untilFresh({ deadline, signal }: ReadRequest, maxMs: number | null): Promise<void> {
    const { clock, counters } = this.#components
    if (maxMs === null || this.#isFresh(maxMs)) return
    let cause: unknown
    try {
      const until = Math.min(deadline, after(clock.now(), freshnessTimeoutMs)) as MonotonicMs
      const atLeastIndex = await this.readIndex(until)
      await this.untilApplied({ atLeastIndex, deadline: until, ...(signal && { signal }) })
    } catch (error) {
      if (signal?.aborted) throw error
      cause = error
    }
    if (this.#isFresh(maxMs)) return
    counters.add('reads_too_stale')
    throw tooStale(maxMs, this.#freshness.stalenessMs(clock.now()), cause)
  }

  /** A transaction that is older than the bound may be committed elsewhere: it is waited for. */
  #bounded(request: ReadRequest): ReadRequest {
    const { provedIndex } = this.#freshness
    const isBounded = request.staleness !== undefined && request.staleness.maxMs !== null
    if (!isBounded || provedIndex <= request.atLeastIndex) return request
    return { ...request, atLeastIndex: provedIndex }
  }

  #isFresh(maxMs: number): boolean {
    const stalenessMs = this.#freshness.stalenessMs(this.#components.clock.now())
    return stalenessMs !== null && stalenessMs <= maxMs
  }

  #execute({ statements, deadline, signal }: ReadRequest): Promise<ReadOutcome> {
    const { applier, engine } = this.#components
    return engine.read(statements, {
      // Raft's own entries do not concern the engine: it may never hear of the index asked for.
      atLeastIndex: applier.engineIndex,
      deadline,
      ...(signal === undefined ? {} : { signal })
    })
  }

  #executeMinding(request: ReadRequest, rows: RowGuard | null): Promise<ReadOutcome> {
    if (rows === null) return this.#execute(request)
    if (request.awaitsDecisions === true) return this.#executeDecided(request, rows)
    return rows.isPreparedUpTo(request.atLeastIndex)
      ? this.#executeSettled(request, rows)
      : this.#execute(request)
  }

  /** What is prepared from now on stands behind the index. */
  async #executeSettled(request: ReadRequest, rows: RowGuard): Promise<ReadOutcome> {
    const { counters, expectServing } = this.#components
    const { atLeastIndex, signal } = request
    while (rows.isPreparedUpTo(atLeastIndex)) {
      if (!rows.blocksRead(rowsIn(await this.#prepare(request)), atLeastIndex)) break
      counters.add('reads_held_up')
      await this.#untilReleased(request)
      expectServing()
      if (signal?.aborted) throw new CancelledError('the read was cancelled')
    }
    return this.#execute(request)
  }

  async #executeDecided(request: ReadRequest, rows: RowGuard): Promise<ReadOutcome> {
    const { applier, clock, counters, expectServing } = this.#components
    const begunAt = applier.appliedIndex
    for (;;) {
      const seen = rows.preparedCount
      const prepared = rows.isPrepared ? await this.#prepare(request) : null
      const isAtFault = prepared?.kind === 'failed'
      // Which rows a fault rests on is not known; later branches are behind it in any case.
      const isBlocked = isAtFault
        ? rows.isPreparedUpTo(begunAt)
        : prepared !== null && rows.blocksRead(rowsIn(prepared))
      if (isBlocked) {
        counters.add('reads_held_up')
        await this.#untilReleased(request)
        expectServing()
      } else if (rows.preparedCount === seen) {
        const outcome = await this.#execute(request)
        const isFinal =
          outcome.kind === 'failed'
            ? !rows.isPreparedUpTo(begunAt)
            : rows.preparedCount === seen && !isAtFault
        if (isFinal) return outcome
      }
      if (request.signal?.aborted) throw new CancelledError('the read was cancelled')
      if (clock.now() >= request.deadline) throw new RequestTimeoutError('the deadline has passed')
    }
  }

  async #prepare({ statements, deadline }: ReadRequest): Promise<PrepareOutcome | undefined> {
    return this.#components.engine.prepare?.({ statements }, { deadline })
  }

  #untilReleased({ deadline }: ReadRequest): Promise<void> {
    return new Promise((resolve, reject) => {
      const until = (deadline - lockedAnswerMs) as MonotonicMs
      this.#heldUp.add(null, { deadline: until, resolve, reject })
      this.#components.onWaiting()
    })
  }

  #beginRound(round: number, deadline: MonotonicMs): void {
    const { clock, raft, counters, messenger } = this.#components
    this.#asked = { round, at: clock.now() }
    counters.add('read_rounds')
    this.#question?.abort()
    this.#question = null
    const { role, leader } = raft.status()
    if (role === 'leader') {
      raft.requestReadIndex(round)
    } else if (leader === null) {
      this.#rounds.handleRefused(round, () => new NoLeaderError('no leader is known'))
    } else {
      this.#question = new AbortController()
      const { signal } = this.#question
      messenger
        .request(nodeOf(leader), readIndexRequest, { group: this.#group }, { deadline, signal })
        .then(
          ({ index }) => this.#handleConfirmed(round, index),
          (error: Error) => this.#rounds.handleRefused(round, () => error)
        )
    }
  }

  /** Here, whoever leads. */
  untilApplied({
    atLeastIndex,
    deadline,
    signal
  }: Pick<ReadRequest, 'atLeastIndex' | 'deadline' | 'signal'>): Promise<void> {
    if (this.#components.applier.appliedIndex >= atLeastIndex) return Promise.resolve()
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw new CancelledError('the read was cancelled')
      const cancel = () => {
        this.#applied.remove(waiter)
        reject(new CancelledError('the read was cancelled'))
      }
      const done = () => signal?.removeEventListener('abort', cancel)
      const waiter = {
        deadline,
        resolve: () => {
          done()
          resolve()
        },
        reject: (error: Error) => {
          done()
          reject(error)
        }
      }
      signal?.addEventListener('abort', cancel)
      this.#applied.add(atLeastIndex, waiter)
      this.#components.onWaiting()
    })
  }
}

/** What cannot be told is all of them. */
const rowsIn = (prepared: PrepareOutcome | undefined): Rows =>
  prepared?.kind === 'prepared' ? prepared : { readKeys: 'all', writeKeys: [] }

const atLeast = (request: ReadRequest, index: LogIndex): ReadRequest =>
  index > request.atLeastIndex ? { ...request, atLeastIndex: index } : request

function tooStale(maxMs: number, stalenessMs: number | null, cause: unknown): TooStaleError {
  const maxStalenessMs = Math.round(maxMs)
  const asked = `at most ${maxStalenessMs} ms old was asked for`
  const options = cause === undefined ? {} : { cause }
  if (stalenessMs === null) {
    const details = { maxStalenessMs }
    return new TooStaleError(`${asked}, nothing is proved`, { ...options, details })
  }
  const details = { maxStalenessMs, stalenessMs: Math.ceil(stalenessMs) }
  return new TooStaleError(`${asked}, ${details.stalenessMs} ms are proved`, {
    ...options,
    details
  })
}
