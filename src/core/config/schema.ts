/**
 * The one configuration schema. Every field: unit in its name, default, range, and what raising and
 * lowering it does. Zero means what the field says, or is out of range. `reloadable` names the
 * fields that may change at run time. Relations between fields are in `relations.ts`, presets in
 * `presets.ts`.
 */
import { z } from 'zod'
import { dataGroupsMax, openSerialsMax } from '../limits.js'

const ms = (min: number, max: number) => z.number().int().min(min).max(max)
const count = (min: number, max: number) => z.number().int().min(min).max(max)
const nodeId = z.string().regex(/^[a-z0-9-]{1,63}$/, 'must match [a-z0-9-]{1,63}')
const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^\s:[\]]+):\d{1,5}$/, 'must be host:port ([v6]:port)')
  .refine((text) => !(Number(text.slice(text.lastIndexOf(':') + 1)) > 65535), 'port is above 65535')
const label = z.string().max(63)

const node = z.strictObject({
  /** The name in this node's certificate. No default. */
  id: nodeId,
  /** TCP and UDP share the port; 0 picks a free pair. */
  listenAddress: address.default('127.0.0.1:7946'),
  /** What other members are told; the listen address when absent. */
  advertiseAddress: address.optional(),
  /** Everything durable of this node; one process at a time. No default. */
  dataDirectory: z.string().min(1),
  datacenter: label.default(''),
  rack: label.default(''),
  /** What the node says it can bear; zero: it does not say. Gossiped with the member. */
  capacity: z
    .strictObject({
      cpus: z.number().min(0).max(65_536).default(0),
      memoryBytes: count(0, Number.MAX_SAFE_INTEGER).default(0),
      connections: count(0, 4_294_967_295).default(0),
      /** Its share of the work beside that of others. */
      weight: count(0, 1_000_000).default(100)
    })
    .prefault({}),
  /** What the node is for, such as `analytics`; gossiped with the member. */
  tags: z
    .array(z.string().regex(/^[a-z0-9][a-z0-9._-]{0,62}$/, 'must match [a-z0-9][a-z0-9._-]{0,62}'))
    .max(16)
    .default([]),
  /** Gossiped with the member; at most 512 bytes encoded. */
  metadata: z.record(z.string().min(1).max(63), z.string().max(255)).default({})
})

const clusterName = z
  .string()
  .regex(/^[a-z0-9.-]{1,63}$/, 'must match [a-z0-9.-]{1,63}')
  .default('skein')

const cluster = z.strictObject({
  /** In every certificate and datagram; nodes of another name are refused. */
  name: clusterName,
  /** Addresses asked at start; any one that answers is enough. */
  seeds: z.array(address).max(64).default([]),
  /** The founding voters, the same list on each of them; absent on everyone else. */
  bootstrap: z.strictObject({ voters: z.array(nodeId).min(1).max(7) }).optional(),
  /**
   * Replicated groups for data, numbered from 0, the same on all founders; the founding decides,
   * later values are ignored. More: more leaders to share the work, a database each.
   */
  groups: count(1, dataGroupsMax).default(1)
})

