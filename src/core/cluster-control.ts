/** What the control group holds, as the facade and the admin API show it. */
import type { GroupId, NodeId } from './ids.js'

export interface PlacementView {
  /** Counts the changes. */
  readonly version: number
  readonly groups: readonly {
    readonly group: GroupId
    readonly voters: readonly NodeId[]
    /** Who should lead while it can; null: anybody. */
    readonly leader: NodeId | null
  }[]
  /** Tables that are spread; all others live in group 0. */
  readonly tables: readonly {
    readonly table: string
    readonly shardKey: string
    /** Each begins at `from` and ends where the next begins; hashes are 0…2^32-1. */
    readonly ranges: readonly { readonly from: number; readonly group: GroupId }[]
  }[]
}

/** A change of the schema of tables that are spread, in one group after the other. */
export interface SchemaChangeView {
  /** 32 hex digits. */
  readonly id: string
  /** Null: an index by its own name, or all tables. */
  readonly table: string | null
  /** Of one that has ended, its beginning. */
  readonly sql: string
  readonly groups: readonly GroupId[]
  /** The first of `groups`. */
  readonly doneIn: readonly GroupId[]
  /**
   * `refused`: by its first group, nothing was changed; `stopped`: by a later one; `aborted`: by an
   * operator, nothing was changed.
   */
  readonly status: 'running' | 'done' | 'refused' | 'stopped' | 'aborted'
  /** What the group after those said against it, or who aborted it; empty: nothing. */
  readonly code: string
  readonly reason: string
  /** Milliseconds since 1970, by the control group's log time. */
  readonly begunAt: number
  readonly changedAt: number
}

export interface ClusterVersionView {
  /** Nothing of a format above it is written anywhere. */
  readonly clusterVersion: number
  /** The oldest format that logs and snapshots may still hold. */
  readonly minVersion: number
  /** What raising it now would raise it to; null: somebody has not said what it speaks. */
  readonly highestCommon: number | null
  readonly nodes: readonly {
    readonly node: NodeId
    /** Formats that its software reads: the oldest and the newest. */
    readonly min: number
    readonly max: number
    /** Of the package. */
    readonly software: string
    /** What it runs on; null: it has not said so, which it does from cluster version 2 on. */
    readonly runtime: string | null
  }[]
  /** Members that have not said what they speak. */
  readonly silent: readonly NodeId[]
}

export interface AuditRecord {
  /** Milliseconds since 1970, by the control group's log time. */
  readonly at: number
  /** Counts the records of the cluster. */
  readonly sequence: number
  readonly node: NodeId
  readonly principal: string
  readonly role: string
  readonly address: string
  readonly action: string
  /** As HTTP tells it. */
  readonly status: number
}

export type AuditedAction = Omit<AuditRecord, 'at' | 'sequence' | 'node'>

export interface ShardTableOptions extends AskControlOptions {
  /** The column by whose value rows are spread; it compares by its bytes. */
  readonly shardKey: string
  /** Default: all groups but 0. Each gets an equal part of the hashes. */
  readonly groups?: readonly GroupId[]
}

export interface AskControlOptions {
  /** Default: 5,000. */
  readonly timeoutMs?: number
}

/**
 * Answers as of now, wherever the control group is.
 * @throws NoLeaderError, RequestTimeoutError it cannot be asked
 */
export interface ClusterControl {
  placement(options?: AskControlOptions): Promise<PlacementView>
  /**
   * Spreads the rows that a table will have; the table is created after it (docs/sharding.md). The
   * same again is harmless.
   * @throws ChangeRefusedError `details.reason`: `placed` otherwise, `noGroups`, …
   * @throws IndeterminateError it may be spread
   */
  shardTable(table: string, options: ShardTableOptions): Promise<PlacementView>
  /** For a table that is dropped: its name means one in group 0 again. @throws as `shardTable` */
  unshardTable(table: string, options?: AskControlOptions): Promise<PlacementView>
  /** Of sharded tables: those that ended, newest last, then those under way. */
  schemaChanges(options?: AskControlOptions): Promise<readonly SchemaChangeView[]>
  /**
   * Ends one that no group was asked to do yet, because its first one does not answer. The same
   * again is harmless.
   * @throws ChangeRefusedError a group has it, or may have it: it goes on; NotFoundError
   * @throws IndeterminateError it may be aborted
   */
  abortSchemaChange(
    id: string,
    options: AskControlOptions & { readonly by: string }
  ): Promise<SchemaChangeView>
  clusterVersion(options?: AskControlOptions): Promise<ClusterVersionView>
  /**
   * Raises the cluster version, to the highest that all members speak unless `to` is given. It
   * never goes down.
   * @throws ChangeRefusedError `details.reason`, and `details.nodes` that are in the way
   * @throws IndeterminateError it may be raised
   */
  finalizeVersion(options?: AskControlOptions & { to?: number }): Promise<ClusterVersionView>
  /** A node that will not come back is in nobody's way. @throws as `finalizeVersion` */
  forgetVersion(node: NodeId, options?: AskControlOptions): Promise<ClusterVersionView>
  /** Newest first; what this node was given to record before is among them. */
  audit(count: number, options?: AskControlOptions): Promise<readonly AuditRecord[]>
  /** Recorded as soon as the control group can be reached, in order; never waits for it. */
  recordAction(action: AuditedAction): void
}
