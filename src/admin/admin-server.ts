/**
 * The HTTP API of one node: probes, metrics, views, events and queries. It knows the cluster
 * through the facade's interface alone. Every answer that is not a success is a coded error.
 */
import Fastify, { type FastifyError, type FastifyInstance, type FastifyReply } from 'fastify'
import {
  type Address,
  type ClusterManager,
  factsOf,
  InvalidArgumentError,
  isLoopback,
  ListenFailedError,
  type Logger,
  MessageTooLargeError,
  MethodNotAllowedError,
  NotFoundError,
  SkeinError
} from '../core/index.js'
import { type AdminCounters, counterOf, createAdminCounters } from './admin-counters.js'
import { createGuard } from './authentication.js'
import { EventStreams } from './event-streams.js'
import { errorBodyOf, statusOf } from './http-status.js'
import { createRoutes, type Route, register } from './routes.js'

/** One request's body. */
export const bodyBytesMax = 2 * 1024 * 1024
export const connectionsMax = 1_024

export interface AdminServerOptions {
  /** Port 0 picks a free one. */
  readonly listenAddress: Address
  /** Required when the address is not loopback. */
  readonly token: string | null
  readonly logger: Logger
  readonly eventSubscribersMax: number
}

export interface AdminServer {
  /** @throws ListenFailedError */
  start(): Promise<{ readonly address: Address }>
  /** Ends event streams, answers what is under way, closes. */
  stop(): Promise<void>
}

/** @throws InvalidArgumentError no token and not loopback */
export function createAdminServer(
  manager: ClusterManager,
  options: AdminServerOptions
): AdminServer {
  if (options.token === null && !isLoopback(options.listenAddress)) {
    throw new InvalidArgumentError('token', 'is required when the address is not loopback')
  }
  const { logger, eventSubscribersMax } = options
  const streams = new EventStreams({ manager, logger }, { eventSubscribersMax })
  const counters = createAdminCounters()
  const app = createApp(createRoutes({ manager, streams, counters }), { ...options, counters })
  const closeQuietly = closerOf(app)
  return {
    start: () => listen(app, options.listenAddress),
    async stop() {
      streams.close()
      await closeQuietly()
    }
  }
}

/**
 * Closes after the last answer. Node counts a connection that never carried a request as busy, and
 * browsers open such ones in advance, so what is left after the last answer is cut.
 */
function closerOf(app: FastifyInstance): () => Promise<void> {
  const { server } = app
  let answering = 0
  let isClosing = false
  const maybeCut = () => {
    if (isClosing && answering === 0) server.closeAllConnections()
  }
  server.on('request', (_request, response) => {
    answering++
    response.once('close', () => {
      answering--
      maybeCut()
    })
  })
  return async () => {
    isClosing = true
    const closed = app.close()
    maybeCut()
    await closed
  }
}

interface AppOptions extends AdminServerOptions {
  readonly counters: AdminCounters
}

function createApp(routes: readonly Route[], options: AppOptions): FastifyInstance {
  const { counters } = options
  const fail = (error: unknown, reply: FastifyReply) => answer(reply, codedOf(error), options)
  const app = Fastify({
    logger: false,
    bodyLimit: bodyBytesMax,
    exposeHeadRoutes: false,
    forceCloseConnections: 'idle',
    clientErrorHandler(_error, socket) {
      counters.add('connections_malformed')
      if (socket.writable) socket.write(malformedAnswer)
      socket.destroy()
    },
    frameworkErrors: (error, _request, reply) => fail(error, reply)
  })
  app.server.maxConnections = connectionsMax
  // A form of a foreign page can post text; only a program posts JSON.
  app.removeContentTypeParser('text/plain')
  const guard = createGuard(options.token)
  app.addHook('onRequest', async (request) => {
    counters.add('requests')
    const { isOpen } = request.routeOptions.config as { isOpen?: boolean }
    const isPlainProbe = isOpen === true && !Object.hasOwn(request.query as object, 'verbose')
    if (!isPlainProbe) guard(request.headers)
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    reply.header('x-content-type-options', 'nosniff')
  })
  app.setErrorHandler((error, _request, reply) => fail(error, reply))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const allowed = routes.filter(({ url }) => matches(url, path)).map(({ method }) => method)
    if (allowed.length === 0) throw new NotFoundError(`there is nothing at ${path}`)
    reply.header('allow', allowed.join(', '))
    throw new MethodNotAllowedError(`${request.method} ${path}: use ${allowed.join(', ')}`)
  })
  register(app, routes)
  return app
}

const matches = (pattern: string, path: string): boolean =>
  new RegExp(`^${pattern.replace(/:\w+/g, '[^/]+')}$`).test(path)

/** The framework's own refusals in the words of the house. */
function codedOf(error: unknown): unknown {
  if (error instanceof SkeinError || !(error instanceof Error)) return error
  const { statusCode, code } = error as FastifyError
  if (statusCode === 413)
    return new MessageTooLargeError(`a body has at most ${bodyBytesMax} bytes`)
  if (statusCode === 415)
    return new InvalidArgumentError('content-type', 'must be application/json')
  const isRequestFault = statusCode !== undefined && statusCode >= 400 && statusCode < 500
  if (!isRequestFault) return error
  const field = code?.includes('URL') || code?.includes('ROUTE') ? 'url' : 'body'
  return new InvalidArgumentError(field, error.message)
}

/** To bytes that are no HTTP request. */
const malformedAnswer = (() => {
  const error = new InvalidArgumentError('request', 'is no HTTP')
  const body = JSON.stringify(errorBodyOf(error.toFacts()))
  const head = 'HTTP/1.1 400 Bad Request\r\ncontent-type: application/json; charset=utf-8\r\n'
  return `${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
})()

function answer(
  reply: FastifyReply,
  thrown: unknown,
  { counters, logger }: AppOptions
): FastifyReply {
  const facts = factsOf(thrown)
  counters.add(counterOf(facts.code))
  if (!(thrown instanceof SkeinError)) logger.error({ error: thrown }, 'a request met a defect')
  if (facts.code === 'ERR_SKEIN_UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer')
  if (facts.code === 'ERR_SKEIN_BACKPRESSURE') reply.header('retry-after', '1')
  return reply.status(statusOf[facts.code]).send(errorBodyOf(facts))
}

async function listen(app: FastifyInstance, address: Address): Promise<{ address: Address }> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[|\]$/g, '')
  try {
    await app.listen({ host, port: Number(address.slice(colon + 1)) })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ListenFailedError(`the admin API cannot listen on ${address}: ${why}`, { cause })
  }
  const bound = app.server.address()
  if (bound === null || typeof bound === 'string') throw new ListenFailedError('no TCP address')
  const name = bound.family === 'IPv6' ? `[${bound.address}]` : bound.address
  return { address: `${name}:${bound.port}` }
}
