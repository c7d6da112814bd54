/**
 * Distributed transactions as the leader of their coordinating group sees them: asks every group to
 * prepare its branch, has the decision logged, tells it until everybody has acknowledged.
 *
 * Source: presumed abort of R*; the lock point of strict two-phase locking decides which branch may
 * drop out: a branch that only reads may let its rows go with its vote when every other lock of the
 * transaction is held by then. So one that only reads is asked last and alone; should more of them
 * only read, the others keep their rows until the decision.
 *
 * Invariants:
 * 1. A commit is told when the log says so, never before; an abort needs no record, for only this
 * leader in this term can have its epoch's decision logged.
 * 2. `decide` is proposed when every group has voted in this epoch, at most once at a time; while
 * it is on its way nothing is decided here.
 * 3. Who asks is told commit or abort by the log alone. What an earlier epoch did not decide nobody
 * will; of an unknown transaction of this epoch or a later one an abort is logged first: a leader
 * that was deposed and does not know it cannot say what did not happen. Where the group has lost
 * its majority since, nobody knows what was decided before: that is left to an operator.
 * 4. A decision is settled when every group has acknowledged it, and retried until then.
 * 5. A transaction is timed by the group's log time; where that stands still, because the leader's
 * clock is behind it, twice the time by the monotonic clock ends what is not decided.
 * 6. At most `openMax` transactions are open.
 *
 * Owner's duties: `lead` when the group has applied an entry of its own term, `resign` when it does
 * not lead any more. After each call drain: propose `persist` (a refused part comes back by
 * `handleRefused`, when it was not proposed for certain), send, tell events. `handleApplied` after
 * each entry, whoever proposed it; `handleTimeout` at `nextDeadline()`.
 */
import { assert, must } from '../../core/assert.js'
import { after, NEVER } from '../../core/deadlines.js'
import { type Effects, EffectsBuffer } from '../../core/effects.js'
import type { GroupId, LogIndex, MonotonicMs, Term, TransactionId } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'
import type { ClientTag } from '../../core/ports/replicated-group.js'
import type { Change } from './changes.js'
import { DecisionOutbox, type OutboxOptions } from './decision-outbox.js'
import { transactionGroupsMax } from './messages.js'
import type { BranchState, ChangeAnswer, TransactionView } from './transaction-state.js'

export interface CoordinatorOptions extends OutboxOptions {
  /** The coordinating group. */
  readonly group: GroupId
  readonly openMax: number
  /** Prepares that were not answered are sent again after it, then after twice as long, … */
  readonly prepareRetryMs: number
  /** Branches of this group that nobody drives are looked for. */
  readonly scanIntervalMs: number
  /** Acknowledgements wait so long for the missing ones before they are logged without them. */
  readonly settleDelayMs: number
}

/** Opens and acknowledgements are looked through at this interval while there are any. */
export const coordinatorSweepMs = 20

export interface BranchPlan {
  readonly group: GroupId
  /** What the group is to run, opaque here. */
  readonly data: Uint8Array
  /** By its statements it changes nothing. */
  readonly reads: boolean
}

export interface TransactionPlan {
  readonly transaction: TransactionId
  readonly branches: readonly BranchPlan[]
  readonly timeoutMs: number
  /** A client's command, executed with the decision. Absent: nobody's who numbers them. */
  readonly command?: {
    readonly tag: ClientTag
    /** What is kept of the answers, for a retry; null: too large. */
    kept(votes: ReadonlyMap<GroupId, Vote>): Uint8Array | null
  }
}

export type BeginOutcome =
  | { readonly kind: 'begun' }
  /** All of it is in this group: a plain write does it. */
  | { readonly kind: 'onePhase' }
  | { readonly kind: 'refused'; readonly reason: 'notLeading' | 'full' | 'known' }

export interface Vote {
  readonly epoch: Term
  readonly vote: 'yes' | 'no' | 'readOnly'
  readonly reason: string
  readonly results: Uint8Array | null
  /** Of the entry that prepared it, in the branch's group; 0: none did. */
  readonly index: LogIndex
}

