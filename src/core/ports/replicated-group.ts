import type { RaftRole } from '../events.js'
import type { ClientId, GroupId, LogIndex, MonotonicMs, NodeId, Serial, Term } from '../ids.js'
import type { Statement, StatementResult } from '../sql.js'

/** Makes a write exactly-once: the same client and serial are executed once and answered alike. */
export interface ClientTag {
  readonly clientId: ClientId
  readonly serial: Serial
  /** The client has the answers of all serials below; they need not be kept. */
  readonly answeredBelow: Serial
}

export interface WriteRequest {
  readonly statements: readonly Statement[]
  readonly client: ClientTag | null
  readonly deadline: MonotonicMs
}

export interface WriteAnswer {
  readonly results: readonly StatementResult[]
  readonly index: LogIndex
  /** It had been executed before; this is the kept answer. */
  readonly repeated: boolean
}

export interface ReadRequest {
  readonly statements: readonly Statement[]
  /**
   * The replica waits until it has applied this, and until branches that were prepared up to it
   * are decided where the read meets their rows.
   */
  readonly atLeastIndex: LogIndex
  readonly deadline: MonotonicMs
  /** What is in doubt may be decided already: the read waits for it. Absent: it does not. */
  readonly awaitsDecisions?: boolean
  /**
   * The answer tells how old what it saw can be. `maxMs`: refused with TooStaleError where it is
   * not proved to be younger; null: whatever it is.
   */
  readonly staleness?: { readonly maxMs: number | null } | undefined
  readonly signal?: AbortSignal
}

export interface ReadAnswer {
  readonly results: readonly StatementResult[]
  readonly index: LogIndex
  /**
   * Everything that was acknowledged so long before it was executed is seen. Absent: not asked for,
   * or nothing is proved.
   */
  readonly stalenessMs?: number
}

/** What queries are routed and fenced by. */
export interface Leadership {
  readonly role: RaftRole
  readonly term: Term
  readonly leader: NodeId | null
  readonly voters: readonly NodeId[]
}

export interface GroupStatus {
  readonly group: GroupId
  /** For people: `0`, `1`, …, or `control`. */
  readonly name: string
  readonly role: RaftRole
  readonly term: Term
  readonly leader: NodeId | null
  /** Leader only: the one before handed over to it; false: it was elected in a silence. */
  readonly handedOver: boolean
  readonly voters: readonly NodeId[]
  /** They get the log, and neither vote nor serve. */
  readonly learners: readonly NodeId[]
  readonly commitIndex: LogIndex
  readonly appliedIndex: LogIndex
  /** The log begins here; what was before is in the engine alone. */
  readonly firstIndex: LogIndex
  readonly lastIndex: LogIndex
  /** A coded reason when this replica has stopped. */
  readonly failed: string | null
  /**
   * Leader only: last index known on each voter, whether it answered within an election timeout,
   * and whether it is being given a snapshot.
   */
  readonly progress: readonly {
    readonly nodeId: NodeId
    readonly matchIndex: LogIndex
    readonly active: boolean
    readonly getsSnapshot: boolean
  }[]
}

/** Of a replica's status what moves with each event: read in place, nothing is copied. */
export type ReplicaSight = Pick<
  GroupStatus,
  'group' | 'role' | 'term' | 'commitIndex' | 'appliedIndex' | 'failed'
>

/**
 * This node's replica of one group, as routing and the facade see it. Implemented by `consensus`.
 */
export interface ReplicatedGroup {
  readonly group: GroupId
  status(): GroupStatus
  /** Part of the status, asked for with each query: the same value until one of it changes. */
  leadership(): Leadership
  /**
   * Plans, proposes, commits, applies; leader only.
   * @throws NotLeaderError, BackpressureError, LockedError, the caller's own SqlError family:
   * nothing was proposed
   * @throws IndeterminateError proposed, and the outcome is unknown
   */
  write(request: WriteRequest): Promise<WriteAnswer>
  /**
   * @throws RequestTimeoutError the index is not applied in time
   * @throws LockedError rows whose decision it awaits are not decided in time
   */
  read(request: ReadRequest): Promise<ReadAnswer>
  /** Sees every write that was acknowledged before it was asked; throws as `read`, `readIndex`. */
  readLinearizable(request: ReadRequest): Promise<ReadAnswer>
  /**
   * An index that every earlier acknowledged write is at or below, confirmed by a quorum. On a
   * follower the leader is asked, which may hold a lease instead.
   */
  readIndex(deadline: MonotonicMs): Promise<LogIndex>
  /** Commits the registration; leader only. Registering twice is harmless. */
  registerClient(clientId: ClientId, deadline: MonotonicMs): Promise<void>
  /** To `target`, or to whom the leader holds best. Resolves when this node no longer leads. */
  transferLeadership(target: NodeId | null, deadline: MonotonicMs): Promise<void>
  /** This replica's content hash at its applied index. */
  checksum(): Promise<{ readonly index: LogIndex; readonly hash: string }>
}
