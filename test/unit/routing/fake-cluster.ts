import {
  after,
  ClientExpiredError,
  type ClientId,
  type Config,
  ConnectionLostError,
  compareText,
  DialFailedError,
  factsOf,
  type GroupStatus,
  type Inbound,
  type LogIndex,
  type Member,
  type MessageType,
  type Messenger,
  type MonotonicMs,
  type NodeId,
  type NoQuorumError,
  NotLeaderError,
  NotSentError,
  type PeerIdentity,
  RaftRoles,
  type ReadAnswer,
  RemoteError,
  type ReplicatedGroup,
  type RequestOptions,
  RequestTimeoutError,
  type RequestType,
  resolveConfig,
  SerialForgottenError,
  SplittableRandom,
  type StatementResult,
  silentLogger,
  type Term,
  TooStaleError,
  unstatedCapacity,
  type WriteAnswer,
  type WriteRequest
} from '../../../src/core/index.js'
import { QueryDriver } from '../../../src/routing/index.js'
import type { QueryBody } from '../../../src/routing/messages.js'
import { ByteReader, ByteWriter, type Codec } from '../../../src/wire/index.js'
import { VirtualClock } from '../../support/virtual-clock.js'

export const config = resolveConfig({
  code: {
    node: { id: 'a', dataDirectory: 'd' },
    security: { insecure: true },
    cluster: { bootstrap: { voters: ['a'] } }
  }
})

export const nodeIds = (...names: string[]): NodeId[] => names as NodeId[]

export function memberOf(nodeId: NodeId, changes: Partial<Member> = {}): Member {
  return {
    nodeId,
    address: `${nodeId}:1`,
    incarnation: 1 as Member['incarnation'],
    liveness: 'alive',
    lifecycle: 'up',
    health: 'healthy',
    datacenter: '',
    rack: '',
    metadata: {},
    capacity: unstatedCapacity,
    tags: [],
    lastSeen: 0 as MonotonicMs,
    ...changes
  }
}

/** What happens to the next request to a node, or to its next write. */
export type Trouble =
  | 'notSent'
  /** The request arrives; its answer does not, and the connection breaks. */
  | 'answerLost'
  /** The request neither arrives nor is it answered. */
  | 'silence'

/** One replicated register of texts, with nodes that are real QueryDrivers over fakes. */
export class FakeCluster {
  /** What the quorum guard says. */
  quorumFault: NoQuorumError | null = null
  readonly clock = new VirtualClock()
  readonly members = new Map<NodeId, Member>()
  readonly drivers = new Map<NodeId, QueryDriver>()
  readonly messengers = new Map<NodeId, FakeMessenger>()
  /** Every execution, in order; a text that stands twice was executed twice. */
  readonly executed: string[] = []
  readonly answers = new Map<string, WriteAnswer>()
  readonly answeredBelow = new Map<string, number>()
  readonly clients = new Set<string>()
  readonly troubles = new Map<NodeId, Trouble[]>()
  /** Nodes to which nobody has a connection. */
  readonly unconnected = new Set<NodeId>()
  readonly requests: { from: NodeId; to: NodeId; name: string; priority: number | undefined }[] = []
  voters: readonly NodeId[]
  leader: NodeId | null
  /** What each node's own replica believes; the truth when absent. */
  readonly beliefs = new Map<NodeId, NodeId | null>()
  /** Who votes, as each node's own replica last heard; the truth when absent. */
  readonly votersHeard = new Map<NodeId, readonly NodeId[]>()
  term = 1
  /** Thrown by the next write that reaches the leader, before or after it is executed. */
  nextWrite: { readonly when: 'before' | 'after'; readonly error: Error }[] = []
  onWrite: (() => void) | null = null
  reads: { node: NodeId; atLeastIndex: number }[] = []
  /** Thrown by the next reads at each node. */
  readonly nextRead = new Map<NodeId, Error[]>()
  /** How old what each node has is; 0 when absent. */
  readonly stalenessMs = new Map<NodeId, number>()
  /** How long each node takes to confirm that it may read. */
  readonly readIndexMs = new Map<NodeId, number>()
  /** What every read answers; a count of executions when absent. */
  readAnswer: ReadAnswer | null = null
  /** Of each statement of a write. */
  writeResult = nothing

