/**
 * The HTTP API of one node: probes, metrics, views, events and queries. It knows the cluster
 * through the facade's interface alone. Every answer that is not a success is a coded error.
 */
import { createHash } from 'node:crypto'
import { Server as HttpsServer } from 'node:https'
import swagger from '@fastify/swagger'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifyServerOptions
} from 'fastify'
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
import { AuditTrail } from './access/audit-trail.js'
import { Authenticator } from './access/authentication.js'
import { CertificateHolders } from './access/certificate-holders.js'
import { IdempotentAnswers } from './access/idempotent-answers.js'
import { type Access, type Principal, type Role, Roles } from './access/roles.js'
import type { AdminToken } from './access/tokens.js'
import { type AdminCounters, counterOf, createAdminCounters } from './admin-counters.js'
import {
  boundAnswer,
  type ConnectionLimits,
  connectionLimits,
  connectionsMax,
  refuseConnection,
  serverOptions
} from './connections.js'
import { EventStreams } from './event-streams.js'
import { errorBodyOf, statusOf } from './http-status.js'
import { acceptJsonOnly } from './json-parser.js'
import { documentOf, documentUrl } from './openapi.js'
import { type Route, smallBodyBytesMax } from './route.js'
import { backupRoutes } from './routes/backup-routes.js'
import { configRoutes } from './routes/config-routes.js'
import { controlRoutes } from './routes/control-routes.js'
import { failoverRoutes } from './routes/failover-routes.js'
import { healthRoutes } from './routes/health-routes.js'
import { memberRoutes } from './routes/member-routes.js'
import { membershipRoutes } from './routes/membership-routes.js'
import { plannedRoutes } from './routes/planned-routes.js'
import { isVerbose, probeRoutes } from './routes/probe-routes.js'
import { queryRoutes } from './routes/query-routes.js'
import { roleRoutes } from './routes/role-routes.js'
import { routingRoutes } from './routes/routing-routes.js'
import { securityRoutes } from './routes/security-routes.js'
import { sessionRoutes } from './routes/session-routes.js'
import { stateSyncRoutes } from './routes/state-sync-routes.js'
import { transactionRoutes } from './routes/transaction-routes.js'
import { monitoringRoutes, viewRoutes } from './routes/view-routes.js'

/** A metadata key of 128 bytes, each written as %XX. */
const parameterLengthMax = 384

/** PEM; who connects may show a certificate of `ca`, and need not. */
export interface AdminTls {
  readonly cert: string
  readonly key: string
  readonly ca: string
}

export interface AdminServerOptions {
  /** Port 0 picks a free one. */
  readonly listenAddress: Address
  /** Who bears one is let in with its role. Without tokens and roles: whoever asks by loopback. */
  readonly tokens: readonly AdminToken[]
  /** Absent: plain HTTP. */
  readonly tls?: AdminTls | null
  /** Role by the name in a client certificate; needs `tls`. */
  readonly clientRoles?: Readonly<Record<string, Role>>
  readonly logger: Logger
  readonly eventSubscribersMax: number
  /** Fields in the place of `connectionLimits`. */
  readonly connections?: Partial<ConnectionLimits>
}

export interface AdminServer {
  /** @throws ListenFailedError */
  start(): Promise<{ readonly address: Address }>
  /**
   * For connections from now on; open ones stay, but those of clients whose authority is gone.
   * @throws InvalidArgumentError the server speaks plain HTTP, or the material does not fit
   */
  setTls(tls: AdminTls): void
  /** Ends event streams, answers what is under way, closes. */
  stop(): Promise<void>
}

/** @throws InvalidArgumentError neither tokens nor client roles, and not loopback */
export function createAdminServer(
  manager: ClusterManager,
  options: AdminServerOptions
): AdminServer {
  const { tokens, clientRoles = {}, tls = null, listenAddress } = options
  const hasRoles = tls !== null && Object.keys(clientRoles).length > 0
  if (tokens.length === 0 && !hasRoles && !isLoopback(listenAddress)) {
    throw new InvalidArgumentError('tokens', 'are required when the address is not loopback')
  }
  const parts = createParts(manager, options)
  const app = createApp(routesOf(parts), parts)
  const closeQuietly = closerOf(app)
  return {
    start: () => listen(app, listenAddress),
    setTls: (next) => replaceTls(app, parts, next),
    async stop() {
      parts.holders.stop()
      parts.streams.close()
      await closeQuietly()
    }
  }
}

