/**
 * Queries of this node, own and served: admits each, plans it, and has it carried to its end. Where
 * one goes is `NodeChooser`'s to say, how often it is tried `RunDriver`'s, one attempt is
 * `AttemptsDriver`'s; what others send comes through `QueryServerDriver`.
 *
 * 1. Queries in flight, own and served, are bounded; beyond the bound they are refused at once.
 * 2. A node that stops refuses new ones, and gives those that it has until a deadline.
 */

import type { ClusterRouting } from '../core/cluster-routing.js'
import { Counters } from '../core/counters.js'
import { after } from '../core/deadlines.js'
import {
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
  type NodeId
} from '../core/ids.js'
import { LatencyCounts } from '../core/latency-counts.js'
import { StatementKinds } from '../core/ports/engine-provider.js'
import { Priorities, type Priority } from '../core/ports/messenger.js'
import type { QueryOptions, QueryResult, RouteOptions } from '../core/queries.js'
import { hasCode } from '../core/remote-error.js'
import type { RouteDecision, RouteExplanation } from '../core/route-views.js'
import type { RoutingStrategy } from '../core/routing-strategy.js'
import type { Statement } from '../core/sql.js'
import type { SeenIndex } from '../core/sql-sessions.js'
import type { TellQueue } from '../core/tell-queue.js'
import { traced } from '../core/traced-driver.js'
import type { Answered } from './answered.js'
import { ClientRegistrationDriver } from './client-registration-driver.js'
import { clusterWatchesMax } from './cluster-watch-driver.js'
import { QueryKeys } from './hotspots/query-key.js'
import { requestValuesBytesMax } from './messages.js'
import { attributesOf, NodeChooser } from './node-chooser.js'
import type { Placement } from './placement-table.js'
import { gauge, type QueryCounterName, queryCounterNames } from './query-counters.js'
import { planQuery, type QueryPlan } from './query-plan.js'
import { QueryServerDriver } from './query-server-driver.js'
import {
  makeQueryTools,
  type QueryComponents,
  type QueryDriverOptions,
  type QueryTools
} from './query-tools-driver.js'
import { Outcomes, outcomeOf } from './retry-policy.js'
import { type RunComponents, RunDriver, type RunOptions, type RunRequest } from './run-driver.js'
import type { QueryHome } from './sessions/sql-session.js'
import type { ShardedTable } from './sharding/shard-map.js'
import { firstGroupOf, type ShardPlan } from './sharding/shard-planner.js'
import { SqlClassifier } from './sql-classifier.js'

const States = { New: 'new', Running: 'running', Stopping: 'stopping' } as const

export class QueryDriver {
  /** How long queries of this node and of clients took, since it began. */
  readonly latencies = new LatencyCounts()
  readonly #parts: QueryComponents
  readonly #options: QueryDriverOptions
  readonly #counters = new Counters<QueryCounterName>(queryCounterNames)
  readonly #classifier = new SqlClassifier()
  readonly #keys = new QueryKeys()
  readonly #tools: QueryTools
  readonly #chooser: NodeChooser
  readonly #registration: ClientRegistrationDriver
  readonly #server: QueryServerDriver
  readonly #runParts: RunComponents
  #runOptions: RunOptions
  #config: QueryDriverOptions['config']
  #state: (typeof States)[keyof typeof States] = States.New
  #isDraining = false
  #onIdle: (() => void) | null = null

