import t from 'tap'
import { runThreeNodes } from '../../examples/embed.js'
import type { NodeId } from '../../src/core/index.js'
import { must } from '../../src/core/index.js'

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
})
