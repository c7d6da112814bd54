/**
 * The distributed transactions of one group on one node: what its log says of them, on every
 * replica; and while this one leads, the two cores that act on it. A section of the group's log.
 *
 * 1. What the cores want logged waits for the group's turn, and goes as one entry. Branches are
 *    prepared in the same turn: nothing of the group is on its way then.
 * 2. A branch that may let its rows go is prepared after a read index.
 * 3. A branch that fails is told so when a quorum says that this replica led until then, and
 *    `BranchFaults` that nothing which is decided elsewhere already could change it.
 * 4. Cores live as long as a leadership. What comes for an earlier one is dropped; who waits for
 *    it asks the next leader.
 */
import type {
  ClientStanding,
  GroupSection,
  MakeEntry,
  SectionApplyAt,
  SectionAt,
  SectionEffects,
  SectionTurn
} from '../../consensus/index.js'
import { must } from '../../core/assert.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import { BackpressureError, CancelledError, NotLeaderError } from '../../core/errors.js'
import type { GroupId, LogIndex, MonotonicMs, Term, TransactionId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { SystemWrite } from '../../core/ports/engine.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Random } from '../../core/ports/random.js'
import type { ClientTag } from '../../core/ports/replicated-group.js'
import { hasCode } from '../../core/remote-error.js'
import { BranchFaults } from './branch-faults.js'
import { BranchRows } from './branch-rows.js'
import { takeEntry } from './change-entry.js'
import { type Change, decodeChanges, encodeChanges } from './changes.js'
import {
  type BeginOutcome,
  Coordinator,
  type CoordinatorEvent,
  type CoordinatorSend,
  type TransactionPlan,
  type Vote
} from './coordinator.js'
import { DecisionHold } from './decision-hold.js'
import { LockTable, type LockWait } from './lock-table.js'
import {
  Participant,
  type ParticipantEvent,
  type ParticipantSend,
  type Planned,
  type PrepareRequest
} from './participant.js'
import { PlainPlaces } from './plain-places.js'
import { plannedOf, statementsIn } from './planned-branch.js'
import {
  coordinatorDefaults,
  participantDefaults,
  transactionLimits
} from './transaction-options.js'
import { transactionKeyPrefix } from './transaction-records.js'
import { type BranchState, type ChangeAnswer, TransactionState } from './transaction-state.js'

/** This node's replica of a group, as transactions need it; `GroupDriver` is one. */
export interface BranchGroup {
  proposeSystem(section: string, make: MakeEntry, deadline: MonotonicMs): Promise<void>
  readIndex(deadline: MonotonicMs): Promise<LogIndex>
  logNow(): number
  standingOf(tag: ClientTag): ClientStanding
}

export type Decision = NonNullable<ReturnType<Coordinator['handleQuery']>>

/** Leaders of other groups, wherever they are. */
export interface BranchPeers {
  prepare(from: GroupId, send: Extract<CoordinatorSend, { kind: 'prepare' }>): Promise<Vote>
  end(
    from: GroupId,
    send: Extract<CoordinatorSend, { kind: 'commit' | 'abort' }>
  ): Promise<BranchState>
  query(from: GroupId, send: Extract<ParticipantSend, { kind: 'query' }>): Promise<Decision>
}

export interface GroupTransactionsComponents {
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly peers: BranchPeers
  /** Null: its replica is not open any more, or not yet. */
  replica(): BranchGroup | null
  /** Alarms and ends, for metrics and the operator. */
  onEvent(group: GroupId, event: CoordinatorEvent | ParticipantEvent): void
}

/** Branches that are prepared in one turn. */
export const preparesPerTurnMax = 64
/** The next turn is asked for after it, when one was refused. */
const refusedPauseMs = 20
/** Nobody waits for a decision to be forgotten: it goes with another entry, or alone after this. */
const settleGatherMs = 100

interface Waiting<T> {
  resolve(value: T): void
  reject(error: Error): void
}

/** What a leadership has; another one begins with nothing. */
interface Leading {
  readonly term: Term
  readonly coordinator: Coordinator
  readonly participant: Participant
  readonly locks: LockTable
  readonly changes: Change[]
  readonly plans: PrepareRequest[]
  readonly faults: BranchFaults
  readonly votes: Map<TransactionId, Waiting<Vote>>
  readonly acks: Map<TransactionId, Waiting<BranchState>>
  readonly outcomes: Map<TransactionId, Waiting<Finished>>
  /** Asked to be logged, and not known to be refused. */
  proposed: readonly Change[]
  isAsked: boolean
  readonly hold: DecisionHold
  /** Entries by an operator's hand that are on their way. */
  byHand: number
  /** They hold decisions, and wait until none is owed. */
  readonly settled: Waiting<void>[]
  /** After a refusal there is a pause. */
  askAt: MonotonicMs
  /** What nobody waits for goes alone then; NEVER: there is none. */
  gatheredAt: MonotonicMs
}

export type Finished = Extract<CoordinatorEvent, { type: 'Finished' }>

export class GroupTransactions implements GroupSection<readonly ChangeAnswer[]> {
  readonly name = 'transactions'
  readonly keyPrefix = transactionKeyPrefix
  readonly rows = new BranchRows()
  readonly group: GroupId
  readonly #components: GroupTransactionsComponents
  readonly #timer: DeadlineTimer
  #state: TransactionState
  #leading: Leading | null = null
  #isPumping = false

  constructor(components: GroupTransactionsComponents, group: GroupId) {
    this.group = group
    this.#components = components
    this.#state = new TransactionState(group, transactionLimits)
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#handleTimeout(now))
  }

  get state(): TransactionState {
    return this.#state
  }

  get leads(): boolean {
    return this.#leading !== null
  }

  get openCount(): number {
    return this.#leading?.coordinator.openCount ?? 0
  }

  get inDoubtCount(): number {
    return this.#leading?.participant.inDoubtCount ?? 0
  }

  waits(): readonly LockWait[] {
    return this.#leading?.participant.waits() ?? []
  }

  restore(writes: readonly SystemWrite[]): void {
    this.#state = TransactionState.restore(this.group, transactionLimits, writes)
    this.rows.restore(this.#state.branches())
  }

  apply(entry: Uint8Array, at: SectionApplyAt): SectionEffects<readonly ChangeAnswer[]> {
    const { answers, commands, writes, answered } = this.#state.apply(decodeChanges(entry), at)
    for (const { kind, transaction } of answers) {
      const branch = kind === 'vote' ? this.#state.branch(transaction) : null
      if (branch !== null) this.rows.handlePrepared(branch)
    }
    return { commands, writes, answered, answer: answers }
  }

  handleApplied(answers: readonly ChangeAnswer[], _at: SectionAt): void {
    for (const { transaction } of answers) {
      if (this.#state.branch(transaction) === null) this.rows.handleEnded(transaction)
    }
    const leading = this.#leading
    if (leading === null) return
    const now = this.#components.clock.now()
    leading.participant.handleApplied(answers, now)
    leading.coordinator.handleApplied(answers, now)
    this.#pump()
  }

  handleLeadership(term: Term | null): void {
    if (term === null) this.#resign()
    else this.#lead(term)
  }

  stop(): void {
    this.#resign()
    this.#timer.stop()
  }

  /** @throws NotLeaderError */
  begin(plan: TransactionPlan, logNow: number): BeginOutcome {
    const { coordinator } = this.#expectLeading()
    const begun = coordinator.begin(plan, this.#components.clock.now(), logNow)
    this.#pump()
    return begun
  }

  /** Of a transaction that was begun here. */
  finished(transaction: TransactionId): Promise<Finished> {
    return new Promise((resolve, reject) => {
      this.#expectLeading().outcomes.set(transaction, { resolve, reject })
    })
  }

  /** @throws NotLeaderError */
  prepare(request: PrepareRequest): Promise<Vote> {
    return new Promise((resolve, reject) => {
      const { participant, votes } = this.#expectLeading()
      replace(votes, request.transaction, { resolve, reject })
      participant.handlePrepare(request, this.#components.clock.now(), this.#logNow())
      this.#pump()
    })
  }

  /** @throws NotLeaderError */
  commit(
    transaction: TransactionId,
    epoch: Term,
    coordinator: GroupId,
    decidedAt: LogIndex
  ): Promise<BranchState> {
    return this.#end(transaction, (participant) =>
      participant.handleCommit(transaction, epoch, coordinator, decidedAt)
    )
  }

  /** @throws NotLeaderError */
  abort(transaction: TransactionId, coordinator: GroupId, reason: string): Promise<BranchState> {
    return this.#end(transaction, (participant) =>
      participant.handleAbort(transaction, coordinator, reason)
    )
  }

  /** @throws NotLeaderError */
  query(transaction: TransactionId, epoch: Term, asker: GroupId): Decision {
    const answer = this.#expectLeading().coordinator.handleQuery(transaction, epoch, asker)
    this.#pump()
    if (answer === null) throw notLeading(this.group)
    return answer
  }

  /**
   * An operator's word, into the log.
   * @throws NotLeaderError; BackpressureError while a backup is taken: nothing was done
   */
  async decideByHand(change: Extract<Change, { kind: 'resolve' | 'forget' }>): Promise<void> {
    const leading = this.#expectLeading()
    if (leading.hold.isActive(this.#components.clock.now())) {
      throw new BackpressureError('nothing is decided at the moment in which a backup is taken')
    }
    leading.byHand++
    try {
      const make = () => encodeChanges([change])
      await this.#components.replica()?.proposeSystem(this.name, make, NEVER)
    } finally {
      leading.byHand--
      this.#pump()
    }
  }

  /**
   * Nothing is decided here until `release`, or until then. Resolves when all that was decided is
   * at an end in every group.
   * @throws NotLeaderError; BackpressureError somebody else holds, or it was over first
   */
  holdDecisions(token: string, until: MonotonicMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const leading = this.#expectLeading()
      if (!leading.hold.hold(token, until, this.#components.clock.now())) {
        throw new BackpressureError('decisions are held for another backup')
      }
      leading.settled.push({ resolve, reject })
      this.#pump()
    })
  }

  /**
   * Resolves when this node led all the time, and nothing was decided: a quorum says so.
   * @throws NotLeaderError, BackpressureError it is not certain any more
   */
  async confirmHold(token: string, deadline: MonotonicMs): Promise<void> {
    const leading = this.#expectLeading()
    await this.#components.replica()?.readIndex(deadline)
    const isHeld = leading.hold.isHeldBy(token, this.#components.clock.now())
    if (this.#leading !== leading || !isHeld) throw new BackpressureError('the hold is over')
  }

  releaseHold(token: string): void {
    this.#leading?.hold.release(token)
    this.#pump()
  }

  #end(transaction: TransactionId, act: (participant: Participant) => void): Promise<BranchState> {
    return new Promise((resolve, reject) => {
      const { participant, acks } = this.#expectLeading()
      replace(acks, transaction, { resolve, reject })
      act(participant)
      this.#pump()
    })
  }

  #lead(term: Term): void {
    const { clock, random } = this.#components
    const group = this.group
    const view = this.#state
    const locks = new LockTable()
    const coordinator = new Coordinator({ view, random }, { ...coordinatorDefaults, group })
    const participant = new Participant({ view, random, locks }, { ...participantDefaults, group })
    this.#leading = {
      term,
      coordinator,
      participant,
      locks,
      changes: [],
      plans: [],
      faults: new BranchFaults(() => this.rows.prepared()),
      votes: new Map(),
      acks: new Map(),
      outcomes: new Map(),
      proposed: [],
      isAsked: false,
      hold: new DecisionHold(),
      byHand: 0,
      settled: [],
      askAt: clock.now(),
      gatheredAt: NEVER
    }
    this.rows.locks = locks
    this.rows.places = this.#placesOf(this.#leading)
    participant.lead(clock.now())
    coordinator.lead(term, clock.now())
    this.#pump()
  }

  #resign(): void {
    const leading = this.#leading
    if (leading === null) return
    this.#leading = null
    this.rows.locks = null
    this.rows.places = null
    this.#timer.arm(NEVER)
    const { coordinator, participant, votes, acks, outcomes, settled } = leading
    participant.resign()
    coordinator.resign()
    for (const event of coordinator.drain().emit) this.#handleEvent(leading, event)
    for (const waiting of [...votes.values(), ...acks.values(), ...outcomes.values(), ...settled]) {
      waiting.reject(notLeading(this.group))
    }
    this.rows.tellReleased()
  }

  #placesOf(leading: Leading): PlainPlaces {
    const { clock, random } = this.#components
    return new PlainPlaces({
      clock,
      random,
      locks: leading.locks,
      onLeft: (place) => {
        if (this.#leading !== leading) return
        leading.participant.handlePlaceLeft(place)
        this.#pump()
      }
    })
  }

  /** Carries out what the cores want until they are quiet. */
  #pump(): void {
    const leading = this.#leading
    if (leading === null || this.#isPumping) return
    this.#isPumping = true
    leading.plans.push(...leading.faults.takeReady())
    try {
      while (this.#drain(leading)) if (this.#leading !== leading) return
    } finally {
      this.#isPumping = false
    }
    this.#askForTurn(leading)
    this.#tellSettled(leading)
    const { coordinator, participant, hold } = leading
    const deadlines = [coordinator.nextDeadline(), participant.nextDeadline()]
    if (hold.keptCount + leading.settled.length > 0) deadlines.push(hold.nextDeadline())
    deadlines.push(turnAt(leading))
    this.#timer.arm(Math.min(...deadlines) as MonotonicMs)
  }

  #drain(leading: Leading): boolean {
    const [one, other] = [leading.coordinator.drain(), leading.participant.drain()]
    const asked = [...(one.persist ?? []), ...(other.persist ?? [])]
    const wanted = leading.hold.pass(asked, this.#components.clock.now())
    leading.changes.push(...wanted)
    this.#noteGathered(leading)
    for (const event of one.emit) this.#handleEvent(leading, event)
    for (const event of other.emit) this.#handleEvent(leading, event)
    for (const send of one.sendNow) this.#tellBranch(leading, send)
    for (const send of other.sendNow) this.#tellCoordinator(leading, send)
    const sent = one.sendNow.length + other.sendNow.length
    return wanted.length + one.emit.length + other.emit.length + sent > 0
  }

  #noteGathered(leading: Leading): void {
    const isGathering = leading.changes.length > 0 && leading.changes.every(isUnhurried)
    if (!isGathering) leading.gatheredAt = NEVER
    else if (leading.gatheredAt === NEVER) {
      leading.gatheredAt = after(this.#components.clock.now(), settleGatherMs)
    }
  }

  #handleEvent(leading: Leading, event: CoordinatorEvent | ParticipantEvent): void {
    switch (event.type) {
      case 'PlanWanted':
        this.#want(leading, event.request)
        return
      case 'RowsReleased':
        this.rows.tellReleased()
        return
      case 'Finished': {
        const waiting = leading.outcomes.get(event.transaction)
        leading.outcomes.delete(event.transaction)
        waiting?.resolve(event)
      }
    }
    this.#components.onEvent(this.group, event)
  }

  #want(leading: Leading, request: PrepareRequest): void {
    if (!request.mayDropOut) {
      leading.plans.push(request)
      return
    }
    this.#whenConfirmed(leading, request, () => leading.plans.push(request))
  }

  /** When a quorum says that this replica led until now; else the branch fails for want of that. */
  #whenConfirmed(leading: Leading, request: PrepareRequest, act: () => void): void {
    const { clock } = this.#components
    const goOn = (go: () => void) => {
      if (this.#leading !== leading) return
      go()
      this.#pump()
    }
    const confirmed = this.#components.replica()?.readIndex(after(clock.now(), request.timeoutMs))
    confirmed?.then(
      () => goOn(act),
      (error: unknown) => {
        const reason = error instanceof Error ? error.message : 'it cannot be confirmed'
        goOn(() => this.#fail(leading, request, reason))
      }
    )
  }

  #fail({ participant }: Leading, { transaction }: PrepareRequest, reason: string): void {
    const failed: Planned = { kind: 'failed', reason: reason.slice(0, 128) }
    participant.handlePlanned(transaction, failed, this.#logNow())
  }

  #askForTurn(leading: Leading): void {
    if (this.#components.clock.now() < turnAt(leading)) return
    const replica = this.#components.replica()
    if (replica === null) return
    leading.isAsked = true
    replica
      .proposeSystem(this.name, (turn) => this.#make(leading, turn), NEVER)
      .then(
        () => this.#endTurn(leading, null),
        (error: unknown) => this.#endTurn(leading, error)
      )
  }

  #endTurn(leading: Leading, error: unknown): void {
    leading.isAsked = false
    const { proposed } = leading
    leading.proposed = []
    if (this.#leading !== leading) return
    if (error !== null) {
      this.#components.logger.warn({ group: this.group, error }, 'an entry was refused')
      leading.askAt = after(this.#components.clock.now(), refusedPauseMs)
      if (!hasCode(error, 'ERR_SKEIN_INDETERMINATE')) this.#handleRefused(leading, proposed)
    }
    this.#pump()
  }

  #handleRefused(leading: Leading, refused: readonly Change[]): void {
    leading.participant.handleRefused(refused)
    leading.coordinator.handleRefused(refused, this.#components.clock.now())
    for (const { kind, transaction } of refused) {
      if (kind !== 'commit' && kind !== 'abort') continue
      leading.acks.get(transaction)?.reject(new CancelledError('it was not logged'))
      leading.acks.delete(transaction)
    }
  }

  async #make(leading: Leading, turn: SectionTurn): Promise<Uint8Array | null> {
    const requests = leading.plans.splice(0, preparesPerTurnMax)
    // Together, which spares an engine of its own thread most round trips: none sees another.
    const planned = await Promise.all(requests.map((request) => this.#plan(turn, request)))
    if (this.#leading !== leading) return null
    for (const [i, request] of requests.entries()) {
      this.#handlePlanned(leading, request, must(planned[i], 'plan'), turn)
    }
    while (this.#drain(leading)) if (this.#leading !== leading) return null
    leading.proposed = takeEntry(leading.changes)
    this.#noteGathered(leading)
    return leading.proposed.length === 0 ? null : encodeChanges(leading.proposed)
  }

  #handlePlanned(
    leading: Leading,
    request: PrepareRequest,
    planned: Planned,
    { logTime }: SectionTurn
  ): void {
    const { participant, faults } = leading
    const { transaction } = request
    const tell = () => participant.handlePlanned(transaction, planned, logTime)
    if (planned.kind === 'planned') {
      tell()
      return
    }
    const verdict = faults.judge(request)
    if (verdict.kind === 'stands') this.#whenConfirmed(leading, request, tell)
    else if (verdict.kind === 'dies') {
      const reason = `${verdict.by} is older, and may have changed what it failed by`
      this.#fail(leading, request, reason)
    }
  }

  async #plan(turn: SectionTurn, { data, timeoutMs }: PrepareRequest): Promise<Planned> {
    const statements = statementsIn(data)
    if (statements === null) return { kind: 'failed', reason: 'the branch cannot be read' }
    const deadline = after(this.#components.clock.now(), timeoutMs)
    const preparing = turn.prepare({ statements }, deadline)
    if (preparing === null) {
      return { kind: 'failed', reason: 'the engine takes no part in transactions over groups' }
    }
    return plannedOf(await preparing)
  }

  #tellBranch(leading: Leading, send: CoordinatorSend): void {
    const { peers, clock } = this.#components
    const { transaction, to } = send
    const { coordinator } = leading
    const whenStillLeading = (act: () => void) => {
      if (this.#leading !== leading) return
      act()
      this.#pump()
    }
    if (send.kind === 'prepare') {
      peers.prepare(this.group, send).then(
        (vote) =>
          whenStillLeading(() =>
            coordinator.handleVote(transaction, to, vote, clock.now(), this.#logNow())
          ),
        (error: unknown) => this.#noteUnsent(send, error)
      )
      return
    }
    peers.end(this.group, send).then(
      (state) => whenStillLeading(() => coordinator.handleAck(transaction, to, state, clock.now())),
      (error: unknown) => {
        this.#noteUnsent(send, error)
        // It has another leader now, who is to be told.
        if (!hasCode(error, 'ERR_SKEIN_NOT_LEADER')) return
        whenStillLeading(() => coordinator.handleAck(transaction, to, 'prepared', clock.now()))
      }
    )
  }

  #tellCoordinator(leading: Leading, send: ParticipantSend): void {
    const { transaction, to } = send
    if (send.kind === 'vote') {
      leading.faults.forget(transaction)
      leading.votes.get(transaction)?.resolve(send.vote)
      leading.votes.delete(transaction)
    } else if (send.kind === 'ack') {
      leading.acks.get(transaction)?.resolve(send.state)
      leading.acks.delete(transaction)
    } else {
      this.#components.peers.query(this.group, send).then(
        ({ decision, index }) => {
          if (this.#leading !== leading) return
          leading.participant.handleDecision(transaction, to, decision, index)
          this.#pump()
        },
        (error: unknown) => this.#noteUnsent(send, error)
      )
    }
  }

  /** It is sent again in time. */
  #noteUnsent({ kind, to, transaction }: CoordinatorSend | ParticipantSend, error: unknown): void {
    const facts = { group: this.group, to, transaction, error }
    this.#components.logger.debug(facts, `no answer to a ${kind}`)
  }

  #tellSettled({ hold, settled, changes, proposed, byHand }: Leading): void {
    if (settled.length === 0) return
    const isDeciding = [...changes, ...proposed].some(({ kind }) => kind === 'decide')
    if (!hold.isActive(this.#components.clock.now())) {
      const error = () => new BackpressureError('what was decided did not come to an end in time')
      for (const waiting of settled.splice(0)) waiting.reject(error())
    } else if (this.#state.decisionCount === 0 && byHand === 0 && !isDeciding) {
      for (const waiting of settled.splice(0)) waiting.resolve()
    }
  }

  #handleTimeout(now: MonotonicMs): void {
    const leading = this.#leading
    if (leading === null) return
    const logNow = this.#logNow()
    leading.coordinator.handleTimeout(now, logNow)
    leading.participant.handleTimeout(now, logNow)
    this.#pump()
  }

  #logNow(): number {
    return this.#components.replica()?.logNow() ?? 0
  }

  #expectLeading(): Leading {
    if (this.#leading === null) throw notLeading(this.group)
    return this.#leading
  }
}

/** The newest question is answered. */
function replace<T>(
  all: Map<TransactionId, Waiting<T>>,
  transaction: TransactionId,
  waiting: Waiting<T>
): void {
  all.get(transaction)?.reject(new CancelledError('it was asked again'))
  all.set(transaction, waiting)
}

/** When the group's turn is asked for; NEVER: it is, or there is nothing to log. */
function turnAt({ isAsked, changes, plans, askAt, gatheredAt, settled }: Leading): MonotonicMs {
  if (isAsked || changes.length + plans.length === 0) return NEVER
  const isHurried = plans.length > 0 || settled.length > 0 || !changes.every(isUnhurried)
  return isHurried || gatheredAt < askAt ? askAt : gatheredAt
}

const isUnhurried = ({ kind }: Change): boolean => kind === 'settle'

const notLeading = (group: GroupId): NotLeaderError =>
  new NotLeaderError(`this node does not lead group ${group}`)
