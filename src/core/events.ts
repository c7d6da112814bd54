/**
 * Everything a subscriber of the facade can be told, as tagged unions. Rooms emit their own part;
 * the facade numbers and dates them.
 */
import type { BreakerState } from './circuit-breaker.js'
import type { HealthVerdict } from './health-verdict.js'
import type { HotspotEvent } from './hotspots.js'
import type { GroupId, LogIndex, NodeId, Term, WallMs } from './ids.js'
import type { HealthStatus, Lifecycle, Member } from './member.js'
import type { Address } from './ports/stream-network.js'
import type { SessionMoveReport } from './sql-sessions.js'
import type { SyncResult, TenantMetadata, TransferView } from './state-sync.js'

export type MemberEvent =
  | { readonly type: 'MemberJoined'; readonly member: Member }
  | { readonly type: 'MemberSuspected'; readonly member: Member; readonly accuser: NodeId }
  | { readonly type: 'MemberRefuted'; readonly member: Member }
  | { readonly type: 'MemberDied'; readonly member: Member; readonly accuser: NodeId }
  | { readonly type: 'MemberLeft'; readonly member: Member }
  | {
      readonly type: 'MemberUpdated'
      readonly member: Member
      readonly previous: { readonly lifecycle: Lifecycle; readonly health: HealthStatus }
    }
  | { readonly type: 'MemberConflict'; readonly nodeId: NodeId; readonly address: Address }

/** How the cluster holds together, as this node sees it. */
export type PartitionEvent =
  /**
   * `split`: members lost together. `oneWay`: what this node sends does not arrive there, what
   * is sent to it does. `indirect`: reached through others only.
   */
  | {
      readonly type: 'PartitionDetected'
      readonly kind: PartitionKind
      readonly unreachable: readonly NodeId[]
    }
  | {
      readonly type: 'PartitionHealed'
      readonly kind: PartitionKind
      readonly unreachable: readonly NodeId[]
      readonly lastedMs: number
    }
  /** `present` and `missing` are the last committed voters. */
  | {
      readonly type: 'QuorumLost' | 'QuorumRegained'
      readonly needed: number
      readonly present: readonly NodeId[]
      readonly missing: readonly NodeId[]
    }
  /** `yield`: the other side goes on; this one calls itself degraded. */
  | {
      readonly type: 'SplitDecided'
      readonly strategy: string
      readonly decision: 'stay' | 'yield'
      readonly reason: string
      readonly unreachable: readonly NodeId[]
    }

export type PartitionKind = 'split' | 'oneWay' | 'indirect'

/** `value` is null where the pair was deleted. */
export interface MetadataEvent {
  readonly type: 'MetadataChanged'
  readonly nodeId: NodeId
  readonly key: string
  readonly value: string | null
  readonly version: number
}

/** All that membership tells. */
export type MembershipEvent = MemberEvent | PartitionEvent | MetadataEvent

export const RaftRoles = {
  Follower: 'follower',
  PreCandidate: 'preCandidate',
  Candidate: 'candidate',
  Leader: 'leader',
  Learner: 'learner'
} as const
export type RaftRole = (typeof RaftRoles)[keyof typeof RaftRoles]

export type ConsensusEvent =
  | {
      readonly type: 'LeaderChanged'
      readonly group: GroupId
      readonly term: Term
      readonly leader: NodeId | null
    }
  | {
      readonly type: 'RoleChanged'
      readonly group: GroupId
      readonly term: Term
      readonly role: RaftRole
      readonly reason: string
    }
  /** Committed: who votes and who listens from now on; told by every replica of the group. */
  | {
      readonly type: 'ConfigurationChanged'
      readonly group: GroupId
      readonly index: LogIndex
      readonly voters: readonly NodeId[]
      readonly learners: readonly NodeId[]
    }
  | {
      readonly type: 'ReplicaFailed'
      readonly group: GroupId
      readonly code: string
      readonly message: string
    }
  | {
      readonly type: 'ReplicaDiverged'
      readonly group: GroupId
      readonly index: LogIndex
      readonly nodes: readonly NodeId[]
    }
  /** Here, for followers that lack what is not in the log any more. */
  | {
      readonly type: 'SnapshotTaken'
      readonly group: GroupId
      readonly index: LogIndex
      readonly sizeBytes: number
    }
  /** This node's replica goes on behind `index`. */
  | {
      readonly type: 'SnapshotInstalled'
      readonly group: GroupId
      readonly index: LogIndex
      readonly sizeBytes: number
      readonly from: NodeId
    }
  /** Not taken, or not taken in; it is tried again. */
  | {
      readonly type: 'SnapshotFailed'
      readonly group: GroupId
      readonly code: string
      readonly message: string
    }

