/**
 * Distributed transactions on one node: a section for each group that it has a replica of, the
 * messages between coordinators and branches, and the requests of callers, which this node carries
 * out where it leads the coordinating group.
 *
 * 1. A client's command is executed once: the decision is logged with its tag, in the coordinating
 *    group's table of clients. A retry that meets its original on the way is answered with it.
 * 2. What came to nothing without a statement's own fault is tried again within the deadline, under
 *    the stamp of the first attempt.
 * 3. Whoever is asked by another node does it here or refuses: one hop, never two.
 */
import { type ClientStanding, encodeKeptResult, statementError } from '../../consensus/index.js'
import { Counters } from '../../core/counters.js'
import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  ChangeRefusedError,
  IndeterminateError,
  InvalidArgumentError,
  NoLeaderError,
  NotFoundError,
  NotLeaderError,
  RequestTimeoutError,
  TransactionAbortedError
} from '../../core/errors.js'
import type { GroupId, LogIndex, MonotonicMs, NodeId, Term, TransactionId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import type { ClientTag } from '../../core/ports/replicated-group.js'
import { type RequestBranch, requestBranchesMax } from '../../core/request-branch.js'
import type { Statement, StatementResult } from '../../core/sql.js'
import type { SeenIndex } from '../../core/sql-sessions.js'
import { compareAge, toTransactionId, transactionIdOf } from '../../core/transaction-id.js'
import {
  type ClusterTransactions,
  type ResolveTransaction,
  type TransactionReport,
  TransactionStates,
  type TransactionsView
} from '../../core/transactions.js'
import { decodeAnswer, encodeWork } from './branch-work.js'
import type { CoordinatorEvent } from './coordinator.js'
import {
  type BranchGroup,
  type BranchPeers,
  type Finished,
  GroupTransactions
} from './group-transactions-driver.js'
import {
  decisionHold,
  decisionQuery,
  type holdSteps,
  transactionAbort,
  transactionCommit,
  transactionPrepare,
  transactionResolve
} from './messages.js'
import type { ParticipantEvent } from './participant.js'
import { transactionCounterNames } from './transaction-counters.js'
import { coordinatorDefaults, transactionTimeoutMsMax } from './transaction-options.js'
import { reportTransactions } from './transaction-report.js'
import type { BranchState } from './transaction-state.js'

export interface TransactionsComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  /** This node's replica, while it has one. */
  replicaOf(group: GroupId): BranchGroup | null
  leaderOf(group: GroupId): NodeId | null
}

export interface TransactionRequest {
  readonly statements: readonly Statement[]
  /** The first coordinates. */
  readonly branches: readonly RequestBranch[]
  readonly client: ClientTag | null
  readonly deadline: MonotonicMs
}

export interface HoldRequest {
  readonly token: string
  readonly step: (typeof holdSteps)[number]
  readonly holdMs: number
}

export interface TransactionAnswer {
  readonly results: readonly StatementResult[]
  /** Of the decision, in the coordinating group. */
  readonly index: LogIndex
  /**
   * Of the other groups' branches that write: a read there that asks for the index sees what was
   * committed.
   */
  readonly seen: readonly SeenIndex[]
}

/** Decisions of a group wait so long at most for a backup that has gone silent. */
export const decisionHoldMsMax = 10_000
/** A transaction ends so long before its caller's deadline that the answer arrives. */
const answerMarginMs = 50
/** An operator's word is in the log by then, or not known to be. */
const resolveTimeoutMs = 5_000
/** Pause before another attempt, doubled up to sixteen times. */
const attemptPauseMs = 5

export class TransactionsDriver implements BranchPeers, ClusterTransactions {
  readonly counters = new Counters(transactionCounterNames)
  readonly #components: TransactionsComponents
  readonly #nodeId: NodeId
  readonly #groups = new Map<GroupId, GroupTransactions>()
  /** Commands of clients on their way, by their tags. */
  readonly #commands = new Map<string, Promise<TransactionAnswer>>()

  constructor(components: TransactionsComponents, options: { readonly nodeId: NodeId }) {
    this.#components = components
    this.#nodeId = options.nodeId
  }

