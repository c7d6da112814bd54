/**
 * The composition root: one child container per manager, ports by token, rooms by factory. The only
 * place that knows `tsyringe` and loads `reflect-metadata`; the rooms are plain classes.
 */
import 'reflect-metadata'
import {
  type DependencyContainer,
  type InjectionToken,
  instanceCachingFactory,
  container as rootContainer
} from 'tsyringe'
import { type ClusterKnowledge, ConsensusDriver, SegmentedLog } from '../src/consensus/index.js'
import { clusterVersionSection } from '../src/control/index.js'
import {
  type Address,
  type Clock,
  type ClusterId,
  CONTROL_GROUP,
  type Compression,
  type Config,
  type Credentials,
  type Crypto,
  type DatagramNetwork,
  type Disk,
  type EngineProvider,
  type GroupId,
  isServing,
  Lifecycles,
  Livenesses,
  type Logger,
  type LogStore,
  LoopWatch,
  type Member,
  type NodeId,
  type Random,
  type ReplicaObserver,
  type StrategyFactory,
  type StreamNetwork,
  type Tracer,
  toGroupId,
  VerdictStatuses,
  type VersionRange,
  type Workers
} from '../src/core/index.js'
import {
  type BackupsDriver,
  type RestartHook,
  SqlSessionsDriver,
  StateSyncDriver,
  TransactionsDriver
} from '../src/failover/index.js'
import {
  HealthDriver,
  HeartbeatDriver,
  type SelfStatus,
  selfReportOf,
  selfStatusOf
} from '../src/health/index.js'
import {
  DeliveryDriver,
  joinSettingsOf,
  MembershipDriver,
  SecurityDriver,
  TransportDriver
} from '../src/network/index.js'
import { QueryDriver } from '../src/routing/index.js'
import type { Catalogue } from '../src/wire/index.js'
import { composeBackups } from './backup-rooms.js'
import { type ControlRooms, composeControl } from './control-rooms.js'
import { composePlanned, type PlannedRooms } from './planned-rooms.js'
import { version } from './version.js'

/** Of zeros in the log's file, ahead of what is written; with small segments a quarter of one. */
const logAheadBytes = 256 * 1024

/** What an embedder, a test or the simulator may put in the place of Node's own. */
export interface Ports {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly compression: Compression
  readonly streams: StreamNetwork
  readonly datagrams: DatagramNetwork
  readonly disk: Disk
  readonly workers: Workers
  readonly logger: Logger
  /** For simulation: sees what replicas promise and make durable. */
  readonly observer?: ReplicaObserver | undefined
  /** Certificates behind `streams`, where they have any. */
  readonly credentials?: Credentials | undefined
  /** Null, or `@opentelemetry/api` not being installed: nothing is traced. */
  readonly tracer?: Tracer | null | undefined
  /** Instead of those of `security.gossipKeyFile`; 32 bytes each, the first seals. */
  readonly gossipKeys?: readonly Uint8Array[] | undefined
}

/** Everything a room is made of, besides the ports. */
export interface Composition {
  readonly config: Config
  readonly ports: Ports
  readonly engine: EngineProvider | null
  /** Every message that the node speaks. */
  readonly catalogue: Catalogue
  /** Routing strategies of the embedder's, by name. */
  readonly strategies: Readonly<Record<string, StrategyFactory>>
  /** 32 bytes each, the first seals; null: insecure. */
  readonly gossipKeys: readonly Uint8Array[] | null
  /** What is bound, with a port that is not 0. */
  readonly listenAddress: Address
  readonly advertiseAddress: Address
  /** Has this node's process replaced; null: it is restarted from outside. */
  readonly restart: RestartHook | null
  /** What this node's software speaks. */
  readonly versions: VersionRange
  /** Whether the node as a whole should be given work. */
  readonly isReady: () => boolean
}

