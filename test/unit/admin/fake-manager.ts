import {
  type AuditedAction,
  type AuditRecord,
  type Channels,
  type ClusterBackups,
  type ClusterControl,
  type ClusterEventBody,
  type ClusterHealth,
  type ClusterId,
  type ClusterManager,
  type ClusterMembership,
  type ClusterMetadata,
  type ClusterVersionView,
  type ClusterView,
  type DeathRecord,
  EventHub,
  type Failover,
  type Failovers,
  type GroupId,
  type GroupMemberChange,
  type HealthReport,
  type Hotspots,
  InvalidArgumentError,
  LiveConfig,
  type LogIndex,
  type Member,
  type MemberChangeOptions,
  type MemberChangeReport,
  type MonotonicMs,
  type NodeId,
  type NodeReference,
  NotFoundError,
  NotSentError,
  type PlacementView,
  type PlanAction,
  type QueryOptions,
  type QueryResult,
  type RestartPlan,
  type RollingRestartRequest,
  type RollingRestarts,
  type RouteDecision,
  type RouteExplanation,
  type RouteOptions,
  resolveConfig,
  type SchemaChangeView,
  type SecurityManager,
  type SessionMoveReport,
  type SessionMoveRequest,
  type SessionView,
  type SqlSessions,
  type SqlValue,
  type Statement,
  type StateSync,
  type SwitchoverRequest,
  type Term,
  unstatedCapacity,
  type WallMs
} from '../../../src/core/index.js'

import { restartDefaults } from '../../../src/failover/rolling-restart/restart-options.js'
import { FakeTransactions } from './fake-transactions.js'

const report = { nodes: 2, responses: 2, errors: [] }
const keys = {
  ...report,
  primary: '0badcafe',
  version: 3,
  rotating: null,
  keys: [{ id: '0badcafe', isPrimary: true, installed: 2, used: 2 }]
}
const certificates = {
  own: { serialNumber: '2a', notBefore: 0 as WallMs, notAfter: 1_800_000_000_000 as WallMs },
  daysLeft: 9,
  authorities: [{ id: 'ab', subject: 'CN=test', notAfter: 1_900_000_000_000 as WallMs }],
  failure: null
}

/** Answers what fits, and remembers what it was asked. */
export class FakeSecurity implements SecurityManager {
  readonly asked: { call: string; with: unknown }[] = []
  /** Thrown by every change. */
  error: Error | null = null

  certificates = () => certificates
  reloadCertificates = () => this.#do('reloadCertificates', null, certificates)
  reloadEverywhere = () => this.#do('reloadEverywhere', null, report)
  revocations = () => ({ lists: [], denied: [{ kind: 'node' as const, name: 'x' }] })
  /** Certificates, by serial number, that are let in no more. */
  readonly revoked = new Set<string>()
  refusalOf = (_peer: unknown, { serialNumber }: { readonly serialNumber: string }) =>
    this.revoked.has(serialNumber) ? 'its certificate is revoked' : null
  revoke = (list: Uint8Array) => this.#do('revoke', new TextDecoder().decode(list), report)
  listKeys = async () => keys
  installKey = (options: unknown) => this.#do('installKey', options, keys)
  useKey = (id: string, options: unknown) => this.#do('useKey', { id, options }, keys)
  removeKey = (id: string, options: unknown) => this.#do('removeKey', { id, options }, keys)

  async #do<T>(call: string, asked: unknown, answer: T): Promise<T> {
    this.asked.push({ call, with: asked })
    if (this.error !== null) throw this.error
    return answer
  }
}

export const member = (nodeId: string, changes: Partial<Member> = {}): Member => ({
  nodeId: nodeId as NodeId,
  address: `${nodeId}:7946`,
  incarnation: 1 as Member['incarnation'],
  liveness: 'alive',
  lifecycle: 'up',
  health: 'healthy',
  datacenter: 'd1',
  rack: '',
  metadata: {},
  capacity: unstatedCapacity,
  tags: [],
  lastSeen: 500 as MonotonicMs,
  ...changes
})

const decision: RouteDecision = {
  node: 'a' as NodeId,
  group: 0 as RouteDecision['group'],
  term: null,
  key: null,
  kind: 'read',
  consistency: 'linearizable',
  strategy: 'adaptive',
  reason: 'a: the best score'
}

