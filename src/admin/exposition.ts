/**
 * The exposition format of Prometheus, from the same snapshot that `getAllMetrics()` answers. Names
 * follow its conventions: prefix `skein_`, base units, `_total` on counters.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import type { ClusterManager, MetricsSnapshot } from '../core/index.js'

/** A name with one of these words stands for a state now; everything else only rises. */
const gaugeWords = [
  'in_flight',
  'waiting',
  'active',
  'average',
  'rate',
  'current',
  'size',
  'depth',
  'length',
  'lag',
  'term',
  'index',
  'uptime',
  'memory',
  'members',
  'groups',
  'connected',
  'queued',
  'pending',
  'subscribers',
  'offset',
  'mbps',
  'is',
  'ratio',
  'p50',
  'p99',
  'max',
  'now',
  'left'
]
const gaugeName = new RegExp(`(^|_)(${gaugeWords.join('|')})(_|$)`)

interface Exposed {
  readonly name: string
  readonly help: string
  readonly isGauge: boolean
  readonly factor: number
}

/** How one metric of the snapshot is exposed. */
export function exposedAs(category: string, name: string): Exposed {
  const isGauge = gaugeName.test(name)
  const unit = unitOf(name)
  const words = unit.base.replaceAll('_', ' ')
  const full = `skein_${snake(category)}_${unit.base}${unit.suffix}`
  const of = `(${category.replaceAll('_', ' ')}${unit.told})`
  return isGauge
    ? { name: full, help: `Now: ${words} ${of}.`, isGauge, factor: unit.factor }
    : {
        name: full.endsWith('_total') ? full : `${full}_total`,
        help: `Since the start of this node: ${words} ${of}.`,
        isGauge,
        factor: unit.factor
      }
}

function unitOf(name: string) {
  const plain = snake(name)
  if (plain.endsWith('_ms')) {
    return { base: plain.slice(0, -3), suffix: '_seconds', factor: 0.001, told: ', seconds' }
  }
  if (plain.startsWith('bytes_')) {
    return { base: plain.slice(6), suffix: '_bytes', factor: 1, told: ', bytes' }
  }
  if (plain.endsWith('_mbps')) {
    const base = plain.slice(0, -5)
    return { base, suffix: '_bits_per_second', factor: 1e6, told: ', bits per second' }
  }
  return { base: plain, suffix: '', factor: 1, told: '' }
}

const snake = (text: string): string =>
  text
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replace(/[^A-Za-z0-9_]/g, '_')
    .toLowerCase()

/** The whole page. Each call has its own registry: several servers in one process share nothing. */
export async function exposition(
  manager: ClusterManager,
  metrics: MetricsSnapshot
): Promise<string> {
  const registry = new Registry()
  const registers = [registry]
  exposeNode(manager, registry)
  for (const [category, values] of Object.entries(metrics)) {
    for (const [name, value] of Object.entries(values)) {
      const { name: exposed, help, isGauge, factor } = exposedAs(category, name)
      if (!Number.isFinite(value) || registry.getSingleMetric(exposed) !== undefined) continue
      if (isGauge) new Gauge({ name: exposed, help, registers }).set(value * factor)
      else new Counter({ name: exposed, help, registers }).inc(Math.max(0, value * factor))
    }
  }
  return registry.metrics()
}

export const expositionType = Registry.PROMETHEUS_CONTENT_TYPE

function exposeNode(manager: ClusterManager, registry: Registry): void {
  const view = manager.getClusterView()
  const { healthy, ready } = manager.healthCheck()
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new Gauge({ name: `skein_${name}`, help, labelNames, registers: [registry] })
  const { nodeId: node, version, clusterName: cluster } = view
  gauge('node_info', 'Always 1; the labels say who this is.', ['node', 'version', 'cluster']).set(
    { node, version, cluster },
    1
  )
  gauge('node_healthy', '1 when every health check is ok.').set(healthy ? 1 : 0)
  gauge('node_ready', '1 when the node takes work.').set(ready ? 1 : 0)
  const members = gauge('members', 'Members that this node knows, by liveness.', ['liveness'])
  for (const liveness of ['alive', 'suspect', 'dead']) members.set({ liveness }, 0)
  for (const { liveness } of view.members) members.inc({ liveness })
  const isLeader = gauge('group_is_leader', '1 when this node leads the group.', ['group'])
  const term = gauge('group_term', 'Term of the group.', ['group'])
  const committed = gauge('group_commit_index', 'Last committed index.', ['group'])
  const applied = gauge('group_applied_index', 'Last applied index.', ['group'])
  for (const status of view.groups) {
    const group = String(status.group)
    isLeader.set({ group }, status.role === 'leader' ? 1 : 0)
    term.set({ group }, status.term)
    committed.set({ group }, status.commitIndex)
    applied.set({ group }, status.appliedIndex)
  }
}
