/** What is replicated, what keeps it, and what nodes bring one another. */
import { z } from 'zod'
import { count, ms, nodeId } from './fields.js'

export const consensus = z.strictObject({
  heartbeatIntervalMs: ms(5, 60_000).default(100),
  /** Each wait is drawn from [min, max). */
  electionTimeoutMinMs: ms(10, 600_000).default(500),
  electionTimeoutMaxMs: ms(11, 1_200_000).default(1_000),
  /**
   * Followers are told of a commit with the next append, or by itself after so long without one.
   * Higher: fewer messages between rare writes, and local reads see them later. Zero: at once.
   */
  commitNoticeDelayMs: ms(0, 1_000).default(5),
  /** Append messages on the way to one follower. */
  appendsInFlightMax: count(1, 4_096).default(64),
  /**
   * Of their entries; the last append that goes reaches it. Higher: more than this per round trip
   * to who is far away, and more of the transport's queues for who is slow.
   */
  appendBytesInFlightMax: count(1_024, 1_073_741_824).default(4 * 1024 * 1024),
  /** Entries of one append message, by size. */
  appendSizeBytesMax: count(1_024, 1_048_576).default(512 * 1024),
  /** Proposed and not committed; beyond it proposals are refused. */
  uncommittedBytesMax: count(65_536, 1_073_741_824).default(64 * 1024 * 1024),
  /**
   * Committed and handed over, but not applied here yet; beyond it commits go on, what they commit
   * waits in the log, and a leader refuses proposals. Higher: a slow engine is noticed later, and
   * takes more memory; lower: its pauses hold writers up sooner.
   */
  unappliedBytesMax: count(65_536, 1_073_741_824).default(16 * 1024 * 1024),
  /** Requests waiting for the next batch. */
  proposalQueueLengthMax: count(1, 1_048_576).default(8_192),
  /** Commands of one batch, one log entry. */
  batchCommandsMax: count(1, 4_096).default(256),
  /** Read-index requests waiting for a round of heartbeats. */
  pendingReadsMax: count(1, 1_048_576).default(16_384),
  /**
   * A linearizable read at the leader is answered without asking a majority, as long as one has
   * promised, within `electionTimeoutMinMs`, to elect nobody else. The price: after such reads a
   * leader that dies is replaced when its promises have run out, not as soon as its connections
   * break, and it rests on `leaseClockRatioMax`. Alike on all nodes; a node on which this or
   * `electionTimeoutMinMs` changes is to be down for longer than the latter.
   */
  leaseReads: z.boolean().default(false),
  /**
   * The fastest monotonic clock of the cluster runs at most so many times as fast as the slowest,
   * pauses of virtual machines included. Higher: shorter leases, so more of a majority's rounds.
   */
  leaseClockRatioMax: z.number().min(1).max(4).default(1.1),
  /** A leadership transfer is given up after this; zero: one election timeout. */
  transferTimeoutMs: ms(0, 600_000).default(0),
  /** Registered clients; the one unused longest by log time expires at the bound. */
  clientsMax: count(16, 1_048_576).default(10_000),
  /** By log time, since its last command. */
  clientIdleTimeoutMs: ms(1_000, 604_800_000).default(3_600_000),
  /**
   * Kept answers per client that it has not said to have; beyond it its writes are refused. At
   * least 1,024, what a node itself leaves open. Higher: clients may leave more open, for memory.
   */
  clientAnswersMax: count(1, 65_536).default(1_024),
  /**
   * A group of which nobody has asked for so long, and whose members have all of it, sends no
   * heartbeats until it is needed; those of its host stand for it. Lower: less idle traffic and
   * more falling asleep and waking. Zero: never. A node with one group keeps it awake.
   */
  quiesceAfterMs: ms(0, 3_600_000).default(2_000),
  /**
   * Leaders of several data groups are spread evenly over the nodes, once they have stayed the
   * same for so long. Lower: sooner, and more moves while nodes come and go. Zero: never.
   */
  leaderBalanceIntervalMs: ms(0, 3_600_000).default(5_000),
  /** Content hashes of all replicas are compared at this interval. Zero: never. */
  checkIntervalMs: ms(0, 86_400_000).default(0),
  /** A new segment file begins at this size. */
  logSegmentBytes: count(65_536, 1_073_741_824).default(16 * 1024 * 1024),
  /**
   * A group's log that is longer is compacted: what its engine holds for good goes. Higher:
   * followers that were away for longer are caught up without a snapshot, for memory and disk.
   */
  logEntriesMax: count(16, 16_777_216).default(65_536),
  /** The same by the size of the entries. */
  logBytesMax: count(65_536, 4_294_967_296).default(64 * 1024 * 1024),
  /** Of both so much stays, for followers that are a bit behind. */
  logTailShare: z.number().min(0).max(0.9).default(0.25),
  /** A snapshot of which nothing was asked for so long is given up. Higher: disk space longer. */
  snapshotKeepMs: ms(1_000, 86_400_000).default(60_000),
  /** How long a part of a snapshot is waited for before it is asked for again. */
  snapshotChunkTimeoutMs: ms(50, 600_000).default(5_000)
})