export type TransportEvent =
  /** A peer sent what its role may not; `closed`: its connection ends for it. */
  | {
      readonly type: 'MessageRefused'
      readonly peer: string
      readonly role: 'node' | 'client'
      readonly message: string
      readonly reason: string
      readonly closed: boolean
    }
  | { readonly type: 'PeerConnected'; readonly nodeId: NodeId; readonly address: Address }
  | { readonly type: 'PeerDisconnected'; readonly nodeId: NodeId; readonly reason: string }
  | {
      readonly type: 'PeerRefused'
      readonly address: Address
      readonly code: string
      readonly reason: string
    }
  /** Two processes prove the same name at once: a copied key, or a second start of one node. */
  | {
      readonly type: 'DuplicateIdentity'
      readonly nodeId: NodeId
      readonly addresses: readonly Address[]
      readonly kept: 'newest' | 'oldest'
    }

export type HealthEvent =
  /** By its own heartbeat. */
  | {
      readonly type: 'PeerStatusChanged'
      readonly nodeId: NodeId
      readonly previous: HealthStatus
      readonly status: HealthStatus
    }
  | { readonly type: 'HealthVerdictChanged'; readonly verdict: HealthVerdict }
  | {
      readonly type: 'RouteChanged'
      readonly target: NodeId
      /** Null: the direct path. */
      readonly relay: NodeId | null
      /** 0…1, the share of the direct path's cost that the relay is expected to save. */
      readonly expectedImprovement: number
      readonly reason: string
    }

/** What this node proves itself with, and whom it believes. */
export type SecurityEvent =
  | {
      readonly type: 'CertificateReloaded'
      readonly serialNumber: string
      readonly notAfter: WallMs
    }
  /** The files do not fit; what was in use stays in use. */
  | { readonly type: 'CertificateReloadFailed'; readonly reason: string }
  | {
      readonly type: 'CertificateExpiring'
      /** Of this node's own certificate or of an authority. */
      readonly subject: string
      readonly notAfter: WallMs
      readonly daysLeft: number
    }
  /** An open connection was cut. */
  | {
      readonly type: 'PeerCut'
      readonly peer: string
      readonly serialNumber: string
      readonly address: Address
      readonly reason: string
    }
  | {
      readonly type: 'RevocationsChanged'
      /** Of the authority's list. */
      readonly number: number
      readonly revoked: number
      /** Which member it came from; null: from this node's file or admin API. */
      readonly from: NodeId | null
    }
  | {
      readonly type: 'GossipKeysChanged'
      readonly version: number
      /** Who made this version. */
      readonly writer: string
      readonly primary: string
      readonly keys: readonly string[]
      /** Who told this node of it. */
      readonly by: NodeId
    }

export type RoutingEvent =
  | HotspotEvent
  | {
      readonly type: 'RoutingStrategyChanged'
      readonly strategy: string
      readonly previous: string
    }
  /** This node asks it nothing for a while, because it failed too often. */
  | {
      readonly type: 'NodeEjected'
      readonly nodeId: NodeId
      readonly reason: string
      readonly forMs: number
      readonly times: number
    }
  /** Its ejection is over; it is given work gradually. */
  | { readonly type: 'NodeReturned'; readonly nodeId: NodeId }

