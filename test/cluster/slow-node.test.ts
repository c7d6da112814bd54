import t from 'tap'
import { SlowedCluster } from '../../bench/balancing/slowed-cluster.js'

const fairShare = 1 / 5
const requestsPerSecond = 80
/** Far above what a busy machine adds to every node's answers: 40 ms against 200 ms are seen. */
const serviceMs = 40

t.test('a node slowed five times gets less than its share, by adaptive routing', async (t) => {
  const directory = t.testdir()
  const options = { directory, serviceMs, workers: 4, slowness: 5 }
  const cluster = await SlowedCluster.start(options)
  t.teardown(() => cluster.stop())
  const { router } = cluster
  const turns = await cluster.load('round-robin', requestsPerSecond, 2)
  t.equal(turns.failures, 0)
  t.ok(Math.abs(turns.share - fairShare) < 0.05, `in turn it gets ${turns.share}`)
  // What is not known yet is found out by asking: that time is not counted.
  await cluster.load('adaptive', requestsPerSecond, 2)
  const adaptive = await cluster.load('adaptive', requestsPerSecond, 3)
  t.equal(adaptive.failures, 0)
  t.ok(adaptive.share < fairShare / 2, `by what was measured ${adaptive.share}`)

  const told = router.explainRoute('SELECT geese', { consistency: 'local' })
  t.equal(told.decision?.strategy, 'adaptive')
  const slow = told.candidates.find(({ node }) => node === 's3')
  const quick = told.candidates.find(({ node }) => node === 's1')
  t.equal(slow?.factors.length, 4)
  t.ok((slow?.score ?? 1) < (quick?.score ?? 0), 'the explanation shows it')
  t.same(router.routing.decision(told.id), told)
  const strategies = router.routing.strategies
  t.ok(strategies.length >= 8 && strategies.includes('peak-ewma'))
})

t.test('an embedder’s own strategy, and a name that nobody knows', async (t) => {
  const directory = t.testdir()
  const cluster = await SlowedCluster.start({ directory, serviceMs: 1, workers: 4, slowness: 1 })
  t.teardown(() => cluster.stop())
  const { router } = cluster
  const events = router.subscribeToEvents()
  router.setRoutingStrategy({ name: 'first', choose: () => 0 })
  const { node } = await router.executeQuery('SELECT geese', { consistency: 'local' })
  t.equal(node, 's1')
  for await (const event of events) {
    if (event.type !== 'RoutingStrategyChanged') continue
    t.match(event, { strategy: 'first', previous: 'adaptive' })
    break
  }
  events.close()
  t.throws(() => router.setRoutingStrategy('fastest'), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  t.equal(router.routing.strategy, 'first')
})