/** The rooms of one manager, in the order in which they start. */
export interface Rooms {
  readonly consensus: ConsensusDriver
  readonly control: ControlRooms
  readonly transport: TransportDriver
  readonly delivery: DeliveryDriver
  readonly membership: MembershipDriver
  readonly queries: QueryDriver
  readonly transactions: TransactionsDriver
  readonly backups: BackupsDriver
  readonly loop: LoopWatch
  readonly health: HealthDriver
  readonly heartbeat: HeartbeatDriver
  readonly security: SecurityDriver
  readonly planned: PlannedRooms
  readonly sessions: SqlSessionsDriver
  readonly stateSync: StateSyncDriver
  readonly clusterId: () => ClusterId | null
}

const token = <T>(name: string): InjectionToken<T> => Symbol(name) as unknown as InjectionToken<T>

const TOKENS = {
  composition: token<Composition>('Composition'),
  ports: token<Ports>('Ports'),
  catalogue: token<Catalogue>('Catalogue'),
  log: token<LogStore>('LogStore'),
  transport: token<TransportDriver>('TransportDriver'),
  delivery: token<DeliveryDriver>('DeliveryDriver'),
  membership: token<MembershipDriver>('MembershipDriver'),
  consensus: token<ConsensusDriver>('ConsensusDriver'),
  control: token<ControlRooms>('ControlRooms'),
  queries: token<QueryDriver>('QueryDriver'),
  transactions: token<TransactionsDriver>('TransactionsDriver'),
  backups: token<BackupsDriver>('BackupsDriver'),
  loop: token<LoopWatch>('LoopWatch'),
  health: token<HealthDriver>('HealthDriver'),
  heartbeat: token<HeartbeatDriver>('HeartbeatDriver'),
  security: token<SecurityDriver>('SecurityDriver'),
  planned: token<PlannedRooms>('PlannedRooms'),
  sessions: token<SqlSessionsDriver>('SqlSessionsDriver'),
  stateSync: token<StateSyncDriver>('StateSyncDriver'),
  learned: token<LearnedClusterId>('LearnedClusterId')
}

/** What a node without a replica knows of its cluster's id: what the first peer told. */
class LearnedClusterId {
  #id: ClusterId | null = null

  get id(): ClusterId | null {
    return this.#id
  }

  learn(id: ClusterId): void {
    this.#id ??= id
  }
}

/** The lag of the main loop is looked at this often, over so many rounds. */
const loopWatch = { intervalMs: 100, windowLengthMax: 20 }

export function compose(composition: Composition): Rooms {
  const container = rootContainer.createChildContainer()
  container.registerInstance(TOKENS.composition, composition)
  container.registerInstance(TOKENS.ports, composition.ports)
  container.registerInstance(TOKENS.catalogue, composition.catalogue)
  container.registerInstance(TOKENS.learned, new LearnedClusterId())
  register(container, TOKENS.log, makeLog)
  register(container, TOKENS.transport, makeTransport)
  register(container, TOKENS.delivery, makeDelivery)
  register(container, TOKENS.membership, makeMembership)
  register(container, TOKENS.consensus, makeConsensus)
  register(container, TOKENS.control, makeControl)
  register(container, TOKENS.queries, makeQueries)
  register(container, TOKENS.transactions, makeTransactions)
  register(container, TOKENS.backups, makeBackups)
  register(container, TOKENS.loop, makeLoop)
  register(container, TOKENS.health, makeHealth)
  register(container, TOKENS.heartbeat, makeHeartbeat)
  register(container, TOKENS.security, makeSecurity)
  register(container, TOKENS.planned, makePlanned)
  register(container, TOKENS.sessions, makeSessions)
  register(container, TOKENS.stateSync, makeStateSync)
  return {
    consensus: container.resolve(TOKENS.consensus),
    control: container.resolve(TOKENS.control),
    transport: container.resolve(TOKENS.transport),
    delivery: container.resolve(TOKENS.delivery),
    membership: container.resolve(TOKENS.membership),
    queries: container.resolve(TOKENS.queries),
    transactions: container.resolve(TOKENS.transactions),
    backups: container.resolve(TOKENS.backups),
    loop: container.resolve(TOKENS.loop),
    health: container.resolve(TOKENS.health),
    heartbeat: container.resolve(TOKENS.heartbeat),
    security: container.resolve(TOKENS.security),
    planned: container.resolve(TOKENS.planned),
    sessions: container.resolve(TOKENS.sessions),
    stateSync: container.resolve(TOKENS.stateSync),
    clusterId: () => clusterIdIn(container)
  }
}

