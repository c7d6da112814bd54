/**
 * Queries of this node: classifies, chooses a node, executes here or forwards one hop, retries
 * what is safe to retry; and serves the queries that other nodes and clients send.
 *
 * 1. What another node forwarded is executed here or refused, never forwarded again.
 * 2. Queries in flight, own and served, are bounded; beyond the bound they are refused at once.
 */

import type { ClusterRouting } from '../core/cluster-routing.js'
import { Counters } from '../core/counters.js'
import { after } from '../core/deadlines.js'
import {
  DrainingError,
  InvalidArgumentError,
  NoEligibleNodeError,
  NotStartedError,
  StoppedError
} from '../core/errors.js'
import type { RoutingEvent } from '../core/events.js'
import type { HealthVerdict } from '../core/health-verdict.js'
import type { Hotspots } from '../core/hotspots.js'
import {
  type ClientId,
  DEFAULT_GROUP,
  type GroupId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  type Term
} from '../core/ids.js'
import { StatementKinds } from '../core/ports/engine-provider.js'
import { type Inbound, Priorities, type Priority } from '../core/ports/messenger.js'
import {
  Consistencies,
  type QueryOptions,
  type QueryResult,
  type RouteOptions
} from '../core/queries.js'
import { hasCode } from '../core/remote-error.js'
import type { RouteDecision, RouteExplanation } from '../core/route-views.js'
import type { RoutingStrategy } from '../core/routing-strategy.js'
import type { Statement } from '../core/sql.js'
import type { TellQueue } from '../core/tell-queue.js'
import { traced, tracedNow } from '../core/traced-driver.js'
import type { Answered } from './attempts-driver.js'
import { clusterWatchesMax } from './cluster-watch-driver.js'
import { isForLeader } from './eligibility.js'
import { QueryKeys } from './hotspots/query-key.js'
import {
  type ClusterAnswer,
  placement,
  type QueryAnswer,
  type QueryBody,
  query,
  type RouteAnswer,
  type RouteQuestionBody,
  registerClient,
  requestValuesBytesMax,
  routeQuery,
  watchCluster
} from './messages.js'
import type { Placement } from './placement-table.js'
import { gauge, type QueryCounterName, queryCounterNames } from './query-counters.js'
import { planQuery, type QueryPlan } from './query-plan.js'
import {
  makeQueryTools,
  type QueryComponents,
  type QueryDriverOptions,
  type QueryTools
} from './query-tools-driver.js'
import { isWaiting, Outcomes, outcomeOf } from './retry-policy.js'
import { type Chosen, type RunComponents, RunDriver, type RunRequest } from './run-driver.js'
import { SqlClassifier } from './sql-classifier.js'
import { cancellable } from './waiting-driver.js'

const nobody: ReadonlySet<NodeId> = new Set()

const States = { New: 'new', Running: 'running', Stopping: 'stopping' } as const

export class QueryDriver {
  readonly #parts: QueryComponents
  readonly #options: QueryDriverOptions
  readonly #counters = new Counters<QueryCounterName>(queryCounterNames)
  readonly #classifier = new SqlClassifier()
  readonly #keys = new QueryKeys()
  readonly #tools: QueryTools
  readonly #runParts: RunComponents
  #config: QueryDriverOptions['config']
  #state: (typeof States)[keyof typeof States] = States.New
  #onIdle: (() => void) | null = null

