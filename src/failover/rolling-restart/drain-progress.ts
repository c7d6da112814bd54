/** How far the drain of a node is, by what it and the others say. */
import { unreachable } from '../../core/assert.js'
import type { NodeId } from '../../core/ids.js'
import type { DrainPhase, StepReport } from '../../core/rolling-restart.js'
import { type ClusterSight, ledBy, nodeIn } from './cluster-view.js'

/** What is still to happen in a phase; empty: it is over. */
export function drainFaults(
  phase: DrainPhase,
  node: NodeId,
  sight: ClusterSight
): readonly string[] {
  const view = nodeIn(sight, node)
  const status = view?.status ?? null
  if (status === null) return [`${node} does not answer`]
  switch (phase) {
    case 'routing':
      return sight.nodes
        .filter((one) => one.status !== null && !one.status.draining.includes(node))
        .map((one) => `${one.node} does not know that ${node} drains`)
    case 'leaders':
      return ledBy(view).map((group) => `${node} leads group ${group}`)
    case 'sessions':
      return status.sessions === 0 ? [] : [`${status.sessions} sessions are on ${node}`]
    case 'inFlight':
      return status.inFlight === 0 ? [] : [`${status.inFlight} queries are under way on ${node}`]
    default:
      return unreachable(phase)
  }
}

/** The report with what the phase came to, as it ends. */
export function reportAfter(
  phase: DrainPhase,
  report: StepReport,
  node: NodeId,
  sight: ClusterSight
): StepReport {
  const view = nodeIn(sight, node)
  if (view?.status == null) return report
  const { sessionsMoved, sessionsRefused, inFlight } = view.status
  switch (phase) {
    case 'routing':
      // What it leads when the next phase begins is what that one moves.
      return { ...report, leadersMoved: ledBy(view).length }
    case 'leaders':
      return { ...report, leadersMoved: Math.max(0, report.leadersMoved - ledBy(view).length) }
    case 'sessions':
      return { ...report, sessionsMoved, sessionsRefused }
    case 'inFlight':
      return { ...report, inFlightLeft: inFlight }
    default:
      return unreachable(phase)
  }
}
