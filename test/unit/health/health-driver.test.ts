import t from 'tap'
import type { NodeId, Workers } from '../../../src/core/index.js'
import { HealthWorld } from '../../support/health-world.js'

const id = (name: string) => name as NodeId
const peerOf = (world: HealthWorld, of: string, name: string) => {
  const found = world.nodes
    .get(of)
    ?.driver.peers()
    .find(({ nodeId }) => nodeId === name)
  if (found === undefined) throw new Error(`${of} does not know ${name}`)
  return found
}
const verdicts = (world: HealthWorld, of: string) =>
  world.nodes
    .get(of)
    ?.events.flatMap((event) =>
      event.type === 'HealthVerdictChanged'
        ? [`${event.verdict.nodeId} ${event.verdict.status}`]
        : []
    )

t.test('round trips, verdict, matrix and metrics of two nodes', async (t) => {
  const world = new HealthWorld(t)
  const { driver } = world.add('a')
  world.add('b')
  await world.clock.advance(61_000)
  const b = peerOf(world, 'a', 'b')
  t.match(b.latency, { averageMs: 10, maxMs: 10, tail: { basis: 'max' } })
  t.ok(b.latency !== null && b.latency.count >= 12)
  t.match(b.distribution, { count: b.latency?.count, tail: { basis: 'max' } })
  t.ok(Math.abs((b.distribution?.p50Ms ?? 0) - 10) < 0.2)
  t.equal(b.jitterMs, 0)
  t.equal(b.answeredRate, 1)
  t.match(b.report, { status: 'healthy', detail: '' })
  t.same(verdicts(world, 'a'), ['b healthy'])
  t.same(driver.checks(), [{ name: 'network', ok: true, detail: 'no path is degraded' }])
  t.same(
    driver.latencyMatrix().map(({ origin, cells }) => [origin, cells[0]?.to, cells[0]?.rttMs]),
    [
      ['a', 'b', 10],
      ['b', 'a', 10]
    ]
  )
  t.match(driver.metrics(), {
    average_latency_ms: 10,
    packet_loss_rate: 0,
    failed_health_checks: 0,
    route_optimizations: 0,
    samples_lost: 0
  })
  t.ok(driver.metrics().health_checks >= 6)
})

t.test('passive samples: a 99th percentile from the worker when there are 500', async (t) => {
  const world = new HealthWorld(t)
  const { driver } = world.add('a')
  world.add('b')
  await world.clock.advance(2_000)
  for (let i = 1; i <= 1_000; i++) driver.observe(id('b'), i / 10)
  driver.observe(id('nobody'), 1)
  await world.clock.advance(10_000)
  const { distribution } = peerOf(world, 'a', 'b')
  t.match(distribution?.tail, { basis: 'p99' })
  t.ok(Math.abs((distribution?.tail.ms ?? 0) - 99) < 1.5, `${distribution?.tail.ms}`)
  t.equal(peerOf(world, 'a', 'b').latency?.maxMs, 10, 'the rolling window is of pings alone')
})

t.test('clock offset and jitter, with uneven and changing delays', async (t) => {
  const world = new HealthWorld(t)
  world.add('a')
  world.add('b', { wallAheadMs: 300 })
  for (let i = 0; i < 20; i++) {
    world.link('a', 'b', { delayMs: i % 2 === 0 ? 5 : 25 })
    await world.clock.advance(5_000)
  }
  const { clockOffset, jitterMs } = peerOf(world, 'a', 'b')
  t.ok(clockOffset !== null && Math.abs(clockOffset.offsetMs - 300) <= clockOffset.errorMs + 1)
  t.ok(clockOffset !== null && clockOffset.errorMs <= 5)
  t.ok(jitterMs !== null && jitterMs > 10 && jitterMs < 20, `${jitterMs}`)
})

t.test('loss is measured one way, with its interval, and not before there is enough', async (t) => {
  const world = new HealthWorld(t, { seed: 3 })
  world.add('a')
  world.add('b')
  world.setLoss('a', 'b', 0.2)
  await world.clock.advance(40_000)
  t.match(peerOf(world, 'a', 'b').loss, { kind: 'insufficientData', needed: 100 })
  await world.clock.advance(600_000)
  const { loss } = peerOf(world, 'a', 'b')
  t.equal(loss.kind, 'measured')
  if (loss.kind === 'measured') {
    t.equal(loss.sent, 800)
    t.ok(loss.interval.low < 0.2 && 0.2 < loss.interval.high, JSON.stringify(loss))
  }
  t.match(peerOf(world, 'b', 'a').loss, { kind: 'measured', lost: 0 })
  t.ok((world.nodes.get('a')?.driver.metrics().packet_loss_rate ?? 0) > 0.1)
})

