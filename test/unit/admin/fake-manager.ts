import {
  type Channels,
  type ClusterEventBody,
  type ClusterHealth,
  type ClusterManager,
  type ClusterMembership,
  type ClusterMetadata,
  type ClusterView,
  EventHub,
  type HealthReport,
  type Member,
  type MonotonicMs,
  type NodeId,
  NotSentError,
  type QueryOptions,
  type QueryResult,
  type RouteDecision,
  type RouteOptions,
  type SecurityManager,
  type SqlValue,
  type Statement,
  unstatedCapacity,
  type WallMs
} from '../../../src/core/index.js'

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

/** Answers what it is given, and remembers what it was asked. */
export class FakeManager implements ClusterManager {
  readonly nodeId = 'a' as NodeId
  readonly security = new FakeSecurity()
  readonly asked: { call: string; query?: unknown; options?: unknown }[] = []
  readonly hub = new EventHub({ eventQueueLengthMax: 4, eventSubscribersMax: 100 })
  members: readonly Member[] = [member('a'), member('b', { liveness: 'suspect' })]
  readonly messages = { onMessage: () => {}, onRequest: () => {} }
  readonly membership: ClusterMembership = {
    explainDeath: () => null,
    partitions: () => [],
    quorum: () => ({ isPresent: true, needed: 0, present: [], missing: [] }),
    describe: () => {}
  }
  readonly metadata: ClusterMetadata = {
    set: () => {},
    delete: () => false,
    get: () => undefined,
    entries: () => [],
    of: () => []
  }
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
    probeCapacity: () => Promise.reject(new Error('nobody to probe'))
  }
  readonly hotspots = { current: () => [], loads: () => [], onHotspot: () => () => {} }
  readonly routing = {
    strategy: 'adaptive',
    strategies: ['adaptive', 'random'],
    lastDecisions: () => [],
    decision: () => null,
    ejections: () => []
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
      role: 'leader',
      term: 7,
      leader: 'a',
      voters: ['a', 'b'],
      commitIndex: 41,
      appliedIndex: 40,
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
    return {
      node: this.nodeId,
      group: 0 as RouteDecision['group'],
      term: null,
      key: null,
      kind: 'read',
      consistency: 'linearizable',
      strategy: 'adaptive',
      reason: 'a: the best score'
    }
  }

  explainRoute(query: string, options?: RouteOptions) {
    return {
      decision: this.routeQuery(query, options),
      id: 1,
      refusal: null,
      candidates: [],
      notes: [],
      decidedAt: 1 as WallMs
    }
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

  #untilAborted(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve) => {
      signal?.addEventListener('abort', () => {
        this.onCancelled?.()
        resolve()
      })
    })
  }
}
