import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  exposedGroupsMax,
  exposition,
  undescribedMetricsMax
} from '../../../src/admin/exposition.js'
import { exposedAs, metricCatalogue, metricTable } from '../../../src/admin/metrics/catalogue.js'
import { FakeManager, member } from './fake-manager.js'

t.test('names follow the conventions: base units, _total on what only rises', async (t) => {
  const name = (category: string, metric: string) => {
    const { name, kind, factor } = exposedAs(category, metric)
    return [name, kind, factor]
  }
  t.same(name('topology', 'ping_count'), ['skein_topology_ping_total', 'counter', 1])
  t.same(name('communication', 'bytes_sent'), [
    'skein_communication_sent_bytes_total',
    'counter',
    1
  ])
  t.same(name('communication', 'stream_bytes_received'), [
    'skein_communication_stream_received_bytes_total',
    'counter',
    1
  ])
  t.same(name('communication', 'active_connections'), [
    'skein_communication_active_connections',
    'gauge',
    1
  ])
  t.same(name('health', 'average_latency_ms'), [
    'skein_health_average_latency_seconds',
    'gauge',
    0.001
  ])
  t.same(name('health', 'packet_loss_rate'), ['skein_health_packet_loss_ratio', 'gauge', 1])
  t.same(name('health', 'bandwidth_mbps'), [
    'skein_health_bandwidth_bytes_per_second',
    'gauge',
    125_000
  ])
  t.same(name('security', 'certificate_days_left'), [
    'skein_security_certificate_left_seconds',
    'gauge',
    86_400
  ])
  t.same(name('mine', 'own_thing'), ['skein_mine_own_thing', 'gauge', 1])
})

t.test(
  'no two metrics are exposed under one name, and the page of metrics lists all',
  async (t) => {
    const names = Object.entries(metricCatalogue).flatMap(([category, family]) =>
      Object.keys(family).map((metric) => exposedAs(category, metric).name)
    )
    t.equal(new Set(names).size, names.length)
    const page = readFileSync('docs/metrics.md', 'utf8')
    for (const category of Object.keys(metricCatalogue)) {
      t.ok(page.includes(metricTable(category)), `docs/metrics.md has the table of ${category}`)
    }
  }
)

t.test('the page has HELP, TYPE and value of every metric, and of the node itself', async (t) => {
  const manager = new FakeManager()
  manager.members = [member('a'), member('b', { liveness: 'dead' }), member('c')]
  manager.metrics = {
    topology: { ping_count: 12, suspect_count: Number.NaN },
    health: { average_latency_ms: 250 }
  }
  const page = await exposition(manager, manager.metrics)
  t.match(page, /# HELP skein_topology_ping_total .+\n# TYPE skein_topology_ping_/)
  t.match(page, / counter\nskein_topology_ping_total 12\n/)
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
    pages.map((page) => /topology_ping_total (\d)\n/.exec(page)?.[1]),
    ['1', '2', '1']
  )
})

t.test('X-46 whatever others choose, the page has the same lines', async (t) => {
  const linesOf = (page: string) => page.split('\n').filter((line) => !/^(#|$)/.test(line))
  const seriesOf = (page: string) => linesOf(page).map((line) => line.replace(/ \S+$/, ''))
  const manager = new FakeManager()
  const known = { topology: { ping_count: 1 } }
  const before = seriesOf(await exposition(manager, known))
  manager.members = Array.from({ length: 100_000 }, (_, i) => member(`n-${i}`))
  const many = await exposition(manager, known)
  t.same(seriesOf(many), before, 'members')
  t.match(many, /skein_members\{liveness="alive"\} 100000\n/)
  const labels = [...many.matchAll(/(\w+)="/g)].map(([, name]) => name)
  t.same([...new Set(labels)].sort(), ['cluster', 'group', 'liveness', 'node', 'version'])

  const [group] = manager.getClusterView().groups
  const groups = Array.from({ length: 10_000 }, (_, i) => ({ ...group, group: i }))
  const wide: unknown = { ...manager.getClusterView(), groups }
  const view = wide as ReturnType<FakeManager['getClusterView']>
  manager.getClusterView = () => view
  const grouped = await exposition(manager, known)
  t.equal(linesOf(grouped).filter((line) => line.includes('group="')).length, 4 * exposedGroupsMax)
  const own = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`m${i}`, i]))
  const wild = { 'a b': 1, 'x{y="1"} 2\n': 1, ['z'.repeat(1_000)]: 1, constructor: 1 }
  const page = await exposition(manager, { ...known, mine: own, wild, constructor: { name: 1 } })
  t.equal(linesOf(page).length - linesOf(grouped).length, undescribedMetricsMax)
  for (const line of linesOf(page)) t.match(line, /^skein_\w+(\{[^{}]*\})? \S+$/)
  t.match(page, /\nskein_topology_ping_total 1\n/, 'the house’s own are there')
})
