/**
 * How long a connection may take for what. Who is slow is told so, cut and counted; others are
 * served meanwhile, because waiting costs a connection and nothing else.
 */
import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { InvalidArgumentError, RequestTooSlowError, type SkeinError } from '../core/index.js'
import type { AdminCounters } from './admin-counters.js'
import { errorBodyOf, statusOf } from './http-status.js'

export const connectionsMax = 1_024

export interface ConnectionLimits {
  /** From the connection to the end of the TLS handshake. */
  readonly handshakeTimeoutMs: number
  /** From the connection, or a request's first byte, to the end of its headers. */
  readonly headersTimeoutMs: number
  /** From its first byte to the end of its body. */
  readonly requestTimeoutMs: number
  /** A client that takes not one byte of its answer for so long; streams of events are none. */
  readonly answerTimeoutMs: number
  /** Between two requests. */
  readonly idleTimeoutMs: number
  /** How often headers and bodies that are late are looked for. */
  readonly checkIntervalMs: number
}

export const connectionLimits: ConnectionLimits = {
  handshakeTimeoutMs: 5_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  answerTimeoutMs: 30_000,
  idleTimeoutMs: 72_000,
  checkIntervalMs: 1_000
}

/** For the server of Node, plain or with TLS. */
export const serverOptions = (limits: ConnectionLimits) => ({
  handshakeTimeout: limits.handshakeTimeoutMs,
  headersTimeout: limits.headersTimeoutMs,
  connectionsCheckingInterval: limits.checkIntervalMs
})

/** What is no request, or not one in time. */
export function refuseConnection(error: Error, socket: Socket, counters: AdminCounters): void {
  const { code } = error as NodeJS.ErrnoException
  // Before the handshake nobody could read an answer.
  const isDeaf = code === 'ERR_TLS_HANDSHAKE_TIMEOUT' || !socket.writable
  const isSlow = code === 'ERR_TLS_HANDSHAKE_TIMEOUT' || code === 'ERR_HTTP_REQUEST_TIMEOUT'
  counters.add(isSlow ? 'connections_slow' : 'connections_malformed')
  if (!isDeaf) socket.write(isSlow ? slowAnswer : malformedAnswer)
  socket.destroy()
}

/** From now on, until the answer is with the operating system. */
export function boundAnswer(
  { raw }: FastifyReply,
  { answerTimeoutMs }: ConnectionLimits,
  counters: AdminCounters
): void {
  raw.setTimeout(answerTimeoutMs, () => {
    counters.add('connections_slow')
    raw.destroy()
  })
}

const malformedAnswer = rawAnswer('Bad Request', new InvalidArgumentError('request', 'is no HTTP'))
const slowAnswer = rawAnswer(
  'Request Timeout',
  new RequestTooSlowError('the request did not arrive in time')
)

/** By hand: where there is no request there is no reply. */
function rawAnswer(reason: string, error: SkeinError): string {
  const facts = error.toFacts()
  const body = JSON.stringify(errorBodyOf(facts))
  return [
    `HTTP/1.1 ${statusOf[facts.code]} ${reason}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body
  ].join('\r\n')
}