const death: DeathRecord = {
  nodeId: 'b' as NodeId,
  incarnation: 2 as DeathRecord['incarnation'],
  at: 1_400 as MonotonicMs,
  verdictBy: 'ownTimer',
  accuser: 'a' as NodeId,
  suspicion: {
    startedAt: 400 as MonotonicMs,
    accuser: 'a' as NodeId,
    confirmedBy: ['c' as NodeId],
    verdictAt: 1_400 as MonotonicMs,
    minMs: 500,
    maxMs: 3_000,
    expectedConfirmations: 1
  },
  probes: [{ sentAt: 300 as MonotonicMs, roundTripMs: null, outcome: 'unanswered' }],
  lastFailedProbe: null,
  refutations: [],
  lastSeen: 200 as MonotonicMs,
  liveMembers: 2,
  localHealthMultiplier: 1,
  lastLate: null
}

class FakeMetadata implements ClusterMetadata {
  readonly #own = new Map([['zone', { value: 'z1', version: 1 }]])
  #version = 1

  set(key: string, value: string): void {
    if (key.length > 128) throw new InvalidArgumentError('key', 'must be 1 to 128 bytes')
    this.#own.set(key, { value, version: ++this.#version })
  }

  delete = (key: string) => this.#own.delete(key)
  get = (key: string) => this.#own.get(key)?.value
  entries = () => [...this.#own].map(([key, entry]) => ({ key, ...entry }))
  of = () => []
}

const moved = { leadersMoved: 2, sessionsMoved: 3, sessionsRefused: 1, inFlightLeft: 0 }

/** One plan, that ends when it is asked for the second time. */
class FakeFailovers implements Failovers {
  pausedBy: string | null = null
  readonly #failover: Failover = {
    id: 7,
    at: 1_000 as WallMs,
    group: 0 as GroupId,
    term: 5 as Term,
    reason: 'elected',
    from: 'a' as NodeId,
    to: 'b' as NodeId,
    why: 'a is not alive',
    action: 'its voters elected b in term 5',
    options: [{ node: 'b' as NodeId, priority: 1, leads: 0, fault: null }],
    by: 'b' as NodeId
  }

  status = async () => ({ coordinator: 'b' as NodeId, pausedBy: this.pausedBy, count: 7 })
  history = async () => [this.#failover]
  explain = async (id: number) => {
    if (id !== 7) throw new NotFoundError(`no failover ${id} is remembered`)
    return this.#failover
  }
  pause = async (by: string) => {
    this.pausedBy = by
    return this.status()
  }
  resume = async () => {
    this.pausedBy = null
    return this.status()
  }
  fencingToken = async (group: GroupId) => ({ group, term: 5 as Term, index: 9 as LogIndex })
}

class FakeRestarts implements RollingRestarts {
  readonly asked: { call: string; with: unknown }[] = []
  ok = true
  #looks = 0

