/** Where queries go, and what is measured of the nodes. */
import { z } from 'zod'
import { count, ms, nodeId } from './fields.js'

export const routing = z.strictObject({
  /**
   * `round-robin`, `random`, `least-connections`, `weighted-round-robin`, `locality-aware`,
   * `adaptive`, `two-choices`, `peak-ewma`, or one that the embedder gave.
   */
  strategy: z.string().min(1).max(63).default('adaptive'),
  /** What the factors of `adaptive` count for; only their ratios matter. */
  adaptiveWeights: z
    .strictObject({
      load: z.number().min(0).max(1).default(0.3),
      latency: z.number().min(0).max(1).default(0.3),
      utilisation: z.number().min(0).max(1).default(0.2),
      locality: z.number().min(0).max(1).default(0.2)
    })
    .prefault({}),
  /**
   * Share of the work by node id, beside others' 1; stronger than what a member says of itself
   * (`node.capacity.weight`, of which 100 is 1). For every strategy but `round-robin`, `random`,
   * `locality-aware` between levels, and `adaptive`, which measures.
   */
  weights: z.record(nodeId, z.number().gt(0).max(1_000)).default({}),
  /**
   * Local reads avoid replicas that were further behind when they last answered. Higher: staler
   * reads, better spread. Zero: no bound.
   */
  lagEntriesMax: count(0, 1_000_000_000).default(10_000),
  lagMsMax: ms(0, 3_600_000).default(5_000),
  /**
   * A node with so many failed attempts in a row is not asked for a while. Higher: slower to give
   * up on a broken node, and on a sound one behind a broken path. Zero: never.
   */
  ejectionErrorsMax: count(0, 1_000).default(5),
  /** Shares of successes are compared at this interval. */
  ejectionIntervalMs: ms(100, 3_600_000).default(10_000),
  /** The first time; the n-th lasts n times as long, up to the maximum. */
  ejectionBaseMs: ms(10, 3_600_000).default(5_000),
  ejectionMaxMs: ms(10, 86_400_000).default(300_000),
  /** Of the replicas, at a time; one always may. */
  ejectedShareMax: z.number().min(0).max(1).default(0.34),
  /** Attempts per interval before a node's share of successes says something. Zero: never. */
  ejectionRequestsMin: count(0, 1_000_000).default(50),
  /** Standard deviations below the mean. Lower: more nodes are odd. */
  ejectionDeviations: z.number().min(0.1).max(10).default(1.9),
  /**
   * When fewer of the serving replicas than this share are well, health and ejections are ignored.
   * Zero: never.
   */
  panicShare: z.number().min(0).max(1).default(0.5),
  /** A new or returned node is given all of its work only after so long. Zero: at once. */
  slowStartMs: ms(0, 3_600_000).default(10_000),
  /** For a query that names none. */
  queryTimeoutMs: ms(1, 3_600_000).default(5_000),
  /**
   * Attempts beyond the first that reached a node and failed, where a retry is safe. What waits for
   * a leader or a connection is bounded by the deadline alone.
   */
  retriesMax: count(0, 16).default(8),
  retryBackoffMs: ms(1, 10_000).default(20),
  /** Queries being executed on or forwarded by this node. */
  queriesInFlightMax: count(1, 1_048_576).default(8_192),
  /** Route decisions kept for `explainRoute`. */
  explainedDecisionsMax: count(1, 65_536).default(256),
  /** Query rates are looked at over this time. Higher: a hotspot is held for one longer. */
  hotspotWindowMs: ms(1_000, 3_600_000).default(60_000),
  /**
   * Nodes are judged, and tell each other their rates, at this interval. Higher: found later, less
   * traffic. A quiet node tells nothing.
   */
  hotspotIntervalMs: ms(50, 60_000).default(1_000),
  /** Members told per interval. Higher: rates are known everywhere sooner. */
  hotspotFanout: count(1, 64).default(3),
  /** A node is hot from so many queries per second on, if it is hot beside the others too. */
  hotspotFloorPerSecond: count(1, 10_000_000).default(1_000),
  /** And from so many times the median of the nodes that hold data. */
  hotspotMedianFactor: z.number().min(1).max(100).default(2),
  /** A key is hot from so many queries per second on, in the whole cluster. */
  hotspotKeyFloorPerSecond: count(1, 10_000_000).default(1_000),
  /** Below so much of what makes it hot it is no more. Lower: fewer changes of mind. */
  hotspotLeaveRatio: z.number().gt(0).lt(1).default(0.75),
  /** Hot or not, it stays so for at least this long. */
  hotspotDwellMs: ms(0, 3_600_000).default(15_000),
  /**
   * Keys counted per part of the window. Higher: rarer keys are found, for memory: a key that has
   * more than 1/max of a node's queries is always found.
   */
  hotspotKeysMax: count(8, 65_536).default(128),
  /** Reads of hot keys are spread over all replicas that may answer them. */
  hotspotSpreadReads: z.boolean().default(true),
  /** A hot leader hands over when that makes the busiest node less busy. */
  hotspotMoveLeaders: z.boolean().default(true),
  /** A leader leads at least this long before it hands over because it is hot. */
  leaderMoveGapMs: ms(0, 86_400_000).default(300_000),
  /** A session keeps its node for this long after its last query. */
  affinityIdleMs: ms(1, 604_800_000).default(3_600_000),
  /** Sessions remembered; beyond it the one idle longest is forgotten. */
  affinitiesMax: count(1, 1_048_576).default(10_000),
  /** Queries that wait for a leader of one group; beyond it they are refused at once. */
  bufferedQueriesMax: count(1, 1_048_576).default(4_096),
  /** And what their statements and values take. */
  bufferedBytesMax: count(1_024, 1_073_741_824).default(16 * 1024 * 1024),
  /** A query waits for a leader so long, however late its deadline is. */
  bufferWindowMs: ms(1, 3_600_000).default(10_000),
  /** Queries let go at a time when a leader is there. Lower: gentler to it, drained later. */
  bufferDrainMax: count(1, 65_536).default(64),
  /** Retries per query, over ten seconds. Higher: more failures are hidden, and amplified. */
  retryBudgetRatio: z.number().min(0).max(10).default(0.2),
  /** Retries per second that are always allowed. */
  retryBudgetMinPerSecond: count(0, 1_000_000).default(10),
  /**
   * Queries being executed on this node's own replicas; the others wait, by priority. Higher: more
   * memory and longer queues inside the engine; lower: they wait where priorities count.
   */
  executionsMax: count(1, 1_048_576).default(1_024),
  /**
   * Overloaded is a node whose queries all waited longer than this for their execution, for
   * `queueDelayIntervalMs`. Higher: more is tolerated before queries of low priority are refused.
   */
  queueDelayTargetMs: ms(1, 60_000).default(50),
  queueDelayIntervalMs: ms(10, 60_000).default(500)
})

