/**
 * The facade. It wires the rooms, starts them bottom-up and stops them in reverse, subscribes one
 * to the other, and forwards calls; what is decided is decided in the rooms.
 */
import { supportedVersions } from '../src/control/index.js'
import {
  type Address,
  after,
  type BroadcastOptions,
  type BroadcastReport,
  type Channels,
  type ClientId,
  type ClusterBackups,
  type ClusterConfig,
  type ClusterControl,
  type ClusterEventBody,
  type ClusterHealth,
  type ClusterManager,
  type ClusterMembership,
  type ClusterMessage,
  type ClusterMessages,
  type ClusterMetadata,
  type ClusterRequest,
  type ClusterRouting,
  type ClusterTransactions,
  type ClusterView,
  type Config,
  type ConfigInput,
  DEFAULT_GROUP,
  DrainingError,
  type DrainReport,
  type DrainTimeouts,
  type EngineProvider,
  EventHub,
  type EventSubscription,
  type Failover,
  type Failovers,
  type GroupId,
  type GroupStatus,
  type HealthReport,
  type Hotspots,
  healthReportOf,
  Lifecycles,
  LiveConfig,
  Livenesses,
  type LogIndex,
  type Member,
  type MemberChangeKind,
  MemberChangeKinds,
  type MemberChangeOptions,
  type MemberChangeReport,
  type MetricsSnapshot,
  type MonotonicMs,
  must,
  type NodeId,
  type NodeReference,
  NotFoundError,
  NotStartedError,
  type PresetName,
  type QueryOptions,
  type QueryResult,
  type ReplicaSight,
  type RequestMessageOptions,
  type RollingRestart,
  type RollingRestartRequest,
  type RollingRestarts,
  type RouteDecision,
  type RouteExplanation,
  type RouteOptions,
  type RoutingStrategy,
  resolveConfig,
  type SecurityManager,
  type SendMessageOptions,
  type SqlSessions,
  type Statement,
  type StateSync,
  StoppedError,
  type StrategyFactory,
  type StrategyName,
  type SwitchoverReport,
  type SwitchoverRequest,
  type TellIncarnation,
  type TellQueue,
  toNodeId,
  type VersionRange
} from '../src/core/index.js'
import type { RestartHook } from '../src/failover/index.js'
import { clusterHealthOf } from '../src/health/index.js'
import { CustomHandlers, restrictionFaults } from '../src/network/index.js'
import { strategyFaults } from '../src/routing/index.js'
import { BoundPorts } from '../src/runtime/index.js'
import type { Catalogue, CustomDeclaration } from '../src/wire/index.js'
import { catalogue } from './catalogue.js'
import { compose, type Ports, type Rooms } from './composition.js'
import { metricsOf } from './metrics.js'
import { makePorts, type PortsAndKeys } from './node-ports.js'
import { subscribeRooms } from './room-subscriptions.js'
import { StartWatch } from './start-watch.js'
import { version } from './version.js'

export interface CreateOptions {
  /** Everything that has a default may be left out. */
  readonly config: ConfigInput
  readonly preset?: PresetName
  /** The database; without one the node holds no data, routes and forwards. */
  readonly engine?: EngineProvider
  /** Messages of your own, made by `defineMessage` and `defineRequest`. */
  readonly messages?: readonly CustomDeclaration[]
  /** Routing strategies of your own, by the name that `routing.strategy` may then have. */
  readonly strategies?: Readonly<Record<string, StrategyFactory>>
  /**
   * Has this node's process replaced when a rolling restart comes to it, such as by ending it
   * under a supervisor; without one the plan waits until somebody has restarted the node.
   */
  readonly restart?: RestartHook
  /**
   * What this node's software speaks, for tests of upgrades: a node that speaks less than it could
   * behaves like the release before. Default: all that it can.
   */
  readonly versions?: VersionRange
  /** Ports of your own, for tests and simulation. */
  readonly overrides?: Partial<Ports>
}

export interface StopOptions {
  /** Hand over leadership, finish work in flight and leave the cluster first. Default true. */
  readonly drain?: boolean
}

const States = {
  Created: 'created',
  Starting: 'starting',
  Running: 'running',
  Stopping: 'stopping',
  Stopped: 'stopped'
} as const
type State = (typeof States)[keyof typeof States]

/** Above it the node calls its main loop slow. */
const loopDelayMsMax = 250
/** A planned stop may take this long beyond `facade.drainTimeoutMs` to say goodbye. */
const goodbyeTimeoutMs = 2_000

