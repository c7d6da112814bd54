import { z } from 'zod'
import { backupPartBytesMax, type ClusterManager, type GroupId } from '../../core/index.js'
import type { Route } from '../route.js'
import { parse, wholeNumber } from './request-bodies.js'

/** An hour: whoever waits longer copies the files of a stopped node. */
export const backupTimeoutMsMax = 3_600_000

const takeBody = z.strictObject({
  /** Copying takes as long as reading every database once. */
  timeoutMs: z.number().int().min(1).max(backupTimeoutMsMax).optional()
})
const partQuery = z.strictObject({
  offset: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  length: wholeNumber(1, backupPartBytesMax)
})
const groupPath = z.object({ group: wholeNumber(0, 0xffff_ffff) })

const words = z.string()
const count = z.number().int()
const groupNumber = z.number().int().min(0).max(0xffff_ffff)
export const backupAnswer = z.object({
  id: words,
  clusterName: words,
  clusterId: words,
  clusterVersion: count,
  minVersion: count,
  software: words,
  node: words,
  takenAt: count,
  heldMs: count,
  groups: z.array(
    z.object({
      group: groupNumber,
      index: count,
      term: count,
      logTime: count,
      format: count,
      sizeBytes: count,
      sha256: words
    })
  ),
  tables: z.array(
    z.object({
      table: words,
      shardKey: words,
      ranges: z.array(z.object({ from: count, group: groupNumber }))
    })
  )
})

/** A backup holds all data, whoever may read it by queries: its routes are the administrators'. */
export const backupRoutes = (manager: ClusterManager): readonly Route[] => [
  {
    method: 'POST',
    access: 'admin',
    tag: 'operations',
    url: '/v1/backups',
    about: 'Copies every group at one moment, beside the databases of this node; one at a time.',
    body: takeBody,
    answer: backupAnswer,
    handle: (request) => manager.backups.take(parse(takeBody, request.body ?? {}))
  },
  {
    method: 'GET',
    access: 'admin',
    tag: 'operations',
    url: '/v1/backups/:id/groups/:group',
    about: `Part of a group's copy; at most ${backupPartBytesMax} bytes.`,
    parameters: partQuery,
    answerType: 'application/octet-stream',
    async handle(request, reply) {
      const { id } = request.params as { id: string }
      const { group } = parse(groupPath, request.params)
      const { offset, length } = parse(partQuery, request.query)
      const part = { group: group as GroupId, offset, lengthBytes: length }
      const bytes = await manager.backups.read(id, part)
      reply.type('application/octet-stream')
      return reply.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))
    }
  },
  {
    method: 'DELETE',
    access: 'admin',
    tag: 'operations',
    url: '/v1/backups/:id',
    about: 'Removes the copies; what is not removed goes when nobody has read of it for a minute.',
    answer: z.object({ ended: z.boolean() }),
    async handle(request) {
      await manager.backups.end((request.params as { id: string }).id)
      return { ended: true }
    }
  }
]
