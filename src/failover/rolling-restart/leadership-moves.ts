/** To whom leaderships go when a node drains. */

import { compareText, type GroupId, type NodeId } from '../../core/ids.js'
import { Lifecycles } from '../../core/member.js'
import type { LeadershipMove } from '../../core/rolling-restart.js'
import { type ClusterSight, ledBy, nodeIn } from './cluster-view.js'

/** Whom to prefer: a rank, the lower the better. */
export type Preference = (node: NodeId) => number

/** Where everything that `node` leads could go; groups that nobody can take are left out. */
export function movesFrom(
  node: NodeId,
  sight: ClusterSight,
  preference: Preference
): readonly LeadershipMove[] {
  const load = new Map(sight.nodes.map((one) => [one.node, ledBy(one).length]))
  const moves: LeadershipMove[] = []
  for (const group of ledBy(nodeIn(sight, node))) {
    const target = moveTarget(group, sight, { from: node, preference, load })
    if (target === null) continue
    load.set(target, (load.get(target) ?? 0) + 1)
    moves.push({ group, target })
  }
  return moves
}

export interface TargetInputs {
  readonly from: NodeId
  readonly preference: Preference
  /** Groups that each node leads. */
  readonly load?: ReadonlyMap<NodeId, number>
}

/** A healthy voter that keeps up; of the preferred ones whoever leads least. */
export function moveTarget(
  id: GroupId,
  sight: ClusterSight,
  { from, preference, load }: TargetInputs
): NodeId | null {
  const group = sight.groups.find((one) => one.group === id)
  if (group === undefined) return null
  const loadOf = (node: NodeId) => load?.get(node) ?? ledBy(nodeIn(sight, node)).length
  const able = group.voters.filter((node) => node !== from && moveFault(id, node, sight) === null)
  const [best] = [...new Set(able)].sort(
    (a, b) => preference(a) - preference(b) || loadOf(a) - loadOf(b) || compareText(a, b)
  )
  return best ?? null
}

/** Null: it can take the group over now. */
export function moveFault(id: GroupId, target: NodeId, sight: ClusterSight): string | null {
  const group = sight.groups.find((one) => one.group === id)
  if (group === undefined) return `there is no group ${id}`
  if (!group.voters.includes(target)) return `${target} is no voter of group ${id}`
  const view = nodeIn(sight, target)
  if (view === null || !view.alive || view.status === null) return `${target} does not answer`
  if (group.behind.includes(target)) return `${target} is behind in group ${id}`
  const isUp = view.lifecycle === Lifecycles.Up || view.lifecycle === Lifecycles.WeaklyUp
  if (!isUp) return `${target} is ${view.lifecycle}`
  const isIll = view.verdict === 'degraded' || view.verdict === 'unreachable'
  return isIll ? `${target} is ${view.verdict}` : null
}
