import type { GroupId, LogIndex, ReplicaId, Term } from '../ids.js'

/** The part of a replica's state that must survive; one per group. */
export interface HardState {
  readonly term: Term
  /** Whom this replica voted for in `term`. */
  readonly vote: ReplicaId | null
}

export interface LogEntry {
  readonly index: LogIndex
  readonly term: Term
  /** Encoded by the consensus room; opaque to the store. */
  readonly payload: Uint8Array
}

/**
 * Stands for everything up to `index`: the group's engine holds it for good, its log no longer.
 */
export interface LogBase {
  readonly index: LogIndex
  readonly term: Term
  /** Where the newest configuration at or below `index` stood. */
  readonly configurationIndex: LogIndex
  /** The payload of that entry. Encoded by the consensus room; opaque to the store. */
  readonly configuration: Uint8Array
}

export interface BaseChange {
  readonly base: LogBase
  /** Nothing of the log before stays; otherwise the entries behind the base do. */
  readonly replacesLog: boolean
}

/**
 * What one group asks to make durable, in this order. Entries replace whatever stands at and after
 * the first one.
 */
export interface PersistRequest {
  readonly group: GroupId
  readonly hardState: HardState | null
  readonly base?: BaseChange | null
  readonly entries: readonly LogEntry[]
}

export interface RecoveredGroup {
  readonly hardState: HardState
  /** Absent, or null: the log begins with index 1. */
  readonly base?: LogBase | null
  /** Contiguous, from the index behind the base. */
  readonly entries: readonly LogEntry[]
}

export interface RecoveredLog {
  readonly groups: ReadonlyMap<GroupId, RecoveredGroup>
  /** Bytes cut from the end: a torn write that nobody was told about. */
  readonly tornBytes: number
}

/**
 * The durable log of one host, shared by its groups. Requests of one `persist` call, and of calls
 * made while a sync is running, share one fsync (group commit).
 *
 * 1. When `persist` resolves, all its requests and all earlier ones are durable.
 * 2. After an error of the disk every later call fails: the node stops.
 * 3. A truncated suffix does not come back, whatever a crash tears.
 * 4. What lies behind the bases of all groups may be deleted when those are durable, not before.
 */
export interface LogStore {
  /** @throws LogCorruptedError damage that is not a torn tail: the replica must not serve */
  open(): Promise<RecoveredLog>
  persist(requests: readonly PersistRequest[]): Promise<void>
  /** fsync calls so far. */
  readonly syncCount: number
  close(): Promise<void>
}
