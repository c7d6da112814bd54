/**
 * The branches of one group, as its leader handles them: plans what a coordinator asks for, takes
 * the rows, votes when its promise is in the log, does what was decided, and asks where nothing
 * comes.
 *
 * Source: the participant of presumed abort (R*), over a replicated log.
 *
 * Invariants:
 * 1. It votes yes when the log holds the prepared branch, never before; and once per transaction.
 * 2. A prepared branch keeps its rows until the log says how it ended, and nobody here decides
 * that: it acts on a coordinator's commit or abort, or asks for the decision, for ever.
 * 3. Every message may come twice, late or out of order. An abort that comes before its branch is
 * logged too, and the branch refused when it comes.
 * 4. What is acknowledged is what the log says; what is not known is not said.
 * 5. At most `preparingMax` branches are between their question and their vote.
 *
 * Owner's duties: `lead` when the group has applied an entry of its own term, `resign` when it does
 * not lead any more. After each call drain: propose `persist`, in order (`handleRefused` for what
 * was not proposed for certain), send, tell events. `PlanWanted` is answered by `handlePlanned`
 * with a plan made of all that is applied by then, while no plain write of the group is on its way;
 * where the branch may drop out, after a read index. `handleApplied` after each entry, whoever
 * proposed it.
 */
import { assert } from '../../core/assert.js'
import { after, NEVER } from '../../core/deadlines.js'
import { type Effects, EffectsBuffer } from '../../core/effects.js'
import type { GroupId, LogIndex, MonotonicMs, Term, TransactionId } from '../../core/ids.js'
import type { Command } from '../../core/ports/engine.js'
import type { Random } from '../../core/ports/random.js'
import type { Change } from './changes.js'
import type { Vote } from './coordinator.js'
import type { Locks } from './lock-holders.js'
import type { LockTable, LockWait, Released } from './lock-table.js'
import type { Branch } from './transaction-records.js'
import type { BranchState, ChangeAnswer, TransactionView } from './transaction-state.js'

export interface ParticipantOptions {
  readonly group: GroupId
  readonly preparingMax: number
  /** A branch that is prepared for so long asks its coordinator. */
  readonly inDoubtAfterMs: number
  /** It asks again after twice as long each time, up to this. */
  readonly askIntervalMaxMs: number
  /** A branch that is prepared for so long is an alarm. */
  readonly inDoubtAlarmMs: number
}

/** Questions that leave together, and how often those in doubt are looked through. */
export const questionsPerScanMax = 256
export const doubtScanMs = 100

export interface PrepareRequest {
  readonly transaction: TransactionId
  readonly epoch: Term
  readonly sequence: number
  readonly coordinator: GroupId
  readonly groups: readonly GroupId[]
  readonly data: Uint8Array
  /** From now on, by this group's log time. */
  readonly timeoutMs: number
  readonly mayDropOut: boolean
}

export type Planned =
  | {
      readonly kind: 'planned'
      readonly locks: Locks
      /** Null: it changes nothing. */
      readonly command: Command | null
      readonly results: Uint8Array
      /** For a coordinator that asks again; null: too large. */
      readonly kept: Uint8Array | null
    }
  | {
      readonly kind: 'failed'
      readonly reason: string
      /** For whoever asked. */
      readonly details?: Uint8Array | null
    }

export type ParticipantSend =
  | {
      readonly kind: 'vote'
      readonly to: GroupId
      readonly transaction: TransactionId
      readonly vote: Vote
    }
  | {
      readonly kind: 'ack'
      readonly to: GroupId
      readonly transaction: TransactionId
      readonly state: BranchState
    }
  | {
      readonly kind: 'query'
      readonly to: GroupId
      readonly transaction: TransactionId
      readonly epoch: Term
    }

export type ParticipantEvent =
  | { readonly type: 'PlanWanted'; readonly request: PrepareRequest }
  /** Rows are free: plain writes and reads that met them look again. */
  | { readonly type: 'RowsReleased' }
  /** Its outcome is not known for longer than `inDoubtAlarmMs`. */
  | {
      readonly type: 'BranchInDoubt'
      readonly transaction: TransactionId
      readonly coordinator: GroupId
    }
  | {
      readonly type: 'BranchAlarm'
      readonly transaction: TransactionId
      readonly state: BranchState
      readonly reason: string
    }

interface Preparing {
  readonly request: PrepareRequest
  /** By log time, which stands still where a leader's clock is behind it; then the clock counts. */
  readonly expiresAt: number
  readonly giveUpAt: MonotonicMs
  phase: 'planning' | 'waiting' | 'proposed'
  results: Uint8Array | null
}

interface Doubt {
  readonly epoch: Term
  readonly coordinator: GroupId
  readonly since: MonotonicMs
  askAt: MonotonicMs
  pauseMs: number
  hasAlarmed: boolean
}