function register<T>(
  container: DependencyContainer,
  as: InjectionToken<T>,
  make: (container: DependencyContainer) => T
): void {
  container.register(as, { useFactory: instanceCachingFactory(make) })
}

function makeLog(container: DependencyContainer): LogStore {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { disk } = ports
  const { logSegmentBytes: segmentBytes } = config.consensus
  const aheadBytes = Math.min(logAheadBytes, segmentBytes / 4)
  return new SegmentedLog({ disk }, { directory: 'log', segmentBytes, aheadBytes })
}

/** A replica's own id is proven by its log; without one, the peers' is believed. */
function clusterIdIn(container: DependencyContainer): ClusterId | null {
  return container.resolve(TOKENS.consensus).clusterId() ?? container.resolve(TOKENS.learned).id
}

function makeTransport(container: DependencyContainer): TransportDriver {
  const { config, ports, listenAddress } = container.resolve(TOKENS.composition)
  const { clock, random, streams, crypto, logger } = ports
  return new TransportDriver(
    {
      clock,
      random: random.split('transport'),
      streams,
      catalogue: container.resolve(TOKENS.catalogue),
      logger: logger.child({ room: 'transport' }),
      addressOf: (nodeId) => container.resolve(TOKENS.membership).addressOf(nodeId) ?? undefined,
      nonces: crypto,
      compression: ports.compression,
      relayFor: (nodeId) => container.resolve(TOKENS.health).relayFor(nodeId),
      tracer: ports.tracer
    },
    {
      identity: {
        kind: 'node',
        nodeId: config.node.id as NodeId,
        clusterName: config.cluster.name
      },
      clusterId: () => clusterIdIn(container),
      onPeerClusterId: (id) => container.resolve(TOKENS.learned).learn(id),
      listenAddress,
      config: config.transport,
      restrictions: config.security.messageRestrictions,
      linkAgeMaxMs: config.security.linkAgeMaxMs,
      sameIdentity: config.security.sameIdentity
    }
  )
}

function makeDelivery(container: DependencyContainer): DeliveryDriver {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { clock, random, logger } = ports
  return new DeliveryDriver(
    {
      self: config.node.id as NodeId,
      clock,
      random: random.split('delivery'),
      transport: container.resolve(TOKENS.transport),
      catalogue: container.resolve(TOKENS.catalogue),
      logger: logger.child({ room: 'delivery' })
    },
    config.delivery
  )
}

function makeMembership(container: DependencyContainer): MembershipDriver {
  const { config, ports, ...addresses } = container.resolve(TOKENS.composition)
  const { clock, random, crypto, datagrams, disk, logger } = ports
  return new MembershipDriver(
    {
      clock,
      random: random.split('membership'),
      crypto,
      datagrams,
      disk,
      messenger: container.resolve(TOKENS.transport),
      logger: logger.child({ room: 'membership' })
    },
    {
      nodeId: config.node.id as NodeId,
      clusterName: config.cluster.name,
      clusterId: () => clusterIdIn(container),
      gossipKeys: addresses.gossipKeys,
      advertiseAddress: addresses.advertiseAddress,
      bindAddress: addresses.listenAddress,
      datacenter: config.node.datacenter,
      rack: config.node.rack,
      metadata: config.node.metadata,
      capacity: config.node.capacity,
      tags: [...new Set(config.node.tags)].sort(),
      versions: addresses.versions,
      clusterVersion: () => {
        const { driver } = container.resolve(TOKENS.control)
        return driver.local(clusterVersionSection)?.clusterVersion ?? null
      },
      settings: joinSettingsOf(config),
      config: config.membership
    }
  )
}

