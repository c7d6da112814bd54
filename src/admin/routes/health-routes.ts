import { z } from 'zod'
import type { ClusterManager, NodeId, RelayRoute } from '../../core/index.js'
import type { Route } from '../route.js'
import {
  capacityAnswer,
  matrixAnswer,
  peersAnswer,
  reachabilityAnswer,
  relayRoutesAnswer,
  statusesAnswer,
  verdictsAnswer
} from './answers.js'
import { nodeId, parse } from './request-bodies.js'

const view = { method: 'GET', access: 'read', tag: 'health' } as const

const capacityBody = z.strictObject({
  node: nodeId,
  bytesMax: z.number().int().min(1).optional(),
  timeoutMs: z.number().int().min(1).max(600_000).optional()
})

const reachabilityBody = z.strictObject({ nodes: z.array(nodeId).max(1_000).optional() })

/** What this node measured of the network. */
export const healthRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/health/peers',
    about:
      'Everything measured of each peer: latency, jitter, loss, bandwidth, quality, diagnosis.',
    answer: peersAnswer,
    handle: () => ({
      peers: manager.health.peers().map((peer) => ({
        ...peer,
        verdict: manager.health.verdictOn(peer.nodeId)
      }))
    })
  },
  {
    ...view,
    url: '/v1/health/statuses',
    about: 'What each peer last said of itself.',
    answer: statusesAnswer,
    handle: () => ({ statuses: manager.health.peerStatuses() })
  },
  {
    ...view,
    url: '/v1/health/matrix',
    about: 'What every node measured of every other, as far as this one has heard.',
    answer: matrixAnswer,
    handle: () => ({ rows: manager.health.latencyMatrix() })
  },
  {
    ...view,
    url: '/v1/health/routes',
    about: 'The paths that have a relay now; urgent messages take it.',
    answer: relayRoutesAnswer,
    handle: () => ({ routes: manager.health.routes().map(routeView) })
  },
  {
    ...view,
    url: '/v1/health/verdicts',
    about: 'Changes of verdicts on peers with the inputs they came from, oldest first.',
    parameters: z.object({
      node: z.string().optional().meta({ description: 'Of this one only.' })
    }),
    answer: verdictsAnswer,
    handle(request) {
      const { node } = request.query as { node?: string }
      return { records: manager.health.explainVerdicts(node as NodeId | undefined) }
    }
  },
  {
    method: 'POST',
    access: 'operate',
    tag: 'health',
    url: '/v1/health/capacity',
    about: 'Measures what the path to a node can carry, with a bounded number of bytes.',
    body: capacityBody,
    answer: capacityAnswer,
    handle(request) {
      const { node, bytesMax, timeoutMs } = parse(capacityBody, request.body)
      return manager.health.probeCapacity(node, {
        ...(bytesMax === undefined ? {} : { bytesMax }),
        ...(timeoutMs === undefined ? {} : { timeoutMs })
      })
    }
  },
  {
    method: 'POST',
    access: 'operate',
    tag: 'health',
    url: '/v1/health/reachability',
    about: 'Tests the ways to the nodes named, or to all: by stream, by small and large datagrams.',
    body: reachabilityBody,
    answer: reachabilityAnswer,
    async handle(request) {
      const { nodes } = parse(reachabilityBody, request.body ?? {})
      return { nodes: await manager.health.reachability(nodes) }
    }
  }
]

/** JSON knows no infinity: a path that is out has no cost. */
const routeView = ({ directMs, ...route }: RelayRoute) => ({
  ...route,
  directMs: Number.isFinite(directMs) ? directMs : null
})