export type CoordinatorSend =
  | {
      readonly kind: 'prepare'
      readonly to: GroupId
      readonly transaction: TransactionId
      readonly epoch: Term
      /** Counts the transactions of this epoch. */
      readonly sequence: number
      readonly groups: readonly GroupId[]
      readonly data: Uint8Array
      readonly timeoutMs: number
      readonly mayDropOut: boolean
    }
  | {
      readonly kind: 'commit'
      readonly to: GroupId
      readonly transaction: TransactionId
      readonly epoch: Term
      readonly decidedAt: LogIndex
    }
  | {
      readonly kind: 'abort'
      readonly to: GroupId
      readonly transaction: TransactionId
      readonly reason: string
    }

export type CoordinatorEvent =
  | {
      readonly type: 'Finished'
      readonly transaction: TransactionId
      /** `unknown`: the decision was proposed, and what became of it is not known here. */
      readonly outcome: 'committed' | 'aborted' | 'unknown'
      readonly reason: string
      /** As far as they came. */
      readonly votes: ReadonlyMap<GroupId, Vote>
    }
  /** It owes acknowledgements for longer than `unreachableAlarmMs`. */
  | { readonly type: 'GroupUnreachable'; readonly group: GroupId; readonly decisions: number }
  /** A group did the opposite of the decision, or says that it never was prepared. */
  | {
      readonly type: 'OutcomeDiffers'
      readonly transaction: TransactionId
      readonly group: GroupId
      readonly decision: 'commit' | 'abort'
      readonly state: BranchState
    }
  | { readonly type: 'Forgotten'; readonly transaction: TransactionId }
  /** An earlier leader left it, and its end is brought on now. */
  | {
      readonly type: 'Recovered'
      readonly transaction: TransactionId
      readonly decision: 'commit' | 'abort'
    }

interface Open {
  readonly plan: TransactionPlan
  readonly sequence: number
  readonly groups: readonly GroupId[]
  readonly expiresAt: number
  readonly giveUpAt: MonotonicMs
  /** Asked last, and may drop out. */
  readonly last: BranchPlan | null
  readonly votes: Map<GroupId, Vote>
  readonly asked: Map<GroupId, BranchPlan>
  phase: 'preparing' | 'deciding'
  retryMs: number
  retryAt: MonotonicMs
}

/** An abort on its way into the log. */
interface Fence {
  /** Whom it is told to. */
  readonly told: Set<GroupId>
  /** Of a branch that an earlier leader left. */
  readonly isOrphan: boolean
}

interface Acknowledged {
  readonly groups: Set<GroupId>
  readonly mixed: Set<GroupId>
  /** Null: proposed, or all is there. */
  settleAt: MonotonicMs | null
}

export class Coordinator {
  readonly #view: TransactionView
  readonly #options: CoordinatorOptions
  readonly #random: Random
  readonly #effects = new EffectsBuffer<CoordinatorSend, Change[], CoordinatorEvent>()
  readonly #open = new Map<TransactionId, Open>()
  readonly #outboxes = new Map<GroupId, DecisionOutbox>()
  readonly #acknowledged = new Map<TransactionId, Acknowledged>()
  readonly #fences = new Map<TransactionId, Fence>()
  #epoch: Term | null = null
  #sequence = 0
  #scanAt: MonotonicMs = NEVER
  #sweepAt: MonotonicMs = NEVER

  constructor(
    components: { readonly view: TransactionView; readonly random: Random },
    options: CoordinatorOptions
  ) {
    this.#view = components.view
    this.#random = components.random
    this.#options = options
  }

  get openCount(): number {
    return this.#open.size
  }

  get leads(): boolean {
    return this.#epoch !== null
  }