export const health = z.strictObject({
  /** Each neighbour is pinged once per interval. Lower: quicker verdicts, more messages. */
  latencyIntervalMs: ms(100, 3_600_000).default(5_000),
  /** A ping or check that is not answered in this time has failed. */
  latencyTimeoutMs: ms(10, 60_000).default(2_000),
  /** Each neighbour is asked how it is. */
  checkIntervalMs: ms(100, 3_600_000).default(10_000),
  /** Byte counters are read; costs no traffic. */
  bandwidthIntervalMs: ms(100, 3_600_000).default(10_000),
  /** Every member is told how this node is, and asked. Lower: news sooner, n² messages more. */
  heartbeatIntervalMs: ms(100, 3_600_000).default(30_000),
  /** A peer that was not heard for so long counts as silent, which is told and changes nothing. */
  heartbeatTimeoutMs: ms(100, 3_600_000).default(60_000),
  /** A train of datagrams to each neighbour. Lower: narrower intervals sooner, more datagrams. */
  lossIntervalMs: ms(100, 3_600_000).default(15_000),
  /** Relay paths are searched; an outage is looked at without waiting for it. */
  routeIntervalMs: ms(100, 3_600_000).default(60_000),
  /** In a cluster smaller than this everybody is a neighbour, else `neighbours` members are. */
  neighboursAllBelow: count(1, 256).default(20),
  neighbours: count(1, 256).default(8),
  /** Round trips kept per peer. */
  windowLengthMax: count(10, 10_000).default(100),
  /** Percentiles are of so much time. */
  percentileWindowMs: ms(1_000, 86_400_000).default(500_000),
  /** Samples on their way to the worker, rounded up to a power of two; the oldest are lost. */
  sampleSlots: count(256, 4_194_304).default(65_536),
  /** Samples are handed to the worker so long after the first of them. */
  collectIntervalMs: ms(1, 60_000).default(250),
  /** Datagrams of a train, and the pause between two: a burst would measure buffers. */
  lossTrainLength: count(1, 256).default(20),
  lossTrainSpacingMs: ms(0, 1_000).default(10),
  /** Trains that a rate is taken from. */
  lossTrains: count(1, 1_000).default(40),
  /** Below so many datagrams the answer is "insufficient data". */
  lossDatagramsMin: count(1, 100_000).default(100),
  /** One capacity probe sends at most this. */
  capacityProbeBytesMax: count(65_536, 1_073_741_824).default(8 * 1024 * 1024),
  /** Capacity probes of others are served with at most this in ten seconds. */
  capacityServedBytesMax: count(65_536, 1_073_741_824).default(16 * 1024 * 1024),
  /** A part of the quality is worth one half here. Higher: more is forgiven. */
  latencyHalfMs: ms(1, 60_000).default(100),
  jitterHalfMs: ms(1, 60_000).default(30),
  lossHalfRate: z.number().gt(0).max(1).default(0.05),
  /** Below it a peer is degraded, above the second it has recovered. */
  degradedBelow: z.number().gt(0).lt(1).default(0.4),
  recoveredAbove: z.number().gt(0).lt(1).default(0.6),
  /** Pings in a row without an answer. */
  unreachableAfter: count(1, 100).default(3),
  /** Pings in a row without an answer after which the path counts as out for the optimiser. */
  outageAfter: count(1, 100).default(2),
  /** Observations in a row that change a verdict or a route. */
  confirmations: count(1, 100).default(2),
  /** A main loop that is later than this stood still. */
  loopDelayMs: ms(1, 60_000).default(250),
  /** A relay must be so many times cheaper, and this much, to be taken for a path that works. */
  routeSevereFactor: z.number().min(1).max(100).default(3),
  routeSevereFloorMs: ms(0, 60_000).default(20),
  /** A relay that no search confirms any more goes after this. */
  routeTtlMs: ms(100, 86_400_000).default(180_000),
  /** Members told of new measurements per interval. */
  matrixFanout: count(0, 64).default(3),
  /** Measurements of others are forgotten after this. */
  matrixTtlMs: ms(100, 86_400_000).default(60_000),
  /** Nodes of the latency matrix. */
  matrixRowsMax: count(2, 1_024).default(64),
  /** Peers that are measured. */
  peersMax: count(1, 1_024).default(256),
  /** Changed verdicts kept for explanation. */
  recordsMax: count(1, 65_536).default(256)
})
