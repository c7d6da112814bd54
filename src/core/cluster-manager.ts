/** The facade's interface: what the admin API and embedders' own code may ask of a running node. */

import type { ClusterBackups } from './backups.js'
import type { ClusterConfig } from './cluster-config.js'
import type { ClusterControl } from './cluster-control.js'
import type { ClusterHealth } from './cluster-health.js'
import type { ClusterMembership } from './cluster-membership.js'
import type { ClusterMessage, ClusterMessages, ClusterRequest } from './cluster-message.js'
import type { ClusterMetadata } from './cluster-metadata.js'
import type { ClusterRouting } from './cluster-routing.js'
import type { MetricsSnapshot } from './counters.js'
import type {
  BroadcastOptions,
  BroadcastReport,
  RequestMessageOptions,
  SendMessageOptions
} from './delivery.js'
import type { ClusterEvent } from './events.js'
import type { Failover, Failovers } from './failover.js'
import type { Hotspots } from './hotspots.js'
import type { ClientId, ClusterId, GroupId, LogIndex, MonotonicMs, NodeId } from './ids.js'
import type { Member } from './member.js'
import type { MemberChangeOptions, MemberChangeReport, NodeReference } from './member-changes.js'
import type { Channels } from './ports/channels.js'
import type { ClientTag, GroupStatus } from './ports/replicated-group.js'
import type { Address } from './ports/stream-network.js'
import type { QueryOptions, QueryResult, RouteOptions } from './queries.js'
import type {
  ClusterOperations,
  RollingRestart,
  RollingRestartRequest,
  RollingRestarts
} from './rolling-restart.js'
import type { RouteDecision, RouteExplanation } from './route-views.js'
import type { RoutingStrategy, StrategyName } from './routing-strategy.js'
import type { SecurityManager } from './security-manager.js'
import type { SqlValue, Statement } from './sql.js'
import type { SqlSessions } from './sql-sessions.js'
import type { StateSync } from './state-sync.js'
import type { ClusterTransactions } from './transactions.js'

export interface HealthCheck {
  readonly name: string
  readonly ok: boolean
  readonly detail: string
}

export interface HealthReport {
  /** Every check is ok. */
  readonly healthy: boolean
  /** Whether the node should be given work. */
  readonly ready: boolean
  readonly checks: readonly HealthCheck[]
}

export interface ClusterView {
  readonly clusterName: string
  readonly clusterId: ClusterId | null
  readonly nodeId: NodeId
  readonly address: Address
  readonly version: string
  readonly members: readonly Member[]
  readonly groups: readonly GroupStatus[]
}

export interface EventSubscription<Event = ClusterEvent> extends AsyncIterable<Event> {
  /** Events this subscriber was too slow for. */
  readonly dropped: number
  close(): void
}

