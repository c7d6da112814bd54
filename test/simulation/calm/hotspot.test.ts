import t from 'tap'
import { type HotspotEvent, must } from '../../../src/core/index.js'
import { zipf } from '../../unit/routing/hotspots/zipf.js'
import { calmCluster } from './calm-cluster.js'

/** Floors and window below the defaults, so that few queries and little time show the same. */
const routing = {
  hotspotWindowMs: 20_000,
  hotspotFloorPerSecond: 10,
  hotspotKeyFloorPerSecond: 10,
  hotspotDwellMs: 5_000
}

t.test('a hot key under Zipf 1.2 is found in ten seconds, spread, and gone', async (t) => {
  const { cluster, random, run, time } = calmCluster(11, 5, { routing })
  cluster.start()
  await run(5_000)
  const nodes = cluster.startedNodes()
  t.equal(nodes.length, 5)
  const busy = must(nodes[0], 'first')
  const seen: { at: number; event: HotspotEvent }[] = []
  busy.manager.hotspots.onHotspot((event) => seen.push({ at: time.now, event }))
  const elsewhere: HotspotEvent[] = []
  must(nodes[4], 'last').manager.hotspots.onHotspot((event) => elsewhere.push(event))
  const draw = zipf(random.split('keys'), 500, 1.2)
  const ask = async (seconds: number) => {
    const answered = new Map<string, number>()
    for (let i = 0; i < seconds * 60; i++) {
      const key = `k${draw()}`
      time.post(time.now, 'query', busy.process, () => {
        const options = { key, consistency: 'local', priority: 2 } as const
        busy.manager.executeQuery(`get ${key}`, options).then(
          ({ node }) => key === 'k0' && answered.set(node, (answered.get(node) ?? 0) + 1),
          (error: unknown) => t.fail(`${key}: ${error}`)
        )
      })
      await run(1_000 / 60)
    }
    return answered
  }
  const begun = time.now
  await ask(10)
  const named = seen.find(({ event }) => event.hotspot.scope === 'key')
  t.match(named?.event, { type: 'HotspotDetected', hotspot: { key: 'k0' } })
  t.ok(named !== undefined && named.at - begun <= 10_000, `found after ${named?.at} - ${begun} ms`)
  t.match(
    elsewhere.find(({ hotspot }) => hotspot.scope === 'key'),
    { type: 'HotspotDetected', hotspot: { key: 'k0' } },
    'another node names it too'
  )
  t.ok(seen.some(({ event }) => event.type === 'HotspotMitigated'))
  const answered = await ask(5)
  t.equal(answered.size, 5, `read on all replicas: ${JSON.stringify([...answered])}`)
  const metrics = must(busy.manager.getAllMetrics().load_balancer, 'category')
  t.ok(must(metrics.hotspots_detected, 'detected') >= 1)
  t.ok(must(metrics.rebalance_operations, 'rebalanced') >= 1)
  await run(60_000)
  t.same(busy.manager.hotspots.current(), [], 'gone')
  const ofKey = seen.filter(({ event }) => 'key' in event.hotspot && event.hotspot.key === 'k0')
  t.same(
    ofKey.map(({ event }) => event.type),
    ['HotspotDetected', 'HotspotMitigated', 'HotspotCleared'],
    'once'
  )
})