t.test('without datagrams loss stays unknown', async (t) => {
  const world = new HealthWorld(t)
  world.add('a', { datagrams: false })
  world.add('b')
  await world.clock.advance(300_000)
  t.match(peerOf(world, 'a', 'b').loss, { kind: 'insufficientData', sent: 0 })
})

t.test('a cut link is gone round by way of a third within 20 s, and taken back', async (t) => {
  const world = new HealthWorld(t)
  const { driver, events } = world.add('a')
  world.add('b')
  world.add('c')
  await world.clock.advance(30_000)
  t.equal(driver.relayFor(id('b')), null)
  world.link('a', 'b', { cut: true })
  await world.clock.advance(20_000)
  t.equal(driver.relayFor(id('b')), 'c')
  t.equal(driver.relayFor(id('c')), null)
  t.match(driver.routes(), [{ target: 'b', relay: 'c', why: 'outage', viaMs: 20 }])
  t.equal(driver.metrics().route_optimizations, 1)
  await world.clock.advance(300_000)
  t.equal(driver.relayFor(id('b')), 'c', 'it is kept while the link is out')
  t.match(driver.verdictOn(id('b')), { status: 'unreachable', diagnosis: 'peerSilent' })
  world.link('a', 'b', { cut: false })
  await world.clock.advance(20_000)
  t.equal(driver.relayFor(id('b')), null)
  await world.clock.advance(120_000)
  t.equal(driver.relayFor(id('b')), null)
  const routes = events.flatMap((event) => (event.type === 'RouteChanged' ? [event] : []))
  t.match(routes, [
    { target: 'b', relay: 'c', expectedImprovement: 1 },
    { target: 'b', relay: null }
  ])
  t.equal(routes.length, 2)
})

t.test('a severely slower link is gone round after confirmation', async (t) => {
  const world = new HealthWorld(t, { config: { windowLengthMax: 10 } })
  const { driver } = world.add('a')
  world.add('b')
  world.add('c')
  await world.clock.advance(60_000)
  world.link('a', 'b', { delayMs: 200 })
  await world.clock.advance(240_000)
  t.match(driver.routes(), [{ target: 'b', relay: 'c', why: 'degraded', directMs: 400, viaMs: 20 }])
  world.link('a', 'b', { delayMs: 5 })
  await world.clock.advance(120_000)
  t.same(driver.routes(), [])
})

t.test('a peer whose loop stands still is degraded, and named so', async (t) => {
  const world = new HealthWorld(t)
  const { driver } = world.add('a')
  const b = world.add('b')
  await world.clock.advance(20_000)
  b.loopDelayMs = 900
  await world.clock.advance(20_000)
  t.match(driver.verdictOn(id('b')), { status: 'degraded', diagnosis: 'remoteLoopStalled' })
  t.match(peerOf(world, 'a', 'b').report, { status: 'degraded', loopDelayMs: 900 })
  t.match(driver.checks(), [{ ok: false }])
  b.loopDelayMs = 0
  await world.clock.advance(20_000)
  t.same(verdicts(world, 'a'), ['b healthy', 'b degraded', 'b healthy'])
  t.equal(driver.explainVerdicts(id('b')).length, 3)
})

t.test('a node whose own loop stands still, or that is cut off, accuses nobody', async (t) => {
  const world = new HealthWorld(t)
  const a = world.add('a')
  for (const name of ['b', 'c', 'd']) world.add(name)
  await world.clock.advance(20_000)
  const before = verdicts(world, 'a')
  a.loopDelayMs = 2_000
  world.link('a', 'b', { cut: true })
  await world.clock.advance(30_000)
  t.same(verdicts(world, 'a'), before)
  t.equal(peerOf(world, 'a', 'b').diagnosis?.diagnosis, 'localLoopStalled')
  a.loopDelayMs = 0
  world.network.isolate(id('a'))
  await world.clock.advance(60_000)
  t.same(verdicts(world, 'a'), before)
  t.equal(peerOf(world, 'a', 'c').diagnosis?.diagnosis, 'selfIsolated')
  t.ok(verdicts(world, 'c')?.includes('a unreachable'), 'the others see it')
})

