/** Relations between fields that no single range can say. */
import type { ConfigFault } from '../errors.js'
import type { Config } from './schema.js'

interface Relation {
  readonly path: string
  readonly message: string
  holds(config: Config): boolean
}

const relations: readonly Relation[] = [
  {
    path: 'consensus.electionTimeoutMaxMs',
    message: 'must be above electionTimeoutMinMs',
    holds: ({ consensus }) => consensus.electionTimeoutMaxMs > consensus.electionTimeoutMinMs
  },
  {
    path: 'consensus.electionTimeoutMinMs',
    message: 'must be at least twice heartbeatIntervalMs',
    holds: ({ consensus }) => consensus.electionTimeoutMinMs >= 2 * consensus.heartbeatIntervalMs
  },
  {
    path: 'membership.probeTimeoutMs',
    message: 'must be below probeIntervalMs',
    holds: ({ membership }) => membership.probeTimeoutMs < membership.probeIntervalMs
  },
  {
    path: 'transport.reconnectBackoffMaxMs',
    message: 'must not be below reconnectBackoffMinMs',
    holds: ({ transport }) => transport.reconnectBackoffMaxMs >= transport.reconnectBackoffMinMs
  },
  {
    path: 'transport.idleTimeoutMs',
    message: 'must be at least three times keepAliveIntervalMs',
    holds: ({ transport }) => transport.idleTimeoutMs >= 3 * transport.keepAliveIntervalMs
  },
  {
    path: 'cluster.bootstrap.voters',
    message: 'must name each voter once',
    holds: ({ cluster }) =>
      new Set(cluster.bootstrap?.voters).size === (cluster.bootstrap?.voters.length ?? 0)
  },
  {
    path: 'cluster.seeds',
    message: 'a node outside bootstrap.voters needs at least one seed',
    holds: ({ cluster, node }) =>
      cluster.seeds.length > 0 || (cluster.bootstrap?.voters.includes(node.id) ?? false)
  },
  {
    path: 'security',
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
    message: 'is required when admin.listenAddress is not loopback',
    holds: ({ admin }) =>
      admin.listenAddress === undefined ||
      isLoopback(admin.listenAddress) ||
      admin.tokenFile !== undefined
  }
]

export function brokenRelations(config: Config): ConfigFault[] {
  return relations
    .filter((relation) => !relation.holds(config))
    .map(({ path, message }) => ({ path, message }))
}

/** Whether only this machine can reach the address. */
export function isLoopback(address: string): boolean {
  const host = address.slice(0, address.lastIndexOf(':'))
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
