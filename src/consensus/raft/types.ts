/** The values that pass between a Raft core and its owner. */
import type { RaftRole } from '../../core/events.js'
import type { GroupId, LogIndex, MonotonicMs, ReplicaId, Term } from '../../core/ids.js'
import type { SnapshotDescription } from '../../core/ports/engine.js'
import type {
  BaseChange,
  LogBase,
  LogEntry,
  PersistRequest,
  RecoveredGroup
} from '../../core/ports/log-store.js'
import type { Random } from '../../core/ports/random.js'
import type { Configuration } from '../configuration.js'
import type { ChangeRefusal } from './configuration-change.js'
import type { RaftOptions } from './options.js'
import type { ProgressMode } from './progress.js'
import type { LogTail } from './raft-log.js'

export interface RaftInit {
  readonly group: GroupId
  readonly self: ReplicaId
  /**
   * What the log store found, which is durable. A founder's first entry is the founding
   * configuration, term 0.
   */
  readonly recovered: RecoveredGroup
  /**
   * The engine has applied the log up to here, so it is committed; `Committed` goes on behind it.
   */
  readonly appliedIndex: LogIndex
  readonly random: Random
  readonly options: RaftOptions
  /**
   * A leader's heartbeats leave at this, and whole intervals later, so that those of many groups
   * leave together. Absent: an interval after it won, and so on.
   */
  readonly heartbeatPhaseMs?: number | undefined
  readonly now: MonotonicMs
}

export interface RaftPersist extends PersistRequest {
  /** Rises by one with each request of this core; `handlePersisted` takes it back. */
  readonly sequence: number
  readonly base: BaseChange | null
}

/** What a compaction may forget. */
export interface CompactionLimits {
  /** The engine holds everything up to here for good. */
  readonly durableIndex: LogIndex
  /** Kept below what is applied. */
  readonly tail: LogTail
  /** False: what followers need behind their snapshots goes too, and they get others. */
  readonly heedsSnapshots: boolean
}

export type HeardAt = (replica: ReplicaId, asLeader: boolean) => MonotonicMs

/** What may be read without asking a majority. */
export interface LeaseRead {
  readonly index: LogIndex
  readonly term: Term
}

export type ReadRefusal = 'notLeader' | 'backpressure'
export type TransferOutcome = 'steppedDown' | 'timedOut' | 'replaced' | 'refused'

export type RaftEvent =
  | {
      readonly type: 'RoleChanged'
      readonly term: Term
      readonly role: RaftRole
      readonly leader: ReplicaId | null
      readonly reason: string
    }
  | { readonly type: 'LeaderChanged'; readonly term: Term; readonly leader: ReplicaId | null }
  /**
   * In order, each entry once per life of the core, durable here; at most `committedEntriesMax`.
   */
  | { readonly type: 'Committed'; readonly entries: readonly LogEntry[] }
  /** Appended, or rolled back with the entry that held the newer one. */
  | { readonly type: 'ConfigurationChanged'; readonly configuration: Configuration }
  /** It was in force before, and stays: nothing rolls it back any more. */
  | {
      readonly type: 'ConfigurationCommitted'
      readonly configuration: Configuration
      readonly index: LogIndex
    }
  /**
   * A follower needs what is not in the log any more, and no snapshot is known that would bring it
   * there: `handleSnapshot` tells of one.
   */
  | { readonly type: 'SnapshotWanted' }
  /** The leader would have this replica's engine restored; `handleRestored` when it is. */
  | {
      readonly type: 'SnapshotOffered'
      readonly from: ReplicaId
      readonly base: LogBase
      readonly snapshot: SnapshotDescription
    }
  /**
   * This replica has lost what it told the leader: it stands on an older copy of its storage. It
   * takes no message any more, and campaigns no more.
   */
  | { readonly type: 'RolledBack'; readonly lost: LostState }
  /** Whoever has applied `index` may answer the read. */
  | { readonly type: 'ReadReady'; readonly requestId: number; readonly index: LogIndex }
  | {
      readonly type: 'ReadRefused'
      readonly requestId: number
      readonly reason: ReadRefusal
      readonly leaderHint: ReplicaId | null
    }
  /** `steppedDown`: this replica leads no more, which is what a transfer wants. */
  | {
      readonly type: 'TransferEnded'
      readonly target: ReplicaId | null
      readonly outcome: TransferOutcome
      readonly reason: string
    }

/** What a replica has acknowledged and does not have. */
export interface LostState {
  /** Who leads `term`, and was told by this replica that it has everything up to `index`. */
  readonly leader: ReplicaId
  readonly term: Term
  readonly index: LogIndex
  /** What the storage has. */
  readonly found: { readonly term: Term; readonly lastIndex: LogIndex }
}

export type ProposeOutcome =
  | { readonly kind: 'proposed'; readonly index: LogIndex; readonly term: Term }
  | {
      readonly kind: 'refused'
      readonly reason: 'notLeader' | 'transferring' | 'backpressure'
      readonly leaderHint: ReplicaId | null
    }

export type ChangeOutcome =
  /** In force here and now; final when `ConfigurationCommitted` tells of one that is not joint. */
  | { readonly kind: 'proposed'; readonly index: LogIndex; readonly term: Term }
  | { readonly kind: 'unchanged' }
  | {
      readonly kind: 'refused'
      readonly reason:
        | ChangeRefusal
        | 'notLeader'
        | 'transferring'
        /** No entry of the leader's term is committed: an older change may be under way. */
        | 'termNotCommitted'
        /** A voter to be lags behind, or is not fed yet: it must be a learner first. */
        | 'notCaughtUp'
        /** Of the voters to be too few are active. */
        | 'quorumInactive'
      readonly leaderHint: ReplicaId | null
    }

export interface ReplicaProgress {
  readonly replica: ReplicaId
  /** In the configuration that is, or is to be. */
  readonly isVoter: boolean
  /** No member any more: it is told so, and then forgotten. */
  readonly isLeaving: boolean
  readonly mode: ProgressMode
  /** Durable there. */
  readonly matchIndex: LogIndex
  readonly nextIndex: LogIndex
  readonly appendsInFlight: number
  readonly appendBytesInFlight: number
  /** Answered within an election timeout. */
  readonly active: boolean
  /** Near enough to the end of the log to vote without holding up commits. */
  readonly isCaughtUp: boolean
  /** Of a learner: see `CatchUp`. */
  readonly roundsWithoutGain: number
}

export interface RaftStatus {
  readonly role: RaftRole
  readonly term: Term
  readonly vote: ReplicaId | null
  readonly leader: ReplicaId | null
  readonly configuration: Configuration
  readonly configurationIndex: LogIndex
  readonly commitIndex: LogIndex
  /** The last index that `Committed` has carried, or `appliedIndex` at the start. */
  readonly emittedIndex: LogIndex
  /** Durable here. */
  readonly durableIndex: LogIndex
  /** The log begins behind it. */
  readonly baseIndex: LogIndex
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly uncommittedBytes: number
  readonly pendingReads: number
  readonly transferTarget: ReplicaId | null
  /**
   * Messages that were for another replica or group, or from a replica with no business to send
   * them.
   */
  readonly messagesIgnored: number
  /** Leader only, sorted by replica; without itself. */
  readonly progress: readonly ReplicaProgress[]
}

/** One decision about who leads, with what it was decided on. */
export interface ElectionRecord {
  readonly at: MonotonicMs
  readonly term: Term
  readonly decision: string
  readonly peer: ReplicaId | null
  readonly reason: string
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
  readonly leader: ReplicaId | null
  /** Since the leader was last heard; null when none was. */
  readonly leaderSilentMs: number | null
}
