import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ClusterManager, type MetricsSnapshot, NotFoundError } from '../core/index.js'
import type { AdminCounters } from './admin-counters.js'
import type { EventStreams } from './event-streams.js'
import { exposition, expositionType } from './exposition.js'
import { parseClient, parseQuery, parseRoute } from './request-bodies.js'
import { memberView, resultView } from './views.js'

export interface Route {
  readonly method: 'GET' | 'POST'
  /** With `:name` for a part that varies. */
  readonly url: string
  /** Asked by probes, which have no token. */
  readonly isOpen?: boolean
  handle(request: FastifyRequest, reply: FastifyReply): unknown
}

export interface RouteParts {
  readonly manager: ClusterManager
  readonly streams: EventStreams
  readonly counters: AdminCounters
}

export function createRoutes({ manager, streams, counters }: RouteParts): readonly Route[] {
  const metrics = (): MetricsSnapshot => ({
    ...manager.getAllMetrics(),
    admin: counters.snapshot()
  })
  return [
    ...probeRoutes(manager),
    ...viewRoutes(manager),
    ...queryRoutes(manager),
    {
      method: 'GET',
      url: '/metrics',
      async handle(_request, reply) {
        reply.type(expositionType)
        return exposition(manager, metrics())
      }
    },
    { method: 'GET', url: '/v1/metrics', handle: metrics },
    {
      method: 'GET',
      url: '/v1/events',
      handle(_request, reply) {
        const subscription = streams.subscribe()
        reply.hijack()
        void streams.pump(subscription, reply.raw)
      }
    }
  ]
}

export function register(app: FastifyInstance, routes: readonly Route[]): void {
  for (const { method, url, isOpen, handle } of routes) {
    app.route({
      method,
      url,
      config: { isOpen: isOpen ?? false },
      handler: async (request, reply) => handle(request, reply)
    })
  }
}

const probeRoutes = (manager: ClusterManager): Route[] => [
  {
    method: 'GET',
    url: '/livez',
    isOpen: true,
    handle: () => ({ live: true, node: manager.nodeId })
  },
  {
    method: 'GET',
    url: '/readyz',
    isOpen: true,
    handle(request, reply) {
      const { ready, checks } = manager.healthCheck()
      reply.status(ready ? 200 : 503)
      const isVerbose = Object.hasOwn(request.query as object, 'verbose')
      return isVerbose ? { ready, checks } : { ready }
    }
  }
]

const viewRoutes = (manager: ClusterManager): Route[] => [
  {
    method: 'GET',
    url: '/v1/cluster',
    handle() {
      const { members, ...view } = manager.getClusterView()
      return { ...view, members: members.map((member) => memberView(member, manager.now())) }
    }
  },
  {
    method: 'GET',
    url: '/v1/members',
    handle: () => ({
      members: manager.getClusterMembers().map((member) => memberView(member, manager.now()))
    })
  },
  {
    method: 'GET',
    url: '/v1/members/:id',
    handle(request) {
      const { id } = request.params as { id: string }
      const member = manager.getClusterMembers().find(({ nodeId }) => nodeId === id)
      if (member === undefined) throw new NotFoundError(`no member has the id ${id}`)
      return memberView(member, manager.now())
    }
  },
  { method: 'GET', url: '/v1/health', handle: () => manager.healthCheck() },
  { method: 'GET', url: '/v1/raft', handle: () => ({ groups: manager.getClusterView().groups }) },
  {
    method: 'GET',
    url: '/v1/checksums',
    handle: async () => ({ node: manager.nodeId, replicas: await manager.checksums() })
  }
]

const queryRoutes = (manager: ClusterManager): Route[] => [
  {
    method: 'POST',
    url: '/v1/route_query',
    handle(request) {
      const { sql, options } = parseRoute(request.body)
      return manager.routeQuery(sql, options)
    }
  },
  {
    method: 'POST',
    url: '/v1/explain_route',
    handle(request) {
      const { sql, options } = parseRoute(request.body)
      return manager.explainRoute(sql, options)
    }
  },
  {
    method: 'POST',
    url: '/v1/query',
    async handle(request, reply) {
      const { query, options } = parseQuery(request.body)
      const signal = abortedWhenGone(reply)
      if (typeof query === 'string') {
        return resultView(await manager.executeQuery(query, { ...options, signal }))
      }
      return (await manager.executeQuery(query, { ...options, signal })).map(resultView)
    }
  },
  {
    method: 'POST',
    url: '/v1/clients',
    async handle(request, reply) {
      const { clientId, options } = parseClient(request.body)
      await manager.registerClient(clientId, { ...options, signal: abortedWhenGone(reply) })
      return { clientId }
    }
  }
]

/** The caller hung up before it had the answer. */
function abortedWhenGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort()
  })
  return controller.signal
}
