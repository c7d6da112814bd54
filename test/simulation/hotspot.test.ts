import t from 'tap'
import { ClusterNetworkManager } from '../../lib/index.js'
import { type HotspotEvent, must, SplittableRandom, silentLogger } from '../../src/core/index.js'
import { nodeCrypto } from '../../src/runtime/index.js'
import { noFaults } from '../../src/simulation/fault-counts.js'
import { Links } from '../../src/simulation/links.js'
import { type ClusterWatch, SimulatedCluster } from '../../src/simulation/simulated-cluster.js'
import { SimulatedDatagramWorld } from '../../src/simulation/simulated-datagram-network.js'
import { SimulatedStreamWorld } from '../../src/simulation/simulated-stream-network.js'
import { drawSwarmOptions } from '../../src/simulation/swarm-options.js'
import { TraceHash } from '../../src/simulation/trace-hash.js'
import { VirtualTime } from '../../src/simulation/virtual-clock.js'
import { zipf } from '../unit/routing/hotspots/zipf.js'

/** Floors and window below the defaults, so that few queries and little time show the same. */
const routing = {
  hotspotWindowMs: 20_000,
  hotspotFloorPerSecond: 10,
  hotspotKeyFloorPerSecond: 10,
  hotspotDwellMs: 5_000
}

const nothing = () => {}
const watch: ClusterWatch = {
  onStarted: nothing,
  onStartFailed(host, error) {
    throw new Error(`host ${host} does not start`, { cause: error })
  },
  onExit: nothing,
  observerOf: () => ({
    onRecovered: nothing,
    onPersist: nothing,
    onPersisted: nothing,
    onSend: nothing
  }),
  wrapEngine: (_, engine) => engine,
  isLeader: () => false,
  ledCommitIndex: () => 0
}

function makeCluster(seed: number) {
  const random = SplittableRandom.fromSeed(seed)
  const time = new VirtualTime(new TraceHash())
  const drawn = drawSwarmOptions(random.split('swarm'))
  const calm = {
    latencyMinMs: 0.2,
    latencyMeanMs: 0.5,
    lossProbability: 0,
    duplicateProbability: 0,
    reorderProbability: 0,
    delayProbability: 0,
    delaySpikeMsMax: 0,
    splitProbability: 0,
    breakProbability: 0
  }
  const links = new Links(calm, random.split('links'), noFaults())
  const cluster = new SimulatedCluster(
    {
      time,
      random: random.split('cluster'),
      streams: new SimulatedStreamWorld(time, links),
      datagrams: new SimulatedDatagramWorld(time, links),
      crypto: nodeCrypto(),
      create: (init) =>
        ClusterNetworkManager.create({ ...init, config: { ...init.config, routing } }),
      loggerOf: () => silentLogger,
      watch,
      mail: { attach: nothing }
    },
    { size: 5, swarm: { ...drawn, preset: 'lan' } }
  )
  const run = async (ms: number) => {
    const until = time.now + ms
    while (time.step(until) !== null) await new Promise((resolve) => setImmediate(resolve))
  }
  return { cluster, random, run, time }
}

t.test('a hot key under Zipf 1.2 is found in ten seconds, spread, and gone', async (t) => {
  const { cluster, random, run, time } = makeCluster(11)
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
