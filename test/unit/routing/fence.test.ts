import t from 'tap'
import { type NodeId, Priorities, type Term } from '../../../src/core/index.js'
import { query } from '../../../src/routing/messages.js'
import { config, FakeCluster, FakeMessenger, nodeIds } from './fake-cluster.js'

const abc = nodeIds('a', 'b', 'c')
const insert = "INSERT INTO t VALUES ('x')"

const bodyOf = (term: number, changes: object = {}) => ({
  group: 0 as never,
  kind: 'write' as const,
  consistency: 'linearizable' as const,
  atLeastIndex: 0 as never,
  statements: [{ sql: insert }],
  client: { clientId: 'someone' as never, serial: 1 as never, answeredBelow: 1 as never },
  term: term as Term,
  ...changes
})

function forward(cluster: FakeCluster, to: string, body: ReturnType<typeof bodyOf>) {
  const messenger = new FakeMessenger(cluster, {
    kind: 'node',
    nodeId: 'b' as NodeId,
    clusterName: 'c'
  })
  const deadline = (cluster.clock.now() + config.routing.queryTimeoutMs) as never
  return cluster.clock.settle(messenger.request(to as NodeId, query, body, { deadline }))
}

t.test('a query that was routed in another term is refused before it does anything', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.clients.add('someone')
  cluster.term = 5
  await t.rejects(forward(cluster, 'a', bodyOf(4)), {
    code: 'ERR_SKEIN_STALE_ROUTE',
    retryable: true,
    leaderHint: 'a',
    details: { term: 5, routedIn: 4 }
  })
  const ahead = await forward(cluster, 'a', bodyOf(6)).catch((error: unknown) => error)
  t.match(ahead, { code: 'ERR_SKEIN_STALE_ROUTE' })
  t.equal((ahead as { leaderHint?: string }).leaderHint, undefined, 'its own view is the old one')
  const leaderRead = bodyOf(4, { kind: 'read', consistency: 'leader', client: null })
  await t.rejects(forward(cluster, 'a', leaderRead), { code: 'ERR_SKEIN_STALE_ROUTE' })
  t.same(cluster.executed, [])
  t.same(cluster.reads, [])
  await forward(cluster, 'a', bodyOf(5))
  t.same(cluster.executed, [insert], 'in the same term it is executed')
})

t.test('reads that any replica may answer are not fenced', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.term = 5
  for (const consistency of ['linearizable', 'local']) {
    await forward(cluster, 'c', bodyOf(4, { kind: 'read', consistency, client: null }))
  }
  t.equal(cluster.reads.length, 2)
})

t.test('a router with an old view learns from the refusal, and executes once', async (t) => {
  const cluster = new FakeCluster(abc, nodeIds('r'))
  await cluster.clock.settle(cluster.driver('r').execute('INSERT 0'))
  // The node without a replica hears of no election: it goes on believing in term 1.
  cluster.leader = 'c' as NodeId
  cluster.term = 7
  const begun = cluster.clock.now()
  const result = await cluster.clock.settle(
    cluster.driver('r').execute(insert, { priority: Priorities.High })
  )
  t.equal(result.node, 'c')
  t.same(cluster.executed, ['INSERT 0', insert])
  t.ok(cluster.clock.now() - begun < 100, 'without waiting for a refresh')
  t.match(cluster.driver('r').route(insert), { node: 'c', term: 7 }, 'it believes the newer term')
})

t.test('the same node leads again in a later term: one refusal, one execution', async (t) => {
  const cluster = new FakeCluster(abc, nodeIds('r'))
  await cluster.clock.settle(cluster.driver('r').execute('INSERT 0'))
  cluster.term = 9
  await cluster.clock.settle(cluster.driver('r').execute(insert))
  t.same(cluster.executed, ['INSERT 0', insert])
  const queries = cluster.requests.filter(({ name }) => name === 'Query').length
  t.equal(queries, 3, 'one for the first, a refused and a second one for the other')
})