const security = z.strictObject({
  /** PEM files; required unless `insecure`. */
  certificateFile: z.string().min(1).optional(),
  keyFile: z.string().min(1).optional(),
  caFile: z.string().min(1).optional(),
  /** 32 bytes as 64 hex digits a line, newest first, mode 0600; required unless `insecure`. */
  gossipKeyFile: z.string().min(1).optional(),
  /**
   * The authority's revocation list (PEM), and lines `node ID`, `client NAME`, `serial HEX` of who
   * is refused by this node; read again when it changes. It may appear later.
   */
  revocationFile: z.string().min(1).optional(),
  /**
   * The files above are looked at this often, and open connections judged. Lower: changes and
   * revocations are noticed sooner.
   */
  reloadIntervalMs: ms(100, 600_000).default(2_000),
  /**
   * A connection is replaced by a new one, with a new handshake, at three quarters of this to the
   * whole of it. Lower: a certificate is judged more often. Zero: never.
   */
  linkAgeMaxMs: ms(0, 2_592_000_000).default(43_200_000),
  /** A certificate that ends within so many days is warned of, and fails the health check. */
  expiryWarningDays: count(0, 3_650).default(7),
  /**
   * With one member revocation lists and gossip keys are compared this often, beside whenever a
   * connection opens. Lower: what a member missed it has sooner, for a small request.
   */
  compareIntervalMs: ms(1_000, 3_600_000).default(30_000),
  /** Which of two processes that prove the same name at once is kept. */
  sameIdentity: z.enum(['newest', 'oldest']).default('newest'),
  /**
   * Names of messages that nodes, or clients, may not send to this node, beyond what their role
   * may not send anyhow; `docs/wire.md` lists the names.
   */
  messageRestrictions: z
    .strictObject({
      node: z.array(z.string().min(1)).max(1_024).default([]),
      client: z.array(z.string().min(1)).max(1_024).default([])
    })
    .prefault({}),
  /** Plain TCP and unencrypted gossip: for tests on one machine; logged loudly at every start. */
  insecure: z.boolean().default(false)
})

const membership = z.strictObject({
  /** One probe is begun per interval. Lower: faster detection, more traffic. */
  probeIntervalMs: ms(10, 60_000).default(1_000),
  /**
   * A direct probe's answer is awaited so long before others are asked, and theirs so long again.
   * Lower: faster detection; more doubt about members that are slow to answer.
   */
  probeTimeoutMs: ms(5, 30_000).default(200),
  /**
   * A ping received proves its sender, so that an exchange checks both ends, and the one unheard
   * longest is asked. Off: rounds of this node's own probes, as published.
   */
  mutualProbes: z.boolean().default(true),
  /** Members asked to probe in our stead. */
  indirectProbes: count(0, 16).default(3),
  /**
   * Suspicion lasts at least mult · max(1, log10 n) · 2 · probeTimeout. Higher: fewer false deaths.
   */
  suspicionMult: count(1, 32).default(4),
  /** And at least so long. Higher: a process may stand still longer without being buried. */
  suspicionFloorMs: ms(0, 600_000).default(3_000),
  /** Upper bound of suspicion, in multiples of its minimum; shrinks with confirmations. */
  suspicionMaxTimeoutMult: count(1, 32).default(6),
  /**
   * A node that doubts itself stretches its probe interval and timeouts by up to this + 1. Higher:
   * fewer false deaths from overloaded nodes, which notice real ones later. Zero: never.
   */
  localHealthScoreMax: count(0, 63).default(7),
  /**
   * Time in which this process stood still counts against nobody, and raises its local health
   * score. Off: verdicts may come from timers that fired late.
   */
  loopLagAware: z.boolean().default(true),
  /**
   * A suspect is told of its suspicion with every ping and answers whoever told it. Off: it learns
   * of it by gossip, and its answer goes the same way.
   */
  buddySystem: z.boolean().default(true),
  /** A fresh rumour is retransmitted mult · ceil(log10(n+1)) times. */
  retransmitMult: count(1, 32).default(4),
  /** Rumours are also pushed, news at once and then at this interval, to `gossipFanout` members. */
  gossipIntervalMs: ms(10, 60_000).default(200),
  gossipFanout: count(0, 16).default(3),
  /** Whole-state exchange with one member. Zero: never. */
  pushPullIntervalMs: ms(0, 3_600_000).default(30_000),
  /** A dead or left member is forgotten after this. */
  deadRetentionMs: ms(1_000, 604_800_000).default(86_400_000),
  /** A dead member's name may come back from another address after this. Zero: at once. */
  deadReclaimMs: ms(0, 604_800_000).default(0),
  /** A dead member is still told so for this long, so that it can refute. Zero: never. */
  gossipToDeadMs: ms(0, 3_600_000).default(30_000),
  /**
   * Members lost within this time of one another are a split, not crashes. Higher: fewer splits go
   * unnoticed, later told, and more crashes are taken for one.
   */
  splitTogetherMs: ms(10, 600_000).default(10_000),
  /**
   * Which side of a split goes on; the other calls itself degraded and refuses guarded operations.
   * Who writes, Raft alone decides.
   */
  splitStrategy: z
    .enum(['off', 'keep-majority', 'static-quorum', 'keep-oldest'])
    .default('keep-majority'),
  /** A split must last so long, unchanged, before the strategy decides. */
  splitStableAfterMs: ms(100, 3_600_000).default(20_000),
  /** For `static-quorum`: who counts on the side that goes on, at least. */
  splitQuorumSize: count(0, 10_000).default(0),
  /** Members in the table, at most; joins beyond are refused. */
  membersMax: count(1, 10_000).default(1_000),
  /** Rumours queued; the most retransmitted is dropped at the bound. */
  broadcastQueueLengthMax: count(16, 65_536).default(4_096),
  /**
   * `enforce`: a node whose timing or limits differ from this one's is not taken in. `warn`: it is,
   * and the log tells what differs; for the time in which such a setting is changed node by node.
   */
  joinCheck: z.enum(['enforce', 'warn']).default('enforce'),
  /** How long a joiner goes on asking its seeds. */
  joinTimeoutMs: ms(100, 3_600_000).default(30_000)
})

