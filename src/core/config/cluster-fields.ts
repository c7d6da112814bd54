/** Who a node is, whose cluster it belongs to, and what proves it. */
import { z } from 'zod'
import { dataGroupsMax } from '../limits.js'
import { address, count, label, ms, nodeId } from './fields.js'

export const node = z.strictObject({
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

export const clusterName = z
  .string()
  .regex(/^[a-z0-9.-]{1,63}$/, 'must match [a-z0-9.-]{1,63}')
  .default('skein')

export const cluster = z.strictObject({
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

export const security = z.strictObject({
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
