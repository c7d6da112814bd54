/** A query as the facade takes it, and what it answers. */
import type { GroupId, LogIndex, NodeId } from './ids.js'
import type { Priority } from './ports/messenger.js'
import type { ClientTag } from './ports/replicated-group.js'
import type { SqlValue, Statement, StatementResult } from './sql.js'

export const Consistencies = {
  /** Sees every write acknowledged before it began. */
  Linearizable: 'linearizable',
  /** What the leader has applied, without asking a quorum; stale for at most an election timeout
   * when a new leader exists that this one has not heard of. */
  Leader: 'leader',
  /** What the answering node has applied; as old as it is, unless `maxStalenessMs` says more. */
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
  /** Which group has what the query is about. Default: as its statements tell, else group 0. */
  readonly group?: GroupId
  /**
   * That the query is about rows of sharded tables with this key alone, where its text does not
   * tell (docs/sharding.md).
   */
  readonly shardKey?: SqlValue
}

export interface QueryOptions extends RouteOptions {
  /** Default: `routing.queryTimeoutMs`. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /**
   * Of a `local` read, 1 to 3,600,000: everything that was acknowledged so long before it is
   * executed is seen. A replica that cannot prove it leaves the read to another one.
   */
  readonly maxStalenessMs?: number
  /** Reads see at least what a write of the same group answered this index for. */
  readonly atLeastIndex?: LogIndex
  /** A client of the cluster that numbers its own writes; absent: this node's own client. */
  readonly client?: ClientTag
}

export interface QueryResult extends StatementResult {
  /**
   * 0 of what several groups put together; of a transaction over groups, of the statement's own
   * group.
   */
  readonly index: LogIndex
  /** The statement's; of what several groups put together, the first. */
  readonly group: GroupId
  /** Which node executed it, or put together what several groups answered. */
  readonly node: NodeId
  /**
   * Of a `local` read: everything that was acknowledged so long before it was executed is seen.
   * Absent: nothing is known of that.
   */
  readonly stalenessMs?: number
}
