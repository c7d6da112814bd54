/** What operators, embedders and programs outside meet. */
import { z } from 'zod'
import { openSerialsMax } from '../limits.js'
import { clusterName } from './cluster-fields.js'
import { address, count, label, ms, nodeId } from './fields.js'
import { routing } from './traffic-fields.js'

export const admin = z.strictObject({
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

export const facade = z.strictObject({
  /** Events kept for a slow subscriber; beyond it the oldest are dropped and counted. */
  eventQueueLengthMax: count(16, 1_048_576).default(1_024),
  eventSubscribersMax: count(1, 4_096).default(256),
  /** How long `stop` waits for work in flight. */
  drainTimeoutMs: ms(0, 600_000).default(5_000)
})

/** What a `SkeinClient` is made of; nodes have no such section. */
export const client = z.strictObject({
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
