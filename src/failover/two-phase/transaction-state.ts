/**
 * Distributed transactions as one group's log has them: prepared branches, what became of others,
 * decisions made here that are not acknowledged everywhere. Replicated state: a function of the
 * applied changes, their index, term and log time alone.
 *
 * Source: presumed abort of R* (Mohan, Lindsay, Obermarck 1986), with Raft's log in the place of
 * the forced record; the coordinating group is one of the participants, and its branch is the
 * record of the decision: prepared, committed or aborted, once.
 *
 * Invariants:
 * 1. A branch ends once: committed, or aborted. What comes later is answered by its end.
 * 2. A branch is prepared once; the same question again is answered with the same vote, and one of
 * another epoch, or about a transaction that has ended here, with a vote against, for ever.
 * 3. Prepared branches do not conflict in their locks.
 * 4. A decision to commit needs the group's own prepared branch, the term of the entry as its epoch
 * (so no later leader meets a decision of an earlier one) and a log time at or before its expiry.
 * 5. A prepared branch changes by `decide`, `commit`, `abort` and an operator's `resolve` alone.
 * 6. Once the group was recovered without its majority, an abort is not presumed of what began
 * before (`loss-mark.ts`).
 * 7. `restore` of the written keys gives a state that behaves the same for ever after.
 *
 * Owner's duties: commit the commands and writes of `apply` in one engine transaction with the
 * index; answer nobody before that.
 */
import { unreachable } from '../../core/assert.js'
import {
  compareText,
  type GroupId,
  type LogIndex,
  type Term,
  type TransactionId
} from '../../core/ids.js'
import type { Command, SystemWrite } from '../../core/ports/engine.js'
import type { ClientTag } from '../../core/ports/replicated-group.js'
import type { Change, ChangeOf, LoggedChange } from './changes.js'
import { type EndLimits, Ends } from './ends.js'
import { LockHolders } from './lock-holders.js'
import { LossMark } from './loss-mark.js'
import {
  type Branch,
  branchRecord,
  type Decision,
  decisionRecord,
  type End,
  endRecord
} from './transaction-records.js'

/** Prepared branches of one group. */
export const branchesMax = 16_384
/** Commits of one coordinating group that are not acknowledged everywhere. */
export const decisionsMax = 16_384

export interface AppliedAt {
  readonly index: LogIndex
  readonly term: Term
  /** Log time of the group; never goes back. */
  readonly now: number
  /** Whether a client's command was not executed before; absent: nobody numbers them. */
  isNew?(tag: ClientTag): boolean
}

export type BranchState = 'unknown' | 'prepared' | 'committed' | 'aborted'

/** What became of one change, in the order of the entry. */
export type ChangeAnswer = { readonly transaction: TransactionId } & (
  | {
      readonly kind: 'vote'
      readonly epoch: Term
      readonly vote: 'yes' | 'no'
      readonly reason: string
      readonly kept: Uint8Array | null
    }
  | {
      readonly kind: 'decided'
      readonly decision: 'commit' | 'abort'
      readonly reason: string
    }
  /** Of a commit, abort or resolve: how the branch stands now. */
  | {
      readonly kind: 'ended'
      readonly state: BranchState
      /** Something happened that may not: the operator must hear of it. */
      readonly alarm: string | null
    }
  | { readonly kind: 'settled'; readonly isForgotten: boolean }
  | { readonly kind: 'forgotten'; readonly isKnown: boolean }
)

export interface Applied {
  readonly answers: readonly ChangeAnswer[]
  /** Write sets of branches that are committed now. */
  readonly commands: readonly Command[]
  /** In key order. */
  readonly writes: readonly SystemWrite[]
  /** Clients' commands that are executed by decisions made now. */
  readonly answered: readonly {
    readonly tag: ClientTag
    readonly result: Uint8Array | null
  }[]
}

export interface TransactionLimits extends EndLimits {
  readonly branchesMax: number
  readonly decisionsMax: number
}

interface Effects {
  readonly at: AppliedAt
  readonly commands: Command[]
  readonly writes: Map<string, SystemWrite>
  readonly answered: Applied['answered'][number][]
}

