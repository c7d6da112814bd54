import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { Access } from './access/roles.js'

/** Families of the API document. */
export const tags = [
  'probes',
  'cluster',
  'queries',
  'routing',
  'health',
  'security',
  'operations'
] as const
export type Tag = (typeof tags)[number]

/** A body of settings, names and numbers. */
export const smallBodyBytesMax = 64 * 1024
/** A command of the largest size as base64, and an eighth of a mebibyte around it. */
export const queryBodyBytesMax = 1_179_648
/** The largest revocation list as PEM, each line break of it escaped. */
export const listBodyBytesMax = 1_048_576

/**
 * One endpoint, declared once: authorisation, the API document and the audit trail derive from it.
 * What is not a GET and is done by an operator is recorded and honours an `Idempotency-Key`.
 */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
  /** With `:name` for a part that varies. */
  readonly url: string
  readonly access: Access
  readonly tag: Tag
  /** One sentence. */
  readonly about: string
  /** True: a query or question by POST, neither recorded nor repeated by key. */
  readonly isQuestion?: boolean
  readonly parameters?: z.ZodObject
  readonly body?: z.ZodType
  /** Absent: `smallBodyBytesMax`. */
  readonly bodyBytesMax?: number
  /** What of a body that was taken belongs into the audit trail, as if it were the query's. */
  audited?(body: unknown): Readonly<Record<string, string>>
  /** Shape of the answer with status 200; absent: a stream or plain text. */
  readonly answer?: z.ZodType
  /** In words, where `answer` is absent. */
  readonly answerType?: string
  handle(request: FastifyRequest, reply: FastifyReply): unknown
}
