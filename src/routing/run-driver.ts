/**
 * Carries one query to its end: choose a node, try, and try again where that is safe.
 *
 * 1. A write is sent again only when the failed attempt did nothing for certain, or under the same
 *    client id and serial.
 * 2. A write that may have been executed ends with its answer, or with IndeterminateError: never
 *    with an error that says it was not.
 * 3. Nothing is sent after the deadline. What waits for a leader is bounded by the deadline alone;
 *    attempts that reached a node and failed are bounded by `retriesMax` too.
 * 4. A read asks no node a second time before it has asked every other one that can take it.
 */
import { assert } from '../core/assert.js'
import { after } from '../core/deadlines.js'
import {
  BackpressureError,
  CancelledError,
  ConnectionLostError,
  IndeterminateError,
  NoEligibleNodeError,
  NoLeaderError,
  RequestTimeoutError,
  SkeinError,
  StoppedError
} from '../core/errors.js'
import type { LogIndex, MonotonicMs, NodeId, Term } from '../core/ids.js'
import type { OwnClient } from '../core/own-client.js'
import type { Clock } from '../core/ports/clock.js'
import { StatementKinds } from '../core/ports/engine-provider.js'
import { Priorities, type Priority } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import type { ClientTag } from '../core/ports/replicated-group.js'
import { Consistencies } from '../core/queries.js'
import { hasCode, RemoteError } from '../core/remote-error.js'
import type { Answered } from './answered.js'
import type { AttemptsDriver } from './attempts-driver.js'
import { isForLeader } from './eligibility.js'
import { termOfRefusal } from './fence.js'
import type { LeaderBufferDriver, Turn } from './leader-buffer-driver.js'
import type { QueryBody } from './messages.js'
import { FaultVerdicts, faultVerdictOf } from './node-faults.js'
import type { RetryBudget } from './overload/retry-budget.js'
import type { OwnClientDriver } from './own-client-driver.js'
import type { PlacementDriver } from './placement-driver.js'
import type { QueryPlan } from './query-plan.js'
import {
  backoffMs,
  isLoss,
  isWaiting,
  lacksLeader,
  Outcomes,
  outcomeOf,
  provesExecution
} from './retry-policy.js'
import type { WaitingDriver } from './waiting-driver.js'

export interface RunRequest {
  readonly plan: QueryPlan
  readonly deadline: MonotonicMs
  readonly priority: Priority
  readonly atLeastIndex: LogIndex
  /** The caller's own numbering; null: this node numbers it. */
  readonly client: ClientTag | null
  readonly signal: AbortSignal | undefined
}

export interface Chosen {
  readonly node: NodeId
  /** In which it was chosen; null when that is not known. */
  readonly term: Term | null
  /** It is asked to pass the query on, or to hold it until it knows to whom. */
  readonly forwards: boolean
}

export interface RunComponents {
  readonly clock: Clock
  readonly random: Random
  readonly attempts: AttemptsDriver
  readonly ownClient: OwnClientDriver
  readonly placements: PlacementDriver
  readonly waiting: WaitingDriver
  /** Null: no node can take it now. */
  readonly choose: (choice: {
    readonly plan: QueryPlan
    readonly avoid: ReadonlySet<NodeId>
    readonly leaderHint: NodeId | null
    /** What a read must see. */
    readonly atLeastIndex: LogIndex
  }) => Chosen | null
  /** Throws when too few voters are in reach. */
  readonly assertQuorum: () => void
  readonly isStopping: () => boolean
  /** It will stop: whoever would wait here for a leader asks elsewhere. */
  readonly isDraining: () => boolean
  readonly onRetry: () => void
  readonly buffer: LeaderBufferDriver
  readonly budget: RetryBudget
  /** A retry was due and the budget is spent. */
  readonly onRetryDenied: () => void
  /** The node was asked and is at fault. */
  readonly onFault: (plan: QueryPlan, node: NodeId) => void
}

export interface RunOptions {
  readonly nodeId: NodeId
  readonly retriesMax: number
  readonly retryBackoffMs: number
  /** How long a query waits for a leader in all. */
  readonly bufferWindowMs: number
  /**
   * A node that has not answered after this is left for another; twice as long with each failure.
   * Absent: only the deadline and the connection's end leave it.
   */
  readonly attemptTimeoutMs?: number | undefined
}

export class RunDriver {
  readonly #parts: RunComponents
  readonly #options: RunOptions
  readonly #request: RunRequest
  readonly #avoid = new Set<NodeId>()
  #leaderHint: NodeId | null = null
  /** Set once an attempt may have been executed. */
  #doubt: unknown = null
  #lastError: unknown = null
  #failures = 0
  #retries = 0
  /** Its place among those that wait for a leader, and how long it did. */
  #order: number | null = null
  #waitedMs = 0
  #turn: Turn = null
  #own: { readonly client: OwnClient; readonly serial: number } | null = null