/** What a leader's cores look at. */
export interface TransactionView {
  branch(transaction: TransactionId): Branch | null
  end(transaction: TransactionId): End | null
  decision(transaction: TransactionId): Decision | null
  branches(): IterableIterator<Branch>
  ends(): IterableIterator<End>
  decisions(): IterableIterator<Decision>
  stateOf(transaction: TransactionId): BranchState
  /** False: its decision may have been lost with the group's majority. */
  mayPresumeAbort(epoch: Term): boolean
}

export class TransactionState implements TransactionView {
  readonly #group: GroupId
  readonly #limits: TransactionLimits
  readonly #branches = new Map<TransactionId, Branch>()
  readonly #decisions = new Map<TransactionId, Decision>()
  readonly #held = new LockHolders()
  readonly #loss = new LossMark()
  readonly #ends: Ends

  constructor(group: GroupId, limits: TransactionLimits) {
    this.#group = group
    this.#limits = limits
    this.#ends = new Ends(limits)
  }

  /** From the keys under `transactionKeyPrefix`, as the engine holds them. */
  static restore(
    group: GroupId,
    limits: TransactionLimits,
    writes: readonly SystemWrite[]
  ): TransactionState {
    const state = new TransactionState(group, limits)
    for (const write of writes) state.#load(write)
    state.#ends.sort()
    return state
  }

  get branchCount(): number {
    return this.#branches.size
  }

  get endCount(): number {
    return this.#ends.size
  }

  get decisionCount(): number {
    return this.#decisions.size
  }

  branch(transaction: TransactionId): Branch | null {
    return this.#branches.get(transaction) ?? null
  }

  /** A decision that is not settled outlives the retention of its end. */
  end(transaction: TransactionId): End | null {
    const end = this.#ends.get(transaction)
    if (end !== null) return end
    const decision = this.#decisions.get(transaction)
    if (decision === undefined) return null
    return {
      transaction,
      outcome: 'committed',
      since: decision.decidedAt,
      coordinator: this.#group,
      epoch: decision.epoch,
      sequence: 0,
      decidedAt: decision.index,
      heuristic: 'none',
      mixedGroups: [],
      reason: ''
    }
  }

  decision(transaction: TransactionId): Decision | null {
    return this.#decisions.get(transaction) ?? null
  }

  branches(): IterableIterator<Branch> {
    return this.#branches.values()
  }

  ends(): IterableIterator<End> {
    return this.#ends.values()
  }

  decisions(): IterableIterator<Decision> {
    return this.#decisions.values()
  }

