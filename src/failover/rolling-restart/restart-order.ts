/**
 * In which order nodes go. One failure domain after the other, so that two of them are never
 * touched at once; within a domain whoever leads least goes first, so that leaderships move once,
 * to nodes that have been restarted; whoever carries the plan out goes last.
 */

import { compareText, type NodeId } from '../../core/ids.js'
import type { RestartPlan } from '../../core/rolling-restart.js'
import { type ClusterSight, ledBy, nodeIn } from './cluster-view.js'

export interface OrderInputs {
  readonly self: NodeId
  /** It and its domain go first; null: nobody in particular. */
  readonly first: NodeId | null
}

export function restartOrder(
  nodes: readonly NodeId[],
  sight: ClusterSight,
  { self, first }: OrderInputs
): NodeId[] {
  const leads = (node: NodeId) => ledBy(nodeIn(sight, node)).length
  const domain = (node: NodeId) => nodeIn(sight, node)?.domain ?? ''
  const ledIn = new Map<string, number>()
  for (const node of nodes) ledIn.set(domain(node), (ledIn.get(domain(node)) ?? 0) + leads(node))
  const before = (isFirst: (node: NodeId) => boolean) => (a: NodeId, b: NodeId) =>
    Number(isFirst(b)) - Number(isFirst(a))
  const isFirstDomain = (node: NodeId) => first !== null && domain(node) === domain(first)
  const isOwnDomain = (node: NodeId) => domain(node) === domain(self)
  const rules: readonly ((a: NodeId, b: NodeId) => number)[] = [
    before(isFirstDomain),
    before((node) => !isOwnDomain(node)),
    (a, b) => (ledIn.get(domain(a)) as number) - (ledIn.get(domain(b)) as number),
    (a, b) => compareText(domain(a), domain(b)),
    before((node) => node === first),
    before((node) => node !== self),
    (a, b) => leads(a) - leads(b),
    compareText
  ]
  return [...nodes].sort((a, b) => {
    for (const rule of rules) {
      const order = rule(a, b)
      if (order !== 0) return order
    }
    return 0
  })
}

/**
 * Who is next, as things are now: leaderships have moved since the plan was made. Null: nobody is
 * left.
 */
export function nextNode(plan: RestartPlan, sight: ClusterSight, self: NodeId): NodeId | null {
  const left = plan.steps.filter(({ phase }) => phase === 'pending').map(({ node }) => node)
  const latest = plan.steps
    .filter(({ phase }) => phase === 'done')
    .reduce<(typeof plan.steps)[number] | null>(
      (a, b) => (a === null || b.since >= a.since ? b : a),
      null
    )
  if (latest === null) {
    const { canary } = plan.options
    const first = canary !== null && left.includes(canary) ? canary : null
    return restartOrder(left, sight, { self, first })[0] ?? null
  }
  // The domain that was begun is finished before another one is.
  return restartOrder(left, sight, { self, first: latest.node })[0] ?? null
}
