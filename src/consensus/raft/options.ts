import { assert } from '../../core/assert.js'
import type { Config } from '../../core/config/schema.js'

/** What a Raft core takes from the configuration's section `consensus`; documented there. */
export type RaftOptions = Pick<
  Config['consensus'],
  | 'heartbeatIntervalMs'
  | 'electionTimeoutMinMs'
  | 'electionTimeoutMaxMs'
  | 'appendsInFlightMax'
  | 'appendBytesInFlightMax'
  | 'commitNoticeDelayMs'
  | 'appendSizeBytesMax'
  | 'uncommittedBytesMax'
  | 'unappliedBytesMax'
  | 'pendingReadsMax'
  | 'leaseReads'
  | 'leaseClockRatioMax'
  | 'transferTimeoutMs'
  | 'snapshotKeepMs'
>

/** Entries of one `Committed` event. */
export const committedEntriesMax = 256
/** Entries handed over as committed that the owner has not applied yet. */
export const unappliedEntriesMax = 4_096
/** Followers that are given a snapshot at a time; the others wait. */
export const snapshotsInFlightMax = 2
/** Decisions kept for `explainElection`; the oldest is dropped. */
export const electionRecordsMax = 64

export function assertRaftOptions(options: RaftOptions): void {
  assert(
    options.electionTimeoutMaxMs > options.electionTimeoutMinMs,
    'electionTimeoutMaxMs must be above electionTimeoutMinMs'
  )
  assert(
    options.electionTimeoutMinMs >= 2 * options.heartbeatIntervalMs,
    'electionTimeoutMinMs must be at least twice heartbeatIntervalMs'
  )
}
