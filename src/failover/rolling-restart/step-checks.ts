/** What must hold before a node goes, and before it counts as back: one sentence per fault. */

import type { NodeId } from '../../core/ids.js'
import { Lifecycles } from '../../core/member.js'
import type { RestartOptions } from '../../core/rolling-restart.js'
import { type ClusterSight, type NodeView, nodeIn, type ServiceLevel } from './cluster-view.js'
import { groupsAtRisk } from './quorum.js'

/** Empty: the cluster can do without `node` now. */
export function stepFaults(node: NodeId, sight: ClusterSight): readonly string[] {
  const own = nodeIn(sight, node)
  const faults = own === null ? [`${node} is no member`] : presenceFaults(own)
  return [...faults, ...absenceFaults(node, sight)]
}

/** Empty: everybody else is there, and every group has a majority without `node`. */
export function absenceFaults(node: NodeId, sight: ClusterSight): readonly string[] {
  const others = sight.nodes.filter((one) => one.node !== node && one.lifecycle !== Lifecycles.Left)
  const missing = others.filter((one) => nodeFaults(one).length > 0).map((one) => one.node)
  const atRisk = groupsAtRisk(sight.groups, new Set([node, ...missing]))
  return [
    ...others.flatMap(nodeFaults),
    ...sight.groups
      .filter(({ leader }) => leader === null)
      .map(({ group }) => `group ${group} has no leader`),
    ...sight.groups.flatMap(({ group, behind }) =>
      behind
        .filter((voter) => voter !== node && !missing.includes(voter))
        .map((voter) => `${voter} is behind in group ${group}`)
    ),
    ...atRisk.map((group) => `group ${group} would have no majority without ${node}`)
  ]
}

/** Empty: it is healthy, and caught up in every group of which it is a voter. */
export function returnFaults(node: NodeId, sight: ClusterSight): readonly string[] {
  const own = nodeIn(sight, node)
  if (own === null) return [`${node} is no member`]
  return [
    ...nodeFaults(own),
    ...sight.groups
      .filter(({ behind }) => behind.includes(node))
      .map(({ group }) => `${node} is behind in group ${group}`)
  ]
}

function nodeFaults(view: NodeView): readonly string[] {
  const { node, status, verdict } = view
  const faults = [...presenceFaults(view)]
  if (status !== null && !status.ready) faults.push(`${node} is not ready`)
  if (verdict === 'degraded' || verdict === 'unreachable') faults.push(`${node} is ${verdict}`)
  return faults
}

function presenceFaults({ node, alive, lifecycle, status }: NodeView): readonly string[] {
  if (!alive) return [`${node} is not alive`]
  if (status === null) return [`${node} does not answer`]
  const serves = lifecycle === Lifecycles.Up || lifecycle === Lifecycles.WeaklyUp
  return serves ? [] : [`${node} is ${lifecycle}`]
}

/** Null: queries fare well enough, or nobody looks. */
export function serviceFault(
  { errorRate, p99Ms }: ServiceLevel,
  { errorRateMax, p99MsMax }: Pick<RestartOptions, 'errorRateMax' | 'p99MsMax'>
): string | null {
  if (errorRateMax !== null && errorRate !== null && errorRate > errorRateMax) {
    return `${percent(errorRate)} of the queries fail, ${percent(errorRateMax)} are allowed`
  }
  if (p99MsMax !== null && p99Ms !== null && p99Ms > p99MsMax) {
    return `the slowest hundredth takes ${Math.round(p99Ms)} ms, ${p99MsMax} ms are allowed`
  }
  return null
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`
