/**
 * The exposition format of Prometheus, from the same snapshot that `getAllMetrics()` answers. Names
 * follow its conventions: prefix `skein_`, base units, `_total` on counters.
 */
import { Counter, Gauge, Registry } from 'prom-client'
import { type ClusterManager, groupName, type MetricsSnapshot } from '../core/index.js'
import { exposedAs } from './metrics/catalogue.js'

/** Groups that have lines of their own; the first ones, by number. */
export const exposedGroupsMax = 64
/** Metrics that the catalogue does not know: an embedder's. */
export const undescribedMetricsMax = 256

/** A name that Prometheus cannot read would cost the whole page. */
const isName = (name: string): boolean => /^[a-zA-Z_:][a-zA-Z0-9_:]{0,127}$/.test(name)

/**
 * The whole page. Its size does not depend on anything that others choose: no label carries the
 * name of a peer, a client, a key or a path. Each call has its own registry: several servers in one
 * process share nothing.
 */
export async function exposition(
  manager: ClusterManager,
  metrics: MetricsSnapshot
): Promise<string> {
  const registry = new Registry()
  const registers = [registry]
  exposeNode(manager, registry)
  let undescribed = 0
  for (const [category, values] of Object.entries(metrics)) {
    for (const [name, value] of Object.entries(values)) {
      const { name: exposed, help, kind, factor, isDescribed } = exposedAs(category, name)
      if (!Number.isFinite(value) || registry.getSingleMetric(exposed) !== undefined) continue
      if (!isDescribed && (!isName(exposed) || ++undescribed > undescribedMetricsMax)) continue
      if (kind === 'gauge') new Gauge({ name: exposed, help, registers }).set(value * factor)
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
  for (const status of view.groups.slice(0, exposedGroupsMax)) {
    const group = groupName(status.group)
    isLeader.set({ group }, status.role === 'leader' ? 1 : 0)
    term.set({ group }, status.term)
    committed.set({ group }, status.commitIndex)
    applied.set({ group }, status.appliedIndex)
  }
}
