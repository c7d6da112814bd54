import t from 'tap'
import { runThreeNodes } from '../../examples/embed.js'
import type { NodeId } from '../../src/core/index.js'
import { must } from '../../src/core/index.js'

const nextRound = () => new Promise((resolve) => setImmediate(resolve))

t.test('three nodes measure one another, in worker threads', async (t) => {
  const managers = await runThreeNodes(t.testdir())
  t.teardown(async () => {
    for (const manager of managers) await manager.stop({ drain: false })
  })
  const manager = must(managers[0], 'first')
  const events = manager.subscribeToEvents()
  t.teardown(() => events.close())
  const healthy = new Set<NodeId>()
  for await (const event of events) {
    if (event.type !== 'HealthVerdictChanged') continue
    t.equal(event.verdict.status, 'healthy', `${event.verdict.nodeId}: ${event.verdict.reason}`)
    healthy.add(event.verdict.nodeId)
    if (healthy.size === 2) break
  }
  t.match(
    manager.healthCheck().checks.find(({ name }) => name === 'network'),
    { ok: true }
  )
  const health = must(manager.getAllMetrics().health, 'category health')
  t.ok(must(health.average_latency_ms, 'latency') > 0)
  t.ok(must(health.pings, 'pings') >= 4)
  t.ok(must(health.samples, 'samples') >= 2, 'the worker took samples')
  t.match(health, {
    failed_health_checks: 0,
    packet_loss_rate: 0,
    route_optimizations: 0,
    worker_failures: 0,
    samples_lost: 0
  })
  t.ok('health_checks' in health && 'bandwidth_mbps' in health)

  while ((manager.getAllMetrics().health?.loss_trains ?? 0) === 0) await nextRound()
  for (const peer of manager.health.peers()) {
    t.ok((peer.latency?.count ?? 0) > 0 && (peer.quality.value ?? 0) > 0.5, peer.nodeId)
    t.equal(manager.health.verdictOn(peer.nodeId)?.status, 'healthy')
    t.ok(manager.health.explainVerdicts(peer.nodeId).length >= 1)
  }
  const [sent] = manager.health.peers().flatMap(({ loss }) => (loss.sent > 0 ? [loss.sent] : []))
  t.ok((sent ?? 0) > 0, 'trains of datagrams were sent and counted')
  t.same(manager.health.routes(), [])
  t.ok(manager.health.latencyMatrix().length >= 1)
  const other = must(managers[1], 'second').nodeId
  const reached = await manager.health.reachability()
  t.same(
    reached.map(({ finding }) => finding),
    ['reachable', 'reachable']
  )
  t.ok(reached.every(({ roundTripMs }) => (roundTripMs ?? 0) > 0))
  const capacity = await manager.health.probeCapacity(other, { bytesMax: 4 * 1024 * 1024 })
  t.ok(capacity.bytesAnswered >= 32 * 1024 && (capacity.mbps ?? 0) > 0)
})
