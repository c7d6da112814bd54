/**
 * What a rolling restart would do, by the code that does it: the order, what stands in its way now,
 * and what would move. Nothing is proposed.
 */

import type { GroupId, NodeId, Term, WallMs } from '../../core/ids.js'
import type {
  LeadershipMove,
  PreviewedStep,
  RestartOptions,
  RestartPlan,
  RestartPreview,
  RestartStep
} from '../../core/rolling-restart.js'
import { type ClusterSight, ledBy, type NodeView, nodeIn } from './cluster-view.js'
import { movesFrom } from './leadership-moves.js'
import { emptyReport } from './plan.js'
import { nextNode } from './restart-order.js'
import { serviceFault, stepFaults } from './step-checks.js'

export function previewRestart(
  nodes: readonly NodeId[],
  options: RestartOptions,
  sight: ClusterSight,
  coordinator: NodeId
): RestartPreview {
  const steps: PreviewedStep[] = []
  let plan = planned(nodes, options)
  let seen = sight
  for (let i = 0; i < nodes.length; i++) {
    const node = nextNode(plan, seen, coordinator) as NodeId
    const isDone = (one: NodeId) =>
      Number(plan.steps.find((step) => step.node === one)?.phase !== 'done')
    const moves = movesFrom(node, seen, isDone)
    const view = nodeIn(seen, node)
    steps.push({
      node,
      domain: view?.domain ?? '',
      isCanary: i === 0,
      isCoordinator: node === coordinator,
      leads: ledBy(view),
      moves,
      sessions: view?.status?.sessions ?? 0,
      inFlight: view?.status?.inFlight ?? 0,
      canRestart: view?.status?.canRestart ?? false,
      faults: stepFaults(node, seen)
    })
    plan = withDone(plan, node, i)
    seen = afterMoves(seen, node, moves)
  }
  const fault = serviceFault(sight.serviceLevel, options)
  return {
    steps,
    ok: fault === null && steps.every(({ faults }) => faults.length === 0),
    serviceFault: fault
  }
}

/** The nodes in the order in which they would go. */
export const plannedOrder = (
  nodes: readonly NodeId[],
  options: RestartOptions,
  sight: ClusterSight,
  coordinator: NodeId
): readonly NodeId[] =>
  previewRestart(nodes, options, sight, coordinator).steps.map(({ node }) => node)

const planned = (nodes: readonly NodeId[], options: RestartOptions): RestartPlan => ({
  id: 'preview',
  options,
  steps: nodes.map(
    (node): RestartStep => ({
      node,
      phase: 'pending',
      since: 0 as WallMs,
      boot: '',
      report: emptyReport
    })
  ),
  status: 'running',
  reason: '',
  owner: null,
  epoch: 0 as Term,
  revision: 0,
  createdAt: 0 as WallMs,
  updatedAt: 0 as WallMs,
  history: []
})

const withDone = (plan: RestartPlan, node: NodeId, at: number): RestartPlan => ({
  ...plan,
  steps: plan.steps.map((step) =>
    step.node === node ? { ...step, phase: 'done', since: at as WallMs } : step
  )
})

/** As it would look when `from` has given these leaderships away. */
function afterMoves(
  sight: ClusterSight,
  from: NodeId,
  moves: readonly LeadershipMove[]
): ClusterSight {
  const leads = (group: GroupId, node: NodeId) =>
    moves.some((move) => move.group === group && move.target === node)
  const isMoved = (group: GroupId) => moves.some((move) => move.group === group)
  const nodes = sight.nodes.map((view): NodeView => {
    if (view.status === null) return view
    const groups = view.status.groups.map((replica) => {
      if (leads(replica.group, view.node)) return { ...replica, role: 'leader' as const }
      const gives = view.node === from && isMoved(replica.group)
      return gives ? { ...replica, role: 'follower' as const } : replica
    })
    return { ...view, status: { ...view.status, groups } }
  })
  return { ...sight, nodes }
}
