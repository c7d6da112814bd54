import { z } from 'zod'
import {
  type ClusterManager,
  migrationReasons,
  migrationRefusals,
  type SessionMoveReport,
  sqlValueToJson
} from '../../core/index.js'
import type { Route } from '../route.js'
import { nodeId, parse } from './request-bodies.js'

const change = { method: 'POST', access: 'operate', tag: 'operations' } as const
const view = { method: 'GET', access: 'read', tag: 'operations' } as const

const moveBody = z.strictObject({
  /** Default: the node with the fewest sessions. */
  target: nodeId.optional(),
  reason: z.enum(migrationReasons).optional(),
  timeoutMs: z.number().int().min(1).max(600_000).optional()
})
const sessionId = z.object({ id: z.string() })

const count = z.number().int()
const words = z.string()
export const sessionAnswer = z.object({
  id: words,
  client: words,
  home: words,
  state: z.enum(['attached', 'detached']),
  epoch: count,
  settings: z.array(z.object({ name: words, value: words })),
  prepared: z.array(words),
  seen: z.array(z.object({ group: count, index: count })),
  lastInsertRowid: z.unknown(),
  openedAt: count,
  heardAt: count,
  moves: count,
  reattachments: count
})
export const moveReportAnswer = z.object({
  session: words,
  client: words,
  origin: words,
  target: words.nullable(),
  reason: z.enum(migrationReasons),
  outcome: z.enum(['moved', 'refused']),
  refusal: z.enum(migrationRefusals).nullable(),
  detail: words,
  epoch: count,
  tookMs: z.number(),
  at: count
})
export const sessionsAnswer = z.object({
  sessions: z.array(sessionAnswer),
  totals: z.object({
    opened: count,
    closed: count,
    moved: count,
    reattached: count,
    expired: count,
    lost: count
  }),
  /** Of this node. */
  reports: z.array(moveReportAnswer)
})
const closedAnswer = z.object({ id: words })

/** SQL sessions: where they are, what became of them, and moving one. */
export const sessionRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    ...view,
    url: '/v1/sessions',
    about: 'Every SQL session of the cluster, and what became of moves away from this node.',
    answer: sessionsAnswer,
    async handle() {
      const { sessions, totals } = await manager.sessions.list()
      const shown = sessions.map(({ lastInsertRowid, ...session }) => ({
        ...session,
        lastInsertRowid: sqlValueToJson(lastInsertRowid)
      }))
      return { sessions: shown, totals, reports: manager.sessions.reports() }
    }
  },
  {
    ...change,
    url: '/v1/sessions/:id/move',
    about: 'Moves one session to another node; a refusal is an answer, with its reason.',
    parameters: sessionId,
    body: moveBody,
    answer: moveReportAnswer,
    handle(request): Promise<SessionMoveReport> {
      const { id } = request.params as { id: string }
      const { target, reason, timeoutMs } = parse(moveBody, request.body ?? {})
      return manager.sessions.move(id, {
        ...(target === undefined ? {} : { target }),
        ...(reason === undefined ? {} : { reason }),
        ...(timeoutMs === undefined ? {} : { timeoutMs })
      })
    }
  },
  {
    ...change,
    url: '/v1/sessions/:id/close',
    about: 'Ends one session; its program is told.',
    parameters: sessionId,
    answer: closedAnswer,
    async handle(request) {
      const { id } = request.params as { id: string }
      await manager.sessions.close(id)
      return { id }
    }
  }
]
