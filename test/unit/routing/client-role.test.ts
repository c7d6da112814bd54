import t from 'tap'
import { after, type NodeId } from '../../../src/core/index.js'
import { type ClusterAnswer, watchCluster } from '../../../src/routing/index.js'
import { FakeCluster, FakeMessenger, memberOf, nodeIds } from './fake-cluster.js'

const abc = nodeIds('a', 'b', 'c')
const insert = "INSERT INTO t VALUES ('x')"

const targets = (cluster: FakeCluster, name: string) =>
  cluster.requests.filter((request) => request.name === name).map(({ to }) => to)

t.test('a client goes to the leader at once, under an id and serials of its own', async (t) => {
  const cluster = new FakeCluster(abc)
  const client = cluster.client()
  const answer = await cluster.clock.settle(client.execute(insert))
  t.match(answer, { node: 'a', rowsAffected: 1 })
  t.same(targets(cluster, 'Query'), ['a'])
  t.same([...cluster.clients], ['client-id'])
  const { candidates, decision } = client.explain(insert)
  t.equal(decision?.node, 'a')
  t.same(
    candidates.map(({ node }) => node),
    abc,
    'the client itself is no candidate'
  )
  t.equal(cluster.pendingTimers, 0, 'no timer is left')
})

t.test('a leader that breaks off is not asked again: another node forwards', async (t) => {
  const cluster = new FakeCluster(abc)
  const client = cluster.client()
  await cluster.clock.settle(client.execute(insert))
  cluster.trouble('a', 'answerLost', 'notSent', 'notSent', 'notSent')
  const again = "INSERT INTO t VALUES ('y')"
  const done = client.execute(again)
  await cluster.clock.until(() => cluster.executed.length === 2)
  cluster.trouble('a')
  t.match(await cluster.clock.settle(done), { rowsAffected: 1 })
  t.same(cluster.executed, [insert, again], 'executed once')
  t.not(targets(cluster, 'Query')[2], 'a')
})

t.test('while no leader is known a member holds the query', async (t) => {
  const cluster = new FakeCluster(abc)
  const client = cluster.client()
  await cluster.clock.settle(client.execute(insert))
  cluster.trouble('a', 'answerLost')
  cluster.beliefs.set('b' as NodeId, null).set('c' as NodeId, null)
  cluster.leader = null
  const held = client.execute("INSERT INTO t VALUES ('y')", { timeoutMs: 5_000 })
  await cluster.clock.advance(800)
  const asked = targets(cluster, 'Query')
  t.ok(asked.length < 6, `held, not hammered: ${asked}`)
  cluster.beliefs.clear()
  cluster.elect('c')
  t.match(await cluster.clock.settle(held), { node: 'c' })
})

t.test('what a node held for a leader goes on elsewhere when it stops, at no cost', async (t) => {
  const cluster = new FakeCluster(abc, [], { bufferWindowMs: 60_000 })
  const client = cluster.client()
  await cluster.clock.settle(client.execute(insert))
  for (const node of abc) cluster.beliefs.set(node, null)
  cluster.leader = null
  client.learnPlacements([{ group: 0 as never, term: 2 as never, leader: null, voters: abc }])
  const held = client.execute("INSERT INTO t VALUES ('y')", { timeoutMs: 20_000 })
  await cluster.clock.advance(200)
  const holder = targets(cluster, 'Query').at(-1) as NodeId
  void cluster.driver(holder).stop(after(cluster.clock.now(), 1_000))
  await cluster.clock.advance(200)
  cluster.beliefs.clear()
  const next = abc.find((node) => node !== holder) as NodeId
  cluster.elect(next)
  t.match(await cluster.clock.settle(held), { node: next })
  t.equal(client.counters.snapshot().query_retries, 0, 'it is no failure that a budget pays for')
})

t.test(
  'a node that will stop sends back who finds its leader gone, with the next one',
  async (t) => {
    const cluster = new FakeCluster(abc)
    const client = cluster.client()
    await cluster.clock.settle(client.execute(insert))
    const before = cluster.requests.length
    cluster.beliefs.set('a' as NodeId, 'a' as NodeId)
    cluster.leader = 'b' as NodeId
    cluster.driver('a').drain()
    t.match(await cluster.clock.settle(client.execute("INSERT INTO t VALUES ('y')")), { node: 'b' })
    const queries = cluster.requests.slice(before).filter(({ name }) => name === 'Query')
    t.same(
      queries.map(({ from, to }) => [from, to]),
      [
        ['', 'a'],
        ['', 'b']
      ],
      'neither held nor passed on'
    )
    t.equal(client.counters.snapshot().query_retries, 0)
  }
)