  start = async (request: RollingRestartRequest = {}) => {
    this.asked.push({ call: 'start', with: request })
    return this.attach('p1')
  }
  preview = async (request: RollingRestartRequest = {}) => {
    this.asked.push({ call: 'preview', with: request })
    const step = {
      node: 'b' as NodeId,
      domain: 'd1/',
      isCanary: true,
      isCoordinator: false,
      leads: [],
      moves: [{ group: 0 as GroupId, target: 'a' as NodeId }],
      sessions: 0,
      inFlight: 0,
      canRestart: true,
      faults: this.ok ? [] : ['a is not alive']
    }
    return { steps: [step], ok: this.ok, serviceFault: null }
  }
  attach = (id: string) => ({ id, done: () => this.plan(id) })
  plans = async () => [this.#plan('p1')]
  plan = async (id: string) => {
    if (id !== 'p1') throw new NotFoundError(`there is no rolling restart ${id}`)
    return this.#plan(id)
  }
  operate = async (id: string, action: PlanAction) => {
    await this.plan(id)
    this.asked.push({ call: action, with: id })
  }

  #plan(id: string): RestartPlan {
    const isOver = ++this.#looks > 1
    return {
      id,
      options: restartDefaults,
      steps: [
        {
          node: 'b' as NodeId,
          phase: isOver ? 'done' : 'rejoin',
          since: 1_000 as WallMs,
          boot: '00',
          report: moved
        }
      ],
      status: isOver ? 'finished' : 'running',
      reason: 'started by a',
      owner: 'a' as NodeId,
      epoch: 3 as Term,
      revision: 9,
      createdAt: 1_000 as WallMs,
      updatedAt: 1_000 as WallMs,
      history: [{ at: 1_000 as WallMs, revision: 9, node: 'b', what: 'rejoin' }]
    }
  }
}

/** Holds what is recorded; with `error`, the control group cannot be asked. */
export class FakeControl implements ClusterControl {
  readonly recorded: AuditRecord[] = []
  readonly asked: { call: string; with: unknown }[] = []
  error: Error | null = null
  readonly #placement: PlacementView = {
    version: 3,
    groups: [{ group: 0 as GroupId, voters: ['a' as NodeId, 'b' as NodeId], leader: null }],
    tables: [{ table: 'accounts', shardKey: 'id', ranges: [{ from: 0, group: 0 as GroupId }] }]
  }
  readonly #version: ClusterVersionView = {
    clusterVersion: 1,
    minVersion: 1,
    highestCommon: 2,
    nodes: [{ node: 'a' as NodeId, min: 1, max: 2, software: '0.2.0', runtime: null }],
    silent: ['b' as NodeId]
  }

  placement = () => this.#answer(this.#placement)
  readonly #schemaChange: SchemaChangeView = {
    id: '00112233445566778899aabbccddeeff',
    table: 'accounts',
    sql: 'ALTER TABLE accounts ADD COLUMN note',
    groups: [1, 2, 3] as GroupId[],
    doneIn: [1 as GroupId],
    status: 'stopped',
    code: 'ERR_SKEIN_SQL',
    reason: 'duplicate column name: note',
    begunAt: 1_700_000_000_000,
    changedAt: 1_700_000_000_900
  }
  abortSchemaChange = (id: string, options: { by: string }) => {
    this.asked.push({ call: 'abortSchemaChange', with: { id, ...options } })
    return this.#answer({ ...this.#schemaChange, id, doneIn: [], status: 'aborted' as const })
  }
  schemaChanges = () => this.#answer([this.#schemaChange])
  shardTable = (table: string, options: unknown) => {
    this.asked.push({ call: 'shardTable', with: { table, options } })
    return this.#answer(this.#placement)
  }
  unshardTable = (table: string) => {
    this.asked.push({ call: 'unshardTable', with: table })
    return this.#answer(this.#placement)
  }
  clusterVersion = () => this.#answer(this.#version)
  finalizeVersion = (options: unknown) => this.#do('finalizeVersion', options)
  forgetVersion = (node: NodeId) => this.#do('forgetVersion', node)
  audit = (count: number) => this.#answer(this.recorded.slice(-count).reverse())

  recordAction(action: AuditedAction): void {
    const sequence = this.recorded.length + 1
    this.recorded.push({ at: 1_700_000_000_000, sequence, node: 'a' as NodeId, ...action })
  }

  #do(call: string, asked: unknown): Promise<ClusterVersionView> {
    this.asked.push({ call, with: asked })
    return this.#answer(this.#version)
  }

  async #answer<T>(answer: T): Promise<T> {
    if (this.error !== null) throw this.error
    return answer
  }
}

const session: SessionView = {
  id: '0123456789abcdef0123456789abcdef',
  client: 'app',
  home: 'a' as NodeId,
  state: 'attached',
  epoch: 3,
  settings: [{ name: 'read_only', value: 'on' }],
  prepared: ['pay'],
  seen: [{ group: 0 as GroupId, index: 42 as LogIndex }],
  lastInsertRowid: 7n,
  openedAt: 1_000 as WallMs,
  heardAt: 2_000 as WallMs,
  moves: 1,
  reattachments: 1
}

/** One session, at home on this node; it moves to b, and nowhere else. */
class FakeSessions implements SqlSessions {
  readonly asked: { call: string; with: unknown }[] = []
  readonly #reports: SessionMoveReport[] = []