type BranchName = Pick<Branch, 'transaction' | 'epoch'>

export class Participant {
  readonly #view: TransactionView
  readonly #options: ParticipantOptions
  readonly #random: Random
  readonly #locks: LockTable
  readonly #effects = new EffectsBuffer<ParticipantSend, Change[], ParticipantEvent>()
  readonly #preparing = new Map<TransactionId, Preparing>()
  /** Ends on their way into the log, and who waits for them. */
  readonly #ending = new Map<TransactionId, GroupId>()
  readonly #doubts = new Map<TransactionId, Doubt>()
  #leads = false
  #scanAt: MonotonicMs = NEVER

  constructor(
    components: {
      readonly view: TransactionView
      readonly random: Random
      readonly locks: LockTable
    },
    options: ParticipantOptions
  ) {
    this.#view = components.view
    this.#random = components.random
    this.#locks = components.locks
    this.#options = options
  }

  get preparingCount(): number {
    return this.#preparing.size
  }

  get inDoubtCount(): number {
    return this.#doubts.size
  }

  waits(): LockWait[] {
    return this.#locks.waits()
  }

  /** Who is in the way of a plain write or a read. */
  blockersOf(locks: Locks): TransactionId[] {
    return this.#locks.blockersOf(locks)
  }

  lead(now: MonotonicMs): void {
    assert(!this.#leads, 'leads already')
    this.#leads = true
    for (const branch of this.#view.branches()) {
      this.#locks.hold(branch.transaction, branch.locks)
      this.#doubt(branch, branch.coordinator, now)
    }
    for (const end of this.#view.ends()) {
      if (end.heuristic === 'unverified' && end.coordinator !== null) {
        this.#doubt(end, end.coordinator, now)
      }
    }
  }

  /** A plain write that kept a place has come through, or given up. */
  handlePlaceLeft(place: TransactionId): void {
    if (this.#leads) this.#release(place)
  }

  /** Whoever waits for a vote asks the next leader; what is prepared lies in the log. */
  resign(): void {
    this.#leads = false
    this.#locks.clear()
    this.#preparing.clear()
    this.#ending.clear()
    this.#doubts.clear()
    this.#scanAt = NEVER
    this.#effects.emit({ type: 'RowsReleased' })
  }

  handlePrepare(request: PrepareRequest, now: MonotonicMs, logNow: number): void {
    if (!this.#leads) return
    const { transaction, epoch, timeoutMs } = request
    const remembered = this.#rememberedVote(request)
    if (remembered !== null) {
      this.#vote(request, remembered)
      return
    }
    const known = this.#preparing.get(transaction)
    if (known !== undefined) {
      if (known.request.epoch !== epoch) this.#voteNo(request, 'the id is in use')
    } else if (this.#ending.has(transaction)) {
      this.#voteNo(request, 'it is being ended')
    } else if (this.#preparing.size >= this.#options.preparingMax) {
      this.#voteNo(request, 'too many branches are being prepared')
    } else {
      const expiresAt = logNow + timeoutMs
      const giveUpAt = after(now, timeoutMs)
      const begun = { phase: 'planning', results: null } as const
      this.#preparing.set(transaction, { request, expiresAt, giveUpAt, ...begun })
      this.#effects.emit({ type: 'PlanWanted', request })
      this.#armScan(now)
    }
  }

  handlePlanned(transaction: TransactionId, planned: Planned, logNow: number): void {
    const preparing = this.#preparing.get(transaction)
    if (preparing?.phase !== 'planning') return
    const { request, expiresAt } = preparing
    if (planned.kind === 'failed') {
      this.#giveUp(transaction, planned.reason, planned.details ?? null)
      return
    }
    if (logNow > expiresAt) {
      this.#giveUp(transaction, 'the time to vote is over')
      return
    }
    const acquired = this.#locks.acquire(transaction, planned.locks)
    switch (acquired.kind) {
      case 'held':
        this.#handleReleased(acquired.others)
        if (request.mayDropOut && planned.command === null)
          this.#dropOut(preparing, planned.results)
        else this.#promise(preparing, planned)
        break
      case 'waits':
        preparing.phase = 'waiting'
        break
      case 'dies':
        this.#giveUp(transaction, `${acquired.by} is older, and holds its rows or waits for them`)
        break
      case 'full':
        this.#giveUp(transaction, 'too many transactions wait for rows')
        break
    }
  }

  handleCommit(
    transaction: TransactionId,
    epoch: Term,
    coordinator: GroupId,
    decidedAt: LogIndex
  ): void {
    if (!this.#leads || this.#isAnswered(transaction, 'committed', coordinator)) return
    this.#ending.set(transaction, coordinator)
    this.#propose({ kind: 'commit', transaction, epoch, coordinator, decidedAt })
  }

  handleAbort(transaction: TransactionId, coordinator: GroupId, reason: string): void {
    if (!this.#leads || this.#isAnswered(transaction, 'aborted', coordinator)) return
    const preparing = this.#preparing.get(transaction)
    if (preparing !== undefined && preparing.phase !== 'proposed') {
      this.#preparing.delete(transaction)
      this.#release(transaction)
      // Whoever asked for the vote waits for an answer.
      this.#voteNo(preparing.request, 'it was aborted')
    }
    this.#ending.set(transaction, coordinator)
    this.#propose({ kind: 'abort', transaction, reason: reason.slice(0, 128) })
  }

  /** The answer to a `query`. */
  handleDecision(
    transaction: TransactionId,
    coordinator: GroupId,
    decision: 'undecided' | 'commit' | 'abort',
    index: LogIndex
  ): void {
    const doubt = this.#doubts.get(transaction)
    if (doubt === undefined) return
    if (decision === 'commit') this.handleCommit(transaction, doubt.epoch, coordinator, index)
    if (decision === 'abort') this.handleAbort(transaction, coordinator, 'decided')
  }

  handleApplied(answers: readonly ChangeAnswer[], now: MonotonicMs): void {
    if (!this.#leads) return
    for (const answer of answers) {
      if (answer.kind === 'vote') this.#handleVoted(answer, now)
      if (answer.kind === 'ended') this.#handleEnded(answer, now)
      if (answer.kind === 'decided') this.#forget(answer.transaction)
    }
  }

  /** It was not proposed, for certain. Who told a decision tells it again. */
  handleRefused(changes: readonly Change[]): void {
    for (const { kind, transaction } of changes) {
      if (kind === 'prepare') this.#giveUp(transaction, 'the group takes no proposals')
      if (kind === 'commit' || kind === 'abort') this.#ending.delete(transaction)
    }
  }

  handleTimeout(now: MonotonicMs, logNow: number): void {
    if (!this.#leads || this.#scanAt > now) return
    this.#scanAt = NEVER
    let questions = 0
    for (const [transaction, doubt] of this.#doubts) {
      if (!doubt.hasAlarmed && now - doubt.since >= this.#options.inDoubtAlarmMs) {
        doubt.hasAlarmed = true
        const { coordinator } = doubt
        this.#effects.emit({ type: 'BranchInDoubt', transaction, coordinator })
      }
      if (doubt.askAt > now || questions >= questionsPerScanMax) continue
      questions++
      doubt.pauseMs = Math.min(this.#options.askIntervalMaxMs, doubt.pauseMs * 2)
      doubt.askAt = after(now, this.#jittered(doubt.pauseMs))
      const { epoch, coordinator: to } = doubt
      this.#effects.send({ kind: 'query', to, transaction, epoch })
    }
    for (const [transaction, { phase, expiresAt, giveUpAt }] of this.#preparing) {
      if (phase !== 'proposed' && (logNow > expiresAt || now >= giveUpAt)) {
        this.#giveUp(transaction, 'its rows were not free in time')
      }
    }
    this.#armScan(now)
  }

  nextDeadline(): MonotonicMs {
    return this.#scanAt
  }

  drain(): Effects<ParticipantSend, readonly Change[], ParticipantEvent> {
    return this.#effects.drain()
  }

  /** What the log says already; null: nothing. */
  #rememberedVote({ transaction, epoch }: PrepareRequest): Vote | null {
    const against = (reason: string): Vote => ({
      epoch,
      vote: 'no',
      reason,
      results: null,
      index: nowhere
    })
    const end = this.#view.end(transaction)
    if (end !== null) return against(`${end.outcome} already`)
    const branch = this.#view.branch(transaction)
    if (branch === null) return null
    if (branch.epoch !== epoch) return against(`prepared in epoch ${branch.epoch}`)
    if (branch.kept === null) return against('its results were too large to keep')
    return { epoch, vote: 'yes', reason: '', results: branch.kept, index: branch.index }
  }

  #promise(preparing: Preparing, planned: Extract<Planned, { kind: 'planned' }>): void {
    const { request, expiresAt } = preparing
    const { transaction, epoch, sequence, coordinator, groups } = request
    const { locks, command, kept } = planned
    preparing.phase = 'proposed'
    preparing.results = planned.results
    this.#propose({
      kind: 'prepare',
      transaction,
      epoch,
      sequence,
      coordinator,
      groups,
      expiresAt,
      locks,
      command,
      kept
    })
  }

  /** The last of the transaction's locks: from here on it may let them go. */
  #dropOut({ request }: Preparing, results: Uint8Array): void {
    const { transaction, epoch } = request
    this.#preparing.delete(transaction)
    this.#release(transaction)
    this.#vote(request, { epoch, vote: 'readOnly', reason: '', results, index: nowhere })
  }

  #handleVoted(answer: Extract<ChangeAnswer, { kind: 'vote' }>, now: MonotonicMs): void {
    const { transaction, epoch, vote, reason } = answer
    const preparing = this.#preparing.get(transaction)
    this.#preparing.delete(transaction)
    const branch = this.#view.branch(transaction)
    if (vote === 'yes' && branch !== null) {
      this.#locks.hold(transaction, branch.locks)
      this.#doubt(branch, branch.coordinator, now)
    } else if (branch === null) {
      this.#release(transaction)
    }
    if (preparing === undefined) return
    const { request, results } = preparing
    const index = vote === 'yes' && branch !== null ? branch.index : nowhere
    this.#vote(request, { epoch, vote, reason, results, index })
  }

  #handleEnded(answer: Extract<ChangeAnswer, { kind: 'ended' }>, now: MonotonicMs): void {
    const { transaction, state, alarm } = answer
    const asker = this.#ending.get(transaction)
    this.#forget(transaction)
    const end = this.#view.end(transaction)
    if (end?.heuristic === 'unverified' && end.coordinator !== null) {
      this.#doubt(end, end.coordinator, now)
    }
    if (alarm !== null) {
      this.#effects.emit({ type: 'BranchAlarm', transaction, state, reason: alarm })
    }
    if (asker !== undefined) this.#effects.send({ kind: 'ack', to: asker, transaction, state })
  }

  #forget(transaction: TransactionId): void {
    this.#ending.delete(transaction)
    this.#doubts.delete(transaction)
    if (this.#view.branch(transaction) === null) this.#release(transaction)
  }

  /** Whether the log has the answer, or will have it. */
  #isAnswered(transaction: TransactionId, outcome: 'committed' | 'aborted', to: GroupId): boolean {
    const end = this.#view.end(transaction)
    const isSettled =
      end !== null &&
      (end.heuristic === 'mixed' || (end.outcome === outcome && end.heuristic !== 'unverified'))
    if (isSettled) {
      this.#effects.send({ kind: 'ack', to, transaction, state: end.outcome })
      return true
    }
    return this.#ending.has(transaction)
  }

  #giveUp(transaction: TransactionId, reason: string, details: Uint8Array | null = null): void {
    const preparing = this.#preparing.get(transaction)
    if (preparing === undefined) return
    this.#preparing.delete(transaction)
    this.#release(transaction)
    this.#voteNo(preparing.request, reason, details)
  }