export class ClusterNetworkManager implements ClusterManager {
  readonly nodeId: NodeId
  readonly config: ClusterConfig
  readonly #options: CreateOptions
  readonly #config: Config
  readonly #hub: EventHub
  readonly #catalogue: Catalogue
  readonly #customs: CustomHandlers
  #state: State = States.Created
  #ports: Ports | null = null
  #bound: BoundPorts | null = null
  #rooms: Rooms | null = null
  /**
   * Checks the configuration; nothing is opened or bound yet.
   * @throws InvalidConfigError with every fault at once
   * @throws InvalidArgumentError a message of your own has a number or name that is taken
   */
  static create(options: CreateOptions): ClusterNetworkManager {
    const spoken = catalogue(options.messages)
    const config = resolveConfig({
      code: options.config,
      ...(options.preset === undefined ? {} : { preset: options.preset }),
      roomFaults: ({ routing, security }) => [
        ...restrictionFaults(security.messageRestrictions, spoken),
        ...strategyFaults(routing, options.strategies)
      ]
    })
    return new ClusterNetworkManager(config, options, spoken)
  }

  private constructor(config: Config, options: CreateOptions, spoken: Catalogue) {
    this.nodeId = config.node.id as NodeId
    this.#config = config
    this.config = new LiveConfig(config, {
      strategy: () => this.#rooms?.queries.view.strategy ?? config.routing.strategy,
      faultsOf: ({ routing }) =>
        routing.strategy === this.#rooms?.queries.view.strategy
          ? []
          : strategyFaults(routing, options.strategies),
      apply: ({ routing, sync }) => {
        const rooms = this.#running()
        rooms.queries.reconfigure(routing)
        rooms.stateSync.reconfigure(sync)
      }
    })
    this.#options = options
    this.#hub = new EventHub(config.facade)
    this.#catalogue = spoken
    this.#customs = new CustomHandlers(spoken)
  }

