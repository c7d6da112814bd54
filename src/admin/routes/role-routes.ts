/** What load balancers ask, to send each query where it is served: 200 or 503. */
import { z } from 'zod'
import {
  type ClusterManager,
  type GroupStatus,
  type RaftRole,
  RaftRoles
} from '../../core/index.js'
import type { Route } from '../route.js'
import { roleAnswer } from './answers.js'
import { parse, wholeNumber } from './request-bodies.js'

const parameters = z.object({
  group: wholeNumber(0, 0xffff_ffff)
    .optional()
    .meta({ description: 'Of which group the replica is meant; 0 by default.' }),
  lagEntriesMax: wholeNumber(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta({ description: 'How many committed entries it may not have applied yet.' })
})

export const roleRoutes = (manager: ClusterManager): readonly Route[] => {
  const probe = (url: string, about: string, roles: readonly RaftRole[]): Route => ({
    method: 'GET',
    url,
    access: 'open',
    tag: 'probes',
    about,
    parameters,
    answer: roleAnswer,
    handle(request, reply) {
      const { group = 0, lagEntriesMax = Number.POSITIVE_INFINITY } = parse(
        parameters,
        request.query
      )
      const { ready } = manager.healthCheck()
      const status = manager.getClusterView().groups.find((one) => one.group === group)
      const lagEntries = status === undefined ? null : lagOf(status)
      const isServed =
        ready && status !== undefined && status.failed === null && roles.includes(status.role)
      const serves = isServed && lagOf(status) <= lagEntriesMax
      reply.status(serves ? 200 : 503)
      return { serves, role: status?.role ?? null, lagEntries }
    }
  })
  return [
    probe('/leader', 'Whether this node is ready and leads the group.', [RaftRoles.Leader]),
    probe('/follower', 'Whether it is ready and follows, not too far behind.', [
      RaftRoles.Follower
    ]),
    probe('/replica', 'Whether it is ready and leads or follows, not too far behind.', [
      RaftRoles.Leader,
      RaftRoles.Follower
    ])
  ]
}

const lagOf = ({ commitIndex, appliedIndex }: GroupStatus): number =>
  Math.max(0, commitIndex - appliedIndex)