  /** For consensus, when it makes this node's replica of a group. */
  sectionOf(group: GroupId): GroupTransactions {
    const { random } = this.#components
    const section = new GroupTransactions(
      {
        ...this.#components,
        random: random.split(`group ${group}`),
        peers: this,
        replica: () => this.#components.replicaOf(group),
        onEvent: (at, event) => this.#note(at, event)
      },
      group
    )
    this.#groups.set(group, section)
    return section
  }

  /** Serves other nodes from now on. */
  start(): void {
    const { messenger } = this.#components
    messenger.onRequest(transactionPrepare, async ({ body }) => {
      const { epoch = 0 as Term, sequence = 0, mayDropOut = false, transaction, ...rest } = body
      const id = toTransactionId(transaction)
      const vote = await this.#expect(body.group).prepare({
        ...rest,
        data: rest.data.slice(),
        transaction: id,
        epoch,
        sequence,
        mayDropOut
      })
      const { results, ...said } = vote
      const reason = said.reason.slice(0, 128)
      return { ...said, reason, ...(results === null ? {} : { results }) }
    })
    messenger.onRequest(transactionCommit, async ({ body }) => {
      const { transaction, group, epoch = 0 as Term, index = 0, coordinator = group } = body
      const id = toTransactionId(transaction)
      const at = index as LogIndex
      return { state: await this.#expect(group).commit(id, epoch, coordinator, at) }
    })
    messenger.onRequest(transactionAbort, async ({ body }) => {
      const { transaction, group, reason, coordinator = group } = body
      const id = toTransactionId(transaction)
      return { state: await this.#expect(group).abort(id, coordinator, reason) }
    })
    messenger.onRequest(transactionResolve, ({ body }) => {
      const { transaction, ...rest } = body
      return this.#resolveHere(toTransactionId(transaction), rest)
    })
    messenger.onRequest(decisionHold, async ({ body, deadline }) => {
      const until = deadline ?? after(this.#components.clock.now(), resolveTimeoutMs)
      await this.#holdHere(body.group, body, until)
      return {}
    })
    messenger.onRequest(decisionQuery, async ({ body }) => {
      const { transaction, group, epoch = 0 as Term, asker = group } = body
      return this.#expect(group).query(toTransactionId(transaction), epoch, asker)
    })
  }

  list(): TransactionsView {
    const transactions = this.groups().flatMap((section) => {
      const logNow = this.#components.replicaOf(section.group)?.logNow() ?? 0
      return reportTransactions(section.group, section.state, logNow, section.waits())
    })
    const inDoubt = transactions.filter(({ state }) => state === TransactionStates.Prepared).length
    return { inDoubt, transactions: transactions.sort(byAge) }
  }

  async resolve(
    transaction: TransactionId,
    { group, outcome, force, by, reason, timeoutMs = resolveTimeoutMs }: ResolveTransaction
  ): Promise<{ readonly state: BranchState }> {
    if (!force && outcome !== 'forget') {
      throw refused('a decision by hand may differ from the coordinator’s; say force')
    }
    const { clock, logger, messenger } = this.#components
    const body = { transaction, group, outcome, by, reason }
    logger.warn(body, 'a distributed transaction is ended by hand')
    if (this.#leads(group)) return this.#resolveHere(transaction, body)
    const deadline = after(clock.now(), timeoutMs)
    return messenger.request(this.#leaderOf(group), transactionResolve, body, { deadline, group })
  }

  /**
   * A step of a backup at the leader of a group: `hold` resolves when nothing that was decided is
   * under way any more, `confirm` when nothing was decided since.
   * @throws NotLeaderError, NoLeaderError, BackpressureError: the group is not held for certain
   */
  async hold(group: GroupId, request: HoldRequest, deadline: MonotonicMs): Promise<void> {
    if (this.#leads(group)) return this.#holdHere(group, request, deadline)
    const { messenger } = this.#components
    const body = { ...request, group }
    await messenger.request(this.#leaderOf(group), decisionHold, body, { deadline, group })
  }

  async #holdHere(
    group: GroupId,
    { token, step, holdMs }: HoldRequest,
    deadline: MonotonicMs
  ): Promise<void> {
    const section = this.#expect(group)
    switch (step) {
      case 'hold': {
        const boundMs = Math.min(holdMs, decisionHoldMsMax)
        return section.holdDecisions(token, after(this.#components.clock.now(), boundMs))
      }
      case 'confirm':
        return section.confirmHold(token, deadline)
      case 'release':
        return section.releaseHold(token)
    }
  }

  /** Counts, and how many are open or in doubt now. */
  metrics(): Record<string, number> {
    const groups = this.groups()
    return {
      ...this.counters.snapshot(),
      transactions_open: sum(groups.map(({ openCount }) => openCount)),
      branches_prepared: sum(groups.map(({ state }) => state.branchCount)),
      decisions_pending: sum(groups.map(({ state }) => state.decisionCount))
    }
  }

  async #resolveHere(
    transaction: TransactionId,
    { group, outcome, by, reason }: Omit<ResolveTransaction, 'force'>
  ): Promise<{ readonly state: BranchState }> {
    const section = this.#expect(group)
    if (section.state.stateOf(transaction) === 'unknown') {
      throw new NotFoundError(`group ${group} knows nothing of transaction ${transaction}`)
    }
    const { heuristic } = section.state.end(transaction) ?? { heuristic: 'none' }
    if (outcome === 'forget' && (heuristic === 'none' || heuristic === 'agreed')) {
      throw refused('nothing that somebody must have read of is known of it here')
    }
    await section.decideByHand(
      outcome === 'forget'
        ? { kind: 'forget', transaction }
        : { kind: 'resolve', transaction, outcome, by, reason }
    )
    return { state: section.state.stateOf(transaction) }
  }

  stop(): void {
    for (const group of this.#groups.values()) group.stop()
  }

  groups(): readonly GroupTransactions[] {
    return [...this.#groups.values()].sort((a, b) => a.group - b.group)
  }

  /**
   * At the leader of the first branch's group.
   * @throws NotLeaderError, BackpressureError, TransactionAbortedError, the statement's own error:
   * nothing was done
   * @throws IndeterminateError it may be committed, or come to nothing
   */
  execute(request: TransactionRequest): Promise<TransactionAnswer> {
    const { client } = request
    if (client === null) return this.#carryOut(request)
    const key = `${request.branches[0]?.group} ${client.serial} ${client.clientId}`
    const known = this.#commands.get(key)
    if (known !== undefined) return known
    const running = this.#carryOut(request).finally(() => this.#commands.delete(key))
    this.#commands.set(key, running)
    return running
  }

  prepare: BranchPeers['prepare'] = async (from, send) => {
    const { to: group, kind: _, ...body } = send
    if (this.#leads(group)) return this.#expect(group).prepare({ ...body, coordinator: from })
    const answer = await this.#components.messenger.request(
      this.#leaderOf(group),
      transactionPrepare,
      { ...body, group, coordinator: from },
      { deadline: after(this.#components.clock.now(), send.timeoutMs), group }
    )
    const { epoch = send.epoch, vote, reason, results, index = 0 } = answer
    return { epoch, vote, reason, results: results?.slice() ?? null, index: index as LogIndex }
  }

  end: BranchPeers['end'] = async (from, send) => {
    const { to: group, transaction } = send
    const isHere = this.#leads(group)
    const { messenger, clock } = this.#components
    const options = { deadline: after(clock.now(), coordinatorDefaults.answerTimeoutMs), group }
    if (send.kind === 'commit') {
      const { epoch, decidedAt: index } = send
      if (isHere) return this.#expect(group).commit(transaction, epoch, from, index)
      const body = { transaction, group, epoch, index, coordinator: from }
      const leader = this.#leaderOf(group)
      return (await messenger.request(leader, transactionCommit, body, options)).state
    }
    const { reason } = send
    if (isHere) return this.#expect(group).abort(transaction, from, reason)
    const body = { transaction, group, reason: reason.slice(0, 128), coordinator: from }
    return (await messenger.request(this.#leaderOf(group), transactionAbort, body, options)).state
  }

  query: BranchPeers['query'] = async (from, { to: group, transaction, epoch }) => {
    if (this.#leads(group)) return this.#expect(group).query(transaction, epoch, from)
    const { messenger, clock } = this.#components
    const { decision, index } = await messenger.request(
      this.#leaderOf(group),
      decisionQuery,
      { transaction, group, epoch, asker: from },
      { deadline: after(clock.now(), coordinatorDefaults.answerTimeoutMs), group }
    )
    return { decision, index: index as LogIndex }
  }

  async #carryOut(request: TransactionRequest): Promise<TransactionAnswer> {
    const group = checkedGroupOf(request)
    const section = this.#expect(group)
    const replica = this.#components.replicaOf(group)
    if (replica === null || !section.leads) throw notLeading(group)
    const { client } = request
    if (client !== null) {
      const known = answered(replica.standingOf(client))
      if (known !== null) return known
    }
    const { clock } = this.#components
    const until = (request.deadline - answerMarginMs) as MonotonicMs
    const stampMs = Math.floor(clock.wallNow())
    for (let attempt = 0; ; attempt++) {
      const ended = await this.#attempt(section, replica, request, { stampMs, until })
      if ('results' in ended) return ended
      const pausedUntil = after(clock.now(), this.#pauseMs(attempt))
      if (pausedUntil >= until) throw new TransactionAbortedError(ended.reason)
      this.counters.add('transactions_retried')
      await this.#pause(pausedUntil)
    }
  }

  /** Or why it came to nothing, and may be tried again. */
  async #attempt(
    section: GroupTransactions,
    replica: BranchGroup,
    request: TransactionRequest,
    { stampMs, until }: { stampMs: number; until: MonotonicMs }
  ): Promise<TransactionAnswer | { readonly reason: string }> {
    const { clock, random } = this.#components
    const { statements, branches, client } = request
    const left = Math.floor(until - clock.now())
    if (left <= 0) throw new RequestTimeoutError('the deadline has passed')
    const transaction = transactionIdOf(stampMs, [random.nextUint32(), random.nextUint32()])
    const kept = (votes: Finished['votes']) => {
      const results = resultsOf(request, votes)
      return results === null ? null : encodeKeptResult(results, seenOf(section.group, votes))
    }
    const begun = section.begin(
      {
        transaction,
        branches: branches.map(({ group, reads, statements: places }) => ({
          group,
          reads,
          data: encodeWork(places.map((at) => statements[at] as Statement))
        })),
        timeoutMs: Math.min(left, transactionTimeoutMsMax),
        ...(client === null ? {} : { command: { tag: client, kept } })
      },
      replica.logNow()
    )
    if (begun.kind !== 'begun') throw refusalOf(begun, section.group)
    this.counters.add('transactions_begun')
    const { outcome, reason, votes } = await section.finished(transaction)
    if (outcome === 'unknown') {
      throw new IndeterminateError(`${reason}; transaction ${transaction} may be committed`)
    }
    if (outcome === 'committed') {
      const index = section.state.end(transaction)?.decidedAt ?? (0 as LogIndex)
      const seen = seenOf(section.group, votes)
      return { results: resultsOf(request, votes) ?? [], index, seen }
    }
    throwFailureIn(request, votes)
    if (!section.leads) throw notLeading(section.group)
    return { reason }
  }

  #pauseMs(attempt: number): number {
    const pauseMs = attemptPauseMs * 2 ** Math.min(attempt, 4)
    return pauseMs * (0.5 + this.#components.random.nextFloat())
  }

  #pause(until: MonotonicMs): Promise<void> {
    return new Promise((resolve) => {
      this.#components.clock.schedule(until, resolve)
    })
  }

  #note(group: GroupId, event: CoordinatorEvent | ParticipantEvent): void {
    const { logger } = this.#components
    switch (event.type) {
      case 'Finished':
        this.counters.add(`transactions_${event.outcome}`)
        break
      case 'GroupUnreachable':
      case 'OutcomeDiffers':
      case 'BranchInDoubt':
      case 'BranchAlarm': {
        this.counters.add('transaction_alarms')
        const { type, ...facts } = event
        logger.error({ at: group, ...facts }, `a distributed transaction needs a look: ${type}`)
        break
      }
      case 'Recovered': {
        this.counters.add('transaction_recoveries')
        const { type: _, ...facts } = event
        logger.info({ at: group, ...facts }, 'a distributed transaction of an earlier leader')
        break
      }
      case 'Forgotten':
      case 'PlanWanted':
      case 'RowsReleased':
        break
    }
  }

  #leads(group: GroupId): boolean {
    return this.#groups.get(group)?.leads === true
  }

  #expect(group: GroupId): GroupTransactions {
    const section = this.#groups.get(group)
    if (section !== undefined) return section
    throw notLeading(group)
  }

  #leaderOf(group: GroupId): NodeId {
    const leader = this.#components.leaderOf(group)
    if (leader === null || leader === this.#nodeId) {
      throw new NoLeaderError(`no leader of group ${group} is known`)
    }
    return leader
  }
}

function checkedGroupOf({ statements, branches }: TransactionRequest): GroupId {
  const places = branches.flatMap((branch) => branch.statements)
  const isWhole =
    places.length === statements.length &&
    new Set(places).size === places.length &&
    places.every((at) => at < statements.length)
  const groups = new Set(branches.map(({ group }) => group))
  const [first] = branches
  if (first === undefined || !isWhole || groups.size !== branches.length || groups.size < 2) {
    throw new InvalidArgumentError('branches', 'each statement belongs to one of several groups')
  }
  if (groups.size > requestBranchesMax) {
    throw new InvalidArgumentError('branches', `at most ${requestBranchesMax} groups`)
  }
  return first.group
}

/** Null: it is new. */
function answered(standing: ClientStanding): TransactionAnswer | null {
  if (standing.kind === 'refused') throw standing.error
  return standing.kind === 'answered' ? { ...standing.answer, seen: standing.seen } : null
}

const seenOf = (own: GroupId, votes: Finished['votes']): readonly SeenIndex[] =>
  [...votes].flatMap(([group, { index }]) =>
    group === own || index === 0 ? [] : [{ group, index }]
  )

/** In the order of the request; null: a branch's answer is not here. */
function resultsOf(
  { statements, branches }: TransactionRequest,
  votes: Finished['votes']
): readonly StatementResult[] | null {
  const results = new Map<number, StatementResult>()
  for (const { group, statements: places } of branches) {
    const encoded = votes.get(group)?.results ?? null
    const answer = encoded === null ? null : decodeAnswer(encoded)
    if (answer?.kind !== 'results') return null
    for (const [i, at] of places.entries()) {
      const result = answer.results[i]
      if (result === undefined) return null
      results.set(at, result)
    }
  }
  return statements.map((_, at) => results.get(at) as StatementResult)
}

/** A statement's own error, under its place in the request. */
function throwFailureIn({ branches }: TransactionRequest, votes: Finished['votes']): void {
  for (const { group, statements } of branches) {
    const encoded = votes.get(group)?.results ?? null
    const answer = encoded === null ? null : decodeAnswer(encoded)
    if (answer?.kind !== 'failed') continue
    const { failure } = answer
    throw statementError({ ...failure, statement: statements[failure.statement] ?? 0 })
  }
}

function refusalOf(
  begun: Exclude<ReturnType<GroupTransactions['begin']>, { kind: 'begun' }>,
  group: GroupId
): Error {
  if (begun.kind === 'onePhase') return new InvalidArgumentError('branches', 'of one group alone')
  switch (begun.reason) {
    case 'notLeading':
      return notLeading(group)
    case 'full':
      return new BackpressureError('too many distributed transactions are open')
    case 'known':
      return new TransactionAbortedError('the id is in use')
  }
}

const refused = (reason: string): ChangeRefusedError =>
  new ChangeRefusedError(reason, { details: { section: 'transactions', reason } })

const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)

const byAge = (a: TransactionReport, b: TransactionReport): number =>
  compareAge(a.transaction, b.transaction) || a.group - b.group

const notLeading = (group: GroupId): NotLeaderError =>
  new NotLeaderError(`this node does not lead group ${group}`)
