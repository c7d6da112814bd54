/**
 * Queries of this node: classifies, chooses a node, executes here or forwards one hop, retries
 * what is safe to retry; and serves the queries that other nodes and clients send.
 *
 * 1. What another node forwarded is executed here or refused, never forwarded again.
 * 2. Queries in flight, own and served, are bounded; beyond the bound they are refused at once.
 */
import {
  Consistencies,
  type QueryOptions,
  type QueryResult,
  type RouteDecision,
  type RouteExplanation,
  type RouteOptions
} from '../core/cluster-manager.js'
import type { ClusterRouting } from '../core/cluster-routing.js'
import type { Config } from '../core/config/schema.js'
import { Counters } from '../core/counters.js'
import { after } from '../core/deadlines.js'
import {
  BackpressureError,
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
  type ClusterId,
  DEFAULT_GROUP,
  type GroupId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  type Term
} from '../core/ids.js'
import type { Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import { type EngineProvider, StatementKinds } from '../core/ports/engine-provider.js'
import type { Logger } from '../core/ports/logger.js'
import { type Inbound, type Messenger, Priorities, type Priority } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import type { ReplicatedGroup } from '../core/ports/replicated-group.js'
import { hasCode } from '../core/remote-error.js'
import type { RoutingStrategy, StrategyFactory } from '../core/routing-strategy.js'
import type { Statement } from '../core/sql.js'
import type { TellQueue } from '../core/tell-queue.js'
import { Affinities } from './affinity.js'
import { type Answered, AttemptsDriver } from './attempts-driver.js'
import { ClusterWatchDriver, clusterWatchesMax } from './cluster-watch-driver.js'
import { isForLeader } from './eligibility.js'
import { ExecutionDriver } from './execution-driver.js'
import { HotspotsDriver } from './hotspots/hotspots-driver.js'
import { QueryKeys } from './hotspots/query-key.js'
import { type LoadReport, loadReportOf } from './load-report.js'
import {
  type ClusterAnswer,
  placement,
  type QueryAnswer,
  type QueryBody,
  query,
  registerClient,
  watchCluster
} from './messages.js'
import { OwnClientDriver } from './own-client-driver.js'
import { PlacementDriver } from './placement-driver.js'
import { type Placement, PlacementTable } from './placement-table.js'
import { planQuery, type QueryPlan } from './query-plan.js'
import { isWaiting, Outcomes, outcomeOf } from './retry-policy.js'
import { RouteChoice } from './route-choice.js'
import { type Chosen, type RunComponents, RunDriver, type RunRequest } from './run-driver.js'
import { SqlClassifier } from './sql-classifier.js'
import { cancellable, WaitingDriver } from './waiting-driver.js'

export interface QueryComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  readonly members: () => readonly Member[]
  /** This node's replica of a group. */
  readonly groupOf: (group: GroupId) => ReplicatedGroup | undefined
  /**
   * Why no leader is known, when too few voters are in reach.
   * @throws NoQuorumError
   */
  readonly assertQuorum?: () => void
  /** For engines whose language is not SQL. */
  readonly classify?: EngineProvider['classify'] | undefined
  /** What clients are told beside members and placement. */
  readonly clusterId?: () => ClusterId | null
  /** Of the id under which writes are numbered here; a name of this node's own when absent. */
  readonly newClientId?: () => ClientId
  /** Others told of a leader that was not known here. */
  readonly onLeaderLearned?: (placement: Placement) => void
  /** How late the main loop runs. */
  readonly loopDelayMs?: () => number
}

export interface QueryDriverOptions {
  readonly nodeId: NodeId
  readonly datacenter: string
  readonly rack: string
  readonly config: Config['routing']
  /** Of this program, as clients are told. */
  readonly version?: string
  /**
   * A client decides like a node, has no replica, serves nobody, and asks any member to forward
   * while the leader is unknown or does not answer.
   */
  readonly isClient?: boolean
  /** A node that does not answer for so long is left for another. Default: at the deadline. */
  readonly attemptTimeoutMs?: number
  /** The embedder's own, by name. */
  readonly strategies?: Readonly<Record<string, StrategyFactory>>
}

export const queryCounterNames = [
  'queries_routed',
  'routing_failures',
  'locality_hits',
  'cross_dc_queries',
  'reads',
  'writes',
  'queries_forwarded',
  'queries_served',
  'queries_refused',
  'statements_refused',
  'query_retries',
  'queries_indeterminate',
  'hotspots_detected',
  'rebalance_operations',
  'hotspots_now',
  'affinity_hits',
  'affinities_voided',
  'nodes_ejected',
  'ejections_refused',
  'queries_in_flight',
  'queries_waiting'
] as const
export type QueryCounterName = (typeof queryCounterNames)[number]

const nobody: ReadonlySet<NodeId> = new Set()

