/**
 * A rolling restart as it is replicated: its bounds, and what its values say. How it changes is in
 * `plan-changes.ts`.
 */
import {
  type DrainPhase,
  drainPhases,
  type RestartPlan,
  type RestartStep,
  type StepPhase,
  type StepReport
} from '../../core/rolling-restart.js'

/** Nodes of one plan. */
export const restartNodesMax = 256
/** Plans that are remembered, the one under way included. */
export const plansKeptMax = 4
/** Records of one plan's history. */
export const planHistoryMax = 128
/** Characters of a reason, in plans and in their history. */
export const planReasonLengthMax = 255

export interface RestartPlans {
  /** Oldest first; at most one is active. */
  readonly plans: readonly RestartPlan[]
}

export const noPlans: RestartPlans = { plans: [] }

export const emptyReport: StepReport = {
  leadersMoved: 0,
  sessionsMoved: 0,
  sessionsRefused: 0,
  inFlightLeft: 0
}

export const isDrainPhase = (phase: StepPhase): phase is DrainPhase =>
  (drainPhases as readonly StepPhase[]).includes(phase)

/** The node is not to be counted on. */
export const isOut = ({ phase }: RestartStep): boolean => phase !== 'pending' && phase !== 'done'

/** Something is or may still be done about it, so no other one may begin. */
export const isActive = ({ status }: RestartPlan): boolean =>
  status === 'running' || status === 'paused' || status === 'halted'

/** The step of the node that is out. */
export const stepOut = ({ steps }: RestartPlan): RestartStep | null => steps.find(isOut) ?? null

/** The plan that an executor has to look at: the active one, or an aborted one with a node out. */
export const planAtWork = ({ plans }: RestartPlans): RestartPlan | null =>
  plans.find(isActive) ??
  plans.find((plan) => plan.status === 'aborted' && stepOut(plan) !== null) ??
  null

/** Whole characters of it, as many as are kept. */
export const cutReason = (text: string): string =>
  text.length <= planReasonLengthMax ? text : [...text].slice(0, planReasonLengthMax).join('')