  constructor(components: QueryComponents, options: QueryDriverOptions) {
    this.#parts = components
    this.#options = options
    this.#config = options.config
    this.#tools = makeQueryTools(components, options)
    this.#runOptions = runOptionsOf(options, options.config)
    const isStopping = () => this.#state === States.Stopping
    const { clock } = components
    this.#chooser = new NodeChooser(
      { parts: components, tools: this.#tools, counters: this.#counters },
      options
    )
    this.#registration = new ClientRegistrationDriver(
      { clock, tools: this.#tools, isStopping },
      options.config
    )
    this.#server = new QueryServerDriver(
      {
        messenger: components.messenger,
        tools: this.#tools,
        registration: this.#registration,
        counters: this.#counters,
        calls: {
          deadlineIn: () => this.#deadlineIn(),
          admit: (priority, run) => this.#admit(priority, run),
          plan: (given, asked) => this.#plan(given, asked),
          run: (request) => this.#run(request),
          route: (sql, asked) => this.route(sql, asked)
        },
        isStopping,
        sessions: components.sessions
      },
      options
    )
    this.#runParts = {
      ...this.#tools,
      clock,
      random: this.#tools.random.split('backoff'),
      choose: (choice) => this.#chooser.choose(choice),
      assertQuorum: () => components.assertQuorum?.(),
      isStopping,
      isDraining: () => this.#isDraining,
      onRetry: () => this.#counters.add('query_retries'),
      onRetryDenied: () => this.#counters.add('retries_denied'),
      onFault: ({ session }, node) => {
        if (session !== null) this.#tools.affinities.leave(session, node)
      }
    }
  }

  /** Begins to take queries, and to serve them unless this is a client. */
  start(): void {
    if (this.#state !== States.New) return
    this.#state = States.Running
    this.#tools.choice.start()
    if (this.#options.isClient) return
    this.#tools.hotspots.start()
    this.#tools.shardWatch.start()
    this.#server.start()
  }

  /** It will stop: who finds no leader here is sent back, to where one may be, and not held. */
  drain(): void {
    this.#isDraining = true
  }

  /** Refuses new queries, ends those that wait, and gives the others time until `deadline`. */
  async stop(deadline: MonotonicMs): Promise<void> {
    this.#state = States.Stopping
    this.#tools.waiting.wakeAll()
    this.#tools.buffer.stop()
    this.#tools.watches.stop()
    this.#tools.hotspots.stop()
    this.#tools.shardWatch.stop()
    if (this.#tools.admission.inFlight === 0) return
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
    while (this.#tools.admission.inFlight > 0 && this.#parts.clock.now() < deadline) {
      await this.#tools.waiting.settledBy(idle, deadline)
    }
  }

  /** Own and served ones. */
  get inFlight(): number {
    return this.#tools.admission.inFlight
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
    this.#runOptions = runOptionsOf(this.#options, this.#config)
    this.#registration.retryBackoffMs = retryBackoffMs
    this.#tools.admission.inFlightMax = queriesInFlightMax
    this.#tools.buffer.retryBackoffMs = retryBackoffMs
    this.#tools.ownClient.registerTimeoutMs = this.#options.attemptTimeoutMs ?? queryTimeoutMs
  }

  /** @throws NoEligibleNodeError, SqlError, SqlRefusedError */
  route(sql: string, options: RouteOptions = {}): RouteDecision {
    const plan = this.#plan(sql, options)
    const { decision, refusal } = this.#tools.choice.decide(this.#chooser.questionOf(plan))
    if (decision !== null) {
      this.#chooser.noteAffinity(plan, decision.node, decision.term)
      return decision
    }
    throw new NoEligibleNodeError(refusal ?? 'no node')
  }

  /** @throws SqlError, SqlRefusedError */
  explain(sql: string, options: RouteOptions = {}): RouteExplanation {
    return this.#tools.choice.explain(this.#chooser.questionOf(this.#plan(sql, options)))
  }

  /** As far as this node knows, with or without a replica of the group. */
  leaderOf(group: GroupId): NodeId | null {
    return this.#tools.placements.of(group)?.leader ?? null
  }

  /** As far as this node knows. */
  votersOf(group: GroupId): readonly NodeId[] {
    return this.#tools.placements.of(group)?.voters ?? []
  }

  /** Every group that this node knows of, with or without a replica. */
  knownGroups(): readonly GroupId[] {
    return this.#tools.placements.all().map(({ group }) => group)
  }

  /** Which tables are sharded, from now on; an older map than the known one is not taken. */
  learnShards(version: number, tables: readonly ShardedTable[]): void {
    if (this.#tools.shards.learn(version, tables)) this.#tools.watches.handleShardsChanged()
  }

  /** A session of this name has its home here: its reads prefer this node from now on. */
  preferHere(session: string): void {
    const term = this.#tools.placements.of(DEFAULT_GROUP)?.term ?? null
    const { nodeId } = this.#options
    this.#tools.affinities.note(session, nodeId, term, this.#parts.clock.now())
  }

  /** @throws SqlError, SqlRefusedError it is no statement that could run */
  checkStatement(sql: string): void {
    this.#counting(() => this.#checked(sql, {}))
  }

  /** Asks members where groups live; null when that was done just now. */
  refreshPlacements(): Promise<void> | null {
    return this.#tools.placements.refresh()
  }

  /** @throws coded errors; an unknown outcome is IndeterminateError, never a timeout */
  execute(sql: string, options?: QueryOptions, home?: QueryHome): Promise<QueryResult>
  execute(
    statements: readonly Statement[],
    options?: QueryOptions,
    home?: QueryHome
  ): Promise<QueryResult[]>
  async execute(
    given: string | readonly Statement[],
    options: QueryOptions = {},
    home?: QueryHome
  ): Promise<QueryResult | QueryResult[]> {
    const planned = this.#planAll(given, options)
    const { shards } = planned
    const plan = home === undefined ? planned.plan : { ...planned.plan, home }
    const priority = options.priority ?? Priorities.Normal
    const span = { kind: 'internal' as const, attributes: attributesOf(plan) }
    const deadline = this.#deadlineIn(options.timeoutMs)
    const atLeastIndex = options.atLeastIndex ?? (0 as LogIndex)
    const { client = null, signal } = options
    const runOne = (plan: QueryPlan) =>
      this.#run({
        plan,
        deadline,
        priority,
        atLeastIndex: this.#later(atLeastIndex, plan.group),
        client,
        signal
      })
    const answered = await traced(this.#parts.tracer, 'query', span, () =>
      this.#admit(priority, () =>
        this.#tools.shards.run(plan, shards, { atLeastIndex, deadline }, runOne)
      )
    )
    const { node, stalenessMs } = answered
    const age = stalenessMs === undefined ? {} : { stalenessMs: Math.ceil(stalenessMs) }
    const results = answered.results.map(
      ({ columns, rows, rowsAffected, lastInsertRowid }, at): QueryResult => ({
        columns,
        rows,
        rowsAffected,
        lastInsertRowid,
        ...seenBy(at, plan, answered),
        node,
        ...age
      })
    )
    return typeof given === 'string' ? (results[0] as QueryResult) : results
  }

  /** For clients that number their own writes. Registering twice is harmless. */
  async registerClient(
    clientId: ClientId,
    options: Pick<QueryOptions, 'timeoutMs' | 'signal' | 'group'> = {}
  ): Promise<void> {
    const deadline = this.#deadlineIn(options.timeoutMs)
    await this.#admit(Priorities.High, () =>
      this.#registration.register(
        options.group ?? DEFAULT_GROUP,
        clientId,
        deadline,
        options.signal
      )
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
    const begun = this.#parts.clock.now()
    this.#tools.budget.deposit(begun)
    try {
      return await new RunDriver(this.#runParts, this.#runOptions, request).run()
    } catch (thrown) {
      if (outcomeOf(thrown) !== Outcomes.Final) this.#counters.add('routing_failures')
      if (hasCode(thrown, 'ERR_SKEIN_INDETERMINATE')) this.#counters.add('queries_indeterminate')
      this.#countRefusal(thrown)
      throw thrown
    } finally {
      this.latencies.record(this.#parts.clock.now() - begun)
    }
  }

  #countRefusal(error: unknown): void {
    if (hasCode(error, 'ERR_SKEIN_SQL_REFUSED')) this.#counters.add('statements_refused')
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

  /** Of one group. */
  #plan(given: string | readonly Statement[], options: QueryOptions): QueryPlan {
    return this.#counting(() => {
      const plan = this.#checked(given, options)
      if (options.group !== undefined) return plan
      const group = this.#tools.shards.groupOf(plan, options.shardKey)
      return group === plan.group ? plan : { ...plan, group }
    })
  }

  /** Its group is the first of those that it concerns. */
  #planAll(
    given: string | readonly Statement[],
    options: QueryOptions
  ): { readonly plan: QueryPlan; readonly shards: ShardPlan } {
    return this.#counting(() => {
      const plan = this.#checked(given, options)
      if (options.group !== undefined) return { plan, shards: { kind: 'one', group: plan.group } }
      const shards = this.#tools.shards.plan(plan, options.shardKey)
      if (shards.kind === 'several') {
        return { plan: this.#tools.shards.transactionOf(plan, shards, this.#kindOf), shards }
      }
      const group = firstGroupOf(shards)
      return { plan: group === plan.group ? plan : { ...plan, group }, shards }
    })
  }

  #checked(given: string | readonly Statement[], options: QueryOptions): QueryPlan {
    return planQuery(given, options, this.#kindOf, this.#keys)
  }

  #later(asked: LogIndex, group: GroupId): LogIndex {
    const seen = this.#parts.seenIndexOf?.(group) ?? 0
    return seen > asked ? (seen as LogIndex) : asked
  }

  #counting<T>(plan: () => T): T {
    try {
      return plan()
    } catch (error) {
      this.#countRefusal(error)
      throw error
    }
  }

  readonly #kindOf = (sql: string) => this.#parts.classify?.(sql) ?? this.#classifier.classify(sql)

  #deadlineIn(timeoutMs = this.#config.queryTimeoutMs): MonotonicMs {
    if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
      throw new InvalidArgumentError('timeoutMs', 'must be a positive number')
    }
    return after(this.#parts.clock.now(), timeoutMs)
  }
}

/** Of one statement: its group, and what a read there must have seen to see it. */
function seenBy(at: number, plan: QueryPlan, answered: Answered): SeenIndex {
  const { branches, group: first } = plan
  const { index, seen = [] } = answered
  const group = branches?.find(({ statements }) => statements.includes(at))?.group ?? first
  if (group === first) return { group, index }
  return seen.find((one) => one.group === group) ?? { group, index: 0 as LogIndex }
}

const runOptionsOf = (
  { nodeId, attemptTimeoutMs }: QueryDriverOptions,
  { retriesMax, retryBackoffMs, bufferWindowMs }: QueryDriverOptions['config']
): RunOptions => ({ nodeId, retriesMax, retryBackoffMs, bufferWindowMs, attemptTimeoutMs })