  /** Writes that came in another term than they were routed in, and were executed. */
  readonly unfenced: string[] = []
  /** Whom leaders were asked to hand over to. */
  readonly transfers: NodeId[] = []
  readonly #routing: Config['routing']

  constructor(
    replicas: readonly NodeId[],
    others: readonly NodeId[] = [],
    routing: Partial<Config['routing']> = {}
  ) {
    this.#routing = { ...config.routing, ...routing }
    this.voters = replicas
    this.leader = replicas[0] ?? null
    for (const nodeId of [...replicas, ...others]) this.#add(nodeId, replicas.includes(nodeId))
  }

  /** Without those that each serving node has for its hotspots and the map of sharded tables. */
  get pendingTimers(): number {
    return this.clock.pending - 2 * this.drivers.size
  }

  driver(nodeId: string): QueryDriver {
    return this.drivers.get(nodeId as NodeId) as QueryDriver
  }

  /** Its next request meets nobody. */
  isAway(nodeId: NodeId): boolean {
    return !this.drivers.has(nodeId) || this.troubles.get(nodeId)?.[0] === 'notSent'
  }

  trouble(nodeId: string, ...troubles: Trouble[]): void {
    this.troubles.set(nodeId as NodeId, troubles)
  }

  /** A client of the cluster, which was told who the members are and nothing else. */
  client(changes: Partial<ConstructorParameters<typeof QueryDriver>[1]> = {}): QueryDriver {
    const name = 'app'
    const driver = new QueryDriver(
      {
        clock: this.clock,
        random: SplittableRandom.fromSeed(8),
        messenger: new FakeMessenger(this, { kind: 'client', name, clusterName: 'c' }),
        logger: silentLogger,
        members: () => [...this.members.values()],
        groupOf: () => undefined,
        newClientId: () => 'client-id' as ClientId,
        onLeaderLearned: (placement) => driver.handleLeaderChanged(placement)
      },
      {
        nodeId: `client:${name}` as NodeId,
        datacenter: '',
        rack: '',
        isClient: true,
        config: config.routing,
        ...changes
      }
    )
    driver.start()
    return driver
  }

  elect(leader: string | null): void {
    this.leader = leader as NodeId | null
    this.term++
    for (const driver of this.drivers.values()) {
      driver.handleLeaderChanged({ group: 0 as never, leader: this.leader })
    }
  }

  #add(nodeId: NodeId, hasReplica: boolean): void {
    this.members.set(nodeId, memberOf(nodeId))
    const messenger = new FakeMessenger(this, { kind: 'node', nodeId, clusterName: 'c' })
    const replica = new FakeReplica(this, nodeId)
    const driver = new QueryDriver(
      {
        clock: this.clock,
        random: SplittableRandom.fromSeed(7),
        messenger,
        logger: silentLogger,
        members: () => [...this.members.values()],
        groupOf: () => (hasReplica ? replica : undefined),
        assertQuorum: () => {
          if (this.quorumFault !== null) throw this.quorumFault
        }
      },
      { nodeId, datacenter: '', rack: '', config: this.#routing }
    )
    driver.start()
    this.messengers.set(nodeId, messenger)
    this.drivers.set(nodeId, driver)
  }
}

const nothing: StatementResult = { columns: [], rows: [], rowsAffected: 1, lastInsertRowid: null }

class FakeReplica implements ReplicatedGroup {
  readonly group = 0 as ReplicatedGroup['group']
  readonly #cluster: FakeCluster
  readonly #nodeId: NodeId

  constructor(cluster: FakeCluster, nodeId: NodeId) {
    this.#cluster = cluster
    this.#nodeId = nodeId
  }