/** Of the SQLite engine of `skein node`; an embedder gives its engine's options to the engine. */
export const engine = z.strictObject({
  /**
   * `process`: a statement beyond its deadline is killed, whatever it does. `thread`: a quarter
   * less time per round trip, but a statement inside SQLite cannot be stopped and may stop the
   * replica.
   */
  isolation: z.enum(['process', 'thread']).default('process'),
  /** Reads that run at the same time. Raising it: more processes or threads, 10 to 40 MB each. */
  readers: count(1, 64).default(2)
})

/** When leaderships are moved without being asked to; the same on every node. */
export const failover = z.strictObject({
  /** The coordinator looks at the cluster this often: every node is asked how it is. */
  lookIntervalMs: ms(100, 3_600_000).default(2_000),
  /**
   * A node that has not said how it is within this counts as silent, for the coordinator and for
   * rolling restarts. Higher: for long ways and busy nodes; lower: less to wait for who is gone.
   */
  lookTimeoutMs: ms(50, 60_000).default(2_000),
  /**
   * A leader is degraded for so long before its groups go elsewhere. Higher: fewer moves for a
   * passing trouble; lower: queries suffer for less long.
   */
  degradedForMs: ms(0, 3_600_000).default(10_000),
  /** Between two moves of one group, whoever is ill meanwhile. */
  gapMs: ms(0, 86_400_000).default(60_000),
  /** Above 1: preferred; 0: never leads what is moved. By node; 1 where it is not named. */
  priorities: z.record(nodeId, count(0, 1_000)).default({})
})

/** Files and states that nodes bring one another. */
export const sync = z.strictObject({
  /** Data of one chunk. Larger: fewer messages; smaller: less is sent again when one is damaged. */
  chunkBytes: count(4_096, 524_288).default(262_144),
  /** Chunks of one file on the way at the same time. Higher: faster over long ways, for memory. */
  chunksInFlightMax: count(1, 64).default(4),
  /** What this node sends of files, all together. Zero: as much as it can. */
  bytesPerSecond: count(0, 1_000_000_000_000).default(0),
  /** Files that this node receives at the same time; further ones are refused. */
  transfersMax: count(1, 1_024).default(16),
  /** Files that this node sends at the same time; further ones are asked for again later. */
  transfersServedMax: count(1, 1_024).default(16),
  /** Files that have not arrived whole and are kept to go on with; the oldest is forgotten. */
  partialsMax: count(1, 1_024).default(64),
  /** Without a chunk for so long the sender is asked again. */
  stallTimeoutMs: ms(100, 3_600_000).default(10_000),
  /** A transfer that gets no further for so long has failed. */
  giveUpAfterMs: ms(100, 604_800_000).default(600_000),
  /** Transfers that have ended and are still told of. */
  recordsMax: count(1, 4_096).default(64),
  /** The state of one tenant of a service; a larger one is not exchanged. */
  stateBytesMax: count(1_024, 1_073_741_824).default(64 * 1024 * 1024),
  /** States that are being exchanged, asked for and answered each; beyond it they are refused. */
  serviceSyncsMax: count(1, 1_024).default(16),
  /** Tenants known, removed ones that are remembered included. */
  tenantsMax: count(1, 1_048_576).default(4_096),
  /** What is known of tenants is compared with one member this often. */
  tenantIntervalMs: ms(100, 3_600_000).default(30_000),
  /** So many failures to reach a peer within the window, and it is not asked for a while. */
  breakerFailuresMax: count(1, 1_000).default(5),
  breakerWindowMs: ms(100, 3_600_000).default(10_000),
  /** The first pause; doubles with each failed attempt after it, up to the maximum. */
  breakerBackoffMinMs: ms(1, 600_000).default(100),
  breakerBackoffMaxMs: ms(1, 3_600_000).default(30_000)
})
