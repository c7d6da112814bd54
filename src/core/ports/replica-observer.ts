import type { GroupId, LogIndex, ReplicaId, Term } from '../ids.js'
import type { Engine } from './engine.js'
import type { PersistRequest, RecoveredGroup } from './log-store.js'

/** What a replica tells another, as far as an observer cares. */
export interface ObservedMessage {
  readonly group: GroupId
  readonly kind: string
  readonly from: ReplicaId
  readonly to: ReplicaId
  readonly term: Term
  readonly granted?: boolean
  /** Of an `appendEntriesResponse`: `index` was not accepted. */
  readonly rejected?: boolean
  /** Of an `appendEntriesResponse`: accepted and durable up to here. */
  readonly index?: LogIndex
}

/**
 * Sees what the replicas of a node promise, make durable and apply, and changes nothing: the
 * simulator judges invariants by it. Absent in production. The values are the replicas' own: not to
 * be kept or changed.
 */
export interface ReplicaObserver {
  /** The replica starts with this. */
  onRecovered(group: GroupId, replica: ReplicaId, recovered: RecoveredGroup): void
  /** The replica has this in its own state now, and asks to make it durable. */
  onPersist(request: PersistRequest): void
  /** The request is durable. */
  onPersisted(request: PersistRequest): void
  /** The message leaves the replica. */
  onSend(message: ObservedMessage): void
  /** The engine that the replica uses: this one, or one that does what it does and is watched. */
  watched?(group: GroupId, engine: Engine): Engine
}