/** What the routes and hooks of one server share. */
interface Parts {
  readonly manager: ClusterManager
  readonly options: AdminServerOptions
  readonly counters: AdminCounters
  readonly streams: EventStreams
  readonly audit: AuditTrail
  readonly authenticator: Authenticator
  readonly holders: CertificateHolders
  readonly answers: IdempotentAnswers
  readonly principals: WeakMap<FastifyRequest, Principal>
  readonly limits: ConnectionLimits
}

function createParts(manager: ClusterManager, options: AdminServerOptions): Parts {
  const { logger, eventSubscribersMax, tokens, clientRoles = {} } = options
  const { clusterName } = manager.getClusterView()
  const holders = new CertificateHolders((peer, facts) => manager.security.refusalOf(peer, facts))
  return {
    manager,
    options,
    counters: createAdminCounters(),
    streams: new EventStreams({ manager, logger }, { eventSubscribersMax }),
    audit: new AuditTrail(() => manager.control),
    authenticator: new Authenticator(holders, { tokens, clientRoles, clusterName }),
    holders,
    answers: new IdempotentAnswers(),
    principals: new WeakMap(),
    limits: { ...connectionLimits, ...options.connections }
  }
}

const routesOf = ({ manager, counters, streams, audit }: Parts): readonly Route[] => [
  ...probeRoutes(manager),
  ...roleRoutes(manager),
  ...viewRoutes(manager),
  ...healthRoutes(manager),
  ...monitoringRoutes({
    manager,
    streams,
    audit,
    metrics: () => ({ ...manager.getAllMetrics(), admin: counters.snapshot() })
  }),
  ...queryRoutes(manager),
  ...routingRoutes(manager),
  ...membershipRoutes(manager),
  ...memberRoutes(manager),
  ...controlRoutes(manager),
  ...stateSyncRoutes(manager),
  ...transactionRoutes(manager),
  ...backupRoutes(manager),
  ...securityRoutes(manager),
  ...plannedRoutes(manager),
  ...sessionRoutes(manager),
  ...failoverRoutes(manager),
  ...configRoutes(manager)
]

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

function createApp(routes: readonly Route[], parts: Parts): FastifyInstance {
  const { counters, options, limits } = parts
  const fail = (error: unknown, reply: FastifyReply) => answer(reply, codedOf(error), parts)
  const own = serverOptions(limits)
  const app = Fastify({
    ...(options.tls ? { https: { ...httpsOptions(options.tls), ...own } } : { http: own }),
    logger: false,
    bodyLimit: smallBodyBytesMax,
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: parameterLengthMax },
    forceCloseConnections: 'idle',
    schemaController: { compilersFactory: noCompilers },
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.idleTimeoutMs,
    clientErrorHandler: (error, socket) => refuseConnection(error, socket, counters),
    frameworkErrors: (error, _request, reply) => fail(error, reply)
  }) as unknown as FastifyInstance
  app.server.maxConnections = connectionsMax
  if (options.tls) parts.holders.watch(app.server)
  acceptJsonOnly(app)
  addHooks(app, parts)
  app.setErrorHandler((error, _request, reply) => fail(error, reply))
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?')[0] ?? ''
    const allowed = routes.filter(({ url }) => isAt(url, path)).map(({ method }) => method)
    if (allowed.length === 0) throw new NotFoundError(`there is nothing at ${path}`)
    reply.header('allow', allowed.join(', '))
    throw new MethodNotAllowedError(`${request.method} ${path}: use ${allowed.join(', ')}`)
  })
  app.register(swagger, documentOf(routes, parts.manager.getClusterView().version))
  app.register(async (served) => {
    for (const route of routes) register(served, route, parts)
    served.get(documentUrl, { config: { access: 'read' } }, () => app.swagger())
  })
  return app
}

type Compilers = NonNullable<
  NonNullable<FastifyServerOptions['schemaController']>['compilersFactory']
>

/**
 * Routes have no schemas but in the document, and each handler checks its own input, all faults at
 * once: nothing is compiled, and what compiles is not even loaded.
 */
const noCompilers = {
  buildValidator: () => () => () => true,
  buildSerializer: () => () => (body: unknown) => JSON.stringify(body)
  // The types of the package know of Ajv's functions alone.
} as unknown as Compilers

const httpsOptions = (tls: AdminTls) => ({
  ...tls,
  minVersion: 'TLSv1.3' as const,
  requestCert: true,
  rejectUnauthorized: false
})

