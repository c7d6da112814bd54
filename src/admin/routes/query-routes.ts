import type { FastifyReply } from 'fastify'
import type { ClusterManager } from '../../core/index.js'
import { queryBodyBytesMax, type Route } from '../route.js'
import { clientAnswer, decisionAnswer, explanationAnswer, queryAnswer } from './answers.js'
import {
  clientBody,
  parseClient,
  parseQuery,
  parseRoute,
  queryBody,
  routeBody
} from './request-bodies.js'
import { resultView } from './views.js'

const question = { method: 'POST', tag: 'queries', isQuestion: true } as const

export const queryRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...question,
    access: 'read',
    url: '/v1/route_query',
    about: 'Which node a query would go to; executes nothing.',
    body: routeBody,
    bodyBytesMax: queryBodyBytesMax,
    answer: decisionAnswer,
    handle(request) {
      const { sql, options } = parseRoute(request.body)
      return manager.routeQuery(sql, options)
    }
  },
  {
    ...question,
    access: 'read',
    url: '/v1/explain_route',
    about: 'Why: every candidate with every factor, and what was excluded.',
    body: routeBody,
    bodyBytesMax: queryBodyBytesMax,
    answer: explanationAnswer,
    handle(request) {
      const { sql, options } = parseRoute(request.body)
      return manager.explainRoute(sql, options)
    }
  },
  {
    ...question,
    access: 'operate',
    url: '/v1/query',
    about: 'Executes a statement, or a list of them as one atomic command.',
    body: queryBody,
    bodyBytesMax: queryBodyBytesMax,
    answer: queryAnswer,
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
    ...question,
    access: 'operate',
    url: '/v1/clients',
    about: 'Registers a client that numbers its writes; twice is harmless.',
    body: clientBody,
    answer: clientAnswer,
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