  /**
   * Binds, opens the data directory, and begins to join: resolves when this node can be reached.
   * Whether it is ready for work, `healthCheck()` says.
   *
   * @throws CertificateError, ListenFailedError, DataDirectoryInUseError,
   * DataDirectoryForeignError, LogCorruptedError
   */
  async start(): Promise<void> {
    if (this.#state !== States.Created) throw new StoppedError(`start: already ${this.#state}`)
    this.#state = States.Starting
    try {
      const made = await makePorts(this.#config, this.#options.overrides ?? {})
      const start = () => this.#startRooms(made)
      await (made.ports.tracer?.outside(start) ?? start())
    } catch (error) {
      this.#state = States.Stopped
      await this.#release()
      throw error
    }
    this.#state = States.Running
    this.#publish({ type: 'NodeStarted', nodeId: this.nodeId })
    this.#joinSeeds()
  }

  /**
   * Planned: routing turns away, leadership is handed over, work in flight ends, the members are
   * told, and everything is released in the reverse order of its start. Voters are not changed.
   */
  async stop(options: StopOptions = {}): Promise<void> {
    if (this.#state === States.Created) this.#state = States.Stopped
    if (this.#state !== States.Running) return
    this.#state = States.Stopping
    this.#publish({ type: 'NodeStopping', nodeId: this.nodeId })
    if (options.drain ?? true) await this.#drain()
    await this.#release()
    this.#state = States.Stopped
    this.#publish({ type: 'NodeStopped', nodeId: this.nodeId })
    this.#hub.close()
  }

  /**
   * Asks `seeds`, resolves with how many answered.
   * @throws JoinFailedError naming each seed's reason when none did
   */
  async joinCluster(seeds: readonly Address[]): Promise<number> {
    const { membership } = this.#running()
    const joined = await membership.join(
      seeds,
      this.#deadlineIn(this.#config.membership.joinTimeoutMs)
    )
    membership.setLifecycle(Lifecycles.Up)
    return joined
  }

  /** Tells the members; they forget this node without suspecting it. Voters are not changed. */
  async leaveCluster(): Promise<void> {
    await this.#running().membership.leave(this.#deadlineIn(goodbyeTimeoutMs))
  }

  now(): MonotonicMs {
    return must(this.#ports, 'ports: call start() first').clock.now()
  }

  get hotspots(): Hotspots {
    return this.#running().queries.hotspots
  }

  getClusterMembers(): readonly Member[] {
    return this.#rooms?.membership.members() ?? []
  }

  getAliveMembers(): readonly Member[] {
    return this.getClusterMembers().filter(
      ({ liveness, lifecycle }) => liveness === Livenesses.Alive && lifecycle !== Lifecycles.Left
    )
  }

  getClusterView(): ClusterView {
    return {
      clusterName: this.#config.cluster.name,
      clusterId: this.#rooms?.clusterId() ?? null,
      nodeId: this.nodeId,
      address: this.#address(),
      version,
      members: this.getClusterMembers(),
      groups: this.#groupStatuses()
    }
  }

  routeQuery(sql: string, options: RouteOptions = {}): RouteDecision {
    return this.#running().queries.route(sql, options)
  }

  explainRoute(sql: string, options: RouteOptions = {}): RouteExplanation {
    return this.#running().queries.explain(sql, options)
  }

  executeQuery(sql: string, options?: QueryOptions): Promise<QueryResult>
  executeQuery(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>
  executeQuery(
    query: string | readonly Statement[],
    options: QueryOptions = {}
  ): Promise<QueryResult | QueryResult[]> {
    return this.#entered<QueryResult | QueryResult[]>(({ queries }) =>
      typeof query === 'string' ? queries.execute(query, options) : queries.execute(query, options)
    )
  }

  /**
   * For a client that numbers its own writes, so that each is executed once however often it is
   * sent. Registering twice is harmless.
   */
  registerClient(
    clientId: ClientId,
    options: Pick<QueryOptions, 'timeoutMs' | 'signal' | 'group'> = {}
  ): Promise<void> {
    return this.#entered(({ queries }) => queries.registerClient(clientId, options))
  }

  sendMessage<Body>(
    target: NodeId,
    message: ClusterMessage<Body>,
    options: SendMessageOptions = {}
  ): Promise<void> {
    return this.#entered(({ delivery }) => delivery.send(target, message, options))
  }

  request<Body, Answer>(
    target: NodeId,
    message: ClusterRequest<Body, Answer>,
    options: RequestMessageOptions = {}
  ): Promise<Answer> {
    return this.#entered(({ delivery }) => delivery.request(target, message, options))
  }

  broadcastMessage<Body>(
    message: ClusterMessage<Body>,
    options: BroadcastOptions = {}
  ): Promise<BroadcastReport> {
    return this.#entered(({ delivery, membership }) =>
      delivery.broadcast(message, membership.members(), options)
    )
  }

  addNode(node: NodeReference, options: MemberChangeOptions = {}): Promise<MemberChangeReport> {
    return this.#changeMembers(MemberChangeKinds.Add, node, options)
  }

  removeNode(node: NodeReference, options: MemberChangeOptions = {}): Promise<MemberChangeReport> {
    return this.#changeMembers(MemberChangeKinds.Remove, node, options)
  }

  get messages(): ClusterMessages {
    return this.#customs
  }

  get routing(): ClusterRouting {
    return this.#running().queries.view
  }

  get security(): SecurityManager {
    return this.#running().security
  }

  get membership(): ClusterMembership {
    return this.#running().membership.view
  }

  get control(): ClusterControl {
    return this.#running().control.view
  }

  get metadata(): ClusterMetadata {
    return this.#running().membership.metadata
  }

  get channels(): Channels {
    return this.#running().transport.channels
  }

  get sessions(): SqlSessions {
    return this.#running().sessions
  }

  get backups(): ClusterBackups {
    return this.#running().backups
  }

  get transactions(): ClusterTransactions {
    return this.#running().transactions
  }

  get stateSync(): StateSync {
    return this.#running().stateSync
  }

  get health(): ClusterHealth {
    const { health, heartbeat } = this.#running()
    return clusterHealthOf(health, heartbeat)
  }

  setRoutingStrategy(strategy: StrategyName | (string & {}) | RoutingStrategy): void {
    this.#running().queries.setStrategy(strategy)
  }

  drain(node: NodeId, timeouts?: Partial<DrainTimeouts>): Promise<DrainReport> {
    return this.#entered(({ planned }) => planned.operations.drain(node, timeouts))
  }

  undrain(node: NodeId): Promise<void> {
    return this.#entered(({ planned }) => planned.operations.undrain(node))
  }

  switchover(request: SwitchoverRequest): Promise<SwitchoverReport> {
    return this.#entered(({ planned }) => planned.operations.switchover(request))
  }

  get restarts(): RollingRestarts {
    const { restarts } = this.#running().planned
    if (restarts === null) throw new NotFoundError('this node knows of no control group')
    return restarts
  }

  get failover(): Failovers {
    const { failovers } = this.#running().planned
    if (failovers === null) throw new NotFoundError('this node knows of no control group')
    return failovers
  }

  explainFailover(id: number): Promise<Failover> {
    return this.#entered(() => this.failover.explain(id))
  }

  rollingRestart(request?: RollingRestartRequest): Promise<RollingRestart> {
    return this.#entered(() => this.restarts.start(request))
  }

  subscribeToEvents(): EventSubscription {
    return this.#hub.subscribe()
  }

  healthCheck(excluded?: ReadonlySet<string>): HealthReport {
    const rooms = this.#rooms
    return healthReportOf({
      excluded,
      started: this.#state === States.Running,
      lifecycle: rooms?.membership.self().lifecycle ?? Lifecycles.Joining,
      members: this.getClusterMembers(),
      groups: this.#groupStatuses(),
      leaderKnown: this.#isLeaderKnown(),
      loopDelayMs: rooms?.loop.delayMs() ?? 0,
      loopDelayMsMax,
      others: [...(rooms?.health.checks() ?? []), ...(rooms?.security.checks() ?? [])]
    })
  }

  /** Of `getClusterView`, for who looks after each event: nothing is copied. */
  sights(): readonly { readonly sight: ReplicaSight }[] {
    return this.#rooms?.consensus.groups() ?? []
  }

  /** Of every member known, this node included. */
  tellIncarnations(tell: TellIncarnation): void {
    this.#rooms?.membership.tellIncarnations(tell)
  }

  /** The length of every queue that messages and queries pass through, and its bound. */
  tellQueues(tell: TellQueue): void {
    const rooms = this.#rooms
    if (rooms === null) return
    const { transport, delivery, membership, consensus, queries, health, heartbeat } = rooms
    const { driver, recorder } = rooms.control
    const data = [transport, delivery, membership, consensus, queries]
    const told = [...data, driver, recorder, health, heartbeat]
    rooms.stateSync.tellQueues(tell)
    rooms.sessions.tellQueues(tell)
    for (const room of told) room.tellQueues(tell)
  }

  getAllMetrics(): MetricsSnapshot {
    return metricsOf(this.#running(), must(this.#ports, 'ports').streams)
  }

  async checksums(): Promise<readonly { group: GroupId; index: LogIndex; hash: string }[]> {
    const groups = this.#running().consensus.groups()
    return Promise.all(
      groups.map(async (group) => ({ group: group.group, ...(await group.checksum()) }))
    )
  }

  async #startRooms({ ports, gossipKeys }: PortsAndKeys): Promise<void> {
    const config = this.#config
    const bound = await BoundPorts.bind(ports, config.node.listenAddress)
    this.#ports = ports
    this.#bound = bound
    const rooms = compose({
      config,
      ports: { ...ports, streams: bound.streams, datagrams: bound.datagrams },
      engine: this.#options.engine ?? null,
      catalogue: this.#catalogue,
      strategies: this.#options.strategies ?? {},
      gossipKeys,
      listenAddress: bound.address,
      advertiseAddress: this.#address(),
      restart: this.#options.restart ?? null,
      versions: this.#options.versions ?? supportedVersions,
      isReady: () => this.healthCheck().ready
    })
    this.#rooms = rooms
    subscribeRooms(rooms, (event) => this.#publish(event))
    this.#customs.attach(rooms.delivery)
    const watch = new StartWatch(ports.clock, ports.logger.child({ room: 'facade' }))
    await watch.during('reading the log', () => rooms.consensus.open())
    await watch.during('reading certificates and keys', () => rooms.security.start())
    rooms.transport.setStarting(true)
    await watch.during('listening', () => rooms.transport.start())
    await watch.during('starting membership', () => rooms.membership.start())
    rooms.control.driver.start()
    await watch.during(
      'opening the engines',
      () => rooms.consensus.start(),
      () => ({ groups: rooms.consensus.openingIds })
    )
    rooms.transactions.start()
    rooms.queries.start()
    rooms.control.learnShards()
    rooms.control.upkeep.start()
    rooms.loop.start()
    rooms.health.start()
    rooms.heartbeat.start()
    rooms.stateSync.start()
    rooms.sessions.start()
    rooms.transport.setStarting(false)
  }

  /** Membership goes on asking by itself when none of the seeds answers in time. */
  #joinSeeds(): void {
    const { seeds } = this.#config.cluster
    const { membership } = this.#running()
    membership.setLifecycle(seeds.length === 0 ? Lifecycles.Up : Lifecycles.WeaklyUp)
    if (seeds.length === 0) return
    this.joinCluster(seeds).catch((error) => {
      must(this.#ports, 'ports').logger.warn({ error }, 'no seed answered; asking goes on')
    })
  }

  async #drain(): Promise<void> {
    const rooms = must(this.#rooms, 'rooms')
    const { membership, consensus, control, queries, heartbeat, planned, sessions } = rooms
    planned.operations.stop()
    planned.restarts?.stop()
    planned.failover?.stop()
    control.schemaChanges.stop()
    const deadline = this.#deadlineIn(this.#config.facade.drainTimeoutMs)
    membership.setLifecycle(Lifecycles.Draining)
    heartbeat.announce()
    await sessions.mover.moveAllAway(deadline)
    queries.drain()
    await consensus.handOver(deadline)
    await queries.stop(deadline)
    await consensus.untilLed(deadline)
    await membership.leave(this.#deadlineIn(goodbyeTimeoutMs))
  }

  /** In the reverse order of the start; also after a start that failed half-way. */
  async #release(): Promise<void> {
    const rooms = this.#rooms
    if (rooms !== null) {
      await rooms.stateSync.stop()
      rooms.sessions.stop()
      rooms.heartbeat.stop()
      await rooms.health.stop()
      rooms.loop.stop()
      rooms.planned.operations.stop()
      rooms.planned.restarts?.stop()
      rooms.planned.failover?.stop()
      rooms.planned.node.stop()
      await rooms.queries.stop(this.now())
      await rooms.backups.stop()
      rooms.transactions.stop()
      rooms.control.schemaChanges.stop()
      rooms.control.upkeep.stop()
      rooms.control.driver.stop()
      await rooms.membership.stop()
      await rooms.consensus.stop()
      rooms.security.stop()
      rooms.delivery.stop()
      await rooms.transport.stop()
    }
    await this.#bound?.release()
    if (this.#options.overrides?.workers === undefined) await this.#ports?.workers.close()
  }

  #publish(event: ClusterEventBody): void {
    this.#hub.publish(event, must(this.#ports, 'ports').clock.wallNow())
  }

  #address(): Address {
    return (
      this.#config.node.advertiseAddress ?? this.#bound?.address ?? this.#config.node.listenAddress
    )
  }

  #groupStatuses(): GroupStatus[] {
    return this.#rooms?.consensus.groups().map((group) => group.status()) ?? []
  }

  /**
   * A replica says it for itself: what was heard elsewhere outlives a leader that is lost. Without
   * one, who was told must still be there.
   */
  #isLeaderKnown(): boolean {
    const own = this.#groupStatuses().find(({ group }) => group === DEFAULT_GROUP)
    if (own !== undefined) return own.leader !== null
    const leader = this.#rooms?.queries.leaderOf(DEFAULT_GROUP) ?? null
    // A node without a replica hears of leaders by asking alone.
    if (leader === null) void this.#rooms?.queries.refreshPlacements()
    return this.getAliveMembers().some(({ nodeId }) => nodeId === leader)
  }

  #deadlineIn(ms: number): MonotonicMs {
    return after(this.now(), ms)
  }

  #changeMembers(
    change: MemberChangeKind,
    node: NodeReference,
    options: MemberChangeOptions
  ): Promise<MemberChangeReport> {
    return this.#entered(({ consensus }) => {
      const nodeId = toNodeId(typeof node === 'string' ? node : node.nodeId)
      return consensus.changeMembers(change, nodeId, options)
    })
  }

  /** A call on a node that does not run rejects; it does not throw. */
  #entered<T>(call: (rooms: Rooms) => Promise<T>): Promise<T> {
    try {
      return call(this.#running())
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #running(): Rooms {
    if (this.#state === States.Running && this.#rooms !== null) return this.#rooms
    if (this.#state === States.Stopping) throw new DrainingError('the node is stopping')
    if (this.#state === States.Stopped) throw new StoppedError('the node has stopped')
    throw new NotStartedError('call start() first')
  }
}
