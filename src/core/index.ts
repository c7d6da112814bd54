export { assert, InvariantError, must, unreachable } from './assert.js'
export {
  type Backup,
  type BackupGroup,
  backupPartBytesMax,
  type ClusterBackups,
  type TakeBackupOptions
} from './backups.js'
export { BoundedQueue } from './bounded-queue.js'
export {
  type BreakerState,
  BreakerStates,
  type BreakerTicket,
  CircuitBreaker,
  type CircuitBreakerOptions
} from './circuit-breaker.js'
export type { ClusterConfig } from './cluster-config.js'
export type {
  AskControlOptions,
  AuditedAction,
  AuditRecord,
  ClusterControl,
  ClusterVersionView,
  PlacementView,
  SchemaChangeView,
  ShardTableOptions
} from './cluster-control.js'
export type { ClusterHealth, PeerStatus } from './cluster-health.js'
export type {
  ClusterManager,
  ClusterView,
  EventSubscription,
  HealthCheck,
  HealthReport
} from './cluster-manager.js'
export type {
  ClusterMembership,
  DeathRecord,
  PartitionView,
  ProbeEvidence,
  ProbeRecord,
  QuorumView
} from './cluster-membership.js'
export type { ClusterMessage, ClusterMessages, ClusterRequest } from './cluster-message.js'
export type { ClusterMetadata, MetadataEntry } from './cluster-metadata.js'
export type { ClusterRouting, NodeEjection } from './cluster-routing.js'
export { type ClientConfig, resolveClientConfig } from './config/client.js'
export { LiveConfig, type LiveConfigParts } from './config/live-config.js'
export { type PresetName, presetNames } from './config/presets.js'
export { isLoopback } from './config/relations.js'
export { type ConfigSources, resolveConfig } from './config/resolve.js'
export {
  type ClientConfigInput,
  type Config,
  type ConfigInput,
  reloadable
} from './config/schema.js'
export { Counters, type MetricsSnapshot } from './counters.js'
export { DeadlineTimer } from './deadline-timer.js'
export { after, Deadlines, NEVER } from './deadlines.js'
export {
  type BroadcastOptions,
  type BroadcastOutcome,
  type BroadcastReport,
  type BroadcastSkip,
  type MessageHandler,
  type ReceivedMessage,
  Reliabilities,
  type Reliability,
  type RequestMessageOptions,
  type SendMessageOptions
} from './delivery.js'
export { type Effects, EffectsBuffer } from './effects.js'
export {
  AdoptionRefusedError,
  AttemptGivenUpError,
  BackpressureError,
  BackupDamagedError,
  BackupFailedError,
  BackupFormatError,
  BufferFullError,
  CancelledError,
  CertificateError,
  ChangeRefusedError,
  CircuitOpenError,
  ClientExpiredError,
  CommandTooLargeError,
  type ConfigFault,
  ConnectionLostError,
  ContinuedElsewhereError,
  DataDirectoryForeignError,
  DataDirectoryInUseError,
  DialFailedError,
  DiskFailedError,
  DivergedError,
  DrainingError,
  EngineFailedError,
  type ErrorCode,
  type ErrorFacts,
  type ErrorOptions,
  ExportRefusedError,
  errorCodes,
  FencedError,
  FileTransferError,
  HandshakeRefusedError,
  IndeterminateError,
  InternalError,
  InvalidArgumentError,
  InvalidConfigError,
  JoinFailedError,
  KeyChangeRefusedError,
  ListenFailedError,
  LockedError,
  LogCorruptedError,
  MemberChangeFailedError,
  MessageTooLargeError,
  MethodNotAllowedError,
  NoEligibleNodeError,
  NoLeaderError,
  NoQuorumError,
  NotAuthorizedError,
  NotFoundError,
  NotLeaderError,
  NotSentError,
  NotStartedError,
  NotVoterError,
  OverloadedError,
  PeerIdentityError,
  PlanRefusedError,
  ProtocolError,
  RecoveryRefusedError,
  ReplicaFailedError,
  RequestTimeoutError,
  RequestTooSlowError,
  ResultNotKeptError,
  ResultTooLargeError,
  RolledBackError,
  SerialForgottenError,
  SessionDetachedError,
  SessionEndedError,
  SessionMovedError,
  ShardKeyRequiredError,
  SkeinError,
  SnapshotRefusedError,
  SqlConstraintError,
  SqlError,
  SqlRefusedError,
  StaleRouteError,
  StateConflictError,
  StatementTimeoutError,
  StoppedError,
  StreamResetError,
  TargetNotEmptyError,
  TooStaleError,
  TransactionAbortedError,
  TransferFailedError,
  UnauthenticatedError,
  UndeliveredError,
  UnknownMessageError,
  UnknownNodeError,
  WorkerLostError
} from './errors.js'
export { EventHub, type EventHubOptions } from './event-hub.js'
export {
  type ClusterEvent,
  type ClusterEventBody,
  type ConsensusEvent,
  type FacadeEvent,
  type HealthEvent,
  type MemberEvent,
  type MembershipEvent,
  type MetadataEvent,
  type Numbered,
  type PartitionEvent,
  type PartitionKind,
  type RaftRole,
  RaftRoles,
  type RestartEvent,
  type RoutingEvent,
  type SecurityEvent,
  type StateSyncEvent,
  type TransportEvent
} from './events.js'
export {
  type Failover,
  type FailoverAskOptions,
  type FailoverOption,
  type FailoverReason,
  type FailoverStatus,
  type Failovers,
  type FencingToken,
  failoverReasons
} from './failover.js'
export { type HealthInputs, healthReportOf } from './health-report.js'
export {
  Diagnoses,
  type Diagnosis,
  type HealthVerdict,
  type VerdictStatus,
  VerdictStatuses
} from './health-verdict.js'
export type {
  Capacity,
  ClockDiagnosis,
  ClockOffset,
  Distribution,
  LatencySummary,
  LossEstimate,
  MatrixCell,
  MatrixRow,
  PeerSummary,
  Quality,
  RelayRoute,
  Throughput,
  VerdictRecord
} from './health-views.js'
export type {
  HotKey,
  HotNode,
  Hotspot,
  HotspotEvent,
  Hotspots,
  KeyRate,
  NodeLoad,
  NodeRate
} from './hotspots.js'
export {
  type ClientId,
  type ClusterId,
  CONTROL_GROUP,
  compareText,
  DEFAULT_GROUP,
  type GroupId,
  groupName,
  type Incarnation,
  isNodeId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  nodeOf,
  type ReplicaId,
  replicaIdOf,
  type Serial,
  type StorageId,
  storageOf,
  type Term,
  toClientId,
  toClusterId,
  toGroupId,
  toIncarnation,
  toLogIndex,
  toNodeId,
  toReplicaId,
  toSerial,
  toStorageId,
  toTerm,
  type WallMs
} from './ids.js'
export {
  commandSizeBytesMax,
  datagramExtraBytesMax,
  datagramSizeBytesMax,
  extensionSizeBytesMax,
  frameHeaderBytes,
  frameSizeBytesMax,
  keptResultSizeBytesMax,
  memberMetadataBytesMax,
  messageSizeBytesMax,
  resultSizeBytesMax,
  sqlTextBytesMax
} from './limits.js'
export { LoopWatch } from './loop-watch.js'
export {
  type HealthStatus,
  HealthStatuses,
  isServing,
  type Lifecycle,
  Lifecycles,
  type Liveness,
  Livenesses,
  type Member,
  type NodeCapacity,
  type SeedNodeState,
  type ServerStatus,
  type ServiceNodeState,
  type TellIncarnation,
  toSeedNodeState,
  toServerStatus,
  toServiceNodeState,
  unstatedCapacity
} from './member.js'
export {
  type GroupMemberChange,
  type MemberChangeKind,
  MemberChangeKinds,
  type MemberChangeOptions,
  type MemberChangeReport,
  type NodeReference
} from './member-changes.js'
export {
  type AlternativeName,
  alternativeNamesIn,
  describePeer,
  parsePeerName,
  peerNameOf,
  uriNamesIn
} from './peer-name.js'
export type {
  AcceptChannelOptions,
  ByteChannel,
  Channels,
  OpenChannelOptions
} from './ports/channels.js'
export type { Clock, Timer } from './ports/clock.js'
export type { Compression } from './ports/compression.js'
export type {
  AuthorityFacts,
  Credentials,
  DeniedPeer,
  OwnCertificates,
  PeerJudge,
  RevocationFile,
  RevocationList
} from './ports/credentials.js'
export type { Crypto, Sha256 } from './ports/crypto.js'
export type { DatagramNetwork, DatagramSocket } from './ports/datagram-network.js'
export type { Disk, DiskFile, DiskLock, DiskReader } from './ports/disk.js'
export type {
  Command,
  Engine,
  EngineCapabilities,
  EngineOpenOptions,
  EngineRestore,
  EngineSnapshot,
  EngineState,
  LastingRestore,
  PlanContext,
  PlanOutcome,
  PlanRequest,
  ReadOptions,
  ReadOutcome,
  RestoreOptions,
  SnapshotDescription,
  StatementFailure,
  SystemWrite
} from './ports/engine.js'
export {
  type EngineContext,
  type EngineProvider,
  type StatementKind,
  StatementKinds
} from './ports/engine-provider.js'
export type { EngineSessions, SessionCapture, SessionFault } from './ports/engine-sessions.js'
export type {
  BaseChange,
  HardState,
  LogBase,
  LogEntry,
  LogStore,
  PersistRequest,
  RecoveredGroup,
  RecoveredLog
} from './ports/log-store.js'
export { type Logger, silentLogger } from './ports/logger.js'
export {
  type Inbound,
  type MessageType,
  type Messenger,
  Priorities,
  type Priority,
  type RequestOptions,
  type RequestType,
  type SendOptions
} from './ports/messenger.js'
export type { Random } from './ports/random.js'
export type { ObservedMessage, ReplicaObserver } from './ports/replica-observer.js'
export type {
  ClientTag,
  GroupStatus,
  Leadership,
  ReadAnswer,
  ReadRequest,
  ReplicaSight,
  ReplicatedGroup,
  WriteAnswer,
  WriteRequest
} from './ports/replicated-group.js'
export {
  type Address,
  type BytePipe,
  type ByteStream,
  type DialOptions,
  type PeerCertificate,
  type PeerIdentity,
  type StreamEnd,
  StreamEnds,
  type StreamHandlers,
  type StreamListener,
  type StreamNetwork
} from './ports/stream-network.js'
export type { Span, SpanAttributes, SpanKind, SpanOptions, Tracer } from './ports/tracer.js'
export type { TaskRunner, TasksOf, WorkerModule, Workers } from './ports/workers.js'
export {
  Consistencies,
  type Consistency,
  type QueryOptions,
  type QueryResult,
  type RouteOptions
} from './queries.js'
export {
  type DatagramsHeard,
  type DatagramWay,
  type Reachability,
  type ReachabilityFinding,
  ReachabilityFindings
} from './reachability.js'
export { factsOf, hasCode, RemoteError } from './remote-error.js'
export { type RequestBranch, requestBranchesMax } from './request-branch.js'
export { RingBuffer } from './ring-buffer.js'
export {
  type ClusterOperations,
  type DrainPhase,
  type DrainReport,
  type DrainTimeouts,
  drainPhases,
  failureDomains,
  type PlanAction,
  planActions,
  planStatuses,
  type RestartOptions,
  type RestartPlan,
  type RestartPreview,
  type RollingRestart,
  type RollingRestartRequest,
  type RollingRestarts,
  type SwitchoverReport,
  type SwitchoverRequest,
  stepPhases
} from './rolling-restart.js'
export type { RouteCandidate, RouteDecision, RouteExplanation, RouteFactor } from './route-views.js'
export {
  type AdaptiveWeights,
  type EligibleNode,
  type NodeScore,
  type RoutingStrategy,
  type StrategyContext,
  type StrategyExplanation,
  type StrategyFactory,
  type StrategyName,
  StrategyNames
} from './routing-strategy.js'
export type {
  CertificateStatus,
  GossipKeyId,
  GossipKeysReport,
  InstallKeyOptions,
  KeyChangeOptions,
  RevocationStatus,
  SecurityManager,
  TellReport
} from './security-manager.js'
export { sessionDefaultsOf } from './session-settings.js'
export { pick, SplittableRandom, shuffle } from './splittable-random.js'
export {
  integerToSqlValue,
  type JsonSqlValue,
  type SqlValue,
  type Statement,
  type StatementResult,
  sqlValueFromJson,
  sqlValueToJson
} from './sql.js'
export {
  type MigrationReason,
  type MigrationRefusal,
  migrationReasons,
  migrationRefusals,
  type PreparedStatement,
  type SessionList,
  type SessionMoveReport,
  type SessionMoveRequest,
  type SessionSetting,
  type SessionState,
  type SessionTotals,
  type SessionView,
  type SqlSessions
} from './sql-sessions.js'
export {
  type BreakerView,
  type FetchOptions,
  type FileOffer,
  type MergeFunction,
  MergeStrategies,
  type MergeStrategyName,
  type ServiceState,
  type StateConflict,
  type StateSync,
  type SyncedService,
  type SyncReport,
  type SyncResult,
  type SyncServiceOptions,
  type TenantInput,
  type TenantMetadata,
  type Tenants,
  type TransferOptions,
  type TransferState,
  TransferStates,
  type TransferView,
  type VersionVector
} from './state-sync.js'
export type { TellQueue } from './tell-queue.js'
export { outsideTraces, traced, tracedNow } from './traced-driver.js'
export { toTransactionId } from './transaction-id.js'
export {
  type ClusterTransactions,
  type ResolveTransaction,
  type TransactionReport,
  type TransactionResolution,
  TransactionStates,
  type TransactionsView,
  transactionResolutions
} from './transactions.js'
export type { VersionRange } from './versions.js'
export { viewsDisagree } from './views.js'
