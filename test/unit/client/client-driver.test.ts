import t from 'tap'
import { ClientDriver, KnownCluster } from '../../../src/client/index.js'
import {
  type ClientConfig,
  type ClientConfigInput,
  type Crypto,
  type Member,
  type NodeId,
  resolveClientConfig,
  SplittableRandom,
  silentLogger,
  type TransportEvent
} from '../../../src/core/index.js'
import { sessionOpen } from '../../../src/routing/index.js'
import { FakeCluster, FakeMessenger, nodeIds } from '../routing/fake-cluster.js'

const abc = nodeIds('a', 'b', 'c')
const insert = "INSERT INTO t VALUES ('x')"
const unused = (): never => t.fail('a client seals nothing itself') as never

/** The transport of a client, with the fake's messages. */
class FakeTransport extends FakeMessenger {
  readonly counters = { snapshot: () => ({}) }
  isStopped = false
  readonly dialled: NodeId[] = []
  #onEvent: (event: TransportEvent) => void = () => {}
  onEvent(handle: (event: TransportEvent) => void): void {
    this.#onEvent = handle
  }
  /** A connection was lost. */
  tell(): void {
    this.#onEvent({ type: 'PeerDisconnected', nodeId: 'c' as NodeId, reason: 'closed' })
  }
  dial(to: NodeId): void {
    this.dialled.push(to)
  }
  async stop(): Promise<void> {
    this.isStopped = true
  }
}

function clientOf(cluster: FakeCluster, changes: Partial<ClientConfigInput> = {}) {
  const identity = { kind: 'client', name: 'app', clusterName: 'c' } as const
  const transport = new FakeTransport(cluster, identity)
  let draws = 0
  const crypto: Crypto = {
    randomBytes: (length) => new Uint8Array(length).fill(++draws),
    seal: unused,
    open: unused,
    deriveKey: unused,
    sha256: (bytes) => bytes,
    startSha256: unused
  }
  const config: ClientConfig = resolveClientConfig({
    addresses: ['a:1', 'b:1', 'c:1'],
    clientName: 'app',
    ...changes
  })
  const driver = new ClientDriver(
    {
      clock: cluster.clock,
      random: SplittableRandom.fromSeed(3),
      crypto,
      transport,
      logger: silentLogger,
      cluster: new KnownCluster()
    },
    config
  )
  return { driver, transport }
}

async function connected(cluster: FakeCluster, changes: Partial<ClientConfigInput> = {}) {
  const client = clientOf(cluster, changes)
  await cluster.clock.settle(client.driver.connect())
  return client
}

t.test('one address that answers is enough; the others are learned', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.trouble('a', 'notSent', 'notSent', 'notSent', 'notSent')
  const { driver } = await connected(cluster, { addresses: ['nobody:1', 'a:1', 'b:1'] })
  t.same(
    driver.getClusterMembers().map(({ nodeId }) => nodeId),
    abc
  )
  cluster.trouble('a')
  const written = await cluster.clock.settle(driver.query(insert))
  t.match(written, { node: 'a', rowsAffected: 1 })
  t.match([...cluster.clients], [/^[0-9a-f-]{14}7/], 'a UUID of version 7')
})

t.test('when nobody answers, every reason is told', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver, transport } = clientOf(cluster, {
    addresses: ['nobody:1', 'else:1'],
    connectTimeoutMs: 500
  })
  await t.rejects(driver.query(insert), { code: 'ERR_SKEIN_NOT_STARTED' })
  await t.rejects(cluster.clock.settle(driver.connect()), {
    code: 'ERR_SKEIN_JOIN_FAILED',
    message: /nobody at nobody:1.*|nobody at else:1.*/
  })
  t.ok(cluster.clock.now() <= 500)
  t.ok(transport.isStopped)
  await t.rejects(driver.query(insert), { code: 'ERR_SKEIN_STOPPED' })
})

t.test('a new leader is told at once, and asked next', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver } = await connected(cluster)
  const events = driver.subscribeToEvents()
  await cluster.clock.settle(driver.query(insert))
  // Its watch waits at some member: each of them learns of the new leader.
  await cluster.clock.advance(500)
  cluster.elect('c')
  await cluster.clock.advance(5)
  t.equal(driver.routeQuery(insert).node, 'c')
  t.match(await cluster.clock.settle(driver.query(insert)), { node: 'c' })
  await cluster.clock.settle(driver.close())
  const told: unknown[] = []
  for await (const event of events) told.push(event)
  t.match(told, [{ type: 'LeaderChanged', leader: 'c', sequence: 3 }])
})