const transport = z.strictObject({
  dialTimeoutMs: ms(10, 60_000).default(2_000),
  handshakeTimeoutMs: ms(10, 60_000).default(10_000),
  /** First pause after a failed dial; doubles up to the maximum, with jitter. */
  reconnectBackoffMinMs: ms(1, 60_000).default(50),
  reconnectBackoffMaxMs: ms(1, 600_000).default(5_000),
  /** A ping is sent after so long without traffic. */
  keepAliveIntervalMs: ms(10, 600_000).default(1_000),
  /** The connection is closed after so long without a byte from the peer. */
  idleTimeoutMs: ms(50, 3_600_000).default(5_000),
  /** Per peer and priority; the sender is told at the bound. */
  sendQueueLengthMax: count(16, 1_048_576).default(8_192),
  sendQueueBytesMax: count(65_536, 1_073_741_824).default(16 * 1024 * 1024),
  /**
   * Bodies from this size on are compressed, of types that allow it and to peers that can read it;
   * zero: never. Lower: less traffic, more processor time.
   */
  compressionThresholdBytes: count(0, 1_048_576).default(8_192),
  /** Unanswered requests to one peer. */
  requestsInFlightMax: count(1, 1_048_576).default(16_384),
  /**
   * Requests of one peer being worked on; beyond it they are answered with
   * ERR_SKEIN_BACKPRESSURE.
   */
  requestsServedMax: count(1, 1_048_576).default(16_384),
  /** Half-received chunked messages per connection; beyond it the connection is closed. */
  reassemblyBytesMax: count(1_048_576, 1_073_741_824).default(16 * 1024 * 1024),
  /**
   * Streams that each end may have open on one connection; further ones open another connection.
   * Lower: smaller queues, more connections.
   */
  streamsPerConnectionMax: count(1, 100).default(100),
  /**
   * Connections to one peer: one for messages, the others for streams alone. Streams beyond what
   * they carry wait.
   */
  connectionsPerPeerMax: count(1, 16).default(4),
  /** Opens of streams to one peer that wait for their turn; beyond it ERR_SKEIN_BACKPRESSURE. */
  streamOpensWaitingMax: count(1, 65_536).default(1_024),
  /** Received and not read, of one stream. Higher: faster over long ways, for memory. */
  streamWindowBytes: count(262_144, 1_073_741_824).default(1024 * 1024),
  /** Received and not read, of all streams of a connection. Lower: one slow reader stops others. */
  streamConnectionWindowBytes: count(4_194_304, 1_073_741_824).default(4 * 1024 * 1024),
  /** A stream is reset after so long without credit for what is written, or without a reader. */
  streamStallTimeoutMs: ms(10, 86_400_000).default(30_000),
  /** A connection that was opened for streams is closed after so long without any. */
  streamConnectionIdleMs: ms(10, 86_400_000).default(30_000),
  /** Connections of others that this node carries while their direct path is out. */
  relaysServedMax: count(0, 4_096).default(64),
  /** Inbound connections that have not finished their handshake. */
  handshakesMax: count(1, 65_536).default(256),
  /** Connections of clients, and of peers that dialled; clients beyond it are closed at once. */
  clientConnectionsMax: count(1, 65_536).default(1_024),
  /**
   * A peer's hybrid time further ahead than this is not taken over. Higher: tolerates worse
   * clocks.
   */
  clockOffsetMaxMs: ms(1, 3_600_000).default(500)
})