  status(): GroupStatus {
    const { beliefs, term } = this.#cluster
    const voters = this.#cluster.votersHeard.get(this.#nodeId) ?? this.#cluster.voters
    const believed = beliefs.get(this.#nodeId)
    const leader = believed === undefined ? this.#cluster.leader : believed
    const index = this.#cluster.executed.length as LogIndex
    return {
      group: this.group,
      name: '0',
      role: leader === this.#nodeId ? RaftRoles.Leader : RaftRoles.Follower,
      term: term as Term,
      leader,
      handedOver: false,
      voters,
      learners: [],
      commitIndex: index,
      appliedIndex: index,
      firstIndex: 1 as LogIndex,
      lastIndex: index,
      failed: null,
      progress: []
    }
  }

  leadership(): GroupStatus {
    return this.status()
  }

  async write({ statements, client }: WriteRequest): Promise<WriteAnswer> {
    const cluster = this.#cluster
    this.#checkLeader()
    cluster.onWrite?.()
    const fault = cluster.nextWrite.shift()
    if (fault?.when === 'before') throw fault.error
    if (client === null) throw new Error('a write without a tag')
    if (!cluster.clients.has(client.clientId)) throw new ClientExpiredError('unknown client')
    const below = Math.max(cluster.answeredBelow.get(client.clientId) ?? 0, client.answeredBelow)
    cluster.answeredBelow.set(client.clientId, below)
    if (client.serial < below) throw new SerialForgottenError('forgotten')
    const key = `${client.clientId} ${client.serial}`
    const kept = cluster.answers.get(key)
    if (kept !== undefined) return { ...kept, repeated: true }
    for (const { sql } of statements) cluster.executed.push(sql)
    const index = cluster.executed.length as LogIndex
    const answer = { results: statements.map(() => cluster.writeResult), index, repeated: false }
    cluster.answers.set(key, answer)
    if (fault?.when === 'after') throw fault.error
    return answer
  }

  async read({ statements, atLeastIndex, staleness }: Parameters<ReplicatedGroup['read']>[0]) {
    const cluster = this.#cluster
    const stalenessMs = cluster.stalenessMs.get(this.#nodeId) ?? 0
    const maxMs = staleness?.maxMs ?? Number.POSITIVE_INFINITY
    if (stalenessMs > maxMs) throw new TooStaleError('as told')
    cluster.reads.push({ node: this.#nodeId, atLeastIndex })
    if (cluster.readAnswer !== null) return cluster.readAnswer
    const row = [cluster.executed.length]
    const results = statements.map(() => ({ ...nothing, columns: ['n'], rows: [row] }))
    const index = cluster.executed.length as LogIndex
    return staleness === undefined ? { results, index } : { results, index, stalenessMs }
  }

  async readLinearizable(request: Parameters<ReplicatedGroup['read']>[0]) {
    const confirmed = await this.readIndex()
    const atLeastIndex = Math.max(confirmed, request.atLeastIndex) as LogIndex
    return this.read({ ...request, atLeastIndex })
  }

  async readIndex(): Promise<LogIndex> {
    const { clock, executed, nextRead, readIndexMs } = this.#cluster
    const fault = nextRead.get(this.#nodeId)?.shift()
    if (fault !== undefined) throw fault
    const takesMs = readIndexMs.get(this.#nodeId) ?? 0
    if (takesMs > 0) {
      await new Promise<void>((resolve) => clock.schedule(after(clock.now(), takesMs), resolve))
    }
    return executed.length as LogIndex
  }

  async registerClient(clientId: string): Promise<void> {
    this.#checkLeader()
    this.#cluster.clients.add(clientId)
  }

  async transferLeadership(target: NodeId | null): Promise<void> {
    this.#checkLeader()
    if (target === null) return
    this.#cluster.transfers.push(target)
    this.#cluster.elect(target)
  }

  async checksum() {
    return { index: 0 as LogIndex, hash: '' }
  }

  #checkLeader(): void {
    const { leader } = this.#cluster
    if (leader === this.#nodeId) return
    throw new NotLeaderError('not the leader', leader === null ? {} : { leaderHint: leader })
  }
}

type Listener = (inbound: Inbound<unknown>) => void
type Handler = (inbound: Inbound<unknown>) => Promise<unknown>

/** Every body and answer goes through its codec. */
export class FakeMessenger implements Messenger {
  readonly handlers = new Map<number, Handler>()
  readonly listeners = new Map<number, Listener>()
  readonly #cluster: FakeCluster
  readonly #identity: PeerIdentity

  constructor(cluster: FakeCluster, identity: PeerIdentity) {
    this.#cluster = cluster
    this.#identity = identity
  }

  async request<Body, Answer>(
    to: NodeId,
    type: RequestType<Body, Answer>,
    body: Body,
    options: RequestOptions
  ): Promise<Answer> {
    const { clock, messengers, requests } = this.#cluster
    const from = (this.#identity.kind === 'node' ? this.#identity.nodeId : '') as NodeId
    requests.push({ from, to, name: type.name, priority: options.priority })
    const trouble = this.#cluster.troubles.get(to)?.shift()
    const handler = messengers.get(to)?.handlers.get(type.number)
    if (trouble === 'notSent' || handler === undefined) throw new NotSentError(`${to} is away`)
    return new Promise<Answer>((resolve, reject) => {
      const timer = clock.schedule(options.deadline, () => reject(new RequestTimeoutError('late')))
      const settle = (act: () => void) => {
        timer.cancel()
        act()
      }
      if (trouble === 'silence') return
      const signal = new AbortController().signal
      const sent = through(type, body)
      clock.schedule(after(clock.now(), 1), () => {
        const { term } = this.#cluster
        const inbound = {
          from,
          peer: this.#identity,
          body: sent,
          deadline: options.deadline,
          signal
        }
        const answering = handler(inbound)
        answering.then(
          () => this.#watchFence(sent, term),
          () => {}
        )
        answering.then(
          (answer) =>
            clock.schedule(after(clock.now(), 1), () => {
              if (trouble === 'answerLost') {
                settle(() => reject(new ConnectionLostError(`${to} broke off`)))
              } else settle(() => resolve(through(type.response, answer as Answer)))
            }),
          (thrown) =>
            clock.schedule(after(clock.now(), 1), () =>
              settle(() => reject(new RemoteError(factsOf(thrown))))
            )
        )
      })
    })
  }

  onRequest<Body, Answer>(
    type: RequestType<Body, Answer>,
    handle: (inbound: Inbound<Body>) => Promise<Answer>
  ): void {
    this.handlers.set(type.number, handle as unknown as Handler)
  }

  /** A node is found at `NAME:1` while it is not away. */
  async dialAddress(address: string): Promise<NodeId> {
    const nodeId = address.split(':')[0] as NodeId
    if (this.#cluster.isAway(nodeId)) throw new DialFailedError(`nobody at ${address}`)
    return nodeId
  }

  #watchFence(sent: unknown, term: number): void {
    const { kind, term: routedIn, statements } = sent as Partial<QueryBody>
    if (kind !== 'write' || routedIn === undefined || routedIn === term) return
    this.#cluster.unfenced.push(`${statements?.[0]?.sql} of term ${routedIn} in term ${term}`)
  }

  send<Body>(to: NodeId, type: MessageType<Body>, body: Body): boolean {
    const { clock, messengers } = this.#cluster
    const handle = messengers.get(to)?.listeners.get(type.number)
    if (handle === undefined || this.#identity.kind !== 'node') return false
    const from = this.#identity.nodeId
    const signal = new AbortController().signal
    const inbound = {
      from,
      peer: this.#identity,
      body: through(type, body),
      deadline: null,
      signal
    }
    clock.schedule(after(clock.now(), 1), () => handle(inbound))
    return true
  }

  onMessage<Body>(type: MessageType<Body>, handle: (inbound: Inbound<Body>) => void): void {
    this.listeners.set(type.number, handle as unknown as Listener)
  }

  onPeer(): void {}

  isConnected(to: NodeId): boolean {
    return !this.#cluster.unconnected.has(to)
  }
}

function through<T>(type: MessageType<T>, value: T): T {
  const { codec } = type as MessageType<T> & { codec: Codec<T> }
  const writer = new ByteWriter(1 << 20)
  codec.write(writer, value)
  const reader = new ByteReader(writer.take())
  const read = codec.read(reader)
  reader.expectEnd()
  return read
}

export const sorted = (texts: Iterable<string>): string[] => [...texts].sort(compareText)