/** SQL sessions, told by the node that they concern. */
export type SessionEvent =
  /** From the node where the session was; what became of the attempt is in the report. */
  | {
      readonly type: 'SessionMoved' | 'SessionMoveRefused'
      readonly report: SessionMoveReport
    }
  /** Its program came with its token: this node is its home now. */
  | {
      readonly type: 'SessionReattached'
      readonly session: string
      readonly client: string
      readonly home: NodeId
      readonly epoch: number
    }
  /** Nobody spoke for so many in time; told by the control group's leader. */
  | {
      readonly type: 'SessionsForgotten'
      /** They were attached when they were last heard of. */
      readonly lost: number
      readonly expired: number
    }

/** What becomes of a rolling restart; told by every node with a replica of the control group. */
export type RestartEvent =
  | {
      readonly type: 'RollingRestartChanged'
      readonly plan: string
      readonly revision: number
      readonly status: string
      readonly reason: string
      readonly owner: NodeId | null
    }
  /** Another node carries it out from now on. */
  | {
      readonly type: 'RollingRestartOwned'
      readonly plan: string
      readonly revision: number
      readonly owner: NodeId
    }
  | {
      readonly type: 'RollingRestartStep'
      readonly plan: string
      readonly revision: number
      readonly nodeId: NodeId
      readonly phase: string
      /** Empty where it went as it should. */
      readonly reason: string
    }

/** Told by every node with a replica of the control group. */
export type FailoverEvent =
  | {
      readonly type: 'FailoverRecorded'
      readonly id: number
      readonly group: GroupId
      readonly term: Term
      readonly from: NodeId | null
      readonly to: NodeId
      readonly reason: string
      readonly why: string
      readonly action: string
    }
  /** Whether leaderships are moved unasked; null: they are. */
  | { readonly type: 'FailoverPaused'; readonly pausedBy: string | null }

/** What nodes bring one another: files, states of services, what is known of tenants. */
export type StateSyncEvent =
  | { readonly type: 'TransferStarted'; readonly transfer: TransferView }
  /** In its last state: done, failed or cancelled. */
  | { readonly type: 'TransferEnded'; readonly transfer: TransferView }
  | {
      readonly type: 'ServiceSynced'
      readonly service: string
      readonly tenant: string
      readonly from: NodeId
      readonly result: SyncResult
    }
  /** Rejected: the two states stay as they are until somebody decides. */
  | {
      readonly type: 'StateConflictFound'
      readonly service: string
      readonly tenant: string
      readonly from: NodeId
    }
  /** `metadata` is null where the tenant was removed. */
  | {
      readonly type: 'TenantChanged'
      readonly tenant: string
      readonly metadata: TenantMetadata | null
      readonly origin: NodeId
    }
  | {
      readonly type: 'BreakerChanged'
      readonly nodeId: NodeId
      readonly previous: BreakerState
      readonly state: BreakerState
    }

export type FacadeEvent =
  | { readonly type: 'NodeStarted'; readonly nodeId: NodeId }
  | { readonly type: 'NodeStopping'; readonly nodeId: NodeId }
  | { readonly type: 'NodeStopped'; readonly nodeId: NodeId }
  | {
      readonly type: 'ViewsDisagree'
      readonly nodeId: NodeId
      readonly membership: 'alive' | 'dead'
      readonly consensus: 'answering' | 'silent'
    }

export type ClusterEventBody =
  | MembershipEvent
  | ConsensusEvent
  | TransportEvent
  | HealthEvent
  | SecurityEvent
  | RoutingEvent
  | RestartEvent
  | SessionEvent
  | FailoverEvent
  | StateSyncEvent
  | FacadeEvent

/** As subscribers get it. */
export type Numbered<Body> = Body & {
  /** Rises by one per event of its source; a gap tells how many a slow subscriber missed. */
  readonly sequence: number
  readonly wallTime: WallMs
}

export type ClusterEvent = Numbered<ClusterEventBody>