t.test('whichever member falls silent, another one tells who leads', async (t) => {
  for (const silent of abc) {
    const cluster = new FakeCluster(abc)
    const { driver } = await connected(cluster)
    await cluster.clock.settle(driver.query(insert))
    await cluster.clock.advance(500)
    const next = silent === 'c' ? 'b' : 'c'
    // It hears of nothing, and what waits at it is not answered.
    const deaf = cluster.driver(silent)
    cluster.drivers.delete(silent)
    cluster.elect(next)
    await cluster.clock.advance(5)
    t.equal(driver.routeQuery(insert).node, next, `${silent} is silent`)
    cluster.drivers.set(silent, deaf)
    await cluster.clock.settle(driver.close())
  }
})

t.test('no query waits for a handshake while another node is connected', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver, transport } = await connected(cluster)
  await cluster.clock.settle(driver.query(insert))
  const asked = () =>
    cluster.requests.filter(({ name, from }) => name === 'Query' && from === '').map(({ to }) => to)
  const [a, b, c] = abc as [NodeId, NodeId, NodeId]
  cluster.unconnected.add(a).add(b)
  const before = asked().length
  const write = await cluster.clock.settle(driver.query("INSERT INTO t VALUES ('y')"))
  t.match(write, { rowsAffected: 1 })
  t.same(asked().slice(before), [c], 'passed on to the leader')
  t.same(transport.dialled, [a], 'which is being connected')
  const options = { consistency: 'linearizable' } as const
  for (let i = 0; i < 10; i++) {
    await cluster.clock.settle(driver.query('SELECT x FROM t', [], options))
  }
  t.same([...new Set(asked().slice(before))], [c])
  t.notOk(transport.dialled.includes(c))
  cluster.unconnected.delete(a)
  await cluster.clock.settle(driver.query("INSERT INTO t VALUES ('z')"))
  t.equal(asked().at(-1), a)
  await cluster.clock.settle(driver.close())
})

t.test('a client is connected to whoever may lead next, before a leader is lost', async (t) => {
  const cluster = new FakeCluster(abc, nodeIds('idle'))
  for (const node of ['b', 'c', 'idle']) cluster.unconnected.add(node as NodeId)
  const { driver, transport } = await connected(cluster)
  await cluster.clock.advance(5_000)
  t.same(transport.dialled, [], 'it uses no group yet')
  await cluster.clock.settle(driver.query(insert))
  await cluster.clock.advance(500)
  t.same(transport.dialled, ['b', 'c'], 'voters alone')
  cluster.unconnected.delete('b' as NodeId)
  await cluster.clock.advance(500)
  t.same(transport.dialled, ['b', 'c', 'c'], 'again, who was not reached')
  cluster.unconnected.delete('c' as NodeId)
  await cluster.clock.advance(5_000)
  t.equal(transport.dialled.length, 3)

  const [, , c] = abc as [NodeId, NodeId, NodeId]
  const left = cluster.members.get(c) as Member
  cluster.members.set(c, { ...left, lifecycle: 'leaving' })
  for (const node of abc) cluster.driver(node).handleMembersChanged()
  await cluster.clock.advance(1_000)
  cluster.unconnected.add(c)
  transport.tell()
  await cluster.clock.advance(5_000)
  t.equal(transport.dialled.length, 3, 'not one that leaves')
  cluster.members.set(c, left)
  for (const node of abc) cluster.driver(node).handleMembersChanged()
  await cluster.clock.advance(1_000)
  t.equal(transport.dialled.at(-1), c, 'one that came back')
  const before = transport.dialled.length
  await cluster.clock.settle(driver.close())
  await cluster.clock.advance(5_000)
  t.equal(transport.dialled.length, before)
})

t.test('where nobody else is connected, the one that is chosen is waited for', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver } = await connected(cluster)
  for (const node of abc) cluster.unconnected.add(node)
  t.match(await cluster.clock.settle(driver.query(insert)), { node: 'a' })
  await cluster.clock.settle(driver.close())
})

t.test('the watch leaves a quiet member, and survives each of them', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver } = await connected(cluster, { watchIntervalMs: 1_000 })
  const watched = () =>
    cluster.requests.filter(({ name }) => name === 'WatchCluster').map(({ to }) => to)
  await cluster.clock.advance(10_000)
  t.same([...new Set(watched())].sort(), abc, 'all are asked')
  t.ok(watched().length < 60, `${watched().length} requests in 10 s`)

  for (const nodeId of abc) cluster.trouble(nodeId, ...Array<'notSent'>(1_000).fill('notSent'))
  const before = watched().length
  await cluster.clock.advance(10_000)
  t.ok(watched().length - before < 80, `${watched().length - before} attempts in 10 s of silence`)
  for (const nodeId of abc) cluster.trouble(nodeId)
  cluster.elect('b')
  await cluster.clock.advance(3_000)
  t.equal(driver.routeQuery(insert).node, 'b', 'it is there again')
})