const States = { New: 'new', Running: 'running', Stopping: 'stopping' } as const

export class QueryDriver {
  readonly #parts: QueryComponents
  readonly #options: QueryDriverOptions
  readonly #counters = new Counters<QueryCounterName>(queryCounterNames)
  readonly #classifier = new SqlClassifier()
  readonly #keys = new QueryKeys()
  readonly #choice: RouteChoice
  readonly #execution: ExecutionDriver
  readonly #attempts: AttemptsDriver
  readonly #placements: PlacementDriver
  readonly #ownClient: OwnClientDriver
  readonly #affinities: Affinities
  readonly #hotspots: HotspotsDriver
  readonly #waiting: WaitingDriver
  readonly #watches: ClusterWatchDriver
  readonly #runParts: RunComponents
  #state: (typeof States)[keyof typeof States] = States.New
  #inFlight = 0
  #onIdle: (() => void) | null = null

  constructor(components: QueryComponents, options: QueryDriverOptions) {
    const { clock, messenger, groupOf } = components
    const { nodeId, config } = options
    const random = components.random.split('routing')
    this.#parts = components
    this.#options = options
    this.#choice = new RouteChoice({ clock, random }, { ...options, ...config })
    const { observations, standings } = this.#choice
    const learned = new PlacementTable()
    const execution = new ExecutionDriver({
      groupOf,
      learned,
      onExecution: (key, forLeader) => this.#hotspots.record(key, forLeader)
    })
    this.#execution = execution
    this.#attempts = new AttemptsDriver(
      { clock, messenger, execution, observations, standings, ownLoad: () => this.#loadReport() },
      { nodeId }
    )
    this.#placements = new PlacementDriver(
      { ...components, random: random.split('placement'), execution, learned },
      { nodeId }
    )
    this.#affinities = new Affinities(config)
    this.#hotspots = new HotspotsDriver(
      {
        ...components,
        random: random.split('hotspots'),
        placementOf: (group) => this.#placements.of(group)
      },
      { nodeId, config }
    )
    this.#ownClient = new OwnClientDriver(
      {
        clock,
        random: random.split('client'),
        attempts: this.#attempts,
        newClientId: components.newClientId
      },
      { nodeId, registerTimeoutMs: options.attemptTimeoutMs ?? config.queryTimeoutMs }
    )
    this.#waiting = new WaitingDriver(clock)
    this.#watches = new ClusterWatchDriver(
      {
        clock,
        members: components.members,
        placements: () => this.#placements.all(),
        clusterId: components.clusterId ?? (() => null)
      },
      { nodeId, version: options.version ?? '' }
    )
    this.#runParts = {
      clock,
      random: random.split('backoff'),
      attempts: this.#attempts,
      ownClient: this.#ownClient,
      placements: this.#placements,
      waiting: this.#waiting,
      choose: (choice) => this.#choose(choice),
      assertQuorum: () => this.#parts.assertQuorum?.(),
      isStopping: () => this.#state === States.Stopping,
      onRetry: () => this.#counters.add('query_retries')
    }
  }

  /** Begins to take queries, and to serve them unless this is a client. */
  start(): void {
    if (this.#state !== States.New) return
    this.#state = States.Running
    const { messenger } = this.#parts
    this.#choice.start()
    if (this.#options.isClient) return
    this.#hotspots.start()
    messenger.onRequest(query, (inbound) => this.#serve(inbound))
    messenger.onRequest(registerClient, async ({ peer, body, deadline }) => {
      const until = deadline ?? this.#deadlineIn()
      if (peer.kind === 'client') await this.#registerAnywhere(body.clientId, until, undefined)
      else await this.#execution.registerClient(body.group, body.clientId, until)
      return {}
    })
    messenger.onRequest(placement, async () => ({ groups: this.#execution.placements() }))
    messenger.onRequest(watchCluster, ({ body, deadline, signal }) =>
      this.#watch(body, deadline, signal)
    )
  }

  /** Refuses new queries, ends those that wait, and gives the others time until `deadline`. */
  async stop(deadline: MonotonicMs): Promise<void> {
    this.#state = States.Stopping
    this.#waiting.wakeAll()
    this.#watches.stop()
    this.#hotspots.stop()
    if (this.#inFlight === 0) return
    const idle = new Promise<void>((resolve) => {
      this.#onIdle = resolve
    })
    while (this.#inFlight > 0 && this.#parts.clock.now() < deadline) {
      await this.#waiting.settledBy(idle, deadline)
    }
  }

  tellQueues(tell: TellQueue): void {
    tell('routing.queriesInFlightMax', this.#inFlight, this.#options.config.queriesInFlightMax)
    tell('routing.affinitiesMax', this.#affinities.size, this.#options.config.affinitiesMax)
    tell('clusterWatchesMax', this.#watches.watching, clusterWatchesMax)
  }

  get hotspots(): Hotspots {
    return this.#hotspots
  }

  /** Counts; `queries_in_flight` and `queries_waiting` are gauges. */
  get counters(): Counters<QueryCounterName> {
    this.#counters.set('queries_in_flight', this.#inFlight)
    const { standings } = this.#choice
    this.#counters.set('nodes_ejected', standings.ejectionsTotal)
    this.#counters.set('ejections_refused', standings.ejectionsRefused)
    this.#counters.set('queries_waiting', this.#waiting.waiting)
    const { detected, rebalances, now } = this.#hotspots.counts
    this.#counters.set('hotspots_detected', detected)
    this.#counters.set('rebalance_operations', rebalances)
    this.#counters.set('hotspots_now', now)
    const { hits, voided } = this.#affinities.counts
    this.#counters.set('affinity_hits', hits)
    this.#counters.set('affinities_voided', voided)
    return this.#counters
  }

  get view(): ClusterRouting {
    return this.#choice
  }

  onEvent(listener: (event: RoutingEvent) => void): void {
    this.#choice.onEvent(listener)
    this.#hotspots.onEvent(listener)
  }

  /** @throws InvalidArgumentError */
  setStrategy(wanted: string | RoutingStrategy): void {
    this.#choice.setStrategy(wanted)
  }

  /** @throws NoEligibleNodeError, SqlError, SqlRefusedError */
  route(sql: string, options: RouteOptions = {}): RouteDecision {
    const plan = this.#plan(sql, options)
    const { decision, refusal } = this.#choice.decide(this.#questionOf(plan, nobody, null))
    if (decision !== null) {
      this.#noteAffinity(plan, decision.node, decision.term)
      return decision
    }
    throw new NoEligibleNodeError(refusal ?? 'no node')
  }

  /** @throws SqlError, SqlRefusedError */
  explain(sql: string, options: RouteOptions = {}): RouteExplanation {
    return this.#choice.explain(this.#questionOf(this.#plan(sql, options), nobody, null))
  }

  /** As far as this node knows, with or without a replica of the group. */
  leaderOf(group: GroupId): NodeId | null {
    return this.#placements.of(group)?.leader ?? null
  }

  /** @throws coded errors; an unknown outcome is IndeterminateError, never a timeout */
  execute(sql: string, options?: QueryOptions): Promise<QueryResult>
  execute(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>
  async execute(
    given: string | readonly Statement[],
    options: QueryOptions = {}
  ): Promise<QueryResult | QueryResult[]> {
    const plan = this.#plan(given, options)
    const answered = await this.#admit(() =>
      this.#run({
        plan,
        deadline: this.#deadlineIn(options.timeoutMs),
        priority: options.priority ?? Priorities.Normal,
        atLeastIndex: options.atLeastIndex ?? (0 as LogIndex),
        client: options.client ?? null,
        signal: options.signal
      })
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
    await this.#admit(() => this.#registerAnywhere(clientId, deadline, options.signal))
  }

  /**
   * Consensus knows of another leader: what waited for one goes on, what waits for the old one
   * too.
   */
  handleLeaderChanged(change: { readonly group: GroupId; readonly leader: NodeId | null }): void {
    this.#watches.handleLeaderChanged()
    this.#hotspots.handleLeaderChanged()
    if (change.leader === null) return
    this.#attempts.giveUpFormerLeader(change.group, change.leader)
    this.#waiting.wakeAll()
  }

  /** Members came, went or changed: clients that watch are told. */
  handleMembersChanged(): void {
    this.#watches.handleMembersChanged()
  }

  /** Another node told where groups live. */
  learnPlacements(placements: readonly Placement[]): void {
    this.#placements.learn(placements)
  }

  /** Membership holds it for dead or gone: what waits for its answers goes on elsewhere. */
  handleMemberGone(nodeId: NodeId): void {
    this.#attempts.giveUpNode(nodeId)
    this.#affinities.voidNode(nodeId)
    const members = this.#parts.members()
    this.#choice.handleMemberGone(nodeId, (node) => members.some((m) => m.nodeId === node))
  }

  /** A new one is given work gradually. */
  handleMemberJoined(nodeId: NodeId): void {
    this.#choice.handleMemberJoined(nodeId)
  }

  handleVerdict(verdict: HealthVerdict): void {
    this.#choice.standings.handleVerdict(verdict)
  }

  async #run(request: RunRequest): Promise<Answered> {
    this.#counters.add(request.plan.kind === StatementKinds.Write ? 'writes' : 'reads')
    this.#counters.add('queries_routed')
    const { nodeId, config } = this.#options
    try {
      const options = { nodeId, ...config, attemptTimeoutMs: this.#options.attemptTimeoutMs }
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
      const leader = this.#placements.of(plan.group)?.leader ?? null
      let failure: unknown = new NoEligibleNodeError(`no leader of group ${plan.group} is known`)
      if (leader !== null) {
        try {
          const asked = this.#attempts.registerClient(leader, plan.group, clientId, deadline)
          return await cancellable(asked, signal)
        } catch (thrown) {
          failure = thrown
        }
      }
      const pausedUntil = after(clock.now(), this.#options.config.retryBackoffMs)
      const isFinal = outcomeOf(failure) === Outcomes.Final || signal?.aborted
      if (isFinal || pausedUntil >= deadline || this.#state === States.Stopping) throw failure
      if (isWaiting(failure)) await this.#placements.refresh()
      await this.#waiting.pauseUntil(pausedUntil, signal)
    }
  }

  async #admit<T>(run: () => Promise<T>): Promise<T> {
    if (this.#state === States.New) throw new NotStartedError('the node is not started')
    if (this.#state === States.Stopping) throw new StoppedError('the node is stopping')
    if (this.#inFlight >= this.#options.config.queriesInFlightMax) {
      this.#counters.add('routing_failures')
      this.#counters.add('queries_refused')
      throw new BackpressureError(`${this.#inFlight} queries are in flight`)
    }
    this.#inFlight++
    try {
      return await run()
    } finally {
      this.#inFlight--
      if (this.#inFlight === 0) this.#onIdle?.()
    }
  }

  async #watch(
    { revision }: { readonly revision: number },
    deadline: MonotonicMs | null,
    signal: AbortSignal
  ): Promise<ClusterAnswer> {
    if (this.#state === States.Stopping) throw new DrainingError('the node takes no new queries')
    return this.#watches.watch(revision, deadline ?? this.#deadlineIn(), signal)
  }

  async #serve(inbound: Inbound<QueryBody>): Promise<QueryAnswer> {
    if (this.#state === States.Stopping) throw new DrainingError('the node takes no new queries')
    this.#counters.add('queries_served')
    const deadline = inbound.deadline ?? this.#deadlineIn()
    const { body } = inbound
    const answered = await this.#admit(() =>
      inbound.peer.kind === 'client'
        ? this.#runForClient(inbound, deadline)
        : this.#executeHere(body, deadline, inbound.signal)
    )
    const { results, index, node } = answered
    const { utilisation, queueDepth } = this.#loadReport()
    const utilisationPermille = Math.round(utilisation * 1000)
    return { results, index, group: body.group, node, utilisationPermille, queueDepth }
  }

  async #executeHere(
    body: QueryBody,
    deadline: MonotonicMs,
    signal: AbortSignal
  ): Promise<Answered> {
    const executed = await this.#execution.execute(body, deadline, signal)
    return { ...executed, node: this.#options.nodeId }
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

  #loadReport(): LoadReport {
    return loadReportOf({
      inFlight: this.#inFlight,
      executionsMax: this.#options.config.executionsMax,
      loopDelayMs: this.#parts.loopDelayMs?.() ?? 0
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
    const node = this.#choice.choose(question)
    const term = question.placement?.term ?? null
    if (node !== null) this.#noteAffinity(plan, node, term)
    return { node, term }
  }

  #noteAffinity({ session, kind, consistency, key }: QueryPlan, node: NodeId, term: Term | null) {
    if (session === null || isForLeader(kind, consistency) || this.#hotspots.spreads(key)) return
    this.#affinities.note(session, node, term, this.#parts.clock.now())
  }

  #questionOf(
    plan: QueryPlan,
    avoid: ReadonlySet<NodeId>,
    leaderHint: NodeId | null,
    atLeastIndex = 0
  ) {
    const { clock } = this.#parts
    const known = this.#placements.of(plan.group)
    const placed = known !== null && leaderHint !== null ? { ...known, leader: leaderHint } : known
    return {
      group: plan.group,
      kind: plan.kind,
      consistency: plan.consistency,
      key: plan.key,
      isSpread: plan.kind === StatementKinds.Read && this.#hotspots.spreads(plan.key),
      preferred: this.#preferredBy(plan.session, placed),
      members: this.#parts.members(),
      placement: placed,
      hasReplica: this.#execution.hasReplica(plan.group),
      avoid,
      atLeastIndex,
      now: clock.now(),
      wallNow: clock.wallNow()
    }
  }

  #preferredBy(session: string | null, placed: Placement | null): NodeId | null {
    if (session === null) return null
    return this.#affinities.nodeOf(session, placed?.term ?? null, this.#parts.clock.now())
  }

  #deadlineIn(timeoutMs = this.#options.config.queryTimeoutMs): MonotonicMs {
    if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
      throw new InvalidArgumentError('timeoutMs', 'must be a positive number')
    }
    return after(this.#parts.clock.now(), timeoutMs)
  }
}
