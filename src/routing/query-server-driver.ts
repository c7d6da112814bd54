import type { Counters } from '../core/counters.js'
import {
  DrainingError,
  NoEligibleNodeError,
  SessionDetachedError,
  SqlRefusedError,
  StoppedError
} from '../core/errors.js'
import { DEFAULT_GROUP, type LogIndex, type MonotonicMs, type NodeId } from '../core/ids.js'
import { StatementKinds } from '../core/ports/engine-provider.js'
import { type Inbound, type Messenger, Priorities, type Priority } from '../core/ports/messenger.js'
import type { QueryOptions, RouteOptions } from '../core/queries.js'
import { hasCode } from '../core/remote-error.js'
import type { RouteDecision } from '../core/route-views.js'
import type { Statement } from '../core/sql.js'
import type { Answered } from './answered.js'
import type { ClientRegistrationDriver } from './client-registration-driver.js'
import {
  type ClusterAnswer,
  changeSchema,
  placement,
  type QueryAnswer,
  type QueryBody,
  query,
  type RouteAnswer,
  type RouteQuestionBody,
  registerClient,
  routeQuery,
  type SchemaBody,
  watchCluster
} from './messages.js'
import type { QueryCounterName } from './query-counters.js'
import type { QueryPlan } from './query-plan.js'
import type { QueryTools } from './query-tools-driver.js'
import type { RunRequest } from './run-driver.js'
import type { SessionGate, SessionRun } from './sessions/sql-session.js'
import { toldShards } from './sharding/shard-map.js'

/** What this node does for its own callers, and here for others. */
export interface ServedCalls {
  deadlineIn(): MonotonicMs
  admit<T>(priority: Priority, run: () => Promise<T>): Promise<T>
  plan(given: string | readonly Statement[], options: QueryOptions): QueryPlan
  run(request: RunRequest): Promise<Answered>
  route(sql: string, options: RouteOptions): RouteDecision
}

/**
 * Serves what other nodes and clients send.
 *
 * 1. What another node forwarded is executed here or refused, never forwarded again; what a client
 *    sends is routed as this node's own.
 * 2. A node that stops refuses; what it began it ends.
 */
export class QueryServerDriver {
  readonly #messenger: Messenger
  readonly #tools: QueryTools
  readonly #registration: ClientRegistrationDriver
  readonly #counters: Counters<QueryCounterName>
  readonly #calls: ServedCalls
  readonly #isStopping: () => boolean
  readonly #sessions: (() => SessionGate) | undefined
  readonly #nodeId: NodeId

  constructor(
    components: {
      readonly messenger: Messenger
      readonly tools: QueryTools
      readonly registration: ClientRegistrationDriver
      readonly counters: Counters<QueryCounterName>
      readonly calls: ServedCalls
      readonly isStopping: () => boolean
      readonly sessions?: (() => SessionGate) | undefined
    },
    options: { readonly nodeId: NodeId }
  ) {
    this.#messenger = components.messenger
    this.#tools = components.tools
    this.#registration = components.registration
    this.#counters = components.counters
    this.#calls = components.calls
    this.#isStopping = components.isStopping
    this.#sessions = components.sessions
    this.#nodeId = options.nodeId
  }

