/** What subscribers hear of a rolling restart, from the changes as they are applied. */
import type { RestartEvent } from '../../core/events.js'
import type { RestartPlans } from './plan.js'
import type { PlanChange } from './plan-changes.js'

export type { RestartEvent }

/** Of an accepted change, and the state behind it. */
export function restartEventOf(state: RestartPlans, change: PlanChange): RestartEvent | null {
  const plan = state.plans.find(({ id }) => id === change.plan)
  if (plan === undefined) return null
  const { id, status, reason, owner, revision } = plan
  if (change.kind === 'advance') {
    const { node, to, why } = change
    return { type: 'RollingRestartStep', plan: id, revision, nodeId: node, phase: to, reason: why }
  }
  if (change.kind === 'claim') {
    return { type: 'RollingRestartOwned', plan: id, revision, owner: change.owner }
  }
  return { type: 'RollingRestartChanged', plan: id, revision, status, reason, owner }
}