function replaceTls(app: FastifyInstance, { holders, options }: Parts, tls: AdminTls): void {
  const server: unknown = app.server
  if (!options.tls || !(server instanceof HttpsServer)) {
    throw new InvalidArgumentError('tls', 'the server speaks plain HTTP')
  }
  try {
    server.setSecureContext(httpsOptions(tls))
  } catch (cause) {
    throw new InvalidArgumentError('tls', (cause as Error).message)
  }
  holders.keepOnly(tls.ca)
}

interface RouteConfig {
  readonly access: Access
  readonly isAction: boolean
  readonly audited: Route['audited']
}

function addHooks(app: FastifyInstance, parts: Parts): void {
  const { manager, counters, authenticator, principals, audit, options, limits } = parts
  app.addHook('onRequest', async (request) => {
    counters.add('requests')
    const { access = Roles.Read } = request.routeOptions.config as Partial<RouteConfig>
    const needed = access === 'open' && isVerbose(request) ? Roles.Read : access
    const principal = authenticator.authenticate(request.raw, needed, manager.now())
    if (principal !== null) principals.set(request, principal)
  })
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    reply.header('x-content-type-options', 'nosniff')
    boundAnswer(reply, limits, counters)
  })
  app.addHook('onResponse', async (request, reply) => {
    const { isAction, audited } = request.routeOptions.config as Partial<RouteConfig>
    if (isAction !== true) return
    const { name, role } = principals.get(request) ?? { name: 'nobody', role: 'none' }
    const record = {
      at: new Date().toISOString(),
      node: manager.nodeId,
      principal: name,
      role,
      address: request.ip,
      method: request.method,
      path: auditedPath(request, audited),
      status: reply.statusCode
    }
    audit.add(record)
    options.logger.info(record, 'an operator acted')
  })
}

/** Without what was asked for, but what its route says of it, and that nothing was to change. */
function auditedPath({ url, query, body }: FastifyRequest, audited: Route['audited']): string {
  const path = url.split('?')[0] ?? ''
  const { dryRun } = query as { dryRun?: unknown }
  const told = new URLSearchParams({
    ...(dryRun === 'true' ? { dryRun } : {}),
    ...audited?.(body)
  })
  return told.size === 0 ? path : `${path}?${told}`
}

function register(app: FastifyInstance, route: Route, parts: Parts): void {
  const { method, url, access, isQuestion, handle, audited } = route
  const { bodyBytesMax = smallBodyBytesMax } = route
  const isAction = method !== 'GET' && isQuestion !== true
  app.route({
    method,
    url,
    config: { access, isAction, audited } satisfies RouteConfig,
    bodyLimit: bodyBytesMax,
    handler: async (request, reply) =>
      isAction ? act(route, request, reply, parts) : handle(request, reply)
  })
}

async function act(route: Route, request: FastifyRequest, reply: FastifyReply, parts: Parts) {
  const key = request.headers['idempotency-key']
  if (key === undefined) return route.handle(request, reply)
  const caller = parts.principals.get(request)?.name ?? ''
  const asked = JSON.stringify([route.method, request.url, request.body])
  const fingerprint = createHash('sha256').update(asked).digest('hex')
  const now = parts.manager.now()
  const kept = await parts.answers.once(String(key), caller, fingerprint, now, async () => {
    const body = await route.handle(request, reply)
    return { status: reply.statusCode, body }
  })
  reply.status(kept.status)
  return kept.body
}

/** Part by part; `:name` stands for any one that is not empty. */
function isAt(pattern: string, path: string): boolean {
  const [parts, given] = [pattern.split('/'), path.split('/')]
  const fits = (part: string, i: number) =>
    part.startsWith(':') ? given[i] !== '' : part === given[i]
  return parts.length === given.length && parts.every(fits)
}

/** The framework's own refusals in the words of the house. */
function codedOf(error: unknown): unknown {
  if (error instanceof SkeinError || !(error instanceof Error)) return error
  const { statusCode, code } = error as FastifyError
  if (statusCode === 413)
    return new MessageTooLargeError('the body has more bytes than this path takes')
  if (statusCode === 415)
    return new InvalidArgumentError('content-type', 'must be application/json')
  const isRequestFault = statusCode !== undefined && statusCode >= 400 && statusCode < 500
  if (!isRequestFault) return error
  const field = code?.includes('URL') || code?.includes('ROUTE') ? 'url' : 'body'
  return new InvalidArgumentError(field, error.message)
}

function answer(
  reply: FastifyReply,
  thrown: unknown,
  { counters, options: { logger } }: Parts
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
