import { z } from 'zod'
import { type ClusterManager, NotFoundError } from '../../core/index.js'
import type { Route } from '../route.js'
import { explanationAnswer, explanationsAnswer, hotspotsAnswer, strategyAnswer } from './answers.js'
import { parse, wholeNumber } from './request-bodies.js'

const view = { method: 'GET', access: 'read', tag: 'routing' } as const

export const decisionsShown = 32
const strategyBody = z.strictObject({ strategy: z.string().min(1).max(63) })
const listed = z.object({
  decisions: wholeNumber(0, 1_024)
    .optional()
    .meta({ description: `How many of the newest decisions; ${decisionsShown} without it.` })
})
const decisionId = z.object({ id: wholeNumber(1, Number.MAX_SAFE_INTEGER) })

/** How this node routes, why it did so, and where queries crowd. */
export const routingRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/routing',
    about: 'The strategy, who is not asked for a while, and the newest decisions, oldest first.',
    parameters: listed,
    answer: explanationsAnswer,
    handle(request) {
      const { decisions = decisionsShown } = parse(listed, request.query)
      const { routing } = manager
      return {
        strategy: routing.strategy,
        strategies: routing.strategies,
        ejections: routing.ejections(),
        decisions: decisions === 0 ? [] : routing.lastDecisions().slice(-decisions)
      }
    }
  },
  {
    ...view,
    url: '/v1/routing/decisions/:id',
    about: 'One decision with every factor, as long as it is remembered.',
    parameters: decisionId,
    answer: explanationAnswer,
    handle(request) {
      const { id } = parse(decisionId, request.params)
      const decision = manager.routing.decision(id)
      if (decision === null) throw new NotFoundError(`no decision ${id} is remembered`)
      return decision
    }
  },
  {
    method: 'PUT',
    access: 'operate',
    tag: 'routing',
    url: '/v1/routing_strategy',
    about: 'How this node chooses from now on; other nodes keep theirs.',
    body: strategyBody,
    answer: strategyAnswer,
    handle(request) {
      const { strategy } = parse(strategyBody, request.body)
      const previous = manager.routing.strategy
      manager.setRoutingStrategy(strategy)
      return { strategy, previous }
    }
  },
  {
    ...view,
    url: '/v1/hotspots',
    about: 'Hot nodes and keys, and what each node executes.',
    answer: hotspotsAnswer,
    handle: () => ({ current: manager.hotspots.current(), loads: manager.hotspots.loads() })
  }
]