  list = async () => ({
    sessions: [session],
    totals: { opened: 3, closed: 1, moved: 1, reattached: 1, expired: 1, lost: 0 }
  })
  move = async (id: string, request: SessionMoveRequest = {}): Promise<SessionMoveReport> => {
    this.#expect(id)
    this.asked.push({ call: 'move', with: request })
    const { target = 'b' as NodeId, reason = 'requested' } = request
    const fault = target === 'b' ? null : ('unreachable' as const)
    const report: SessionMoveReport = {
      session: id,
      client: 'app',
      origin: 'a' as NodeId,
      target,
      reason,
      outcome: fault === null ? 'moved' : 'refused',
      refusal: fault,
      detail: fault === null ? '' : `${target} does not answer`,
      epoch: 4,
      tookMs: 2,
      at: 3_000 as WallMs
    }
    this.#reports.push(report)
    return report
  }
  close = async (id: string) => {
    this.#expect(id)
    this.asked.push({ call: 'close', with: id })
  }
  reports = () => this.#reports

  #expect(id: string): void {
    if (id !== session.id) throw new NotFoundError(`there is no session ${id}`)
  }
}

/** Answers what it is given, and remembers what it was asked. */
export class FakeManager implements ClusterManager {
  readonly nodeId = 'a' as NodeId
  readonly security = new FakeSecurity()
  readonly asked: { call: string; query?: unknown; options?: unknown }[] = []
  readonly hub = new EventHub({ eventQueueLengthMax: 4, eventSubscribersMax: 100 })
  members: readonly Member[] = [member('a'), member('b', { liveness: 'suspect' })]
  readonly messages = { onMessage: () => {}, onRequest: () => {} }
  readonly config = new LiveConfig(
    resolveConfig({
      code: {
        node: { id: 'a', dataDirectory: 'data' },
        cluster: { bootstrap: { voters: ['a'] } },
        security: { insecure: true }
      }
    }),
    {
      strategy: () => this.routing.strategy,
      faultsOf: () => [],
      apply: ({ routing }) => this.asked.push({ call: 'reconfigure', options: routing })
    }
  )
  readonly membership: ClusterMembership = {
    explainDeath: (nodeId) => (nodeId === 'b' ? death : null),
    partitions: () => [
      { kind: 'oneWay', unreachable: ['b' as NodeId], since: 1_000 as MonotonicMs }
    ],
    quorum: () => ({ isPresent: true, needed: 0, present: [], missing: [] }),
    describe: () => {}
  }
  readonly metadata: ClusterMetadata = new FakeMetadata()
  readonly control = new FakeControl()
  readonly channels: Channels = {
    open: () => Promise.reject(new NotSentError('nobody is there')),
    accept() {}
  }
  readonly health: ClusterHealth = {
    peerStatuses: () => [],
    peers: () => [],
    verdictOn: () => null,
    explainVerdicts: () => [],
    latencyMatrix: () => [],
    routes: () => [],
    probeCapacity: () => Promise.reject(new Error('nobody to probe')),
    reachability: async () => []
  }
  readonly sessions = new FakeSessions()
  readonly transactions = new FakeTransactions()

  readonly backups: ClusterBackups = {
    take: async () => ({
      id: 'b1',
      clusterName: 'test',
      clusterId: 'c'.repeat(32) as ClusterId,
      clusterVersion: 1,
      minVersion: 1,
      software: '1.2.3',
      node: 'a' as NodeId,
      takenAt: 1_000 as WallMs,
      heldMs: 4,
      groups: [
        {
          group: 0 as GroupId,
          index: 7 as LogIndex,
          term: 2 as Term,
          logTime: 900,
          format: 1,
          sizeBytes: 3,
          sha256: 'ab'.repeat(32)
        }
      ],
      tables: []
    }),
    read: async (id, { offset, lengthBytes }) => {
      if (id !== 'b1') throw new NotFoundError(`there is no backup ${id}`)
      return Uint8Array.of(1, 2, 3).slice(offset, offset + lengthBytes)
    },
    end: async () => {}
  }

