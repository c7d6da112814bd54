/** Gossip, connections, and messages that are acknowledged. */
import { z } from 'zod'
import { count, ms } from './fields.js'

export const membership = z.strictObject({
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

export const transport = z.strictObject({
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
export const delivery = z.strictObject({
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