function makeConsensus(container: DependencyContainer): ConsensusDriver {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { clock, random, crypto, disk, logger } = ports
  return new ConsensusDriver(
    {
      clock,
      random: random.split('consensus'),
      crypto,
      messenger: container.resolve(TOKENS.transport),
      disk,
      log: container.resolve(TOKENS.log),
      engines: enginesIn(container),
      sections: (group) =>
        group === CONTROL_GROUP ? [] : [container.resolve(TOKENS.transactions).sectionOf(group)],
      knowledge: knowledgeIn(container),
      logger: logger.child({ room: 'consensus' }),
      observer: ports.observer
    },
    {
      nodeId: config.node.id as NodeId,
      clusterName: config.cluster.name,
      bootstrapVoters: (config.cluster.bootstrap?.voters ?? null) as readonly NodeId[] | null,
      foundedGroups: [...dataGroupsOf(config), CONTROL_GROUP],
      engineDirectory: (group) => `${config.node.dataDirectory}/engine-${group}`,
      config: config.consensus
    }
  )
}

/** The rooms above are made when they are asked, which is after consensus. */
function knowledgeIn(container: DependencyContainer): ClusterKnowledge {
  const queries = () => container.resolve(TOKENS.queries)
  const members = () => container.resolve(TOKENS.membership).members()
  const isThere =
    (node: NodeId) =>
    ({ nodeId, liveness, lifecycle }: Member) =>
      nodeId === node && liveness === Livenesses.Alive && lifecycle !== Lifecycles.Left
  return {
    groups: () => queries().knownGroups(),
    leaderOf: (group) => queries().leaderOf(group),
    refresh: () => queries().refreshPlacements(),
    isMember: (node) => members().some(isThere(node)),
    mayLead: (node) => members().some((member) => member.nodeId === node && isServing(member))
  }
}

const dataGroupsOf = (config: Config): GroupId[] =>
  Array.from({ length: config.cluster.groups }, (_, group) => toGroupId(group))

/** The control group's engine is ours, every other one the embedder's. */
function enginesIn(container: DependencyContainer): EngineProvider | null {
  const { engine } = container.resolve(TOKENS.composition)
  if (engine === null) return null
  return {
    create: (context) =>
      context.group === CONTROL_GROUP
        ? container.resolve(TOKENS.control).driver.createEngine()
        : engine.create(context)
  }
}

function makeControl(container: DependencyContainer): ControlRooms {
  const { config, ports, versions } = container.resolve(TOKENS.composition)
  const { clock, random, crypto, disk, logger } = ports
  const membership = container.resolve(TOKENS.membership)
  return composeControl({
    versions,
    nodeId: config.node.id as NodeId,
    clock,
    random: random.split('control'),
    crypto,
    disk,
    messenger: container.resolve(TOKENS.transport),
    logger: logger.child({ room: 'control' }),
    consensus: container.resolve(TOKENS.consensus),
    members: () => membership.members(),
    onShards: (version, tables) => container.resolve(TOKENS.queries).learnShards(version, tables),
    groups: {
      register: (group, client, timeoutMs) =>
        container.resolve(TOKENS.queries).registerClient(client, { group, timeoutMs }),
      async execute(group, sql, client, timeoutMs) {
        await container.resolve(TOKENS.queries).execute([{ sql }], { group, client, timeoutMs })
      }
    }
  })
}