  constructor(components: QueryComponents, options: QueryDriverOptions) {
    this.#parts = components
    this.#options = options
    this.#config = options.config
    this.#tools = makeQueryTools(components, options)
    this.#runParts = {
      ...this.#tools,
      clock: components.clock,
      random: this.#tools.random.split('backoff'),
      choose: (choice) => this.#chooseTraced(choice),
      assertQuorum: () => components.assertQuorum?.(),
      isStopping: () => this.#state === States.Stopping,
      onRetry: () => this.#counters.add('query_retries'),
      onRetryDenied: () => this.#counters.add('retries_denied')
    }
  }

  /** Begins to take queries, and to serve them unless this is a client. */
  start(): void {
    if (this.#state !== States.New) return
    this.#state = States.Running
    const { messenger } = this.#parts
    this.#tools.choice.start()
    if (this.#options.isClient) return
    this.#tools.hotspots.start()
    messenger.onRequest(query, (inbound) => this.#serve(inbound))
    messenger.onRequest(registerClient, async ({ peer, body, deadline }) => {
      const until = deadline ?? this.#deadlineIn()
      if (peer.kind === 'client') await this.#registerAnywhere(body.clientId, until, undefined)
      else await this.#tools.execution.registerClient(body.group, body.clientId, until)
      return {}
    })
    messenger.onRequest(placement, async () => ({ groups: this.#tools.execution.placements() }))
    messenger.onRequest(routeQuery, async ({ body }) => this.#routeFor(body))
    messenger.onRequest(watchCluster, ({ body, deadline, signal }) =>
      this.#watch(body, deadline, signal)
    )
  }

  /** Refuses new queries, ends those that wait, and gives the others time until `deadline`. */
  async stop(deadline: MonotonicMs): Promise<void> {
    this.#state = States.Stopping
    this.#tools.waiting.wakeAll()
    this.#tools.buffer.stop()
    this.#tools.watches.stop()
    this.#tools.hotspots.stop()
    if (this.#tools.admission.inFlight === 0) return
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
    while (this.#tools.admission.inFlight > 0 && this.#parts.clock.now() < deadline) {
      await this.#tools.waiting.settledBy(idle, deadline)
    }
  }

  tellQueues(tell: TellQueue): void {
    const config = this.#config
    const { waiting, bytes } = this.#tools.buffer.counts
    tell('routing.queriesInFlightMax', this.#tools.admission.inFlight, config.queriesInFlightMax)
    tell('routing.executionsMax', this.#tools.gate.inside, config.executionsMax)
    tell('routing.bufferedQueriesMax', waiting, config.bufferedQueriesMax)
    // One query may be larger than all that is allowed, when it is alone.
    tell('routing.bufferedBytesMax', bytes, config.bufferedBytesMax + requestValuesBytesMax)
    tell('routing.affinitiesMax', this.#tools.affinities.size, this.#config.affinitiesMax)
    tell('clusterWatchesMax', this.#tools.watches.watching, clusterWatchesMax)
  }

  get hotspots(): Hotspots {
    return this.#tools.hotspots
  }

  /** Counts; `queries_in_flight` and `queries_waiting` are gauges. */
  get counters(): Counters<QueryCounterName> {
    gauge(this.#counters, this.#tools)
    return this.#counters
  }

  get view(): ClusterRouting {
    return this.#tools.choice
  }

  onEvent(listener: (event: RoutingEvent) => void): void {
    this.#tools.choice.onEvent(listener)
    this.#tools.hotspots.onEvent(listener)
  }

  /** @throws InvalidArgumentError */
  setStrategy(wanted: string | RoutingStrategy): void {
    this.#tools.choice.setStrategy(wanted)
  }

  /**
   * The fields that `reloadable` names, for queries that begin from now on; others stay.
   * @throws InvalidArgumentError for a strategy that is not among the known ones
   */
  reconfigure(config: QueryDriverOptions['config']): void {
    const { strategy, queryTimeoutMs, retriesMax, retryBackoffMs, queriesInFlightMax } = config
    this.#tools.choice.setStrategy(strategy)
    const changed = { strategy, queryTimeoutMs, retriesMax, retryBackoffMs, queriesInFlightMax }
    this.#config = { ...this.#config, ...changed }
    this.#tools.admission.inFlightMax = queriesInFlightMax
    this.#tools.buffer.retryBackoffMs = retryBackoffMs
    this.#tools.ownClient.registerTimeoutMs = this.#options.attemptTimeoutMs ?? queryTimeoutMs
  }

  /** @throws NoEligibleNodeError, SqlError, SqlRefusedError */
  route(sql: string, options: RouteOptions = {}): RouteDecision {
    const plan = this.#plan(sql, options)
    const { decision, refusal } = this.#tools.choice.decide(this.#questionOf(plan, nobody, null))
    if (decision !== null) {
      this.#noteAffinity(plan, decision.node, decision.term)
      return decision
    }
    throw new NoEligibleNodeError(refusal ?? 'no node')
  }

  /** @throws SqlError, SqlRefusedError */
  explain(sql: string, options: RouteOptions = {}): RouteExplanation {
    return this.#tools.choice.explain(this.#questionOf(this.#plan(sql, options), nobody, null))
  }

  /** As far as this node knows, with or without a replica of the group. */
  leaderOf(group: GroupId): NodeId | null {
    return this.#tools.placements.of(group)?.leader ?? null
  }

  /** @throws coded errors; an unknown outcome is IndeterminateError, never a timeout */
  execute(sql: string, options?: QueryOptions): Promise<QueryResult>
  execute(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>
  async execute(
    given: string | readonly Statement[],
    options: QueryOptions = {}
  ): Promise<QueryResult | QueryResult[]> {
    const plan = this.#plan(given, options)
    const priority = options.priority ?? Priorities.Normal
    const span = { kind: 'internal' as const, attributes: attributesOf(plan) }
    const answered = await traced(this.#parts.tracer, 'query', span, () =>
      this.#admit(priority, () =>
        this.#run({
          plan,
          deadline: this.#deadlineIn(options.timeoutMs),
          priority,
          atLeastIndex: options.atLeastIndex ?? (0 as LogIndex),
          client: options.client ?? null,
          signal: options.signal
        })
      )
    )
    const { index, node } = answered
    const { group } = plan
    const results = answered.results.map(
      ({ columns, rows, rowsAffected, lastInsertRowid }): QueryResult => ({
        columns,
        rows,
        rowsAffected,
        lastInsertRowid,
        index,
        group,
        node
      })
    )
    return typeof given === 'string' ? (results[0] as QueryResult) : results
  }

  /** For clients that number their own writes. Registering twice is harmless. */
  async registerClient(
    clientId: ClientId,
    options: Pick<QueryOptions, 'timeoutMs' | 'signal'> = {}
  ): Promise<void> {
    const deadline = this.#deadlineIn(options.timeoutMs)
    await this.#admit(Priorities.High, () =>
      this.#registerAnywhere(clientId, deadline, options.signal)
    )
  }

  /**
   * Consensus knows of another leader: what waited for one goes on, what waits for the old one
   * too.
   */
  handleLeaderChanged(change: { readonly group: GroupId; readonly leader: NodeId | null }): void {
    this.#tools.watches.handleLeaderChanged()
    this.#tools.hotspots.handleLeaderChanged()
    if (change.leader === null) return
    this.#tools.attempts.giveUpFormerLeader(change.group, change.leader)
    this.#tools.buffer.handleLeaderChanged(change.group)
    this.#tools.waiting.wakeAll()
  }

  /** Members came, went or changed: clients that watch are told. */
  handleMembersChanged(): void {
    this.#tools.watches.handleMembersChanged()
  }

  /** Another node told where groups live. */
  learnPlacements(placements: readonly Placement[]): void {
    this.#tools.placements.learn(placements)
    for (const { group, leader } of placements) {
      if (leader !== null) this.#tools.buffer.handleLeaderChanged(group)
    }
  }

  /** Membership holds it for dead or gone: what waits for its answers goes on elsewhere. */
  handleMemberGone(nodeId: NodeId): void {
    this.#tools.attempts.giveUpNode(nodeId)
    this.#tools.affinities.voidNode(nodeId)
    const members = this.#parts.members()
    this.#tools.choice.handleMemberGone(nodeId, (node) => members.some((m) => m.nodeId === node))
  }

  /** A new one is given work gradually. */
  handleMemberJoined(nodeId: NodeId): void {
    this.#tools.choice.handleMemberJoined(nodeId)
  }

  handleVerdict(verdict: HealthVerdict): void {
    this.#tools.choice.standings.handleVerdict(verdict)
  }

  async #run(request: RunRequest): Promise<Answered> {
    this.#counters.add(request.plan.kind === StatementKinds.Write ? 'writes' : 'reads')
    this.#counters.add('queries_routed')
    this.#tools.budget.deposit(this.#parts.clock.now())
    const { nodeId } = this.#options
    try {
      const options = { nodeId, ...this.#config, attemptTimeoutMs: this.#options.attemptTimeoutMs }
      return await new RunDriver(this.#runParts, options, request).run()
    } catch (thrown) {
      if (outcomeOf(thrown) !== Outcomes.Final) this.#counters.add('routing_failures')
      if (hasCode(thrown, 'ERR_SKEIN_INDETERMINATE')) this.#counters.add('queries_indeterminate')
      this.#countRefusal(thrown)
      throw thrown
    }
  }

  #countRefusal(error: unknown): void {
    if (hasCode(error, 'ERR_SKEIN_SQL_REFUSED')) this.#counters.add('statements_refused')
  }

  /** A registration is idempotent, so any failure that may pass is tried again. */
  async #registerAnywhere(
    clientId: ClientId,
    deadline: MonotonicMs,
    signal: AbortSignal | undefined
  ): Promise<void> {
    const { clock } = this.#parts
    for (;;) {
      const plan = { group: DEFAULT_GROUP, kind: StatementKinds.Write } as const
      const leader = this.#tools.placements.of(plan.group)?.leader ?? null
      let failure: unknown = new NoEligibleNodeError(`no leader of group ${plan.group} is known`)
      if (leader !== null) {
        try {
          const asked = this.#tools.attempts.registerClient(leader, plan.group, clientId, deadline)
          return await cancellable(asked, signal)
        } catch (thrown) {
          failure = thrown
        }
      }
      const pausedUntil = after(clock.now(), this.#config.retryBackoffMs)
      const isFinal = outcomeOf(failure) === Outcomes.Final || signal?.aborted
      if (isFinal || pausedUntil >= deadline || this.#state === States.Stopping) throw failure
      if (isWaiting(failure)) await this.#tools.placements.refresh()
      await this.#tools.waiting.pauseUntil(pausedUntil, signal)
    }
  }

  async #admit<T>(priority: Priority, run: () => Promise<T>): Promise<T> {
    if (this.#state === States.New) throw new NotStartedError('the node is not started')
    if (this.#state === States.Stopping) throw new StoppedError('the node is stopping')
    this.#enter(priority)
    try {
      return await run()
    } finally {
      this.#tools.admission.leave()
      if (this.#tools.admission.inFlight === 0) this.#onIdle?.()
    }
  }

  /** @throws BackpressureError, OverloadedError */
  #enter(priority: Priority): void {
    try {
      this.#tools.admission.enter(priority, this.#parts.clock.now())
    } catch (refusal) {
      this.#counters.add('routing_failures')
      const isShed = hasCode(refusal, 'ERR_SKEIN_OVERLOADED')
      this.#counters.add(isShed ? 'queries_shed' : 'queries_refused')
      throw refusal
    }
  }

  async #watch(
    { revision }: { readonly revision: number },
    deadline: MonotonicMs | null,
    signal: AbortSignal
  ): Promise<ClusterAnswer> {
    if (this.#state === States.Stopping) throw new DrainingError('the node takes no new queries')
    return this.#tools.watches.watch(revision, deadline ?? this.#deadlineIn(), signal)
  }

  /** For another node or a client that asks over the wire. */
  #routeFor({ statement, ...options }: RouteQuestionBody): RouteAnswer {
    const { sql, params } = statement
    const decision = this.route(sql, params === undefined ? options : { ...options, params })
    const { strategy, reason } = decision
    return { ...decision, strategy: strategy.slice(0, 85), reason: reason.slice(0, 341) }
  }

  async #serve(inbound: Inbound<QueryBody>): Promise<QueryAnswer> {
    if (this.#state === States.Stopping) throw new DrainingError('the node takes no new queries')
    this.#counters.add('queries_served')
    const deadline = inbound.deadline ?? this.#deadlineIn()
    const { body } = inbound
    const answered = await this.#admit(body.priority ?? Priorities.Normal, () =>
      inbound.peer.kind === 'client'
        ? this.#runForClient(inbound, deadline)
        : this.#executeHere(body, deadline, inbound.signal)
    )
    const { results, index, node } = answered
    const { utilisation, queueDepth } = this.#tools.loadReport()
    const utilisationPermille = Math.round(utilisation * 1000)
    return { results, index, group: body.group, node, utilisationPermille, queueDepth }
  }

  async #executeHere(
    body: QueryBody,
    deadline: MonotonicMs,
    signal: AbortSignal
  ): Promise<Answered> {
    try {
      const executed = await this.#tools.execution.execute(body, deadline, signal)
      return { ...executed, node: this.#options.nodeId }
    } catch (thrown) {
      if (hasCode(thrown, 'ERR_SKEIN_STALE_ROUTE')) this.#counters.add('stale_routes_refused')
      throw thrown
    }
  }

  /** A client's own words about its statements are not believed. */
  #runForClient(inbound: Inbound<QueryBody>, deadline: MonotonicMs): Promise<Answered> {
    const { consistency, statements, atLeastIndex, client, key, session } = inbound.body
    const plan = this.#plan(statements, {
      consistency,
      ...(key === undefined ? {} : { key }),
      ...(session === undefined ? {} : { session })
    })
    const priority: Priority = inbound.body.priority ?? Priorities.Normal
    return this.#run({ plan, deadline, priority, atLeastIndex, client, signal: inbound.signal })
  }

  #plan(given: string | readonly Statement[], options: QueryOptions): QueryPlan {
    const { classify } = this.#parts
    try {
      return planQuery(given, options, (sql) => (classify ?? this.#classify)(sql), this.#keys)
    } catch (error) {
      this.#countRefusal(error)
      throw error
    }
  }

  readonly #classify = (sql: string) => this.#classifier.classify(sql)

  #chooseTraced(choice: Parameters<RunComponents['choose']>[0]): Chosen | null {
    const options = { kind: 'internal' as const, attributes: attributesOf(choice.plan) }
    return tracedNow(this.#parts.tracer, 'route', options, (span) => {
      const chosen = this.#choose(choice)
      span?.setAttributes({ 'skein.node': chosen?.node ?? 'none' })
      return chosen
    })
  }

  #choose(choice: Parameters<RunComponents['choose']>[0]): Chosen | null {
    const { plan, avoid, leaderHint, atLeastIndex } = choice
    const { node, term } = this.#decide(plan, avoid, leaderHint, atLeastIndex)
    const mayForward = this.#options.isClient && isForLeader(plan.kind, plan.consistency)
    if (mayForward && (node === null || avoid.has(node))) {
      const forwarder = this.#forwarder(plan, avoid)
      if (forwarder !== null) return { node: forwarder, term: null, forwards: true }
    }
    if (node === null) return null
    this.#count(node)
    // Who gave the hint did not say in which term it holds.
    return { node, term: leaderHint === null ? term : null, forwards: false }
  }

  /** Whoever would be asked to read its own state can also pass it on to the leader. */
  #forwarder(plan: QueryPlan, avoid: ReadonlySet<NodeId>): NodeId | null {
    const { Read } = StatementKinds
    const asRead: QueryPlan = { ...plan, kind: Read, consistency: Consistencies.Linearizable }
    const node = this.#decide(asRead, avoid, null).node
    if (node !== null) this.#count(node)
    return node
  }

  #count(node: NodeId): void {
    const { nodeId, datacenter } = this.#options
    if (node === nodeId) {
      this.#counters.add('locality_hits')
      return
    }
    this.#counters.add('queries_forwarded')
    const there = this.#parts.members().find((member) => member.nodeId === node)
    const isNear = there?.datacenter === datacenter
    this.#counters.add(isNear ? 'locality_hits' : 'cross_dc_queries')
  }

  #decide(
    plan: QueryPlan,
    avoid: ReadonlySet<NodeId>,
    hint: NodeId | null,
    atLeastIndex = 0
  ): { node: NodeId | null; term: Term | null } {
    const question = this.#questionOf(plan, avoid, hint, atLeastIndex)
    const node = this.#tools.choice.choose(question)
    const term = question.placement?.term ?? null
    if (node !== null) this.#noteAffinity(plan, node, term)
    return { node, term }
  }

  #noteAffinity({ session, kind, consistency, key }: QueryPlan, node: NodeId, term: Term | null) {
    if (session === null || isForLeader(kind, consistency) || this.#tools.hotspots.spreads(key))
      return
    this.#tools.affinities.note(session, node, term, this.#parts.clock.now())
  }

  #questionOf(
    plan: QueryPlan,
    avoid: ReadonlySet<NodeId>,
    leaderHint: NodeId | null,
    atLeastIndex = 0
  ) {
    const { clock } = this.#parts
    const known = this.#tools.placements.of(plan.group)
    const placed = known !== null && leaderHint !== null ? { ...known, leader: leaderHint } : known
    return {
      group: plan.group,
      kind: plan.kind,
      consistency: plan.consistency,
      key: plan.key,
      isSpread: plan.kind === StatementKinds.Read && this.#tools.hotspots.spreads(plan.key),
      preferred: this.#preferredBy(plan.session, placed),
      members: this.#parts.members(),
      placement: placed,
      hasReplica: this.#tools.execution.hasReplica(plan.group),
      avoid,
      atLeastIndex,
      now: clock.now(),
      wallNow: clock.wallNow()
    }
  }

  #preferredBy(session: string | null, placed: Placement | null): NodeId | null {
    if (session === null) return null
    return this.#tools.affinities.nodeOf(session, placed?.term ?? null, this.#parts.clock.now())
  }

  #deadlineIn(timeoutMs = this.#config.queryTimeoutMs): MonotonicMs {
    if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
      throw new InvalidArgumentError('timeoutMs', 'must be a positive number')
    }
    return after(this.#parts.clock.now(), timeoutMs)
  }
}

const attributesOf = ({ group, kind }: QueryPlan) => ({
  'skein.group': group,
  'skein.query.kind': kind
})