  /** Everything that earlier leaders left is taken up at once. */
  lead(epoch: Term, now: MonotonicMs): void {
    assert(this.#epoch === null, 'leads already')
    this.#epoch = epoch
    this.#sequence = 0
    for (const { transaction } of this.#view.decisions()) {
      this.#effects.emit({ type: 'Recovered', transaction, decision: 'commit' })
    }
    this.#scan(now)
  }

  /** What was not proposed cannot be committed by anybody: an epoch ends with its leader. */
  resign(): void {
    this.#epoch = null
    for (const open of this.#open.values()) {
      const isUnknown = open.phase === 'deciding'
      this.#finish(open, isUnknown ? 'unknown' : 'aborted', 'leadership was lost')
    }
    this.#outboxes.clear()
    this.#acknowledged.clear()
    this.#fences.clear()
    this.#scanAt = NEVER
    this.#sweepAt = NEVER
  }

  begin(plan: TransactionPlan, now: MonotonicMs, logNow: number): BeginOutcome {
    const { transaction, branches, timeoutMs } = plan
    const own = this.#options.group
    assert(branches.length <= transactionGroupsMax, 'too many groups')
    assert(branches[0]?.group === own, 'the coordinating group comes first')
    if (this.#epoch === null) return { kind: 'refused', reason: 'notLeading' }
    const isKnown = this.#open.has(transaction) || this.#view.stateOf(transaction) !== 'unknown'
    if (isKnown || this.#fences.has(transaction)) return { kind: 'refused', reason: 'known' }
    if (branches.length === 1) return { kind: 'onePhase' }
    if (this.#open.size >= this.#options.openMax) return { kind: 'refused', reason: 'full' }
    const last = branches.findLast(({ reads, group }) => reads && group !== own) ?? null
    const open: Open = {
      plan,
      sequence: ++this.#sequence,
      groups: branches.map(({ group }) => group),
      expiresAt: logNow + timeoutMs,
      giveUpAt: after(now, 2 * timeoutMs),
      last,
      votes: new Map(),
      asked: new Map(),
      phase: 'preparing',
      retryMs: this.#options.prepareRetryMs,
      retryAt: after(now, this.#options.prepareRetryMs)
    }
    this.#open.set(transaction, open)
    for (const branch of branches) if (branch !== last) this.#ask(open, branch, logNow)
    if (open.asked.size === 0) this.#askLast(open, logNow)
    this.#armSweep(now)
    return { kind: 'begun' }
  }

  handleVote(
    transaction: TransactionId,
    group: GroupId,
    vote: Vote,
    now: MonotonicMs,
    logNow: number
  ): void {
    const open = this.#open.get(transaction)
    if (open === undefined || vote.epoch !== this.#epoch || open.phase !== 'preparing') return
    const branch = open.asked.get(group)
    if (branch === undefined || open.votes.has(group)) return
    open.votes.set(group, vote)
    const dropsOut = vote.vote === 'readOnly'
    if (vote.vote === 'no' || (dropsOut && branch !== open.last)) {
      this.#abort(open, `group ${group}: ${dropsOut ? 'it let its rows go' : vote.reason}`, now)
    } else if (open.votes.size === open.groups.length) {
      this.#decide(open)
    } else if (open.votes.size === open.asked.size && open.last !== null) {
      this.#askLast(open, logNow)
    }
  }

  /** A client or operator wants it ended; too late when the decision is on its way. */
  abort(transaction: TransactionId, reason: string, now: MonotonicMs): void {
    const open = this.#open.get(transaction)
    if (open?.phase === 'preparing') this.#abort(open, reason, now)
  }

  /** A participant acknowledged a decision, with the state of its branch. */
  handleAck(
    transaction: TransactionId,
    group: GroupId,
    state: BranchState,
    now: MonotonicMs
  ): void {
    const outbox = this.#outboxes.get(group)
    if (this.#epoch === null || outbox === undefined) return
    const decision = this.#view.decision(transaction)
    const told = decision?.pending.includes(group) ? 'commit' : 'abort'
    if (state === 'prepared' || (state === 'unknown' && told === 'commit')) {
      if (state === 'unknown' && outbox.has(transaction)) {
        this.#effects.emit({ type: 'OutcomeDiffers', transaction, group, decision: told, state })
      }
      outbox.handleUnsettled(transaction, now)
      return
    }
    if (!outbox.handleAnswered(transaction)) return
    const isMixed = state === (told === 'commit' ? 'aborted' : 'committed')
    if (isMixed) {
      this.#effects.emit({ type: 'OutcomeDiffers', transaction, group, decision: told, state })
    }
    if (told === 'commit') this.#acknowledge(transaction, group, isMixed, now)
    this.#flush(now)
  }

  /** Null: it does not lead, somebody else must be asked. */
  handleQuery(
    transaction: TransactionId,
    epoch: Term,
    asker: GroupId
  ): { readonly decision: 'undecided' | 'commit' | 'abort'; readonly index: LogIndex } | null {
    if (this.#epoch === null) return null
    const end = this.#view.end(transaction)
    if (end?.outcome === 'committed' && end.epoch === epoch) {
      return { decision: 'commit', index: end.decidedAt }
    }
    const isLost = end === null && !this.#view.mayPresumeAbort(epoch)
    if (isLost) return { decision: 'undecided', index: 0 as LogIndex }
    const isOver = epoch < this.#epoch && this.#view.branch(transaction)?.epoch !== epoch
    if (end !== null || isOver) return { decision: 'abort', index: 0 as LogIndex }
    if (!this.#open.has(transaction)) this.#fence(transaction, [asker], 'no decision was made')
    return { decision: 'undecided', index: 0 as LogIndex }
  }

  /** After each entry of this group, whoever proposed it. */
  handleApplied(answers: readonly ChangeAnswer[], now: MonotonicMs): void {
    if (this.#epoch === null) return
    for (const answer of answers) {
      if (answer.kind === 'settled') this.#handleSettled(answer.transaction, answer.isForgotten)
      else if (answer.kind !== 'vote') this.#review(answer.transaction)
    }
    this.#flush(now)
  }

  /** It was not proposed, for certain: tried again. */
  handleRefused(changes: readonly Change[], now: MonotonicMs): void {
    for (const change of changes) {
      const open = this.#open.get(change.transaction)
      if (change.kind === 'decide' && open !== undefined) open.phase = 'preparing'
      if (change.kind === 'abort') this.#fences.delete(change.transaction)
      const acknowledged = this.#acknowledged.get(change.transaction)
      if (change.kind === 'settle' && acknowledged !== undefined) {
        acknowledged.settleAt = after(now, this.#options.settleDelayMs)
      }
    }
    if (this.#epoch === null) return
    this.#armSweep(now)
    this.#scanAt = Math.min(this.#scanAt, after(now, this.#options.retryMinMs)) as MonotonicMs
  }

  handleTimeout(now: MonotonicMs, logNow: number): void {
    if (this.#epoch === null) return
    if (this.#scanAt <= now) this.#scan(now)
    if (this.#sweepAt <= now) {
      this.#sweepAt = NEVER
      this.#sweep(now, logNow)
    }
    for (const [group, outbox] of this.#outboxes) {
      if (!outbox.handleTimeout(now)) continue
      this.#effects.emit({ type: 'GroupUnreachable', group, decisions: outbox.size })
    }
    this.#flush(now)
  }

  nextDeadline(): MonotonicMs {
    let next = Math.min(this.#scanAt, this.#sweepAt)
    for (const outbox of this.#outboxes.values()) next = Math.min(next, outbox.nextDeadline())
    return next as MonotonicMs
  }

  drain(): Effects<CoordinatorSend, readonly Change[], CoordinatorEvent> {
    return this.#effects.drain()
  }

  /** Decisions that are owed to each group, for metrics and the operator. */
  owed(): { readonly group: GroupId; readonly count: number; readonly isSilent: boolean }[] {
    return [...this.#outboxes]
      .filter(([, outbox]) => outbox.size > 0)
      .map(([group, { size, silentSince }]) => ({
        group,
        count: size,
        isSilent: silentSince !== null
      }))
  }

  #ask(open: Open, branch: BranchPlan, logNow: number): void {
    open.asked.set(branch.group, branch)
    this.#effects.send({
      kind: 'prepare',
      to: branch.group,
      transaction: open.plan.transaction,
      epoch: must(this.#epoch, 'epoch'),
      sequence: open.sequence,
      groups: open.groups,
      data: branch.data,
      timeoutMs: Math.max(0, open.expiresAt - logNow),
      mayDropOut: branch === open.last
    })
  }

  #askLast(open: Open, logNow: number): void {
    this.#ask(open, must(open.last, 'last branch'), logNow)
  }

  #decide(open: Open): void {
    open.phase = 'deciding'
    const own = this.#options.group
    const groups = [...open.votes]
      .filter(([group, { vote }]) => group !== own && vote === 'yes')
      .map(([group]) => group)
      .sort((a, b) => a - b)
    this.#propose({
      kind: 'decide',
      transaction: open.plan.transaction,
      epoch: must(this.#epoch, 'epoch'),
      expiresAt: open.expiresAt,
      groups,
      client: open.plan.command?.tag ?? null,
      result: open.plan.command?.kept(open.votes) ?? null
    })
  }

  #abort(open: Open, reason: string, now: MonotonicMs): void {
    const { transaction } = open.plan
    this.#finish(open, 'aborted', reason)
    this.#tellAbort(open, reason)
    this.#fence(transaction, [], reason)
    this.#flush(now)
  }

  /** Who voted against, or dropped out, has nothing to undo. */
  #tellAbort(open: Open, reason: string): void {
    for (const group of open.asked.keys()) {
      const vote = open.votes.get(group)?.vote ?? 'yes'
      if (group === this.#options.group || vote !== 'yes') continue
      this.#outboxOf(group).add({ kind: 'abort', transaction: open.plan.transaction, reason })
    }
  }

  #fence(
    transaction: TransactionId,
    askers: readonly GroupId[],
    reason: string,
    isOrphan = false
  ): void {
    const known = this.#fences.get(transaction)
    const fence = known ?? { told: new Set(), isOrphan }
    for (const group of askers) if (group !== this.#options.group) fence.told.add(group)
    if (known !== undefined) return
    this.#fences.set(transaction, fence)
    this.#propose({ kind: 'abort', transaction, reason: reason.slice(0, 128) })
  }

  #finish(open: Open, outcome: 'committed' | 'aborted' | 'unknown', reason: string): void {
    const { transaction } = open.plan
    this.#open.delete(transaction)
    this.#effects.emit({ type: 'Finished', transaction, outcome, reason, votes: open.votes })
  }

  /** The log has said something about it: what holds now is told. */
  #review(transaction: TransactionId): void {
    const open = this.#open.get(transaction)
    const end = this.#view.end(transaction)
    if (end === null) return
    if (end.outcome === 'committed') {
      if (open !== undefined) this.#finish(open, 'committed', '')
      this.#drive(transaction)
      this.#fences.delete(transaction)
      return
    }
    if (open !== undefined) {
      this.#finish(open, 'aborted', end.reason)
      this.#tellAbort(open, end.reason)
    }
    const fence = this.#fences.get(transaction)
    for (const group of fence?.told ?? []) {
      this.#outboxOf(group).add({ kind: 'abort', transaction, reason: end.reason })
    }
    this.#fences.delete(transaction)
    if (fence?.isOrphan) this.#effects.emit({ type: 'Recovered', transaction, decision: 'abort' })
  }

  #drive(transaction: TransactionId): void {
    const decision = this.#view.decision(transaction)
    if (decision === null) return
    const acknowledged = this.#acknowledged.get(transaction)?.groups
    for (const group of decision.pending) {
      if (acknowledged?.has(group)) continue
      const { epoch, index: decidedAt } = decision
      this.#outboxOf(group).add({ kind: 'commit', transaction, epoch, decidedAt })
    }
  }

  #scan(now: MonotonicMs): void {
    this.#scanAt = after(now, this.#options.scanIntervalMs)
    const { group } = this.#options
    for (const { transaction } of this.#view.decisions()) this.#drive(transaction)
    for (const { transaction, coordinator, epoch, groups } of this.#view.branches()) {
      if (coordinator !== group || this.#open.has(transaction)) continue
      if (!this.#view.mayPresumeAbort(epoch)) continue
      this.#fence(transaction, groups, 'its coordinator was lost before a decision', true)
    }
    this.#flush(now)
  }

  #acknowledge(
    transaction: TransactionId,
    group: GroupId,
    isMixed: boolean,
    now: MonotonicMs
  ): void {
    const pending = this.#view.decision(transaction)?.pending ?? []
    const known = this.#acknowledged.get(transaction)
    const settleAt = after(now, this.#options.settleDelayMs)
    const acknowledged = known ?? { groups: new Set(), mixed: new Set(), settleAt }
    this.#acknowledged.set(transaction, acknowledged)
    acknowledged.groups.add(group)
    if (isMixed) acknowledged.mixed.add(group)
    if (pending.every((one) => acknowledged.groups.has(one))) {
      this.#settle(transaction, acknowledged)
    } else {
      acknowledged.settleAt ??= settleAt
      this.#armSweep(now)
    }
  }

  #settle(transaction: TransactionId, acknowledged: Acknowledged): void {
    acknowledged.settleAt = null
    const groups = [...acknowledged.groups].sort((a, b) => a - b)
    const mixed = [...acknowledged.mixed].sort((a, b) => a - b)
    this.#propose({ kind: 'settle', transaction, groups, mixed })
  }

  #handleSettled(transaction: TransactionId, isForgotten: boolean): void {
    if (!isForgotten) return
    this.#acknowledged.delete(transaction)
    this.#effects.emit({ type: 'Forgotten', transaction })
  }

  #sweep(now: MonotonicMs, logNow: number): void {
    for (const open of this.#open.values()) {
      if (open.phase === 'deciding') continue
      if (logNow > open.expiresAt || now >= open.giveUpAt) {
        this.#abort(open, 'it did not finish in time', now)
      } else if (open.votes.size === open.groups.length) {
        this.#decide(open)
      } else if (open.retryAt <= now) {
        open.retryMs *= 2
        open.retryAt = after(now, open.retryMs)
        for (const [group, branch] of open.asked) {
          if (!open.votes.has(group)) this.#ask(open, branch, logNow)
        }
      }
    }
    let hasWaiting = this.#open.size > 0
    for (const [transaction, acknowledged] of this.#acknowledged) {
      const { settleAt } = acknowledged
      if (settleAt === null) continue
      if (settleAt <= now) this.#settle(transaction, acknowledged)
      else hasWaiting = true
    }
    if (hasWaiting) this.#armSweep(now)
  }

  #armSweep(now: MonotonicMs): void {
    if (this.#sweepAt === NEVER) this.#sweepAt = after(now, coordinatorSweepMs)
  }

  #flush(now: MonotonicMs): void {
    for (const [to, outbox] of this.#outboxes) {
      for (const told of outbox.take(now)) {
        this.#effects.send({ ...told, to })
      }
    }
  }

  #propose(change: Change): void {
    this.#effects.mergePersist((previous) => {
      const changes = previous ?? []
      changes.push(change)
      return changes
    })
  }

  #outboxOf(group: GroupId): DecisionOutbox {
    const known = this.#outboxes.get(group)
    if (known !== undefined) return known
    const outbox = new DecisionOutbox(this.#options, this.#random)
    this.#outboxes.set(group, outbox)
    return outbox
  }
}