export interface ClusterManager extends ClusterOperations {
  readonly nodeId: NodeId
  /** What is configured, and the part of it that may change while the node runs. */
  readonly config: ClusterConfig
  /** What the failure detector knows beyond the members. */
  readonly membership: ClusterMembership
  /** Small values that each node states about itself and every node can read. */
  readonly metadata: ClusterMetadata
  /** Where queries crowd, and what is done about it. */
  readonly hotspots: Hotspots
  /** Certificates, revocation, gossip keys. */
  readonly security: SecurityManager
  now(): MonotonicMs
  getClusterMembers(): readonly Member[]
  getAliveMembers(): readonly Member[]
  getClusterView(): ClusterView
  /** Decides, executes nothing. @throws NoEligibleNodeError, SqlError, SqlRefusedError */
  routeQuery(sql: string, options?: RouteOptions): RouteDecision
  /** Decides and answers with every factor; never throws for want of a node. */
  explainRoute(sql: string, options?: RouteOptions): RouteExplanation
  executeQuery(sql: string, options?: QueryOptions): Promise<QueryResult>
  /** One atomic command (or one snapshot, when all are reads), one result each. */
  executeQuery(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>
  /**
   * Makes a client known that numbers its own writes (`QueryOptions.client`): once in each group,
   * before its first write there. Registering twice is harmless.
   */
  registerClient(
    clientId: ClientId,
    options?: Pick<QueryOptions, 'timeoutMs' | 'signal' | 'group'>
  ): Promise<void>
  /**
   * For this node's own choices, from now on; other nodes keep theirs. Raises
   * `RoutingStrategyChanged`.
   * @throws InvalidArgumentError for a name that is not among `routing.strategies`
   */
  setRoutingStrategy(strategy: StrategyName | (string & {}) | RoutingStrategy): void
  /**
   * `none`: resolves when it is queued; `acked` (the default) and `ordered`: when the receiver's
   * handler is through with it, which happens at most once in the life of its process.
   *
   * @throws BackpressureError, NotSentError, UndeliveredError, CancelledError: not handled (a
   * cancelled one says in `details.mayHaveBeenHandled` when it had left)
   * @throws IndeterminateError: it may have been handled
   * @throws RemoteError: its handler threw this code, or there is none
   */
  sendMessage<Body>(
    target: NodeId,
    message: ClusterMessage<Body>,
    options?: SendMessageOptions
  ): Promise<void>
  /** @throws IndeterminateError: it left, and no answer came; others: as `sendMessage` */
  request<Body, Answer>(
    target: NodeId,
    message: ClusterRequest<Body, Answer>,
    options?: RequestMessageOptions
  ): Promise<Answer>
  /** To every other member; rejects for the sake of none. */
  broadcastMessage<Body>(
    message: ClusterMessage<Body>,
    options?: BroadcastOptions
  ): Promise<BroadcastReport>
  /**
   * Every group of the cluster gets a replica on the node, which becomes a voter when it keeps up.
   * The node is a member already. The same call again is harmless, and goes on where one ended.
   * @throws UnknownNodeError it is no member
   * @throws MemberChangeFailedError some group stays as it is; `details` says which, and why
   * @throws IndeterminateError whether some group has changed is not known; ask again
   */
  addNode(node: NodeReference, options?: MemberChangeOptions): Promise<MemberChangeReport>
  /**
   * The node's replicas leave every group, leaders hand over first; the node itself goes on as a
   * member without data. Whoever has none is removed already.
   * @throws as `addNode`
   */
  removeNode(node: NodeReference, options?: MemberChangeOptions): Promise<MemberChangeReport>
  subscribeToEvents(): EventSubscription
  /** @param excluded names of checks to pass over */
  healthCheck(excluded?: ReadonlySet<string>): HealthReport
  /** Handlers of the embedder's own messages. */
  readonly messages: ClusterMessages
  /**
   * Streams of bytes to and from other nodes. Accept what others may open as soon as `start`
   * resolves; until then they get ERR_SKEIN_STREAM_RESET (`unknown`).
   * @throws NotStartedError, StoppedError
   */
  readonly channels: Channels
  /** What peers say of themselves. @throws NotStartedError, StoppedError */
  readonly health: ClusterHealth
  readonly routing: ClusterRouting
  /** Plans of rolling restarts. @throws NotFoundError this node knows of no control group */
  readonly restarts: RollingRestarts
  /** As `restarts.start`. */
  rollingRestart(request?: RollingRestartRequest): Promise<RollingRestart>
  /** Why leaderships moved unasked, and whether they may. @throws NotStartedError, StoppedError */
  readonly failover: Failovers
  /** As `failover.explain`. */
  explainFailover(id: number): Promise<Failover>
  /** What the control group holds. @throws NotStartedError, StoppedError */
  readonly control: ClusterControl
  /**
   * Files, states of services and metadata of tenants that nodes bring one another.
   * @throws NotStartedError, StoppedError
   */
  readonly stateSync: StateSync
  /** SQL sessions of programs. @throws NotStartedError, StoppedError */
  readonly sessions: SqlSessions
  /** Transactions over several groups. @throws NotStartedError, StoppedError */
  readonly transactions: ClusterTransactions
  readonly backups: ClusterBackups
  getAllMetrics(): MetricsSnapshot
  /** Content hash of each replica that this node holds. */
  checksums(): Promise<readonly { group: GroupId; index: LogIndex; hash: string }[]>
}

export type { ClientTag, SqlValue }