  stateOf(transaction: TransactionId): BranchState {
    if (this.#branches.has(transaction)) return 'prepared'
    return this.end(transaction)?.outcome ?? 'unknown'
  }

  mayPresumeAbort(epoch: Term): boolean {
    return this.#loss.mayPresumeAbort(epoch)
  }

  apply(changes: readonly LoggedChange[], at: AppliedAt): Applied {
    const effects: Effects = { at, commands: [], writes: new Map(), answered: [] }
    const answers: ChangeAnswer[] = []
    for (const change of changes) {
      if (change.kind === 'recover') put(effects.writes, this.#loss.set(change.epoch, at.now))
      else answers.push(this.#applyOne(change, effects))
    }
    for (const write of this.#ends.finish(at.now)) effects.writes.set(write.key, write)
    const writes = [...effects.writes.values()].sort((a, b) => compareText(a.key, b.key))
    return { answers, commands: effects.commands, writes, answered: effects.answered }
  }

  #applyOne(change: Change, effects: Effects): ChangeAnswer {
    switch (change.kind) {
      case 'prepare':
        return this.#prepare(change, effects)
      case 'decide':
        return this.#decide(change, effects)
      case 'commit':
        return this.#commit(change, effects)
      case 'abort':
        return this.#abort(change, effects)
      case 'settle':
        return this.#settle(change, effects)
      case 'resolve':
        return this.#resolve(change, effects)
      case 'forget':
        return this.#forget(change.transaction, effects)
      default:
        return unreachable(change)
    }
  }

  #prepare(change: ChangeOf<'prepare'>, { at, writes }: Effects): ChangeAnswer {
    const { transaction, epoch, sequence } = change
    const vote = { kind: 'vote', transaction, epoch } as const
    const known = this.#branches.get(transaction)
    if (known?.epoch === epoch) return { ...vote, vote: 'yes', reason: '', kept: known.kept }
    const reason = this.#refusalOf(change, known ?? null, at.now)
    if (reason !== null) return { ...vote, vote: 'no', reason, kept: null }
    const { coordinator, groups, locks } = change
    const command = change.command && { ...change.command, bytes: change.command.bytes.slice() }
    const kept = change.kept?.slice() ?? null
    const branch: Branch = {
      transaction,
      epoch,
      sequence,
      coordinator,
      groups,
      preparedAt: at.now,
      index: at.index,
      locks,
      command,
      kept
    }
    this.#branches.set(transaction, branch)
    this.#held.hold(transaction, locks)
    this.#ends.reserved = this.#branches.size
    put(writes, branchRecord.put(branch))
    return { ...vote, vote: 'yes', reason: '', kept }
  }

  #refusalOf(change: ChangeOf<'prepare'>, known: Branch | null, now: number): string | null {
    const { transaction, epoch, sequence, coordinator, expiresAt, locks } = change
    if (known !== null) return `prepared in epoch ${known.epoch}: the id is in use`
    const end = this.end(transaction)
    if (end !== null) return `${end.outcome} already`
    if (this.#ends.isBranchDropped(coordinator, epoch, sequence)) return 'too old'
    if (now > expiresAt) return 'the time to vote is over'
    if (this.#branches.size >= this.#limits.branchesMax) return 'too many prepared branches'
    if (!this.#ends.hasRoomFor(this.#branches.size + 1)) return 'too many ends are kept'
    const [holder] = this.#held.conflictsOf(locks, transaction)
    return holder === undefined ? null : `${holder} holds its rows`
  }

  #decide(change: ChangeOf<'decide'>, effects: Effects): ChangeAnswer {
    const { transaction, epoch, groups } = change
    const { at, writes } = effects
    const end = this.end(transaction)
    const answer = { kind: 'decided', transaction } as const
    if (end !== null) {
      const isCommitted = end.outcome === 'committed' && end.epoch === epoch
      const reason = end.outcome === 'committed' ? 'the id was used before' : end.reason
      return isCommitted
        ? { ...answer, decision: 'commit', reason: '' }
        : { ...answer, decision: 'abort', reason }
    }
    const branch = this.#branches.get(transaction)
    const reason = this.#objectionTo(change, branch ?? null, at)
    if (reason !== null) {
      this.#end(transaction, 'aborted', { reason, coordinator: this.#group }, effects)
      return { ...answer, decision: 'abort', reason }
    }
    this.#noteDecision({ transaction, epoch, groups }, at, writes)
    const { client, result } = change
    if (client !== null) effects.answered.push({ tag: client, result: result?.slice() ?? null })
    this.#end(
      transaction,
      'committed',
      { reason: '', coordinator: this.#group, decidedAt: at.index },
      effects
    )
    return { ...answer, decision: 'commit', reason: '' }
  }

  #objectionTo(
    { epoch, expiresAt, client }: ChangeOf<'decide'>,
    branch: Branch | null,
    at: AppliedAt
  ): string | null {
    if (epoch !== at.term) return `decided in epoch ${epoch}, the log is in ${at.term}`
    if (branch === null) return 'the own branch is not prepared'
    if (branch.epoch !== epoch) return `the own branch is of epoch ${branch.epoch}`
    if (at.now > expiresAt) return 'the time to decide is over'
    if (this.#decisions.size >= this.#limits.decisionsMax) return 'too many open decisions'
    // At last: who was told that it is new executes it.
    const isNew = client === null || (at.isNew?.(client) ?? true)
    return isNew ? null : 'the command was executed before, or the client is not known'
  }

  #commit(change: ChangeOf<'commit'>, effects: Effects): ChangeAnswer {
    const { transaction, epoch, coordinator, decidedAt } = change
    const end = this.end(transaction)
    if (end !== null) return this.#compare(end, 'committed', decidedAt, effects)
    const branch = this.#branches.get(transaction)
    if (branch !== undefined && branch.epoch !== epoch) {
      const alarm = `commit of epoch ${epoch}, the branch is of epoch ${branch.epoch}`
      return { kind: 'ended', transaction, state: 'prepared', alarm }
    }
    if (branch !== undefined) {
      const committed = { reason: '', coordinator, decidedAt }
      return ended(this.#end(transaction, 'committed', committed, effects))
    }
    // Its end was dropped long ago: only a coordinator without its notes tells it once more.
    if (this.#ends.isDecisionDropped(coordinator, decidedAt)) {
      return { kind: 'ended', transaction, state: 'committed', alarm: null }
    }
    if (this.#loss.mayBeLost(transaction) && this.#ends.hasRoomFor(this.#branches.size + 1)) {
      const reason = 'lost with the majority of its group'
      const lost = { reason, coordinator, decidedAt, heuristic: 'mixed' } as const
      const { outcome: state } = this.#end(transaction, 'aborted', lost, effects)
      return { kind: 'ended', transaction, state, alarm: `${reason}, and it was committed` }
    }
    const alarm = `commit of a branch that was never prepared here, by group ${coordinator}`
    return { kind: 'ended', transaction, state: 'unknown', alarm }
  }

  #abort({ transaction, reason }: ChangeOf<'abort'>, effects: Effects): ChangeAnswer {
    const end = this.end(transaction)
    if (end !== null) return this.#compare(end, 'aborted', 0 as LogIndex, effects)
    const branch = this.#branches.get(transaction)
    if (branch === undefined && !this.#ends.hasRoomFor(this.#branches.size + 1)) {
      const alarm = 'no room for the end of an abort'
      return { kind: 'ended', transaction, state: 'unknown', alarm }
    }
    const coordinator = branch?.coordinator ?? null
    return ended(this.#end(transaction, 'aborted', { reason, coordinator }, effects))
  }

  /** The coordinator's word about a branch that has ended already. */
  #compare(
    end: End,
    outcome: End['outcome'],
    decidedAt: LogIndex,
    { writes, at }: Effects
  ): ChangeAnswer {
    const { transaction } = end
    const hasAgreed = end.outcome === outcome
    let alarm: string | null = null
    if (hasAgreed && end.heuristic === 'unverified') {
      put(writes, this.#ends.put({ ...end, heuristic: 'agreed', since: at.now, decidedAt }))
    } else if (!hasAgreed) {
      const by = end.heuristic === 'none' ? 'here' : 'by an operator'
      alarm = `${end.outcome} ${by}, and the coordinator decided ${outcome}`
      if (end.heuristic !== 'mixed') {
        put(writes, this.#ends.put({ ...end, heuristic: 'mixed', decidedAt }))
      }
    }
    return { kind: 'ended', transaction, state: end.outcome, alarm }
  }

  #settle(change: ChangeOf<'settle'>, { writes, at }: Effects): ChangeAnswer {
    const { transaction, groups, mixed } = change
    const decision = this.#decisions.get(transaction)
    if (decision === undefined) return { kind: 'settled', transaction, isForgotten: true }
    const pending = decision.pending.filter((group) => !groups.includes(group))
    const allMixed = [...new Set([...decision.mixed, ...mixed])]
    if (pending.length > 0) {
      const left = { ...decision, pending, mixed: allMixed }
      this.#decisions.set(transaction, left)
      put(writes, decisionRecord.put(left))
      return { kind: 'settled', transaction, isForgotten: false }
    }
    const end = this.end(transaction)
    this.#decisions.delete(transaction)
    put(writes, decisionRecord.drop(transaction))
    if (allMixed.length > 0 && end !== null) {
      const differing = { heuristic: 'mixed', mixedGroups: allMixed, since: at.now } as const
      put(writes, this.#ends.put({ ...end, ...differing }))
    }
    return { kind: 'settled', transaction, isForgotten: true }
  }

  #resolve(change: ChangeOf<'resolve'>, effects: Effects): ChangeAnswer {
    const { transaction, outcome, by, reason } = change
    const branch = this.#branches.get(transaction)
    if (branch === undefined) {
      const state = this.stateOf(transaction)
      return { kind: 'ended', transaction, state, alarm: null }
    }
    const { coordinator, groups } = branch
    const decidesHere = coordinator === this.#group
    // Where the coordinator decides, the operator's word is the decision.
    const heuristic = decidesHere ? 'agreed' : 'unverified'
    const details = { reason: `${by}: ${reason}`.slice(0, 128), coordinator, heuristic } as const
    if (outcome === 'abort') return ended(this.#end(transaction, 'aborted', details, effects))
    const decidedAt = decidesHere ? effects.at.index : (0 as LogIndex)
    if (decidesHere) {
      const others = groups.filter((group) => group !== this.#group)
      const decision = { transaction, epoch: branch.epoch, groups: others }
      this.#noteDecision(decision, effects.at, effects.writes)
    }
    return ended(this.#end(transaction, 'committed', { ...details, decidedAt }, effects))
  }

  /** The operator has read that outcomes differ, or that nobody will ever say. */
  #forget(transaction: TransactionId, { writes, at }: Effects): ChangeAnswer {
    const end = this.end(transaction)
    if (end === null) return { kind: 'forgotten', transaction, isKnown: false }
    put(writes, this.#ends.put({ ...end, heuristic: 'agreed', since: at.now }))
    return { kind: 'forgotten', transaction, isKnown: true }
  }

  #noteDecision(
    made: Pick<Decision, 'transaction' | 'epoch' | 'groups'>,
    at: AppliedAt,
    writes: Effects['writes']
  ): void {
    if (made.groups.length === 0) return
    const owed = { index: at.index, decidedAt: at.now, pending: made.groups, mixed: [] }
    const decision: Decision = { ...made, ...owed }
    this.#decisions.set(made.transaction, decision)
    put(writes, decisionRecord.put(decision))
  }

  #end(
    transaction: TransactionId,
    outcome: End['outcome'],
    details: Pick<End, 'reason' | 'coordinator'> & Partial<Pick<End, 'decidedAt' | 'heuristic'>>,
    { at, commands, writes }: Effects
  ): End {
    const branch = this.#branches.get(transaction)
    if (branch !== undefined) {
      this.#branches.delete(transaction)
      this.#held.release(transaction)
      put(writes, branchRecord.drop(transaction))
      if (outcome === 'committed' && branch.command !== null) commands.push(branch.command)
    }
    const end: End = {
      transaction,
      outcome,
      since: at.now,
      epoch: branch?.epoch ?? (0 as Term),
      sequence: branch?.sequence ?? 0,
      decidedAt: 0 as LogIndex,
      heuristic: 'none',
      mixedGroups: [],
      ...details
    }
    this.#ends.reserved = this.#branches.size
    put(writes, this.#ends.put(end))
    return end
  }

  #load(write: SystemWrite): void {
    const branch = branchRecord.read(write)
    if (branch !== null) {
      this.#branches.set(branch.transaction, branch)
      this.#held.hold(branch.transaction, branch.locks)
      this.#ends.reserved = this.#branches.size
      return
    }
    const decision = decisionRecord.read(write)
    if (decision !== null) this.#decisions.set(decision.transaction, decision)
    const end = endRecord.read(write)
    if (end !== null) this.#ends.load(end)
    this.#ends.loadDropped(write)
    this.#loss.load(write)
  }
}

function put(writes: Map<string, SystemWrite>, write: SystemWrite): void {
  writes.set(write.key, write)
}

const ended = ({ transaction, outcome }: End): ChangeAnswer => ({
  kind: 'ended',
  transaction,
  state: outcome,
  alarm: null
})