  #release(transaction: TransactionId): void {
    this.#handleReleased(this.#locks.release(transaction))
  }

  #handleReleased({ held, died }: Released): void {
    this.#effects.emit({ type: 'RowsReleased' })
    for (const transaction of held) {
      const preparing = this.#preparing.get(transaction)
      if (preparing === undefined) {
        this.#release(transaction)
        continue
      }
      // What it read before it waited is not what is there now.
      preparing.phase = 'planning'
      this.#effects.emit({ type: 'PlanWanted', request: preparing.request })
    }
    for (const transaction of died) this.#giveUp(transaction, 'an older transaction came first')
  }

  #voteNo(request: PrepareRequest, reason: string, results: Uint8Array | null = null): void {
    this.#vote(request, { epoch: request.epoch, vote: 'no', reason, results, index: nowhere })
  }

  #vote({ transaction, coordinator }: PrepareRequest, vote: Vote): void {
    this.#effects.send({ kind: 'vote', to: coordinator, transaction, vote })
  }

  /** The coordinating group's own branches are its coordinator's to end. */
  #doubt({ transaction, epoch }: BranchName, coordinator: GroupId, now: MonotonicMs): void {
    if (coordinator === this.#options.group || this.#doubts.has(transaction)) return
    const pauseMs = this.#options.inDoubtAfterMs
    const askAt = after(now, this.#jittered(pauseMs))
    const begun = { since: now, askAt, pauseMs, hasAlarmed: false }
    this.#doubts.set(transaction, { epoch, coordinator, ...begun })
    this.#armScan(now)
  }

  #jittered(ms: number): number {
    return ms * (0.75 + this.#random.nextFloat() / 2)
  }

  #armScan(now: MonotonicMs): void {
    if (this.#scanAt !== NEVER || this.#doubts.size + this.#preparing.size === 0) return
    this.#scanAt = after(now, doubtScanMs)
  }

  #propose(change: Change): void {
    this.#effects.mergePersist((previous) => {
      const changes = previous ?? []
      changes.push(change)
      return changes
    })
  }
}

/** Nothing was logged. */
const nowhere = 0 as LogIndex
