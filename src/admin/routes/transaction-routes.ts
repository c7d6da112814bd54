import { z } from 'zod'
import {
  type ClusterManager,
  type GroupId,
  TransactionStates,
  toTransactionId,
  transactionResolutions
} from '../../core/index.js'
import type { Route } from '../route.js'
import { parse } from './request-bodies.js'

const groupNumber = z.number().int().min(0).max(0xffff_ffff)
const resolveBody = z.strictObject({
  group: groupNumber,
  outcome: z.enum(transactionResolutions),
  /** True: the outcome may differ from the coordinator's. */
  force: z.boolean().optional(),
  /** Who decides, in the record of the branch. */
  by: z.string().min(1).max(42),
  reason: z.string().min(1).max(128)
})

const words = z.string()
const count = z.number().int()
const groups = z.array(groupNumber)
export const transactionsAnswer = z.object({
  inDoubt: count,
  transactions: z.array(
    z.object({
      transaction: words,
      group: groupNumber,
      coordinator: groupNumber.nullable(),
      groups,
      state: z.enum(TransactionStates),
      outcome: z.enum(['committed', 'aborted']).nullable(),
      pending: groups,
      mixed: groups,
      epoch: count.nullable(),
      ageMs: z.number(),
      lockedRows: z.union([count, z.literal('all')]),
      waiters: z.array(words),
      reason: words
    })
  )
})
export const resolveAnswer = z.object({
  state: z.enum(['unknown', 'prepared', 'committed', 'aborted'])
})

/** Transactions over several groups. */
export const transactionRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    method: 'GET',
    access: 'read',
    tag: 'operations',
    url: '/v1/transactions',
    about: 'Transactions over groups that are not at an end, as replicas of this node know them.',
    answer: transactionsAnswer,
    handle: () => manager.transactions.list()
  },
  {
    method: 'POST',
    access: 'operate',
    tag: 'operations',
    url: '/v1/transactions/:id/resolve',
    about: 'Ends a branch in doubt by hand (`force`), or forgets an outcome that was read.',
    body: resolveBody,
    answer: resolveAnswer,
    audited(body): Record<string, string> {
      const { data } = resolveBody.safeParse(body)
      if (data === undefined) return {}
      const { group, outcome, force = false, by } = data
      return { outcome, group: String(group), force: String(force), by }
    },
    handle(request) {
      const { id } = request.params as { id: string }
      const { group, force = false, ...rest } = parse(resolveBody, request.body)
      const resolution = { ...rest, group: group as GroupId, force }
      return manager.transactions.resolve(toTransactionId(id), resolution)
    }
  }
]