  readonly stateSync: StateSync = {
    sendFile: () => Promise.reject(new NotSentError('nobody is there')),
    fetchFile: () => Promise.reject(new NotSentError('nobody is there')),
    acceptFiles() {},
    transfers: () => [
      {
        id: '0f',
        direction: 'in',
        peer: 'b' as NodeId,
        file: 'backup.tar',
        state: 'moving',
        sizeBytes: 4_000,
        doneBytes: 1_000,
        resumedBytes: 500,
        chunksDamaged: 1,
        startedAt: 500 as MonotonicMs,
        endedAt: null,
        failure: null
      },
      {
        id: '10',
        direction: 'out',
        peer: 'c' as NodeId,
        file: 'other',
        state: 'failed',
        sizeBytes: null,
        doneBytes: 0,
        resumedBytes: 0,
        chunksDamaged: 0,
        startedAt: 100 as MonotonicMs,
        endedAt: 700 as MonotonicMs,
        failure: 'ERR_SKEIN_FILE_TRANSFER'
      }
    ],
    registerService() {},
    syncService: () => Promise.reject(new NotSentError('nobody is there')),
    tenants: {
      list: () => [
        {
          tenant: 'acme',
          version: 3,
          origin: 'b' as NodeId,
          services: ['billing', 'mail'],
          clients: 7,
          sizeBytes: 900,
          changedAt: 1_700_000_000_000 as WallMs
        }
      ],
      get: () => null,
      set: () => {
        throw new NotSentError('nobody is there')
      },
      remove: () => false,
      exchange: async () => {}
    },
    breakers: () => [{ nodeId: 'c' as NodeId, state: 'open', retryInMs: 250 }]
  }
  readonly hotspots: Hotspots = {
    current: () => [
      {
        scope: 'key',
        key: 'k',
        ratePerSecond: 1_200,
        windowPerSecond: 1_100,
        nodes: [{ node: 'b' as NodeId, ratePerSecond: 1_200 }]
      }
    ],
    loads: () => [
      {
        node: 'b' as NodeId,
        ratePerSecond: 1_300,
        windowPerSecond: 1_250,
        leaderPerSecond: 100,
        keys: [{ key: 'k', ratePerSecond: 1_200 }],
        ageMs: 40
      }
    ],
    onHotspot: () => () => {}
  }
  readonly routing = {
    strategy: 'adaptive',
    strategies: ['adaptive', 'random'],
    lastDecisions: () => [this.#explanation()],
    decision: (id: number) => (id === 1 ? this.#explanation() : null),
    ejections: () => [{ nodeId: 'b' as NodeId, reason: '5 failures', forMs: 4_000, times: 1 }]
  }
  report: HealthReport = {
    healthy: true,
    ready: true,
    checks: [{ name: 'leader', ok: true, detail: 'a leader is known' }]
  }
  metrics: ReturnType<ClusterManager['getAllMetrics']> = {}
  rows: readonly (readonly SqlValue[])[] = [[1]]
  /** Thrown by every query. */
  error: Error | null = null
  /** Set: queries hang until their caller is gone. */
  onCancelled: (() => void) | null = null

  readonly failover = new FakeFailovers()
  explainFailover = (id: number) => this.failover.explain(id)
  readonly restarts = new FakeRestarts()
  rollingRestart = () => this.restarts.start()
  drain = async (node: NodeId) => {
    this.asked.push({ call: 'drain', query: node })
    if (this.error !== null) throw this.error
    const phases = [{ phase: 'routing' as const, tookMs: 120, left: [] }]
    return { node, complete: true, phases, report: moved }
  }
  undrain = async (node: NodeId) => {
    this.asked.push({ call: 'undrain', query: node })
  }
  switchover = async (options: SwitchoverRequest) => {
    this.asked.push({ call: 'switchover', options })
    if (this.error !== null) throw this.error
    const to = options.target ?? ('b' as NodeId)
    return { group: options.group, from: 'a' as NodeId, to, tookMs: 40 }
  }

  now(): MonotonicMs {
    return 1_500 as MonotonicMs
  }

  emit(body: ClusterEventBody): void {
    this.hub.publish(body, 1_700_000_000_000 as WallMs)
  }

  getClusterMembers() {
    return this.members
  }

  getAliveMembers() {
    return this.members.filter(({ liveness }) => liveness === 'alive')
  }

  getClusterView(): ClusterView {
    const group = {
      group: 0,
      name: '0',
      role: 'leader',
      term: 7,
      leader: 'a',
      handedOver: false,
      voters: ['a', 'b'],
      learners: [],
      commitIndex: 41,
      appliedIndex: 40,
      firstIndex: 1,
      lastIndex: 42,
      failed: null,
      progress: []
    } as unknown as ClusterView['groups'][number]
    return {
      clusterName: 'test',
      clusterId: null,
      nodeId: this.nodeId,
      address: 'a:7946',
      version: '0.0.0',
      members: this.members,
      groups: [group]
    }
  }

  routeQuery(query: string, options?: RouteOptions): RouteDecision {
    this.asked.push({ call: 'routeQuery', query, options })
    if (this.error !== null) throw this.error
    return decision
  }

  explainRoute(query: string, options?: RouteOptions) {
    return { ...this.#explanation(), decision: this.routeQuery(query, options) }
  }

  executeQuery(sql: string, options?: QueryOptions): Promise<QueryResult>
  executeQuery(statements: readonly Statement[], options?: QueryOptions): Promise<QueryResult[]>
  async executeQuery(
    query: string | readonly Statement[],
    { signal, ...options }: QueryOptions = {}
  ): Promise<QueryResult | QueryResult[]> {
    this.asked.push({ call: 'executeQuery', query, options })
    if (this.error !== null) throw this.error
    if (this.onCancelled !== null) await this.#untilAborted(signal)
    const result: QueryResult = {
      columns: ['n'],
      rows: this.rows,
      rowsAffected: 0,
      lastInsertRowid: 2n ** 60n,
      index: 9 as QueryResult['index'],
      group: 0 as QueryResult['group'],
      node: this.nodeId
    }
    return typeof query === 'string' ? result : query.map(() => result)
  }

  async addNode(node: NodeReference, options: MemberChangeOptions = {}) {
    return this.#changeMembers('add', node, options)
  }

  async removeNode(node: NodeReference, options: MemberChangeOptions = {}) {
    return this.#changeMembers('remove', node, options)
  }

  async registerClient(clientId: string): Promise<void> {
    this.asked.push({ call: 'registerClient', query: clientId })
  }

  async sendMessage(target: NodeId): Promise<void> {
    this.asked.push({ call: 'sendMessage', query: target })
  }

  request(): Promise<never> {
    return Promise.reject(new Error('this fake answers no requests'))
  }

  async broadcastMessage() {
    return { outcomes: [], complete: true }
  }

  subscribeToEvents() {
    return this.hub.subscribe()
  }

  setRoutingStrategy(strategy: string | { readonly name: string }): void {
    this.asked.push({
      call: 'setRoutingStrategy',
      query: typeof strategy === 'string' ? strategy : strategy.name
    })
    const { strategies } = this.routing
    if (typeof strategy !== 'string' || strategies.includes(strategy)) return
    throw new InvalidArgumentError('strategy', `must be one of ${strategies.join(', ')}`)
  }

  healthCheck() {
    return this.report
  }

  getAllMetrics() {
    return this.metrics
  }

  async checksums() {
    return [{ group: 0 as RouteDecision['group'], index: 3 as QueryResult['index'], hash: 'ab' }]
  }

  async #changeMembers(
    change: 'add' | 'remove',
    node: NodeReference,
    options: MemberChangeOptions
  ): Promise<MemberChangeReport> {
    const nodeId = typeof node === 'string' ? node : node.nodeId
    this.asked.push({ call: `${change}Node`, query: nodeId, options })
    if (this.error !== null) throw this.error
    const { dryRun = false } = options
    const group: GroupMemberChange = {
      group: 0 as GroupMemberChange['group'],
      outcome: dryRun ? 'planned' : 'changed',
      votersBefore: ['a', 'b'] as NodeId[],
      voters: ['a', 'b', 'c'] as NodeId[],
      failuresToleratedBefore: 0,
      failuresTolerated: 1,
      quorumSurvives: true,
      warnings: []
    }
    return { nodeId, change, dryRun, groups: [group] }
  }

  #explanation(): RouteExplanation {
    return {
      id: 1,
      decision,
      refusal: null,
      candidates: [],
      notes: [],
      decidedAt: 1 as WallMs
    }
  }

  #untilAborted(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      signal?.addEventListener('abort', () => {
        this.onCancelled?.()
        resolve()
      })
    })
  }
}
