/** Relations between fields that no single range can say. */
import type { ConfigFault } from '../errors.js'
import { openSerialsMax } from '../limits.js'
import type { Config } from './schema.js'

interface Relation {
  /** The field to change. */
  readonly path: string
  /** What else it looks at. */
  readonly others: readonly string[]
  readonly message: string
  holds(config: Config): boolean
}

const relations: readonly Relation[] = [
  {
    path: 'consensus.electionTimeoutMaxMs',
    others: ['consensus.electionTimeoutMinMs'],
    message: 'must be above electionTimeoutMinMs',
    holds: ({ consensus }) => consensus.electionTimeoutMaxMs > consensus.electionTimeoutMinMs
  },
  {
    path: 'consensus.electionTimeoutMinMs',
    others: ['consensus.heartbeatIntervalMs'],
    message: 'must be at least twice heartbeatIntervalMs',
    holds: ({ consensus }) => consensus.electionTimeoutMinMs >= 2 * consensus.heartbeatIntervalMs
  },
  {
    path: 'consensus.clientAnswersMax',
    others: [],
    message: `must be at least ${openSerialsMax}, the writes that a node keeps open at once`,
    holds: ({ consensus }) => consensus.clientAnswersMax >= openSerialsMax
  },
  {
    path: 'membership.probeTimeoutMs',
    others: ['membership.probeIntervalMs'],
    message: 'must be at most half of probeIntervalMs',
    holds: ({ membership }) => 2 * membership.probeTimeoutMs <= membership.probeIntervalMs
  },
  {
    path: 'membership.splitQuorumSize',
    others: ['membership.splitStrategy'],
    message: 'must be at least 1 with splitStrategy static-quorum',
    holds: ({ membership }) =>
      membership.splitStrategy !== 'static-quorum' || membership.splitQuorumSize >= 1
  },
  {
    path: 'transport.reconnectBackoffMaxMs',
    others: ['transport.reconnectBackoffMinMs'],
    message: 'must not be below reconnectBackoffMinMs',
    holds: ({ transport }) => transport.reconnectBackoffMaxMs >= transport.reconnectBackoffMinMs
  },
  {
    path: 'transport.idleTimeoutMs',
    others: ['transport.keepAliveIntervalMs'],
    message: 'must be at least three times keepAliveIntervalMs',
    holds: ({ transport }) => transport.idleTimeoutMs >= 3 * transport.keepAliveIntervalMs
  },
  {
    path: 'sync.breakerBackoffMaxMs',
    others: ['sync.breakerBackoffMinMs'],
    message: 'must not be below breakerBackoffMinMs',
    holds: ({ sync }) => sync.breakerBackoffMaxMs >= sync.breakerBackoffMinMs
  },
  {
    path: 'cluster.bootstrap.voters',
    others: [],
    message: 'must name each voter once',
    holds: ({ cluster }) =>
      new Set(cluster.bootstrap?.voters).size === (cluster.bootstrap?.voters.length ?? 0)
  },
  {
    path: 'cluster.seeds',
    others: ['cluster.bootstrap', 'node.id'],
    message: 'a node outside bootstrap.voters needs at least one seed',
    holds: ({ cluster, node }) =>
      cluster.seeds.length > 0 || (cluster.bootstrap?.voters.includes(node.id) ?? false)
  },
  {
    path: 'security',
    others: [],
    message:
      'needs certificateFile, keyFile, caFile and gossipKeyFile (or, for tests, insecure: true)',
    holds: ({ security }) =>
      security.insecure ||
      Boolean(
        security.certificateFile && security.keyFile && security.caFile && security.gossipKeyFile
      )
  },
  {
    path: 'admin.tokenFile',
    others: ['admin.listenAddress', 'admin.clientRoles'],
    message: 'or clientRoles is required when admin.listenAddress is not loopback',
    holds: ({ admin }) =>
      admin.listenAddress === undefined ||
      isLoopback(admin.listenAddress) ||
      admin.tokenFile !== undefined ||
      Object.keys(admin.clientRoles).length > 0
  },
  {
    path: 'admin.clientRoles',
    others: ['admin.tls'],
    message: 'needs admin.tls: true',
    holds: ({ admin }) => admin.tls || Object.keys(admin.clientRoles).length === 0
  },
  {
    path: 'admin.tls',
    others: ['security'],
    message: 'needs certificateFile, keyFile and caFile of the section security',
    holds: ({ admin, security }) =>
      !admin.tls || Boolean(security.certificateFile && security.keyFile && security.caFile)
  }
]

/** @param faulty paths whose values are not those that were given; what looks at them is skipped */
export function brokenRelations(config: Config, faulty: readonly string[] = []): ConfigFault[] {
  const isFaulty = (path: string) =>
    faulty.some((fault) => isWithin(fault, path) || isWithin(path, fault))
  return relations
    .filter(({ path, others }) => ![path, ...others].some(isFaulty))
    .filter((relation) => !relation.holds(config))
    .map(({ path, message }) => ({ path, message }))
}

const isWithin = (path: string, outer: string): boolean =>
  path === outer || path.startsWith(`${outer}.`)

/** Whether only this machine can reach the address. */
export function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(':'))
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
