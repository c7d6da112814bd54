import { z } from 'zod'
import { type ClusterManager, failoverReasons } from '../../core/index.js'
import type { Route } from '../route.js'
import { parse } from './request-bodies.js'

const count = z.number().int()
const words = z.string()
export const failoverAnswer = z.object({
  id: count,
  at: count,
  group: count,
  term: count,
  reason: z.enum(failoverReasons),
  from: words.nullable(),
  to: words,
  why: words,
  action: words,
  options: z.array(
    z.object({ node: words, priority: count, leads: count, fault: words.nullable() })
  ),
  by: words
})
export const failoverStatusAnswer = z.object({
  coordinator: words.nullable(),
  pausedBy: words.nullable(),
  count
})
export const failoversAnswer = z.object({
  status: failoverStatusAnswer,
  failovers: z.array(failoverAnswer)
})
const failoverId = z.object({ id: z.coerce.number().int().min(1) })
const pauseBody = z.strictObject({
  by: z.string().min(1).max(63).meta({ description: 'Who, for the record.' })
})

const view = { method: 'GET', access: 'read', tag: 'operations' } as const
const change = { method: 'POST', access: 'operate', tag: 'operations' } as const

/** Leaderships that nobody asked to move. */
export const failoverRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/failovers',
    about: 'Leaderships that moved unasked, oldest first, and whether they may.',
    answer: failoversAnswer,
    async handle() {
      const [status, failovers] = await Promise.all([
        manager.failover.status(),
        manager.failover.history()
      ])
      return { status, failovers }
    }
  },
  {
    ...view,
    url: '/v1/failovers/:id',
    about: 'Why one leadership moved, and what was done.',
    parameters: failoverId,
    answer: failoverAnswer,
    handle(request) {
      const { id } = parse(failoverId, request.params)
      return manager.explainFailover(id)
    }
  },
  {
    ...change,
    url: '/v1/failovers/pause',
    about: 'Moves no leadership unasked until it is resumed; elections go on.',
    body: pauseBody,
    answer: failoverStatusAnswer,
    handle(request) {
      const { by } = parse(pauseBody, request.body)
      return manager.failover.pause(by)
    }
  },
  {
    ...change,
    url: '/v1/failovers/resume',
    about: 'Lets leaderships be moved unasked again.',
    answer: failoverStatusAnswer,
    handle: () => manager.failover.resume()
  }
]
