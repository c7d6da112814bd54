/** Copies of all groups of a cluster at one moment: the sub-facade `manager.backups`. */
import type { PlacementView } from './cluster-control.js'
import type { ClusterId, GroupId, LogIndex, NodeId, Term, WallMs } from './ids.js'

/** A copy of one group's content, as its engine makes it. */
export interface BackupGroup {
  readonly group: GroupId
  /** Everything up to here is in it, nothing behind. */
  readonly index: LogIndex
  /** In which it was taken; the entry at `index` is of this one or an earlier one. */
  readonly term: Term
  /** Log time of the group when it was taken. */
  readonly logTime: number
  /** Of the engine. */
  readonly format: number
  readonly sizeBytes: number
  /** 64 hex digits. */
  readonly sha256: string
}

export interface Backup {
  readonly id: string
  readonly clusterName: string
  readonly clusterId: ClusterId
  readonly clusterVersion: number
  /** The oldest format that may be in it. */
  readonly minVersion: number
  /** Of the node that took it. */
  readonly software: string
  readonly node: NodeId
  /** By that node's clock. */
  readonly takenAt: WallMs
  /** So long no transaction over groups was decided. */
  readonly heldMs: number
  /** Every data group, in the order of their numbers. */
  readonly groups: readonly BackupGroup[]
  /** Tables that are spread over groups. */
  readonly tables: PlacementView['tables']
}

export interface TakeBackupOptions {
  readonly timeoutMs?: number
}

export interface ClusterBackups {
  /**
   * Copies every group, beside this node's databases; one backup at a time. No transaction over
   * groups is half in it. It stays until `end`, or until nobody has read of it for `backupKeepMs`.
   
   * @throws BackpressureError one is being taken or read here already
   * @throws BackupFailedError the groups could not be looked at at one moment; nothing is kept
   * @throws NotFoundError a group has no replica on this node: ask another
   */
  take(options?: TakeBackupOptions): Promise<Backup>
  /**
   * Part of a group's copy; fewer bytes than asked for only where it ends.
   * @throws NotFoundError there is no such backup here any more, or no such group in it
   * @throws InvalidArgumentError the part is not within it, or larger than `backupPartBytesMax`
   */
  read(
    id: string,
    part: { readonly group: GroupId; readonly offset: number; readonly lengthBytes: number }
  ): Promise<Uint8Array>
  /** Its space is free again; harmless when it is over. */
  end(id: string): Promise<void>
}

/** Read at once. */
export const backupPartBytesMax = 1024 * 1024