t.test('a node that stays silent is left for another', async (t) => {
  const cluster = new FakeCluster(abc)
  const client = cluster.client({ attemptTimeoutMs: 300 })
  await cluster.clock.settle(client.execute(insert))
  cluster.trouble('a', 'silence')
  const begun = cluster.clock.now()
  await cluster.clock.settle(client.execute("INSERT INTO t VALUES ('y')"))
  const tookMs = cluster.clock.now() - begun
  t.ok(tookMs > 300 && tookMs < 500, `${tookMs} ms`)
  t.equal(cluster.executed.length, 2)
})

t.test('a leader of a newer term ends the wait for the former one', async (t) => {
  const cluster = new FakeCluster(abc)
  const client = cluster.client()
  await cluster.clock.settle(client.execute(insert))
  cluster.trouble('a', 'silence')
  const waiting = client.execute("INSERT INTO t VALUES ('y')", { timeoutMs: 5_000 })
  await cluster.clock.advance(100)
  cluster.elect('b')
  const term = cluster.term as never
  const heardAt = cluster.clock.now()
  client.learnPlacements([{ group: 0 as never, term, leader: 'b' as NodeId, voters: abc }])
  t.match(await cluster.clock.settle(waiting), { node: 'b' })
  t.ok(cluster.clock.now() - heardAt < 5, 'it went there without a pause')
})

const app = { kind: 'client', name: 'app', clusterName: 'c' } as const

function watch(cluster: FakeCluster, revision: number, timeoutMs = 10_000): Promise<ClusterAnswer> {
  const deadline = after(cluster.clock.now(), timeoutMs)
  return new FakeMessenger(cluster, app).request(
    'b' as NodeId,
    watchCluster,
    { revision },
    { deadline }
  )
}

t.test('a watch is answered at once, when something changes, or before its deadline', async (t) => {
  const cluster = new FakeCluster(abc)
  const { clock } = cluster
  const first = await clock.settle(watch(cluster, 0))
  t.match(first, { node: 'b', groups: [{ group: 0, leader: 'a', voters: abc }] })
  t.same(
    first.members.map(({ nodeId, address }) => `${nodeId} ${address}`),
    ['a a:1', 'b b:1', 'c c:1']
  )

  const changing = watch(cluster, first.revision)
  await clock.advance(1_000)
  cluster.elect('c')
  const begun = clock.now()
  const second = await clock.settle(changing)
  t.ok(clock.now() - begun <= 2, 'a new leader is told at once')
  t.equal(second.groups[0]?.leader, 'c')
  t.ok(second.revision > first.revision)

  const quiet = watch(cluster, second.revision)
  const quietSince = clock.now()
  t.equal((await clock.settle(quiet)).revision, second.revision)
  t.ok(clock.now() - quietSince < 10_000, 'answered before its deadline')
})

t.test('changes of members are told together', async (t) => {
  const cluster = new FakeCluster(abc)
  const { clock } = cluster
  const { revision } = await clock.settle(watch(cluster, 0))
  const driver = cluster.driver('b')
  const told = watch(cluster, revision)
  await clock.advance(10)
  for (const name of ['d', 'e']) {
    cluster.members.set(name as NodeId, memberOf(name as NodeId))
    driver.handleMembersChanged()
  }
  cluster.members.set('f' as NodeId, memberOf('f' as NodeId, { lifecycle: 'left' }))
  driver.handleMembersChanged()
  const { members } = await clock.settle(told)
  t.same(
    members.map(({ nodeId }) => nodeId),
    ['a', 'b', 'c', 'd', 'e']
  )
  t.equal(cluster.pendingTimers, 0)
})

t.test('a node that stops answers those who watch', async (t) => {
  const cluster = new FakeCluster(abc)
  const { clock } = cluster
  const { revision } = await clock.settle(watch(cluster, 0))
  const told = watch(cluster, revision)
  await clock.advance(10)
  await clock.settle(cluster.driver('b').stop(clock.now()))
  t.ok((await clock.settle(told)).revision > revision)
  await t.rejects(clock.settle(watch(cluster, 0)), { code: 'ERR_SKEIN_DRAINING' })
})
