import { z } from 'zod'
import {
  type ClusterManager,
  drainPhases,
  failureDomains,
  type GroupId,
  planActions,
  planStatuses,
  stepPhases
} from '../../core/index.js'
import type { Route } from '../route.js'
import { nodeId, parse } from './request-bodies.js'

const change = { method: 'POST', access: 'operate', tag: 'operations' } as const
const view = { method: 'GET', access: 'read', tag: 'operations' } as const

const ms = z.number().int().min(0).max(86_400_000)
const drainTimeouts = {
  routingTimeoutMs: ms.optional(),
  leadersTimeoutMs: ms.optional(),
  sessionsTimeoutMs: ms.optional(),
  inFlightTimeoutMs: ms.optional()
}

const drainBody = z.strictObject({ node: nodeId, ...drainTimeouts })
const undrainBody = z.strictObject({ node: nodeId })
const switchoverBody = z.strictObject({
  group: z.number().int().min(0).max(0xffff_ffff),
  target: nodeId.optional(),
  timeoutMs: z.number().int().min(1).max(600_000).optional()
})
const restartBody = z.strictObject({
  nodes: z.array(nodeId).min(1).max(256).optional(),
  /** True: says what would be done, and does nothing. */
  dryRun: z.boolean().optional(),
  ...drainTimeouts,
  preCheckTimeoutMs: ms.optional(),
  restartTimeoutMs: ms.optional(),
  rejoinTimeoutMs: ms.optional(),
  delayMs: ms.optional(),
  canaryDelayMs: ms.optional(),
  lagEntriesMax: z.number().int().min(0).max(0xffff_ffff).optional(),
  errorRateMax: z.number().min(0).max(1).nullable().optional(),
  p99MsMax: ms.nullable().optional(),
  failureDomain: z.enum(failureDomains).optional(),
  canary: nodeId.nullable().optional()
})

const count = z.number().int()
const words = z.string()
const report = z.object({
  leadersMoved: count,
  sessionsMoved: count,
  sessionsRefused: count,
  inFlightLeft: count
})
export const drainAnswer = z.object({
  node: words,
  complete: z.boolean(),
  phases: z.array(
    z.object({ phase: z.enum(drainPhases), tookMs: z.number(), left: z.array(words) })
  ),
  report
})
export const undrainAnswer = z.object({ node: words })
export const switchoverAnswer = z.object({
  group: count,
  from: words,
  to: words,
  tookMs: z.number()
})
export const planAnswer = z.looseObject({
  id: words,
  status: z.enum(planStatuses),
  reason: words,
  owner: words.nullable(),
  epoch: count,
  revision: count,
  createdAt: count,
  updatedAt: count,
  steps: z.array(
    z.object({ node: words, phase: z.enum(stepPhases), since: count, boot: words, report })
  ),
  history: z.array(z.object({ at: count, revision: count, node: words, what: words }))
})
export const plansAnswer = z.object({ plans: z.array(planAnswer) })
export const previewAnswer = z.object({
  ok: z.boolean(),
  serviceFault: words.nullable(),
  steps: z.array(
    z.looseObject({
      node: words,
      domain: words,
      isCanary: z.boolean(),
      isCoordinator: z.boolean(),
      moves: z.array(z.object({ group: count, target: words })),
      faults: z.array(words)
    })
  )
})
const startedAnswer = z.union([z.object({ id: words }), previewAnswer])
const actedAnswer = z.object({ id: words, action: z.enum(planActions) })
const planId = z.object({ id: words })

/** Nodes that go on purpose: one leadership, one node, or all of them. */
export const plannedRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...change,
    url: '/v1/drain',
    about: 'Has a node give its work away, phase by phase; answers when it has, or its time is up.',
    body: drainBody,
    answer: drainAnswer,
    handle(request) {
      const { node, ...timeouts } = parse(drainBody, request.body)
      return manager.drain(node, given(timeouts))
    }
  },
  {
    ...change,
    url: '/v1/undrain',
    about: 'Lets a node that drains take work again.',
    body: undrainBody,
    answer: undrainAnswer,
    async handle(request) {
      const { node } = parse(undrainBody, request.body)
      await manager.undrain(node)
      return { node }
    }
  },
  {
    ...change,
    url: '/v1/switchover',
    about:
      'Hands the leadership of a group over to a healthy voter, to the one named or a good one.',
    body: switchoverBody,
    answer: switchoverAnswer,
    handle(request) {
      const { group, target, timeoutMs } = parse(switchoverBody, request.body)
      return manager.switchover({ group: group as GroupId, target, timeoutMs })
    }
  },
  ...restartRoutes(manager)
]

const restartRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...change,
    url: '/v1/rolling_restart',
    about: 'Restarts nodes one after the other; with `dryRun` only says what would be done.',
    body: restartBody,
    answer: startedAnswer,
    async handle(request) {
      const { dryRun, ...asked } = parse(restartBody, request.body ?? {})
      if (dryRun === true) return manager.restarts.preview(given(asked))
      const { id } = await manager.restarts.start(given(asked))
      return { id }
    }
  },
  {
    ...view,
    url: '/v1/rolling_restart',
    about: 'The latest rolling restarts, oldest first.',
    answer: plansAnswer,
    async handle() {
      return { plans: await manager.restarts.plans() }
    }
  },
  {
    ...view,
    url: '/v1/rolling_restart/:id',
    about: 'One rolling restart: every step, and how it came there.',
    parameters: planId,
    answer: planAnswer,
    handle(request) {
      const { id } = request.params as { id: string }
      return manager.restarts.plan(id)
    }
  },
  ...planActions.map(
    (action): Route => ({
      ...change,
      url: `/v1/rolling_restart/:id/${action}`,
      about: abouts[action],
      parameters: planId,
      answer: actedAnswer,
      async handle(request) {
        const { id } = request.params as { id: string }
        await manager.restarts.operate(id, action)
        return { id, action }
      }
    })
  )
]

const abouts = {
  pause: 'Begins no further node; the one that is out is brought to its end.',
  resume: 'Goes on with a rolling restart that was paused or halted.',
  abort: 'Ends a rolling restart for good; a node that only drained takes work again.'
} as const

/** Without what was not said, so that defaults hold. */
function given<T extends object>(asked: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  const entries = Object.entries(asked).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [Key in keyof T]?: Exclude<T[Key], undefined> }
}
