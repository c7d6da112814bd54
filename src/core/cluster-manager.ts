/** The facade's interface: what the admin API and embedders' own code may ask of a running node. */

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
import type { Hotspots } from './hotspots.js'
import type {
  ClientId,
  ClusterId,
  GroupId,
  LogIndex,
  MonotonicMs,
  NodeId,
  Term,
  WallMs
} from './ids.js'
import type { Member } from './member.js'
import type { Channels } from './ports/channels.js'
import type { StatementKind } from './ports/engine-provider.js'
import type { Priority } from './ports/messenger.js'
import type { ClientTag, GroupStatus } from './ports/replicated-group.js'
import type { Address } from './ports/stream-network.js'
import type { RoutingStrategy, StrategyName } from './routing-strategy.js'
import type { SecurityManager } from './security-manager.js'
import type { SqlValue, Statement, StatementResult } from './sql.js'

export const Consistencies = {
  /** Sees every write acknowledged before it began. */
  Linearizable: 'linearizable',
  /** What the leader has applied, without asking a quorum; stale for at most an election timeout
   * when a new leader exists that this one has not heard of. */
  Leader: 'leader',
  /** What the answering node has applied; may be stale without bound. */
  Local: 'local'
} as const
export type Consistency = (typeof Consistencies)[keyof typeof Consistencies]

export interface RouteOptions {
  readonly priority?: Priority
  readonly consistency?: Consistency
  /** For a single statement. */
  readonly params?: Statement['params']
  /**
   * What the query is about, such as `accounts.id=42`: 1 to 128 characters. Hot keys are found by
   * it. Default: what the statement itself tells.
   */
  readonly key?: string
  /**
   * Queries of one session go to one node while that is as good as another: 1 to 128 characters,
   * a preference and no promise.
   */
  readonly session?: string
}

export interface QueryOptions extends RouteOptions {
  /** Default: `routing.queryTimeoutMs`. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Reads see at least this index: the one a write of the same session answered. */
  readonly atLeastIndex?: LogIndex
  /** A client of the cluster that numbers its own writes; absent: this node's own client. */
  readonly client?: ClientTag
}

export interface QueryResult extends StatementResult {
  readonly index: LogIndex
  readonly group: GroupId
  /** Which node executed it. */
  readonly node: NodeId
}

export interface RouteFactor {
  readonly name: string
  /** As measured, in the unit that the name says; null when unknown. */
  readonly raw: number | null
  /** 0 worst … 1 best among the eligible; null when unknown. */
  readonly normalized: number | null
  readonly weight: number
  /** Since it was measured or told; null for what does not age, or is unknown. */
  readonly ageMs: number | null
}

export interface RouteCandidate {
  readonly node: NodeId
  readonly eligible: boolean
  /** Why it was excluded. */
  readonly exclusion: string | null
  readonly score: number | null
  readonly factors: readonly RouteFactor[]
}

export interface RouteDecision {
  readonly node: NodeId
  readonly group: GroupId
  readonly kind: StatementKind
  readonly consistency: Consistency
  /** The term of the group in which it was decided; null when none is known. */
  readonly term: Term | null
  /** What the query is about, given or found in the statement. */
  readonly key: string | null
  readonly strategy: string
  /** One sentence: why this node. */
  readonly reason: string
}

/** A decision with everything that went into it. */
export interface RouteExplanation {
  /** Rises by one per decision of this node; `manager.routing.decision(id)` finds it again. */
  readonly id: number
  readonly decision: RouteDecision | null
  /** Why there is none. */
  readonly refusal: string | null
  readonly candidates: readonly RouteCandidate[]
  /** What else went into it: that health was ignored, that a node that starts was passed over. */
  readonly notes: readonly string[]
  readonly decidedAt: WallMs
}

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

export interface ClusterManager {
  readonly nodeId: NodeId
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
   * Makes a client known that numbers its own writes (`QueryOptions.client`): once, before its
   * first write. Registering twice is harmless.
   */
  registerClient(
    clientId: ClientId,
    options?: Pick<QueryOptions, 'timeoutMs' | 'signal'>
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
  getAllMetrics(): MetricsSnapshot
  /** Content hash of each replica that this node holds. */
  checksums(): Promise<readonly { group: GroupId; index: LogIndex; hash: string }[]>
}

export type { ClientTag, SqlValue }