t.test('reads see what this client wrote and read, on whichever node', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver } = await connected(cluster)
  const local = { consistency: 'local' } as const
  await cluster.clock.settle(driver.query('SELECT 1', undefined, local))
  const { index } = await cluster.clock.settle(driver.query(insert))
  await cluster.clock.settle(driver.query('SELECT 1', undefined, local))
  t.same(
    cluster.reads.map(({ atLeastIndex }) => atLeastIndex),
    [0, index]
  )
  const { driver: careless } = await connected(cluster, { readYourWrites: false })
  await cluster.clock.settle(careless.query(insert))
  await cluster.clock.settle(careless.query('SELECT 1', undefined, local))
  t.equal(cluster.reads.at(-1)?.atLeastIndex, 0)
})

t.test('the window holds back, and the time in its queue counts', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver } = await connected(cluster, { requestsInFlightMax: 1, queueLengthMax: 1 })
  await cluster.clock.settle(driver.query(insert))
  cluster.trouble('a', 'silence')
  const held = driver.query(insert, undefined, { timeoutMs: 400 })
  const queued = driver.query(insert, undefined, { timeoutMs: 200 })
  await t.rejects(driver.query(insert), { code: 'ERR_SKEIN_BACKPRESSURE' })
  t.match(driver.getAllMetrics().client, { client_queries_queued: 1, client_queries_in_flight: 1 })
  await t.rejects(cluster.clock.settle(queued), { code: 'ERR_SKEIN_TIMEOUT' })
  await t.rejects(cluster.clock.settle(held), { code: 'ERR_SKEIN_INDETERMINATE' })
  t.equal(cluster.executed.length, 1)
  await t.rejects(driver.query(insert, undefined, { timeoutMs: -1 }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT'
  })
})

t.test(
  'R-X04: an id that the cluster forgot is replaced, unless the outcome is in doubt',
  async (t) => {
    const cluster = new FakeCluster(abc)
    const { driver } = await connected(cluster)
    await cluster.clock.settle(driver.query(insert))
    cluster.clients.clear()
    await cluster.clock.settle(driver.query(insert))
    t.same([cluster.executed.length, cluster.clients.size], [2, 1])
    // The write arrives, its answer does not, and meanwhile the cluster forgets the client.
    cluster.trouble('a', 'answerLost')
    const doubtful = driver.query(insert)
    await cluster.clock.until(() => cluster.executed.length === 3)
    cluster.clients.clear()
    await t.rejects(cluster.clock.settle(doubtful), {
      code: 'ERR_SKEIN_INDETERMINATE',
      cause: { code: 'ERR_SKEIN_CLIENT_EXPIRED' }
    })
    t.equal(cluster.executed.length, 3, 'and it was not sent under another id')
  }
)

t.test('closing waits for what is on the way, and only so long', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver, transport } = await connected(cluster, { drainTimeoutMs: 300 })
  await cluster.clock.settle(driver.query(insert))
  const writing = driver.query(insert)
  await cluster.clock.settle(driver.close())
  t.match(await writing, { node: 'a' })
  await t.rejects(driver.query(insert), { code: 'ERR_SKEIN_STOPPED' })
  t.ok(transport.isStopped)

  const second = await connected(cluster, { drainTimeoutMs: 300 })
  for (const nodeId of abc) cluster.readIndexMs.set(nodeId, 60_000)
  const stuck = second.driver.query('SELECT 1')
  stuck.catch(() => {})
  await cluster.clock.advance(10)
  const begun = cluster.clock.now()
  await cluster.clock.settle(second.driver.close())
  t.equal(Math.round(cluster.clock.now() - begun), 300)
})

t.test('a node that joined is learned, and one that left is not asked', async (t) => {
  const cluster = new FakeCluster(abc)
  const { driver } = await connected(cluster)
  const ids = () => driver.getClusterMembers().map(({ nodeId }) => nodeId)
  await cluster.clock.advance(200)
  const c = cluster.members.get('c' as NodeId)
  cluster.members.set('d' as NodeId, { ...(c as NonNullable<typeof c>), nodeId: 'd' as NodeId })
  cluster.members.delete('c' as NodeId)
  for (const nodeId of abc) cluster.driver(nodeId).handleMembersChanged()
  await cluster.clock.advance(100)
  t.same(ids(), ['a', 'b', 'd'])
})

t.test('the sessions of one client find their homes all over the cluster', async (t) => {
  const cluster = new FakeCluster(abc)
  for (const home of abc) {
    cluster.messengers.get(home)?.onRequest(sessionOpen, async () => ({ home, epoch: 1 }))
  }
  const { driver } = await connected(cluster)
  const homes = new Set<NodeId | null>()
  for (let i = 0; i < 24; i++) homes.add((await cluster.clock.settle(driver.openSession())).home)
  t.same([...homes].sort(), abc)
})
