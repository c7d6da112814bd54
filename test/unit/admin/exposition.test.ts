import t from 'tap'
import { exposedAs, exposition } from '../../../src/admin/exposition.js'
import { FakeManager, member } from './fake-manager.js'

t.test('names follow the conventions: base units, _total on what only rises', async (t) => {
  const name = (category: string, metric: string) => {
    const { name, isGauge, factor } = exposedAs(category, metric)
    return [name, isGauge ? 'gauge' : 'counter', factor]
  }
  t.same(name('topology', 'ping_count'), ['skein_topology_ping_count_total', 'counter', 1])
  t.same(name('communication', 'bytes_sent'), [
    'skein_communication_sent_bytes_total',
    'counter',
    1
  ])
  t.same(name('communication', 'active_connections'), [
    'skein_communication_active_connections',
    'gauge',
    1
  ])
  t.same(name('load_balancer', 'queries_in_flight'), [
    'skein_load_balancer_queries_in_flight',
    'gauge',
    1
  ])
  t.same(name('health', 'average_latency_ms'), [
    'skein_health_average_latency_seconds',
    'gauge',
    0.001
  ])
  t.same(name('loadBalancer', 'queriesRouted'), [
    'skein_load_balancer_queries_routed_total',
    'counter',
    1
  ])
})

t.test('the page has HELP, TYPE and value of every metric, and of the node itself', async (t) => {
  const manager = new FakeManager()
  manager.members = [member('a'), member('b', { liveness: 'dead' }), member('c')]
  manager.metrics = {
    topology: { ping_count: 12, suspect_count: Number.NaN },
    health: { average_latency_ms: 250 }
  }
  const page = await exposition(manager, manager.metrics)
  t.match(page, /# HELP skein_topology_ping_count_total .+\n# TYPE skein_topology_ping_count_/)
  t.match(page, / counter\nskein_topology_ping_count_total 12\n/)
  t.match(page, /skein_health_average_latency_seconds 0\.25\n/)
  t.match(page, /skein_members\{liveness="alive"\} 2\n/)
  t.match(page, /skein_members\{liveness="suspect"\} 0\n/)
  t.match(page, /skein_node_info\{node="a",version="0\.0\.0",cluster="test"\} 1\n/)
  t.match(page, /skein_group_is_leader\{group="0"\} 1\n/)
  t.match(page, /skein_group_applied_index\{group="0"\} 40\n/)
  t.notMatch(page, /suspect_count|NaN/)
  const samples = page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  for (const sample of samples) {
    const name = /^(\w+)/.exec(sample)?.[1] ?? ''
    t.match(page, new RegExp(`# HELP ${name} .+\n# TYPE ${name} (counter|gauge)\n`), name)
  }
})

t.test('several pages at once share nothing', async (t) => {
  const one = new FakeManager()
  const other = new FakeManager()
  one.metrics = { topology: { ping_count: 1 } }
  other.metrics = { topology: { ping_count: 2 } }
  const pages = await Promise.all(
    [one, other, one].map((manager) => exposition(manager, manager.metrics))
  )
  t.same(
    pages.map((page) => /ping_count_total (\d)\n/.exec(page)?.[1]),
    ['1', '2', '1']
  )
})