function makeQueries(container: DependencyContainer): QueryDriver {
  const { config, ports, engine, strategies } = container.resolve(TOKENS.composition)
  const { clock, random, logger } = ports
  const membership = container.resolve(TOKENS.membership)
  const consensus = container.resolve(TOKENS.consensus)
  return new QueryDriver(
    {
      clock,
      random: random.split('routing'),
      messenger: container.resolve(TOKENS.transport),
      logger: logger.child({ room: 'routing' }),
      tracer: ports.tracer,
      members: () => membership.memberList(),
      groupOf: (group) => consensus.group(group) ?? undefined,
      localGroups: () => consensus.groupIds,
      assertQuorum: () => membership.assertQuorum(),
      transact: (request) => container.resolve(TOKENS.transactions).execute(request),
      changeSchema: (request) => container.resolve(TOKENS.control).schemaChanges.change(request),
      clusterId: () => clusterIdIn(container),
      loopDelayMs: () => container.resolve(TOKENS.loop).delayMs(),
      sessions: () => container.resolve(TOKENS.sessions).home,
      ...(engine?.classify === undefined ? {} : { classify: engine.classify.bind(engine) })
    },
    {
      nodeId: config.node.id as NodeId,
      datacenter: config.node.datacenter,
      rack: config.node.rack,
      version,
      config: config.routing,
      strategies
    }
  )
}

function makeTransactions(container: DependencyContainer): TransactionsDriver {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { clock, random, logger } = ports
  return new TransactionsDriver(
    {
      clock,
      random: random.split('transactions'),
      messenger: container.resolve(TOKENS.transport),
      logger: logger.child({ room: 'transactions' }),
      replicaOf: (group) => container.resolve(TOKENS.consensus).group(group),
      leaderOf: (group) => container.resolve(TOKENS.queries).leaderOf(group)
    },
    { nodeId: config.node.id as NodeId }
  )
}

function makeBackups(container: DependencyContainer): BackupsDriver {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { clock, crypto, logger } = ports
  return composeBackups({
    nodeId: config.node.id as NodeId,
    clusterName: config.cluster.name,
    clock,
    crypto,
    logger: logger.child({ room: 'backups' }),
    consensus: container.resolve(TOKENS.consensus),
    control: container.resolve(TOKENS.control).driver,
    transactions: container.resolve(TOKENS.transactions)
  })
}

function makeLoop(container: DependencyContainer): LoopWatch {
  return new LoopWatch(container.resolve(TOKENS.ports).clock, loopWatch)
}

function makeHealth(container: DependencyContainer): HealthDriver {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { clock, random, workers, logger } = ports
  const membership = container.resolve(TOKENS.membership)
  const health = new HealthDriver(
    {
      clock,
      random: random.split('health'),
      messenger: container.resolve(TOKENS.transport),
      datagramsProbe: {
        send: (to, payload) => membership.sendPayload(to, payload),
        onDatagram: (handle) => membership.onPayload(handle)
      },
      workers,
      logger: logger.child({ room: 'health' }),
      members: () => membership.members(),
      loop: container.resolve(TOKENS.loop),
      traffic: (nodeId) => container.resolve(TOKENS.transport).trafficOf(nodeId),
      selfReport: () => selfReportOf(selfStatusIn(container))
    },
    { nodeId: config.node.id as NodeId, config: config.health }
  )
  membership.onRoundTrip((nodeId, ms) => health.observe(nodeId, ms))
  health.onEvent((event) => {
    if (event.type !== 'RouteChanged' || event.relay !== null) return
    container.resolve(TOKENS.transport).endDetour(event.target)
  })
  return health
}

function selfStatusIn(container: DependencyContainer): SelfStatus {
  const { config } = container.resolve(TOKENS.composition)
  const self = container.resolve(TOKENS.membership).self()
  const delayMs = container.resolve(TOKENS.loop).delayMs()
  return selfStatusOf(self, delayMs, config.health.loopDelayMs)
}