  start(): void {
    this.#messenger.onRequest(query, (inbound) => this.#serve(inbound))
    this.#messenger.onRequest(registerClient, async ({ peer, body, deadline }) => {
      const until = deadline ?? this.#calls.deadlineIn()
      if (peer.kind === 'client')
        await this.#registration.register(body.group, body.clientId, until, undefined)
      else await this.#tools.execution.registerClient(body.group, body.clientId, until)
      return {}
    })
    this.#messenger.onRequest(placement, async () => {
      const shards = toldShards(this.#tools.shards.map)
      const groups = this.#tools.execution.placements()
      return shards === undefined ? { groups } : { groups, shards }
    })
    this.#messenger.onRequest(changeSchema, (inbound) => this.#changeSchema(inbound))
    this.#messenger.onRequest(routeQuery, async ({ body }) => this.#routeFor(body))
    this.#messenger.onRequest(watchCluster, ({ body, deadline, signal }) =>
      this.#watch(body, deadline, signal)
    )
  }

  /** A client's own word of what the statement concerns is not believed. */
  async #changeSchema({ body, peer, deadline, signal }: Inbound<SchemaBody>): Promise<object> {
    if (this.#isStopping()) throw new DrainingError('the node takes no new queries')
    const { id, sql, session } = body
    const until = deadline ?? this.#calls.deadlineIn()
    const statements = [{ sql }]
    const planned = this.#tools.shards.planOf(statements)
    if (planned.kind !== 'definition') {
      throw new NoEligibleNodeError('no sharded table is known here that it would change')
    }
    const { table } = planned
    const change = () => this.#tools.shards.changeSchema({ id, table, sql, deadline: until })
    if (session === undefined || peer.kind !== 'client') {
      await this.#calls.admit(Priorities.Normal, change)
      return {}
    }
    if (this.#sessions === undefined) throw new SessionDetachedError('this node keeps no sessions')
    const call = { session, client: peer.name, statements, prepared: [null] }
    await this.#sessions().run(call, DEFAULT_GROUP, { deadline: until, signal }, async (run) => {
      if (run.readOnly) throw new SqlRefusedError('the session is read_only')
      await this.#calls.admit(Priorities.Normal, change)
      return { results: [], index: 0 as LogIndex, node: this.#nodeId }
    })
    return {}
  }

  async #watch(
    { revision }: { readonly revision: number },
    deadline: MonotonicMs | null,
    signal: AbortSignal
  ): Promise<ClusterAnswer> {
    if (this.#isStopping()) throw new DrainingError('the node takes no new queries')
    return this.#tools.watches.watch(revision, deadline ?? this.#calls.deadlineIn(), signal)
  }

  /** For another node or a client that asks over the wire. */
  #routeFor({ statement, ...options }: RouteQuestionBody): RouteAnswer {
    const { sql, params } = statement
    const decision = this.#calls.route(sql, params === undefined ? options : { ...options, params })
    const { strategy, reason } = decision
    return { ...decision, strategy: strategy.slice(0, 85), reason: reason.slice(0, 341) }
  }

  async #serve(inbound: Inbound<QueryBody>): Promise<QueryAnswer> {
    if (this.#isStopping()) throw new DrainingError('the node takes no new queries')
    this.#counters.add('queries_served')
    const deadline = inbound.deadline ?? this.#calls.deadlineIn()
    const { body } = inbound
    const answered = await this.#calls.admit(body.priority ?? Priorities.Normal, () =>
      inbound.peer.kind === 'client'
        ? this.#runForClient(inbound, deadline)
        : this.#executeHere(body, deadline, inbound.signal)
    )
    const { results, index, node, seen, stalenessMs } = answered
    const { utilisation, queueDepth } = this.#tools.loadReport()
    const utilisationPermille = Math.round(utilisation * 1000)
    const answer = { results, index, group: body.group, node, utilisationPermille, queueDepth }
    const told = seen === undefined || seen.length === 0 ? answer : { ...answer, seen }
    if (stalenessMs === undefined) return told
    return { ...told, stalenessMs: Math.min(Math.ceil(stalenessMs), 0xffff_ffff) }
  }

  async #executeHere(
    body: QueryBody,
    deadline: MonotonicMs,
    signal: AbortSignal
  ): Promise<Answered> {
    try {
      const executed = await this.#tools.execution.execute(body, deadline, signal)
      return { ...executed, node: this.#nodeId }
    } catch (thrown) {
      if (hasCode(thrown, 'ERR_SKEIN_STALE_ROUTE')) this.#counters.add('stale_routes_refused')
      throw thrown
    }
  }

  /** A client's own words about its statements are not believed. */
  #runForClient(inbound: Inbound<QueryBody>, deadline: MonotonicMs): Promise<Answered> {
    const { body, peer, signal } = inbound
    const { sqlSession, statements, group } = body
    if (sqlSession === undefined || peer.kind !== 'client')
      return this.#runPlanned(inbound, deadline)
    if (this.#sessions === undefined) throw new SessionDetachedError('this node keeps no sessions')
    const { id, prepared } = sqlSession
    const call = { session: id, client: peer.name, statements, prepared }
    return this.#sessions().run(call, group, { deadline, signal }, (session) =>
      this.#runPlanned(inbound, deadline, session)
    )
  }

  /** `session`: as its home has it; its queries prefer one node where they do not say otherwise. */
  #runPlanned(
    inbound: Inbound<QueryBody>,
    deadline: MonotonicMs,
    sqlSession?: SessionRun
  ): Promise<Answered> {
    const { consistency, client, group, key, branches, session = sqlSession?.id } = inbound.body
    const { maxStalenessMs } = inbound.body
    const statements = sqlSession?.statements ?? inbound.body.statements
    const planned = this.#calls.plan(statements, {
      consistency,
      group,
      ...(key === undefined ? {} : { key }),
      ...(maxStalenessMs === undefined ? {} : { maxStalenessMs }),
      ...(session === undefined ? {} : { session })
    })
    const plan =
      branches === undefined ? planned : { ...planned, kind: StatementKinds.Write, branches }
    if (sqlSession?.readOnly && plan.kind === StatementKinds.Write) {
      throw new SqlRefusedError('the session is read_only')
    }
    const priority: Priority = inbound.body.priority ?? Priorities.Normal
    const seen = sqlSession?.seenIndexOf(group) ?? 0
    const running = this.#calls.run({
      plan,
      deadline,
      priority,
      atLeastIndex: Math.max(inbound.body.atLeastIndex, seen) as LogIndex,
      client,
      signal: inbound.signal
    })
    return running.catch((thrown: unknown) => {
      // What may have been done is in doubt by now: this only waited, for a leader perhaps.
      if (!(thrown instanceof StoppedError)) throw thrown
      const { leaderHint } = thrown
      const hint = leaderHint === undefined ? {} : { leaderHint }
      throw new DrainingError('the node takes no queries any more', { cause: thrown, ...hint })
    })
  }
}