/** Messages that are acknowledged; those to be acknowledged by this node and by others. */
const delivery = z.strictObject({
  /** For a message that names no time; at most ten minutes. */
  timeoutMs: ms(1, 600_000).default(5_000),
  /** Sendings beyond the first. Higher: more broken connections are outlived in one deadline. */
  retriesMax: count(0, 16).default(3),
  /** Without an acknowledgement a message is sent again after this, then after twice as long. */
  retryBackoffMs: ms(10, 60_000).default(200),
  /** Messages to one node without an outcome; the sender is told at the bound. */
  deliveriesMax: count(16, 1_048_576).default(8_192),
  deliveriesBytesMax: count(65_536, 1_073_741_824).default(16 * 1024 * 1024),
  /** Of all senders, messages that came before their turn; beyond it they must come again. */
  heldBytesMax: count(65_536, 1_073_741_824).default(16 * 1024 * 1024),
  /** Processes of other nodes of which is remembered what they sent; further ones must wait. */
  sessionsMax: count(16, 65_536).default(4_096)
})

const consensus = z.strictObject({
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

const routing = z.strictObject({
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

/** Of the SQLite engine of `skein node`; an embedder gives its engine's options to the engine. */
const engine = z.strictObject({
  /**
   * `process`: a statement beyond its deadline is killed, whatever it does. `thread`: a quarter
   * less time per round trip, but a statement inside SQLite cannot be stopped and may stop the
   * replica.
   */
  isolation: z.enum(['process', 'thread']).default('process'),
  /** Reads that run at the same time. Raising it: more processes or threads, 10 to 40 MB each. */
  readers: count(1, 64).default(2)
})

const health = z.strictObject({
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

/** When leaderships are moved without being asked to; the same on every node. */
const failover = z.strictObject({
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
const sync = z.strictObject({
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

const admin = z.strictObject({
  /** Absent: no admin server. */
  listenAddress: address.optional(),
  /**
   * `NAME ROLE sha256:HEX` a line, or one token in plain text whose bearer is an administrator;
   * this or `clientRoles` is required when not on loopback. Mode 0600.
   */
  tokenFile: z.string().min(1).optional(),
  /** HTTPS with the certificate of the node; clients may show one of the cluster's authority. */
  tls: z.boolean().default(false),
  /** Role by the name in a client certificate; needs `tls`. */
  clientRoles: z.record(nodeId, z.enum(['read', 'operate', 'admin'])).default({}),
  eventSubscribersMax: count(1, 4_096).default(64)
})

const facade = z.strictObject({
  /** Events kept for a slow subscriber; beyond it the oldest are dropped and counted. */
  eventQueueLengthMax: count(16, 1_048_576).default(1_024),
  eventSubscribersMax: count(1, 4_096).default(256),
  /** How long `stop` waits for work in flight. */
  drainTimeoutMs: ms(0, 600_000).default(5_000)
})

/** What a `SkeinClient` is made of; nodes have no such section. */
const client = z.strictObject({
  /** `host:port` of some nodes; one that answers is enough, the others are learned. No default. */
  addresses: z.array(address).min(1).max(64),
  clusterName,
  /** The name in the client's certificate; for logs alone when `insecure`. */
  clientName: nodeId.default('client'),
  /** PEM files; required unless `insecure`, or given as texts. */
  certificateFile: z.string().min(1).optional(),
  keyFile: z.string().min(1).optional(),
  caFile: z.string().min(1).optional(),
  /** The same as PEM texts, in the place of the files. */
  certificate: z.string().min(1).optional(),
  key: z.string().min(1).optional(),
  ca: z.string().min(1).optional(),
  /** Plain TCP, for clusters that are `insecure` too. */
  insecure: z.boolean().default(false),
  /** Where the client is; nodes of the same are preferred where a choice is. */
  datacenter: label.default(''),
  rack: label.default(''),
  strategy: routing.shape.strategy,
  /** For a query that names none. A leader that is lost must be replaced within it. */
  timeoutMs: ms(1, 3_600_000).default(5_000),
  /** How long `connect` tries. */
  connectTimeoutMs: ms(1, 600_000).default(10_000),
  /**
   * A node that has not answered is left for another after this, twice as long each time. Higher:
   * fewer statements run in vain on a slow node; lower: a node that stands still is noticed sooner.
   */
  attemptTimeoutMs: ms(10, 3_600_000).default(1_500),
  /** A quiet member is left for another one after this, and asked whether anything changed. */
  watchIntervalMs: ms(100, 600_000).default(5_000),
  /** Queries on the way at the same time. Higher: more memory here and work there. */
  requestsInFlightMax: count(1, openSerialsMax).default(256),
  /** Queries that wait for one of those to end; beyond it they are refused. */
  queueLengthMax: count(0, 1_048_576).default(1_024),
  /** Reads of every consistency see this client's earlier writes and reads. */
  readYourWrites: z.boolean().default(true),
  /** Events kept for a slow subscriber; beyond it the oldest are dropped and counted. */
  eventQueueLengthMax: count(16, 1_048_576).default(256),
  eventSubscribersMax: count(1, 4_096).default(16),
  /** How long `close` waits for what is on the way. */
  drainTimeoutMs: ms(0, 600_000).default(5_000)
})

export const clientSchema = client

export const configSchema = z.strictObject({
  node,
  cluster: cluster.prefault({}),
  security: security.prefault({}),
  membership: membership.prefault({}),
  transport: transport.prefault({}),
  delivery: delivery.prefault({}),
  consensus: consensus.prefault({}),
  routing: routing.prefault({}),
  engine: engine.prefault({}),
  health: health.prefault({}),
  failover: failover.prefault({}),
  sync: sync.prefault({}),
  admin: admin.prefault({}),
  facade: facade.prefault({})
})

type DeepReadonly<T> = T extends readonly (infer Item)[]
  ? readonly DeepReadonly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: DeepReadonly<T[Key]> }
    : T

export type Config = DeepReadonly<z.output<typeof configSchema>>
/** What an embedder writes: everything that has a default may be left out. */
export type ConfigInput = z.input<typeof configSchema>

export type ClientFields = DeepReadonly<z.output<typeof clientSchema>>
/** What the user of a client writes. */
export type ClientConfigInput = z.input<typeof clientSchema>

/** Dotted paths of the fields that may change while the node runs. */
export const reloadable = [
  'routing.strategy',
  'routing.queryTimeoutMs',
  'routing.retriesMax',
  'routing.retryBackoffMs',
  'routing.queriesInFlightMax',
  'sync.bytesPerSecond',
  'sync.chunksInFlightMax'
] as const