function makeHeartbeat(container: DependencyContainer): HeartbeatDriver {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { clock, random, logger } = ports
  const membership = container.resolve(TOKENS.membership)
  return new HeartbeatDriver(
    {
      clock,
      random: random.split('heartbeat'),
      messenger: container.resolve(TOKENS.transport),
      logger: logger.child({ room: 'heartbeat' }),
      members: () => membership.members(),
      self: () => selfStatusIn(container)
    },
    { nodeId: config.node.id as NodeId, config: config.health }
  )
}

function makeSecurity(container: DependencyContainer): SecurityDriver {
  const { config, ports, gossipKeys } = container.resolve(TOKENS.composition)
  const { clock, random, crypto, disk, logger, credentials } = ports
  const transport = container.resolve(TOKENS.transport)
  const membership = container.resolve(TOKENS.membership)
  return new SecurityDriver(
    {
      clock,
      random: random.split('security'),
      crypto,
      disk,
      logger: logger.child({ room: 'security' }),
      messenger: transport,
      transport,
      credentials,
      members: () => membership.members(),
      onKeys: (keys) => membership.setGossipKeys(keys)
    },
    { nodeId: config.node.id as NodeId, gossipKeys, config: config.security }
  )
}

function makePlanned(container: DependencyContainer): PlannedRooms {
  const { config, ports, restart, isReady } = container.resolve(TOKENS.composition)
  const { clock, crypto, logger } = ports
  const membership = container.resolve(TOKENS.membership)
  const health = container.resolve(TOKENS.health)
  return composePlanned({
    nodeId: config.node.id as NodeId,
    clock,
    crypto,
    messenger: container.resolve(TOKENS.transport),
    logger: logger.child({ room: 'failover' }),
    consensus: container.resolve(TOKENS.consensus),
    control: container.resolve(TOKENS.control).driver,
    hook: restart,
    sessions: container.resolve(TOKENS.sessions).mover,
    failover: config.failover,
    onMoved: (action) =>
      container.resolve(TOKENS.control).recorder.record({
        principal: 'failover',
        role: 'node',
        address: '',
        action,
        status: 200
      }),
    members: () => membership.members(),
    verdictOn: (node) => health.verdictOn(node)?.status ?? VerdictStatuses.Unknown,
    lifecycle: () => membership.self().lifecycle,
    setLifecycle(lifecycle) {
      membership.setLifecycle(lifecycle)
      container.resolve(TOKENS.heartbeat).announce()
    },
    isReady,
    inFlight: () => container.resolve(TOKENS.queries).inFlight,
    counts() {
      const { counters, latencies } = container.resolve(TOKENS.queries)
      return {
        queries: counters.get('queries_routed'),
        failures: counters.get('routing_failures'),
        latencies: latencies.snapshot()
      }
    }
  })
}

function makeSessions(container: DependencyContainer): SqlSessionsDriver {
  const { config, ports, engine } = container.resolve(TOKENS.composition)
  const { clock, crypto, logger } = ports
  const membership = container.resolve(TOKENS.membership)
  const queries = () => container.resolve(TOKENS.queries)
  return new SqlSessionsDriver(
    {
      clock,
      crypto,
      messenger: container.resolve(TOKENS.transport),
      logger: logger.child({ room: 'failover' }),
      control: container.resolve(TOKENS.control).driver,
      engine: engine?.sessions ?? null,
      lifecycle: () => membership.self().lifecycle,
      members: () => membership.members(),
      check: (sql) => queries().checkStatement(sql),
      onHomed: (session) => queries().preferHere(session)
    },
    config.node.id as NodeId
  )
}

function makeStateSync(container: DependencyContainer): StateSyncDriver {
  const { config, ports } = container.resolve(TOKENS.composition)
  const { clock, random, crypto, disk, logger } = ports
  return new StateSyncDriver(
    {
      clock,
      random: random.split('state-sync'),
      crypto,
      disk,
      messenger: container.resolve(TOKENS.transport),
      logger: logger.child({ room: 'state-sync' }),
      members: () => container.resolve(TOKENS.membership).members()
    },
    { nodeId: config.node.id as NodeId, config: config.sync }
  )
}
