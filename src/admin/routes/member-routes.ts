import { z } from 'zod'
import { type ClusterManager, toNodeId } from '../../core/index.js'
import type { Route } from '../route.js'
import { memberChangeAnswer } from './answers.js'
import { parse, wholeNumber } from './request-bodies.js'

const change = { access: 'admin', tag: 'cluster' } as const

const timeoutMs = wholeNumber(1, 86_400_000)
  .optional()
  .meta({ description: 'For all groups together; 60,000 without it.' })
const dryRun = z
  .enum(['true', 'false'])
  .optional()
  .meta({ description: '`true`: nothing changes, the answer says what would.' })

const addBody = z.strictObject({ nodeId: z.string() })
const asked = z.object({ dryRun, timeoutMs })
const named = z.object({ id: z.string().meta({ description: 'The node.' }) })

/** Nodes come into the groups of the cluster, and leave them. */
export const memberRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...change,
    method: 'POST',
    url: '/v1/members',
    about: 'Gives a member a replica of every group; it votes when it keeps up.',
    parameters: asked,
    body: addBody,
    answer: memberChangeAnswer,
    handle(request) {
      const { nodeId } = parse(addBody, request.body)
      return manager.addNode(toNodeId(nodeId), optionsOf(request.query))
    }
  },
  {
    ...change,
    method: 'DELETE',
    url: '/v1/members/:id',
    about: 'Takes the replicas of a node out of every group; it need not run.',
    parameters: named.extend(asked.shape),
    answer: memberChangeAnswer,
    handle(request) {
      const { id } = parse(named, request.params)
      return manager.removeNode(toNodeId(id), optionsOf(request.query))
    }
  }
]

function optionsOf(query: unknown) {
  const given = parse(asked, query)
  return {
    dryRun: given.dryRun === 'true',
    ...(given.timeoutMs === undefined ? {} : { timeoutMs: given.timeoutMs })
  }
}