t.test('who left is forgotten', async (t) => {
  const world = new HealthWorld(t)
  const { driver } = world.add('a')
  world.add('b')
  world.add('c')
  await world.clock.advance(20_000)
  world.members = world.members.filter(({ nodeId }) => nodeId !== 'c')
  await world.nodes.get('c')?.driver.stop()
  world.network.leave(id('c'))
  await world.clock.advance(120_000)
  t.same(
    driver.peers().map(({ nodeId }) => nodeId),
    ['b']
  )
  t.equal(driver.verdictOn(id('c')), null)
  t.same(
    driver.latencyMatrix().map(({ origin }) => origin),
    ['a', 'b']
  )
})

t.test('bandwidth from counters', async (t) => {
  const world = new HealthWorld(t)
  const a = world.add('a')
  world.add('b')
  a.traffic = { bytesSent: 0, bytesReceived: 0 }
  await world.clock.advance(5_000)
  a.traffic = { bytesSent: 12_500_000, bytesReceived: 1_250_000 }
  await world.clock.advance(10_000)
  t.same(peerOf(world, 'a', 'b').throughput, { sentMbps: 10, receivedMbps: 1, peakMbps: 10 })
  t.equal(a.driver.metrics().bandwidth_mbps, 11)
})

t.test('capacity on demand: within the cap, one at a time, served within a cap', async (t) => {
  const chunk = 32 * 1024
  const world = new HealthWorld(t, {
    config: { capacityProbeBytesMax: 64 * chunk, capacityServedBytesMax: 70 * chunk }
  })
  const { driver } = world.add('a')
  world.add('b')
  const probing = driver.probeCapacity(id('b'))
  await t.rejects(driver.probeCapacity(id('b')), { code: 'ERR_SKEIN_BACKPRESSURE' })
  const capacity = await world.clock.settle(probing)
  t.match(capacity, { bytesSent: 64 * chunk, bytesAnswered: 64 * chunk, reachedCap: true })
  // Eight chunks per round trip of 10 ms.
  const expected = (8 * chunk * 8) / 1_000 / 10
  t.ok(Math.abs((capacity.mbps ?? 0) - expected) < expected * 0.01, `${capacity.mbps}`)
  t.same(peerOf(world, 'a', 'b').capacity, capacity)
  const refused = driver.probeCapacity(id('b'))
  refused.catch(() => {})
  await world.clock.advance(1_000)
  await t.rejects(refused, { code: 'ERR_SKEIN_BACKPRESSURE' })
  await world.clock.advance(10_000)
  t.match(await world.clock.settle(driver.probeCapacity(id('b'))), { reachedCap: true })
})

t.test('a worker that fails is counted, and measuring goes on', async (t) => {
  const failing: Workers = {
    open: () => ({
      run: () => Promise.reject(new Error('no worker')),
      close: () => Promise.resolve()
    }),
    close: () => Promise.resolve()
  }
  const world = new HealthWorld(t)
  const { driver } = world.add('a', { workers: failing })
  world.add('b')
  await world.clock.advance(30_000)
  t.equal(peerOf(world, 'a', 'b').latency?.averageMs, 10)
  t.equal(peerOf(world, 'a', 'b').distribution, null)
  t.ok(driver.metrics().worker_failures > 0)
  t.same(verdicts(world, 'a'), ['b healthy'])
})

t.test('thirty nodes: each measures its neighbours alone, and all hear of all', async (t) => {
  const world = new HealthWorld(t)
  for (let i = 0; i < 30; i++) world.add(`n${i}`, { datagrams: false })
  await world.clock.advance(40_000)
  const driver = world.nodes.get('n7')?.driver
  const own = driver?.latencyMatrix().find(({ origin }) => origin === 'n7')
  t.equal(own?.cells.length, 8)
  const rows = driver?.latencyMatrix().length ?? 0
  t.ok(rows >= 25, `${rows} rows`)
  t.same(driver?.routes(), [], 'what is not measured is not out')
})

t.test('stopped is stopped, and the same seed does the same again', async (t) => {
  const run = async () => {
    const world = new HealthWorld(t, { seed: 9 })
    for (const name of ['a', 'b', 'c']) world.add(name)
    world.setLoss('a', 'c', 0.1)
    await world.clock.advance(40_000)
    world.link('a', 'b', { cut: true })
    await world.clock.advance(100_000)
    for (const { driver } of world.nodes.values()) await driver.stop()
    const told = [...world.nodes.values()].map(({ driver, events }) => ({
      events,
      metrics: driver.metrics(),
      peers: driver.peers()
    }))
    await world.clock.advance(3_000)
    t.equal(world.clock.pending, 0)
    return told
  }
  t.same(await run(), await run())
})
