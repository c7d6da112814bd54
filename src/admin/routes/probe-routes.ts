import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ClusterManager } from '../../core/index.js'
import type { Route } from '../route.js'
import { livenessAnswer, readinessAnswer } from './answers.js'

/** Asked by load balancers and supervisors without credentials. */
export const probeRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    method: 'GET',
    url: '/livez',
    access: 'open',
    tag: 'probes',
    about: 'The process runs and its main loop turns.',
    answer: livenessAnswer,
    handle: () => ({ live: true, node: manager.nodeId })
  },
  {
    method: 'GET',
    url: '/readyz',
    access: 'open',
    tag: 'probes',
    about: 'Whether the node takes work: 200, or 503 while it starts, drains or has no leader.',
    parameters: z.object({
      verbose: z.string().optional().meta({ description: 'Also every check; needs a credential.' }),
      exclude: z
        .string()
        .optional()
        .meta({ description: 'Names of checks to pass over, by comma.' })
    }),
    answer: readinessAnswer,
    handle(request, reply) {
      const excluded = new Set(excludedIn(request))
      const { ready, checks } = manager.healthCheck(excluded)
      reply.status(ready ? 200 : 503)
      return isVerbose(request) ? { ready, checks } : { ready }
    }
  }
]

/** What a probe without credentials must not see. */
export const isVerbose = ({ query }: FastifyRequest): boolean =>
  Object.hasOwn(query as object, 'verbose')

function excludedIn({ query }: FastifyRequest): readonly string[] {
  const { exclude } = query as { exclude?: string | string[] }
  return [exclude ?? []].flat().flatMap((names) => names.split(','))
}
