/**
 * A client of the cluster: learns who the members are, decides by itself where a query runs, sends
 * it again where that is safe, and numbers its writes so that each is executed once.
 *
 * What a query may do is decided by routing, with the same code that nodes decide with; this class
 * adds what a client has and a node has not: the view it is told, the window, what it has seen.
 */

import type { EventSubscription } from '../core/cluster-manager.js'
import type { ClientConfig } from '../core/config/client.js'
import { Counters, type MetricsSnapshot } from '../core/counters.js'
import { after } from '../core/deadlines.js'
import {
  BackpressureError,
  InvalidArgumentError,
  NotStartedError,
  StoppedError
} from '../core/errors.js'
import { EventHub } from '../core/event-hub.js'
import type { ConsensusEvent, Numbered, TransportEvent } from '../core/events.js'
import { type MonotonicMs, type NodeId, toClientId } from '../core/ids.js'
import type { Member } from '../core/member.js'
import type { Clock } from '../core/ports/clock.js'
import type { Crypto } from '../core/ports/crypto.js'
import type { EngineProvider } from '../core/ports/engine-provider.js'
import type { Logger } from '../core/ports/logger.js'
import type { Random } from '../core/ports/random.js'
import type { QueryOptions, QueryResult, RouteOptions } from '../core/queries.js'
import type { RouteDecision, RouteExplanation } from '../core/route-views.js'
import type { Statement } from '../core/sql.js'
import type { TellQueue } from '../core/tell-queue.js'
import { type ClusterAnswer, type Placement, QueryDriver } from '../routing/index.js'
import type { ClientEventBody } from './events.js'
import type { KnownCluster } from './known-cluster.js'
import { LastIndexes } from './last-indexes.js'
import type { ClientQueryOptions } from './query-options.js'
import { RequestWindow } from './request-window-driver.js'
import { type SessionOptions, SqlSession, type SqlSessionParts } from './sql-session-driver.js'
import { Standbys } from './standbys-driver.js'
import { uuidRandomBytes, uuidV7 } from './uuid.js'
import { type ClientMessenger, WatchDriver } from './watch-driver.js'

export interface ClientTransport extends ClientMessenger {
  onEvent(handle: (event: TransportEvent) => void): void
  stop(): Promise<void>
  readonly counters: { snapshot(): Readonly<Record<string, number>> }
}

export interface ClientComponents {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly transport: ClientTransport
  readonly logger: Logger
  /** Shared with the transport, which asks it for addresses. */
  readonly cluster: KnownCluster
  /** For engines whose language is not SQL. */
  readonly classify?: EngineProvider['classify'] | undefined
}

const counterNames = [
  'client_queries',
  'client_queries_failed',
  'client_queries_in_flight',
  'client_queries_queued',
  'client_views_received',
  'client_members_known',
  'client_ids_registered',
  'client_sessions_open',
  'client_sessions_followed',
  'client_sessions_reattached'
] as const

/** SQL sessions of one client. */
export const clientSessionsMax = 1_024

/** Who is asked for its view and was never heard has so long, its connection included. */
const answerTimeoutMs = 2_000

const States = { New: 'new', Open: 'open', Closed: 'closed' } as const

export class ClientDriver {
  readonly #parts: ClientComponents
  readonly #options: ClientConfig
  readonly #queries: QueryDriver
  readonly #watch: WatchDriver
  readonly #standbys: Standbys
  readonly #window: RequestWindow
  readonly #seen = new LastIndexes()
  readonly #hub: EventHub<ClientEventBody>
  readonly #counters = new Counters(counterNames)
  readonly #sessions = new Set<SqlSession>()
  /** Being opened. */
  #opening = 0
  #opened = 0
  #closing: Promise<void> | null = null
  #state: (typeof States)[keyof typeof States] = States.New

