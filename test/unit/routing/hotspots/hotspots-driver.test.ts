import t from 'tap'
import { type HotspotEvent, SplittableRandom } from '../../../../src/core/index.js'
import { hotspotCallbacksMax } from '../../../../src/routing/hotspots/hotspots-driver.js'
import { FakeCluster, nodeIds } from '../fake-cluster.js'
import { zipf } from './zipf.js'

const abc = nodeIds('a', 'b', 'c')
/** A hundredth of the default floors, so that a test need not ask as much. */
const low = { hotspotFloorPerSecond: 10, hotspotKeyFloorPerSecond: 10, hotspotDwellMs: 5_000 }

interface Seen {
  readonly at: number
  readonly event: HotspotEvent
}

/** Asks through one node, at a rate, for a time. */
async function ask(
  cluster: FakeCluster,
  through: string,
  options: { readonly perSecond: number; readonly seconds: number },
  next: () => readonly [sql: string, options: object]
): Promise<Map<string, number>> {
  const answeredBy = new Map<string, number>()
  for (let i = 0; i < options.perSecond * options.seconds; i++) {
    const [sql, queryOptions] = next()
    void cluster
      .driver(through)
      .execute(sql, queryOptions)
      .then(({ node }) => answeredBy.set(node, (answeredBy.get(node) ?? 0) + 1))
    await cluster.clock.advance(1_000 / options.perSecond)
  }
  return answeredBy
}

function watch(cluster: FakeCluster, node: string): Seen[] {
  const seen: Seen[] = []
  cluster.driver(node).hotspots.onHotspot((event) => seen.push({ at: cluster.clock.now(), event }))
  return seen
}

const told = (seen: readonly Seen[]) =>
  seen.map(({ event }) => {
    const { hotspot } = event
    return `${event.type} ${hotspot.scope === 'node' ? hotspot.node : hotspot.key}`
  })

t.test('a hot key is found, named everywhere, spread over replicas, and gone', async (t) => {
  const cluster = new FakeCluster(abc, nodeIds('r'), low)
  const draw = zipf(SplittableRandom.fromSeed(3), 1_000, 1.2)
  const seen = watch(cluster, 'a')
  const seenByRouter = watch(cluster, 'r')
  const next = () => ['SELECT n FROM t WHERE id = ?', { params: [draw()], consistency: 'local' }]
  const load = { perSecond: 50, seconds: 10 }
  const before = await ask(cluster, 'a', load, next as never)
  t.equal((before.get('a') ?? 0) > 300, true, 'at first a reads for itself')
  const found = seen.find(({ event }) => event.type === 'HotspotDetected')
  t.ok(found !== undefined && found.at <= 10_000, `found after ${found?.at} ms`)
  t.ok(told(seen).includes('HotspotDetected t.id=0'), told(seen).join(', '))
  t.ok(told(seen).includes('HotspotDetected a'), 'the node too')
  t.ok(told(seenByRouter).includes('HotspotDetected t.id=0'), 'a node without data knows it')
  const hot = cluster.driver('a').hotspots.current()
  t.match(hot, [
    { scope: 'node', node: 'a', keys: [{ key: 't.id=0' }] },
    { scope: 'key', key: 't.id=0' }
  ])
  const hottest = () => ['SELECT n FROM t WHERE id = 0', { consistency: 'local' }]
  const spread = await ask(cluster, 'a', { perSecond: 50, seconds: 6 }, hottest as never)
  t.same(
    abc.map((node) => (spread.get(node) ?? 0) > 80),
    [true, true, true],
    'its reads go to all three in turn'
  )
  t.match(cluster.driver('a').counters.snapshot(), { hotspots_now: 2 })
  await ask(cluster, 'a', { perSecond: 50, seconds: 80 }, hottest as never)
  t.ok(told(seen).includes('HotspotCleared a'), 'spread, the node is none any more')
  t.ok(cluster.driver('a').hotspots.current().length > 0, 'the key still is')
  await cluster.clock.advance(90_000)
  t.same(cluster.driver('a').hotspots.current(), [])
  t.same(cluster.driver('r').hotspots.loads(), [], 'quiet nodes are forgotten')
  const kinds = told(seen).filter((text) => text === 'HotspotDetected t.id=0')
  t.equal(kinds.length, 1, 'once')
  t.match(
    seen.map(({ event }) => event),
    [{ type: 'HotspotDetected' }]
  )
  t.ok(seen.some(({ event }) => event.type === 'HotspotMitigated' && /turn/.test(event.reason)))
})

t.test('reads that need the leader and writes stay with it', async (t) => {
  const cluster = new FakeCluster(abc, [], low)
  const leaderRead = () => ['SELECT n FROM t WHERE id = 0', { consistency: 'leader' }]
  const answeredBy = await ask(cluster, 'b', { perSecond: 30, seconds: 12 }, leaderRead as never)
  t.same([...answeredBy.keys()], ['a'])
  t.same(cluster.transfers, [], 'led by another, that one would be as hot')
})

t.test('a hot leader that also reads hands over, once', async (t) => {
  const routing = { ...low, leaderMoveGapMs: 5_000, hotspotSpreadReads: false }
  const cluster = new FakeCluster(abc, [], routing)
  await cluster.clock.settle(cluster.driver('a').execute('INSERT INTO t VALUES (0)'))
  const seen = watch(cluster, 'a')
  let count = 0
  const mixed = () =>
    count++ % 2 === 0
      ? ['SELECT n FROM t WHERE id = 0', { consistency: 'local' }]
      : ['INSERT INTO t VALUES (0)', {}]
  await ask(cluster, 'a', { perSecond: 40, seconds: 20 }, mixed as never)
  t.equal(cluster.transfers.length, 1)
  const move = seen.find(({ event }) => event.type === 'HotspotMitigated')?.event
  t.match(move, { action: 'moveLeader', target: cluster.transfers[0], hotspot: { node: 'a' } })
  const total = cluster.driver('a').counters.get('rebalance_operations')
  t.equal(total, 1)
})

t.test('it can be turned off', async (t) => {
  const routing = {
    ...low,
    leaderMoveGapMs: 0,
    hotspotMoveLeaders: false,
    hotspotSpreadReads: false
  }
  const cluster = new FakeCluster(abc, [], routing)
  const next = () => ['SELECT n FROM t WHERE id = 0', { consistency: 'local' }]
  const answeredBy = await ask(cluster, 'a', { perSecond: 30, seconds: 10 }, next as never)
  t.same([...answeredBy.keys()], ['a'])
  t.equal(cluster.driver('a').hotspots.current().length, 2, 'found all the same')
  t.equal(cluster.driver('a').counters.get('rebalance_operations'), 0)
})

t.test('callbacks are bounded, end when told to, and may throw', async (t) => {
  const cluster = new FakeCluster(abc, [], low)
  const { hotspots } = cluster.driver('a')
  const calls: string[] = []
  const end = hotspots.onHotspot(() => calls.push('ended'))
  hotspots.onHotspot(() => {
    throw new Error('the embedder’s')
  })
  for (let i = 2; i < hotspotCallbacksMax; i++) hotspots.onHotspot(() => calls.push('called'))
  t.throws(() => hotspots.onHotspot(() => {}), { code: 'ERR_SKEIN_BACKPRESSURE' })
  end()
  const next = () => ['SELECT n FROM t WHERE id = 0', { consistency: 'local' }]
  await ask(cluster, 'a', { perSecond: 30, seconds: 8 }, next as never)
  t.ok(calls.length > 0 && !calls.includes('ended'))
})
