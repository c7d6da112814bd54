import type { Config } from '../core/config/schema.js'
import {
  type ClientId,
  type ClusterId,
  CONTROL_GROUP,
  DEFAULT_GROUP,
  type GroupId,
  type LogIndex,
  type NodeId
} from '../core/ids.js'
import type { Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { EngineProvider } from '../core/ports/engine-provider.js'
import type { Logger } from '../core/ports/logger.js'
import type { Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import type { ReplicatedGroup } from '../core/ports/replicated-group.js'
import type { Tracer } from '../core/ports/tracer.js'
import type { StrategyFactory } from '../core/routing-strategy.js'
import { Affinities } from './affinity.js'
import { AttemptsDriver } from './attempts-driver.js'
import { ClusterWatchDriver } from './cluster-watch-driver.js'
import { ExecutionDriver, type Transact } from './execution-driver.js'
import { HotspotsDriver } from './hotspots/hotspots-driver.js'
import { LeaderBufferDriver } from './leader-buffer-driver.js'
import { type LoadReport, loadReportOf } from './load-report.js'
import { Admission } from './overload/admission.js'
import { ExecutionGate } from './overload/execution-gate-driver.js'
import { RetryBudget } from './overload/retry-budget.js'
import { Shedder } from './overload/shedder.js'
import { OwnClientDriver } from './own-client-driver.js'
import { PlacementDriver } from './placement-driver.js'
import { type Placement, PlacementTable } from './placement-table.js'
import { RouteChoice } from './route-choice.js'
import type { SessionGate } from './sessions/sql-session.js'
import { SchemaRequestDriver } from './sharding/schema-request-driver.js'
import { type ChangeSchema, ShardRunnerDriver } from './sharding/shard-runner-driver.js'
import { ShardWatchDriver } from './sharding/shard-watch-driver.js'
import { WaitingDriver } from './waiting-driver.js'

export interface QueryComponents {
  readonly clock: Clock
  readonly random: Random
  readonly messenger: Messenger
  readonly logger: Logger
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer | null | undefined
  readonly members: () => readonly Member[]
  /** This node's replica of a group. */
  readonly groupOf: (group: GroupId) => ReplicatedGroup | undefined
  /** Groups with a replica here, by number; absent: group 0, where it has one. */
  readonly localGroups?: () => readonly GroupId[]
  /**
   * Why no leader is known, when too few voters are in reach.
   * @throws NoQuorumError
   */
  readonly assertQuorum?: () => void
  /** Transactions over several groups; absent: this node has no replica. */
  readonly transact?: Transact | undefined
  /** Changes the schema of sharded tables; absent: a member is asked. */
  readonly changeSchema?: ChangeSchema | undefined
  /** For engines whose language is not SQL. */
  readonly classify?: EngineProvider['classify'] | undefined
  /** What clients are told beside members and placement. */
  readonly clusterId?: () => ClusterId | null
  /** Of the id under which writes are numbered here; a name of this node's own when absent. */
  readonly newClientId?: () => ClientId
  /** Others told of a leader that was not known here. */
  readonly onLeaderLearned?: (placement: Placement) => void
  /**
   * Begins to connect to a node, unless that is under way. Given: while it is not connected,
   * queries go by way of those that are. Absent: they wait for the connection.
   */
  readonly connect?: (node: NodeId) => void
  /** How late the main loop runs. */
  readonly loopDelayMs?: () => number
  /** Reads of a group see at least this index of it; absent: what their callers ask for. */
  readonly seenIndexOf?: (group: GroupId) => LogIndex
  /** Of SQL sessions at home on this node; absent: it keeps none. */
  readonly sessions?: () => SessionGate
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

/** The parts of a `QueryDriver`, wired to one another; what they decide is theirs. */
export interface QueryTools {
  readonly random: Random
  readonly choice: RouteChoice
  readonly gate: ExecutionGate
  readonly admission: Admission
  readonly execution: ExecutionDriver
  readonly attempts: AttemptsDriver
  readonly placements: PlacementDriver
  readonly affinities: Affinities
  readonly hotspots: HotspotsDriver
  readonly ownClient: OwnClientDriver
  readonly waiting: WaitingDriver
  readonly watches: ClusterWatchDriver
  readonly buffer: LeaderBufferDriver
  readonly budget: RetryBudget
  readonly loadReport: () => LoadReport
  readonly shards: ShardRunnerDriver
  readonly shardWatch: ShardWatchDriver
}

export function makeQueryTools(
  components: QueryComponents,
  options: QueryDriverOptions
): QueryTools {
  const { clock, messenger } = components
  const { nodeId, config } = options
  const random = components.random.split('routing')
  const choice = new RouteChoice({ clock, random }, { ...options, ...config })
  const { observations, standings } = choice
  const shedder = new Shedder(config, clock.now())
  const gate = new ExecutionGate({ clock, shedder }, config)
  const loadReport = () =>
    loadReportOf({
      inFlight: gate.inside + gate.queued,
      executionsMax: config.executionsMax,
      loopDelayMs: components.loopDelayMs?.() ?? 0
    })
  const learned = new PlacementTable()
  const hotspots = new HotspotsDriver(
    {
      ...components,
      random: random.split('hotspots'),
      placementOf: (group) => placements.of(group)
    },
    { nodeId, config }
  )
  const execution = new ExecutionDriver({
    ...components,
    localGroups: components.localGroups ?? (() => [DEFAULT_GROUP]),
    learned,
    gate,
    onExecution: (key, forLeader) => hotspots.record(key, forLeader)
  })
  const attempts = new AttemptsDriver(
    { clock, messenger, execution, observations, standings, ownLoad: loadReport },
    { nodeId }
  )
  const waiting = new WaitingDriver(clock)
  const placed = makePlaced(components, options, { random, execution, learned, waiting })
  const { placements } = placed
  return {
    random,
    choice,
    gate,
    admission: new Admission({ shedder, gate }, config),
    execution,
    attempts,
    ...placed,
    affinities: new Affinities(config),
    hotspots,
    ownClient: makeOwnClient(components, options, { random, attempts }),
    waiting,
    buffer: new LeaderBufferDriver({ clock, placements }, config),
    budget: new RetryBudget(config),
    loadReport
  }
}

/** Where groups live and which tables are sharded, and who is told of it. */
function makePlaced(
  components: QueryComponents,
  options: QueryDriverOptions,
  parts: Pick<QueryTools, 'random' | 'execution' | 'waiting'> & {
    readonly learned: PlacementTable
  }
): Pick<QueryTools, 'placements' | 'shards' | 'shardWatch' | 'watches'> {
  const { execution, learned, waiting } = parts
  const { nodeId, config } = options
  const placements = new PlacementDriver(
    {
      ...components,
      random: parts.random.split('placement'),
      execution,
      learned,
      onShards({ version, tables }) {
        if (shards.learn(version, tables)) watches.handleShardsChanged()
      }
    },
    { nodeId }
  )
  const random = parts.random.split('schema')
  const asking = new SchemaRequestDriver({ ...components, random, waiting }, config)
  const shards = new ShardRunnerDriver(
    { changeSchema: components.changeSchema ?? asking.change, random },
    { nodeId }
  )
  const watches = makeWatches(components, options, { placements, shards })
  const shardWatch = new ShardWatchDriver({
    clock: components.clock,
    random: parts.random.split('shards'),
    isTold: () => execution.hasReplica(CONTROL_GROUP),
    ask: () => placements.refresh()
  })
  return { placements, shards, shardWatch, watches }
}

const makeOwnClient = (
  { clock, newClientId }: QueryComponents,
  { nodeId, config, attemptTimeoutMs }: QueryDriverOptions,
  { random, attempts }: Pick<QueryTools, 'random' | 'attempts'>
): OwnClientDriver =>
  new OwnClientDriver(
    { clock, random: random.split('client'), attempts, newClientId },
    { nodeId, registerTimeoutMs: attemptTimeoutMs ?? config.queryTimeoutMs }
  )

const makeWatches = (
  { clock, members, clusterId }: QueryComponents,
  { nodeId, version }: QueryDriverOptions,
  { placements, shards }: Pick<QueryTools, 'placements' | 'shards'>
): ClusterWatchDriver =>
  new ClusterWatchDriver(
    {
      clock,
      members,
      placements: () => placements.all(),
      clusterId: clusterId ?? (() => null),
      shards: () => shards.map
    },
    { nodeId, version: version ?? '' }
  )