  constructor(components: RunComponents, options: RunOptions, request: RunRequest) {
    this.#parts = components
    this.#options = options
    this.#request = request
  }

  async run(): Promise<Answered> {
    try {
      for (;;) {
        this.#checkGoingOn()
        const answered = await this.#tryOnce()
        if (answered !== null) return answered
        if (this.#parts.clock.now() >= this.#request.deadline) throw this.#late()
        await this.#pause()
      }
    } catch (thrown) {
      // An aborted caller hears that first; a doubt was its choice.
      if (thrown instanceof CancelledError) throw thrown
      if (this.#doubt === null || thrown instanceof IndeterminateError) throw thrown
      if (provesExecution(thrown)) throw thrown
      throw this.#indeterminate(thrown)
    } finally {
      this.#endTurn()
      this.#own?.client.close(this.#own.serial)
    }
  }

  get #isWrite(): boolean {
    return this.#request.plan.kind === StatementKinds.Write
  }

  /** Null: it failed, and may be tried again after a pause. */
  async #tryOnce(): Promise<Answered | null> {
    if (this.#failures === 0 && this.#needsConfirmation) await this.#learnPlacement()
    if (!(await this.#isHomeKnown())) return null
    const chosen = this.#choose()
    if (chosen === null) {
      this.#endTurn()
      if (!this.#needsLeader) await this.#learnPlacement()
      return null
    }
    const { node } = chosen
    try {
      const client = this.#isWrite ? await this.#tag(node) : null
      if (this.#isWrite && client === null) return null
      return await this.#attempt(chosen, client)
    } catch (thrown) {
      this.#request.plan.home?.handleFailure(chosen.node, thrown)
      this.#handleFailure(chosen.node, thrown)
      return null
    } finally {
      this.#endTurn()
    }
  }

  /** No leader is known who could confirm that this node still has a replica. */
  get #needsConfirmation(): boolean {
    const { kind, consistency, group } = this.#request.plan
    if (kind !== StatementKinds.Read || consistency !== Consistencies.Linearizable) return false
    return this.#parts.placements.of(group)?.leader === null
  }

  /** Waits while a session's home is being looked for. @throws why the session has ended */
  async #isHomeKnown(): Promise<boolean> {
    const { plan, deadline, signal } = this.#request
    const { home } = plan
    if (home === undefined) return true
    if (home.fault() === null && home.node() === null) {
      await this.#parts.waiting.settledBy(home.found(), deadline, signal)
    }
    const fault = home.fault()
    if (fault !== null) throw fault
    if (home.node() !== null) return true
    this.#lastError ??= new NoEligibleNodeError(`session ${home.session} has no home yet`)
    return false
  }

  #choose(): Chosen | null {
    const { plan, atLeastIndex } = this.#request
    const [avoid, leaderHint] = [this.#avoid, this.#leaderHint]
    const chosen = this.#parts.choose({ plan, avoid, leaderHint, atLeastIndex })
    this.#leaderHint = null
    if (chosen !== null) return chosen
    const group = `group ${plan.group}`
    this.#lastError = isForLeader(plan.kind, plan.consistency)
      ? new NoLeaderError(`no leader of ${group} is known`)
      : new NoEligibleNodeError(`no node can serve ${group} now`)
    this.#failures++
    return null
  }

  async #learnPlacement(): Promise<void> {
    const refreshing = this.#parts.placements.refresh()
    if (refreshing === null) return
    const { deadline, signal } = this.#request
    await this.#parts.waiting.settledBy(refreshing, deadline, signal)
  }

  /** The tag of this write, the same serial on each attempt; null: not yet, wait. */
  async #tag(leader: NodeId): Promise<ClientTag | null> {
    if (this.#request.client !== null) return this.#request.client
    if (this.#own === null) {
      const { ownClient, waiting } = this.#parts
      const { group } = this.#request.plan
      if (ownClient.registered(group) === null) {
        const { deadline, signal } = this.#request
        const registering = ownClient.register(group, leader)
        if (!(await waiting.settledBy(registering, deadline, signal))) return null
        await registering
      }
      const client = ownClient.registered(group)
      const serial = client?.open() ?? null
      if (client === null || serial === null) {
        this.#lastError = new BackpressureError('too many writes of this node are open')
        this.#failures++
        return null
      }
      this.#own = { client, serial }
    }
    return this.#own.client.tag(this.#own.serial)
  }

  async #attempt({ node, term, forwards }: Chosen, client: ClientTag | null): Promise<Answered> {
    const { plan, atLeastIndex, deadline, priority, signal } = this.#request
    const { group, kind, consistency, key, home, branches, maxStalenessMs } = plan
    const { statements, ...session } = told(plan)
    const body = {
      group,
      kind,
      consistency,
      atLeastIndex,
      statements,
      client,
      ...(term === null ? {} : { term }),
      ...(priority === Priorities.Normal ? {} : { priority }),
      ...(key === null ? {} : { key }),
      ...(maxStalenessMs === null ? {} : { maxStalenessMs }),
      ...(branches === undefined ? {} : { branches }),
      ...session
    }
    assert(kind === StatementKinds.Read || client !== null, 'a write without a tag')
    const forLeader = isForLeader(kind, consistency) && !forwards
    const giveUpAt = this.#giveUpAt()
    const options = { deadline, priority, signal, isForLeader: forLeader, giveUpAt }
    const generation = home?.generation()
    const answered = await this.#parts.attempts.attempt(node, body, options)
    if (home?.generation() === generation) return answered
    throw new ConnectionLostError('the session was taken over before the answer came')
  }

  #giveUpAt(): MonotonicMs | undefined {
    const { attemptTimeoutMs } = this.#options
    if (attemptTimeoutMs === undefined) return undefined
    return after(this.#parts.clock.now(), attemptTimeoutMs * 2 ** Math.min(this.#retries, 16))
  }

  /** Returns when another attempt is safe; throws the answer otherwise. */
  #handleFailure(node: NodeId, thrown: unknown): void {
    if (this.#request.signal?.aborted) throw this.#cancelled(thrown)
    this.#lastError = thrown
    this.#failures++
    this.#noteFailed(node)
    if (faultVerdictOf(thrown) === FaultVerdicts.Fault) {
      this.#parts.onFault(this.#request.plan, node)
    }
    this.#takeHint(node, thrown)
    const outcome = this.#outcomeOf(node, thrown)
    if (outcome === Outcomes.Final && !this.#startsOver(thrown)) throw thrown
    if (outcome === Outcomes.Unknown && this.#isWrite) this.#doubt = thrown
    if (outcome !== Outcomes.Final && isWaiting(thrown)) return
    this.#retries++
    this.#parts.onRetry()
    if (this.#retries > this.#options.retriesMax) throw thrown
    // What a lost node had taken is no load any more: asked once more elsewhere it adds nothing.
    if (this.#retries === 1 && isLoss(thrown)) return
    if (this.#parts.budget.tryWithdraw(this.#parts.clock.now())) return
    this.#parts.onRetryDenied()
    throw thrown
  }

  /**
   * A node that fails again was the last choice: all have failed, and a new round begins with the
   * others. Else the one that looks best would be asked for ever, though it may be gone.
   */
  #noteFailed(node: NodeId): void {
    if (this.#avoid.has(node)) this.#avoid.clear()
    this.#avoid.add(node)
  }

  /** The node itself said that its deadline passed before it did anything. */
  #outcomeOf(node: NodeId, thrown: unknown) {
    const isAnswered = node === this.#options.nodeId || thrown instanceof RemoteError
    if (isAnswered && hasCode(thrown, 'ERR_SKEIN_TIMEOUT')) return Outcomes.NothingDone
    return outcomeOf(thrown)
  }

  /** The cluster forgot this node's own client; nothing of this write was executed under it. */
  #startsOver(thrown: unknown): boolean {
    if (!hasCode(thrown, 'ERR_SKEIN_CLIENT_EXPIRED')) return false
    if (this.#own === null || this.#doubt !== null) return false
    this.#own.client.close(this.#own.serial)
    this.#parts.ownClient.forget(this.#request.plan.group, this.#own.client)
    this.#own = null
    return true
  }

  #takeHint(node: NodeId, thrown: unknown): void {
    if (hasCode(thrown, 'ERR_SKEIN_STALE_ROUTE')) this.#learnFrom(thrown)
    else if (!isOfLeader(thrown) && !isGivenUp(thrown)) return
    const { leaderHint } = thrown
    if (leaderHint !== undefined && leaderHint !== node) this.#leaderHint = leaderHint
  }

  /** The refusal says in which term the other one is: who led before is not asked again. */
  #learnFrom(refusal: SkeinError): void {
    const term = termOfRefusal(refusal)
    if (term === null) return
    const { group } = this.#request.plan
    const leader = refusal.leaderHint ?? null
    this.#parts.placements.learn([{ group, term, leader, voters: [] }])
  }

  async #pause(): Promise<void> {
    if (this.#parts.isDraining() && this.#doubt === null && this.#waitsForLeader()) {
      const hint = this.#leaderHint === null ? {} : { leaderHint: this.#leaderHint }
      throw new StoppedError('the node is stopping', hint)
    }
    // Who was just told the leader goes there at once; a second time it waits like the others.
    if (this.#leaderHint !== null && this.#failures <= 1) return
    const { clock, placements, random, waiting } = this.#parts
    const { deadline, signal } = this.#request
    void placements.refresh()
    const jitter = random.nextFloat()
    const pauseMs = backoffMs(this.#options.retryBackoffMs, this.#failures, jitter)
    const until = Math.min(after(clock.now(), pauseMs), deadline) as MonotonicMs
    if (this.#waitsForLeader()) await this.#waitForLeader(until)
    else await waiting.pauseUntil(until, signal)
  }

  get #needsLeader(): boolean {
    const { kind, consistency } = this.#request.plan
    return isForLeader(kind, consistency)
  }

  #waitsForLeader(): boolean {
    return this.#needsLeader ? isWaiting(this.#lastError) : lacksLeader(this.#lastError)
  }

  /** In the buffer of the group, until a leader is known, the pause is over and it has a turn. */
  async #waitForLeader(readyAt: MonotonicMs): Promise<void> {
    const { buffer, clock } = this.#parts
    const { plan, priority, deadline, signal } = this.#request
    const { group, sizeBytes } = plan
    this.#order ??= buffer.nextOrder()
    const order = this.#order
    const begun = clock.now()
    const windowEnd = after(begun, this.#options.bufferWindowMs - this.#waitedMs)
    const until = Math.min(deadline, windowEnd) as MonotonicMs
    const wait = { group, priority, sizeBytes, order, readyAt, until, signal }
    this.#turn = await buffer.wait(wait)
    this.#waitedMs += clock.now() - begun
    const isOver = this.#turn === null && clock.now() >= windowEnd && windowEnd < deadline
    if (!isOver || this.#parts.isStopping()) return
    if (this.#doubt === null) this.#parts.assertQuorum()
    const waited = `waited ${Math.round(this.#waitedMs)} ms for a leader of group ${group}`
    throw new NoLeaderError(waited, { cause: this.#lastError })
  }

  #endTurn(): void {
    this.#turn?.end()
    this.#turn = null
  }

  #checkGoingOn(): void {
    if (this.#request.signal?.aborted) throw this.#cancelled(this.#lastError)
    if (this.#parts.isStopping()) throw new StoppedError('the node is stopping')
    if (this.#parts.clock.now() >= this.#request.deadline) throw this.#late()
  }

  #late(): SkeinError {
    if (this.#doubt !== null) return this.#indeterminate(this.#doubt)
    // Whatever it stood at, at a former leader perhaps: without a quorum nobody takes it.
    if (this.#needsLeader) this.#parts.assertQuorum()
    const cause = this.#lastError
    const tellsMore =
      cause instanceof NoLeaderError ||
      cause instanceof NoEligibleNodeError ||
      cause instanceof BackpressureError ||
      (cause instanceof SkeinError && isAboutRows(cause))
    return tellsMore ? cause : new RequestTimeoutError('the deadline passed', { cause })
  }

  #indeterminate(cause: unknown): IndeterminateError {
    return new IndeterminateError('the write may or may not have been executed', { cause })
  }

  #cancelled(cause: unknown): CancelledError {
    return new CancelledError('cancelled by the caller', { cause })
  }
}

/** What a plan sends: texts that a session's home has do not travel. */
function told({ statements, home }: QueryPlan): Pick<QueryBody, 'statements' | 'sqlSession'> {
  if (home === undefined) return { statements }
  const { session: id, prepared } = home
  return {
    statements: statements.map((one, i) => (prepared[i] == null ? one : { ...one, sql: '' })),
    sqlSession: { id, prepared }
  }
}

/** Who answers so may know who leads, or is about to. */
const isOfLeader = (thrown: unknown): thrown is SkeinError =>
  hasCode(thrown, 'ERR_SKEIN_NOT_LEADER') || hasCode(thrown, 'ERR_SKEIN_DRAINING')

/** Left for another leader, which was heard of. */
const isGivenUp = (thrown: unknown): thrown is SkeinError =>
  hasCode(thrown, 'ERR_SKEIN_ATTEMPT_GIVEN_UP')

/** What it met says more than that the time is over. */
const isAboutRows = (error: SkeinError): boolean =>
  hasCode(error, 'ERR_SKEIN_LOCKED') || hasCode(error, 'ERR_SKEIN_TRANSACTION_ABORTED')
