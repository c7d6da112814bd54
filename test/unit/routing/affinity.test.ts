import t from 'tap'
import type { MonotonicMs, NodeId, Term } from '../../../src/core/index.js'
import { Affinities } from '../../../src/routing/affinity.js'
import { FakeCluster, memberOf, nodeIds } from './fake-cluster.js'

const at = (ms: number) => ms as MonotonicMs
const term = (number: number) => number as Term
const [a, b] = nodeIds('a', 'b') as [NodeId, NodeId]
const hour = 3_600_000

t.test('a preference lasts for an hour after its last use, and for one term', async (t) => {
  const table = new Affinities({ affinityIdleMs: hour, affinitiesMax: 10 })
  t.equal(table.nodeOf('s', term(1), at(0)), null)
  table.note('s', a, term(1), at(0))
  t.equal(table.nodeOf('s', term(1), at(hour - 1)), a)
  table.note('s', a, term(1), at(hour - 1))
  t.equal(table.nodeOf('s', term(1), at(2 * hour - 2)), a, 'its use prolongs it')
  t.equal(table.nodeOf('s', term(1), at(2 * hour)), null, 'idle')
  table.note('s', a, term(1), at(2 * hour))
  t.equal(table.nodeOf('s', term(2), at(2 * hour)), null, 'another term')
  t.equal(table.nodeOf('s', term(1), at(2 * hour)), null, 'it does not come back')
  table.note('s', a, term(2), at(2 * hour))
  table.note('u', b, term(2), at(2 * hour))
  table.voidNode(a)
  t.equal(table.nodeOf('s', term(2), at(2 * hour)), null, 'its node is gone')
  t.equal(table.nodeOf('u', term(2), at(2 * hour)), b)
  t.same(table.counts, { hits: 1, voided: 3 })
})

t.test('X-42: sessions named so that tables of numbers collide cost what others do', async (t) => {
  const sessions = 10_000
  const costOf = (nameOf: (i: number) => string): number => {
    const names = Array.from({ length: sessions }, (_, i) => nameOf(i))
    const table = new Affinities({ affinityIdleMs: hour, affinitiesMax: sessions })
    const began = process.cpuUsage()
    for (const name of names) table.note(name, a, term(1), at(0))
    for (const name of names) table.nodeOf(name, term(1), at(1))
    const { user, system } = process.cpuUsage(began)
    return (user + system) / 1_000
  }
  costOf((i) => `warm-up ${i}`)
  const usual = costOf((i) => `session ${i * 7_919}`)
  // Texts of small integers hash to themselves, unseeded: a stride of a power of two fills few
  // buckets of a table.
  for (const stride of [1_024, 2_048, 4_096]) {
    const spentMs = costOf((i) => `${(i * stride) % 16_777_216}${'0'.repeat(i % 2)}`)
    t.ok(spentMs < 20 * usual + 200, `stride ${stride}: ${spentMs} ms, usually ${usual} ms`)
  }
})

t.test('at the bound the one idle longest goes', async (t) => {
  const table = new Affinities({ affinityIdleMs: hour, affinitiesMax: 3 })
  for (const [i, session] of ['p', 'q', 'r', 'p', 's'].entries())
    table.note(session, a, null, at(i))
  t.equal(table.size, 3)
  t.equal(table.nodeOf('q', null, at(9)), null)
  t.equal(table.nodeOf('p', null, at(9)), a, 'it was used again')
  table.note('z', a, null, at(hour + 3))
  t.equal(table.size, 2, 'what is idle goes too: only s and z are left')
})

const read = (cluster: FakeCluster, session: string) =>
  cluster.driver('r').route('SELECT n FROM t', { session })

t.test('a session stays with its node, which is told as the reason', async (t) => {
  const cluster = new FakeCluster(nodeIds('a', 'b', 'c'), nodeIds('r'))
  await cluster.clock.settle(cluster.driver('r').execute('SELECT 1'))
  cluster.driver('r').setStrategy('round-robin')
  for (let i = 0; i < 20; i++) {
    const session = `s${i}`
    const first = read(cluster, session).node
    const again = Array.from({ length: 10 }, () => read(cluster, session))
    t.ok(again.every(({ node }) => node === first))
    t.match(again[0]?.reason, /where its session went before/)
  }
  const nodes = Array.from({ length: 20 }, (_, i) => read(cluster, `s${i}`).node)
  t.ok(new Set(nodes).size > 1, 'sessions are spread')
  t.equal(cluster.driver('r').counters.get('affinity_hits') > 200, true)
  const explained = cluster.driver('r').explain('SELECT n FROM t', { session: 's1' })
  t.match(explained.decision?.reason, /session/)
})

t.test('a session leaves a node that does not answer it in time', async (t) => {
  const cluster = new FakeCluster(nodeIds('a', 'b', 'c'), nodeIds('r'))
  const driver = cluster.driver('r')
  await cluster.clock.settle(driver.execute('SELECT 1'))
  const { node } = read(cluster, 's')
  const preference = () => driver.explain('SELECT n FROM t', { session: 's' }).decision?.reason
  t.match(preference(), /where its session went before/)
  cluster.trouble(node, 'silence')
  const asked = driver.execute('SELECT n FROM t', { session: 's', timeoutMs: 500 })
  await t.rejects(cluster.clock.settle(asked), { code: 'ERR_SKEIN_TIMEOUT' })
  t.notMatch(preference(), /where its session went before/)
})

t.test('it never overrides who may be asked, and does not come back', async (t) => {
  const cluster = new FakeCluster(nodeIds('a', 'b', 'c'), nodeIds('r'))
  await cluster.clock.settle(cluster.driver('r').execute('SELECT 1'))
  for (const change of [
    { lifecycle: 'draining' },
    { liveness: 'dead' },
    { health: 'degraded' }
  ] as const) {
    const before = read(cluster, 's').node
    cluster.members.set(before, memberOf(before, change))
    const during = read(cluster, 's').node
    t.not(during, before, JSON.stringify(change))
    cluster.members.set(before, memberOf(before))
    t.equal(read(cluster, 's').node, during, 'it stays where it went')
  }
  const led = cluster.driver('r').route('INSERT INTO t VALUES (1)', { session: 's' })
  t.equal(led.node, cluster.leader, 'what only the leader can do goes there')
  await t.rejects(async () => cluster.driver('r').route('SELECT 1', { session: '' }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT'
  })
})