  constructor(components: ClientComponents, options: ClientConfig) {
    const { clock, cluster, logger, transport } = components
    const random = components.random.split('client')
    this.#parts = components
    this.#options = options
    this.#hub = new EventHub(options)
    this.#window = new RequestWindow(clock, options)
    this.#queries = new QueryDriver(
      {
        clock,
        random,
        messenger: transport,
        logger,
        members: () => cluster.members(),
        groupOf: () => undefined,
        classify: components.classify,
        newClientId: () => this.#newClientId(),
        ...(options.readYourWrites ? { seenIndexOf: (group) => this.#seen.of(group) } : {}),
        connect: (node) => transport.dial(node),
        onLeaderLearned: (placement) => this.#handleLeader(placement)
      },
      {
        nodeId: `client:${options.clientName}` as NodeId,
        datacenter: options.datacenter,
        rack: options.rack,
        isClient: true,
        attemptTimeoutMs: options.attemptTimeoutMs,
        config: options.routing
      }
    )
    this.#watch = new WatchDriver(
      {
        clock,
        random: random.split('watch'),
        messenger: transport,
        logger,
        cluster,
        onAnswer: (answer) => this.#handleView(answer),
        onLeaders: ({ groups }) => this.#queries.learnPlacements(groups)
      },
      {
        addresses: options.addresses,
        watchIntervalMs: options.watchIntervalMs,
        answerTimeoutMs
      }
    )
    this.#standbys = new Standbys({
      clock,
      random: random.split('standbys'),
      messenger: transport,
      members: () => cluster.members(),
      groups: () => this.#seen.groups(),
      votersOf: (group) => this.#queries.votersOf(group)
    })
    transport.onEvent((event) => {
      this.#publish(event)
      this.#standbys.look()
    })
  }

  /**
   * Resolves when the client knows the cluster.
   * @throws JoinFailedError no address answered in time, with the reason of each
   */
  async connect(): Promise<void> {
    const { clock, transport } = this.#parts
    if (this.#state !== States.New) throw new StoppedError('the client was connected before')
    try {
      await this.#watch.begin(after(clock.now(), this.#options.connectTimeoutMs))
    } catch (error) {
      this.#state = States.Closed
      await transport.stop()
      throw error
    }
    this.#state = States.Open
    this.#queries.start()
    void this.#watch.keepWatching()
  }

  /** Nothing new; waits for what is on the way as long as `drainTimeoutMs`. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** One statement. @throws coded errors; an unknown outcome is IndeterminateError */
  async query(
    sql: string,
    params?: Statement['params'],
    options: ClientQueryOptions = {}
  ): Promise<QueryResult> {
    const run = params === undefined ? options : { ...options, params }
    return this.#run(run, (queryOptions) => this.#queries.execute(sql, queryOptions))
  }

  /** One atomic command, or one snapshot when all are reads; one result each. */
  async execute(
    statements: readonly Statement[],
    options: ClientQueryOptions = {}
  ): Promise<QueryResult[]> {
    return this.#run(options, (queryOptions) => this.#queries.execute(statements, queryOptions))
  }

  /** @throws InvalidArgumentError, NoEligibleNodeError, BackpressureError */
  async openSession(options: SessionOptions = {}): Promise<SqlSession> {
    this.#checkOpen()
    if (this.#sessions.size + this.#opening >= clientSessionsMax) {
      throw new BackpressureError(`${clientSessionsMax} sessions are open`)
    }
    this.#opening++
    try {
      const session = await SqlSession.open(this.#sessionParts(), options)
      this.#sessions.add(session)
      return session
    } finally {
      this.#opening--
    }
  }

  /** Decides, executes nothing. @throws NoEligibleNodeError, SqlError, SqlRefusedError */
  routeQuery(sql: string, options: RouteOptions = {}): RouteDecision {
    this.#checkOpen()
    return this.#queries.route(sql, options)
  }

  explainRoute(sql: string, options: RouteOptions = {}): RouteExplanation {
    this.#checkOpen()
    return this.#queries.explain(sql, options)
  }

  /** As a member told last; one that it holds for dead is suspected. */
  getClusterMembers(): readonly Member[] {
    return this.#parts.cluster.members()
  }

  subscribeToEvents(): EventSubscription<Numbered<ClientEventBody>> {
    return this.#hub.subscribe()
  }

  getAllMetrics(): MetricsSnapshot {
    this.#counters.set('client_queries_in_flight', this.#window.inFlight)
    this.#counters.set('client_queries_queued', this.#window.queued)
    this.#counters.set('client_members_known', this.getClusterMembers().length)
    this.#counters.set('client_sessions_open', this.#sessions.size)
    return {
      client: this.#counters.snapshot(),
      load_balancer: this.#queries.counters.snapshot(),
      communication: this.#parts.transport.counters.snapshot()
    }
  }

  tellQueues(tell: TellQueue): void {
    const { requestsInFlightMax, queueLengthMax } = this.#options
    tell('client.requestsInFlightMax', this.#window.inFlight, requestsInFlightMax)
    tell('client.queueLengthMax', this.#window.queued, queueLengthMax)
    tell('clientSessionsMax', this.#sessions.size, clientSessionsMax)
  }

  #sessionParts(): SqlSessionParts {
    const { clock, random, crypto, transport, logger, cluster } = this.#parts
    return {
      clock,
      // Each has its own order of nodes: else all would be at home on one.
      random: random.split(`session ${++this.#opened}`),
      crypto,
      messenger: transport,
      logger,
      cluster,
      timeoutMs: this.#options.timeoutMs,
      execute: (statements, options, home) =>
        this.#run(options, (queryOptions) => this.#queries.execute(statements, queryOptions, home)),
      onEvent: (event) => this.#handleSession(event),
      onClosed: (session) => this.#sessions.delete(session)
    }
  }

  #handleSession(event: ClientEventBody): void {
    if (event.type === 'SessionHomeChanged') {
      this.#counters.add(
        event.kind === 'followed' ? 'client_sessions_followed' : 'client_sessions_reattached'
      )
    }
    this.#publish(event)
  }

  async #run<Answer extends QueryResult | QueryResult[]>(
    options: Omit<QueryOptions, 'client'>,
    execute: (options: QueryOptions) => Promise<Answer>
  ): Promise<Answer> {
    this.#checkOpen()
    const { clock } = this.#parts
    const { signal, timeoutMs = this.#options.timeoutMs } = options
    if (!Number.isFinite(timeoutMs) || timeoutMs <= 0) {
      throw new InvalidArgumentError('timeoutMs', 'must be a positive number')
    }
    const deadline: MonotonicMs = after(clock.now(), timeoutMs)
    this.#counters.add('client_queries')
    try {
      return await this.#window.run({ deadline, signal }, async () => {
        const leftMs = Math.max(Number.MIN_VALUE, deadline - clock.now())
        const answer = await execute({ ...options, timeoutMs: leftMs })
        for (const { group, index } of [answer].flat()) {
          if (this.#seen.note(group, index)) this.#standbys.look()
        }
        return answer
      })
    } catch (error) {
      this.#counters.add('client_queries_failed')
      throw error
    }
  }

  async #close(): Promise<void> {
    const { clock, transport } = this.#parts
    const wasOpen = this.#state === States.Open
    this.#state = States.Closed
    this.#window.close()
    await Promise.all([...this.#sessions].map((session) => session.close()))
    this.#watch.stop()
    this.#standbys.stop()
    if (wasOpen) await this.#queries.stop(after(clock.now(), this.#options.drainTimeoutMs))
    await transport.stop()
    this.#hub.close()
  }

  #handleView(answer: ClusterAnswer): void {
    const { clock, cluster } = this.#parts
    const before = cluster.members()
    this.#counters.add('client_views_received')
    const isChanged = cluster.learn(answer, clock.now())
    this.#queries.learnPlacements(answer.groups)
    const { shards } = answer
    if (shards !== undefined) this.#queries.learnShards(shards.version, shards.tables)
    this.#standbys.look()
    if (!isChanged) return
    const members = cluster.members()
    for (const { nodeId } of before) {
      const isGone = members.every((member) => member.nodeId !== nodeId)
      if (isGone) this.#queries.handleMemberGone(nodeId)
    }
    this.#publish({ type: 'ClusterChanged', members, toldBy: answer.node })
  }

  /** Who waits for the former leader, or for any, goes on. */
  #handleLeader({ group, term, leader }: Placement): void {
    this.#queries.handleLeaderChanged({ group, leader })
    const event: ConsensusEvent = { type: 'LeaderChanged', group, term, leader }
    this.#publish(event)
  }

  #newClientId() {
    const { clock, crypto } = this.#parts
    this.#counters.add('client_ids_registered')
    return toClientId(uuidV7(clock.wallNow(), crypto.randomBytes(uuidRandomBytes)))
  }

  #publish(event: ClientEventBody): void {
    this.#hub.publish(event, this.#parts.clock.wallNow())
  }

  #checkOpen(): void {
    if (this.#state === States.New) throw new NotStartedError('call connect() first')
    if (this.#state === States.Closed) throw new StoppedError('the client is closed')
  }
}
