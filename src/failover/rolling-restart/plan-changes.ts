/**
 * How a rolling restart changes: a pure state machine, applied on every replica of the control
 * group alike. Who proposes a change may be late, deposed, or one of two that both believe they
 * carry the plan out; this file alone decides what happens.
 *
 * Invariants:
 * 1. At most one plan is active, and at most one of its nodes is out.
 * 2. A step goes from phase to phase as `successors` says, and begins only while the plan runs.
 * 3. The owner's changes carry its epoch, the control group's term in which it led, and the
 *    revision that it looked at; with another epoch or revision they change nothing. So of two
 *    owners only the later one moves the plan, and neither moves it twice for one reason.
 * 4. An epoch belongs to one owner and never goes back.
 * 5. A refusal is an answer and changes nothing.
 */

import type { Applied, AppliedAt } from '../../control/index.js'
import { unreachable } from '../../core/assert.js'
import type { NodeId, Term, WallMs } from '../../core/ids.js'
import type {
  PlanAction,
  PlanStatus,
  RestartOptions,
  RestartPlan,
  RestartStep,
  StepPhase,
  StepReport
} from '../../core/rolling-restart.js'
import {
  cutReason,
  emptyReport,
  isActive,
  isOut,
  planHistoryMax,
  plansKeptMax,
  type RestartPlans,
  restartNodesMax
} from './plan.js'

export type PlanChange =
  | {
      readonly kind: 'start'
      readonly plan: string
      readonly nodes: readonly NodeId[]
      readonly options: RestartOptions
      readonly by: string
    }
  | { readonly kind: 'claim'; readonly plan: string; readonly owner: NodeId; readonly epoch: Term }
  | {
      readonly kind: 'advance'
      readonly plan: string
      readonly epoch: Term
      readonly revision: number
      readonly node: NodeId
      readonly to: StepPhase
      readonly boot: string
      readonly report: StepReport
      readonly why: string
    }
  | {
      readonly kind: 'halt'
      readonly plan: string
      readonly epoch: Term
      readonly revision: number
      readonly reason: string
    }
  | {
      readonly kind: 'operate'
      readonly plan: string
      readonly action: PlanAction
      readonly by: string
    }

/** Append only: the position is the number in the log. */
export const planRefusals = [
  'unknownPlan',
  /** Another one is active. */
  'otherPlan',
  /** No node, too many, or one twice. */
  'nodes',
  /** Another epoch or revision than the plan's. */
  'fenced',
  /** The plan's status does not allow it. */
  'status',
  /** No such step from the present phase, or another node is out. */
  'step'
] as const
export type PlanRefusal = (typeof planRefusals)[number]

export type PlanAnswer =
  | { readonly kind: 'accepted'; readonly revision: number }
  | { readonly kind: 'refused'; readonly refusal: PlanRefusal; readonly detail: string }

export type PlanOutcome = Applied<RestartPlans, PlanAnswer>

/** From each phase, where a step may go. Back to `pending`: it drained for nothing. */
export const successors: Readonly<Record<StepPhase, readonly StepPhase[]>> = {
  pending: ['routing'],
  routing: ['leaders', 'rejoin', 'pending'],
  leaders: ['sessions', 'rejoin', 'pending'],
  sessions: ['inFlight', 'rejoin', 'pending'],
  inFlight: ['restart', 'rejoin', 'pending'],
  restart: ['rejoin', 'pending'],
  rejoin: ['settle'],
  settle: ['done', 'rejoin'],
  done: []
}

export function applyPlanChange(
  state: RestartPlans,
  change: PlanChange,
  { now }: Pick<AppliedAt, 'now'>
): PlanOutcome {
  if (change.kind === 'start') return start(state, change, now)
  const plan = state.plans.find(({ id }) => id === change.plan)
  if (plan === undefined) return refuse(state, 'unknownPlan', `there is no plan ${change.plan}`)
  switch (change.kind) {
    case 'claim':
      return claim(state, plan, change, now)
    case 'advance':
      return advance(state, plan, change, now)
    case 'halt':
      return halt(state, plan, change, now)
    case 'operate':
      return operate(state, plan, change, now)
    default:
      return unreachable(change)
  }
}

type ChangeOf<Kind extends PlanChange['kind']> = Extract<PlanChange, { kind: Kind }>

function start(state: RestartPlans, change: ChangeOf<'start'>, now: WallMs): PlanOutcome {
  const known = state.plans.find(({ id }) => id === change.plan)
  if (known !== undefined) return accept(state, known.revision)
  const other = state.plans.find(isBusy)
  if (other !== undefined) return refuse(state, 'otherPlan', `plan ${other.id} is ${other.status}`)
  const { nodes, options } = change
  if (nodes.length === 0 || nodes.length > restartNodesMax || new Set(nodes).size < nodes.length) {
    return refuse(state, 'nodes', `1 to ${restartNodesMax} nodes, each once`)
  }
  const begun: RestartPlan = {
    id: change.plan,
    options,
    steps: nodes.map((node) => ({
      node,
      phase: 'pending',
      since: now,
      boot: '',
      report: emptyReport
    })),
    status: 'running',
    reason: `started by ${change.by}`,
    owner: null,
    epoch: 0 as Term,
    revision: 0,
    createdAt: now,
    updatedAt: now,
    history: []
  }
  const plan = changed(begun, now, { what: begun.reason })
  return accept({ plans: [...state.plans, plan].slice(-plansKeptMax) }, plan.revision)
}

/** Active, or aborted with a node that may still be out. */
const isBusy = (plan: RestartPlan): boolean =>
  isActive(plan) || (plan.status === 'aborted' && plan.steps.some(isOut))

function claim(
  state: RestartPlans,
  plan: RestartPlan,
  { owner, epoch }: ChangeOf<'claim'>,
  now: WallMs
): PlanOutcome {
  if (epoch === plan.epoch && owner === plan.owner) return accept(state, plan.revision)
  if (epoch <= plan.epoch) {
    return refuse(state, 'fenced', `${plan.owner} has it in epoch ${plan.epoch}`)
  }
  const what = `carried out by ${owner} in epoch ${epoch}`
  return replace(state, changed({ ...plan, owner, epoch }, now, { what }))
}

function advance(
  state: RestartPlans,
  plan: RestartPlan,
  change: ChangeOf<'advance'>,
  now: WallMs
): PlanOutcome {
  const fence = fenceFault(plan, change)
  if (fence !== null) return refuse(state, 'fenced', fence)
  const step = plan.steps.find(({ node }) => node === change.node)
  if (step === undefined || !successors[step.phase].includes(change.to)) {
    return refuse(state, 'step', `${change.node} does not go from ${step?.phase} to ${change.to}`)
  }
  if (!mayMove(plan, step, change.to)) {
    return refuse(state, 'status', `the plan is ${plan.status}`)
  }
  const out = plan.steps.find(isOut)
  if (out !== undefined && out !== step) return refuse(state, 'step', `${out.node} is out`)
  const { to, boot, report, why } = change
  const next: RestartStep = { ...step, phase: to, since: now, boot, report }
  const steps = plan.steps.map((one) => (one === step ? next : one))
  const isAtEnd = steps.every(({ phase }) => phase === 'done')
  const isFinished = isAtEnd && plan.status !== 'aborted'
  const moved: RestartPlan = isFinished
    ? { ...plan, steps, status: 'finished', reason: 'every node has been restarted' }
    : { ...plan, steps }
  const what = why === '' ? to : `${to}: ${why}`
  return replace(state, changed(moved, now, { node: change.node, what }))
}

/** What each status lets go on: see `planStatuses`. */
function mayMove(plan: RestartPlan, step: RestartStep, to: StepPhase): boolean {
  switch (plan.status) {
    case 'running':
      return to !== 'pending'
    case 'paused':
      return isOut(step) && to !== 'pending'
    case 'halted':
      return to === 'pending'
    case 'aborted':
      return isOut(step)
    case 'finished':
      return false
    default:
      return unreachable(plan.status)
  }
}

function halt(
  state: RestartPlans,
  plan: RestartPlan,
  change: ChangeOf<'halt'>,
  now: WallMs
): PlanOutcome {
  const fence = fenceFault(plan, change)
  if (fence !== null) return refuse(state, 'fenced', fence)
  if (plan.status !== 'running' && plan.status !== 'paused') {
    return refuse(state, 'status', `the plan is ${plan.status}`)
  }
  return replace(state, changed(withStatus(plan, 'halted', change.reason), now, {}))
}

function operate(
  state: RestartPlans,
  plan: RestartPlan,
  { action, by }: ChangeOf<'operate'>,
  now: WallMs
): PlanOutcome {
  const [to, from] = actionEffects[action]
  if (plan.status === to) return accept(state, plan.revision)
  if (!from.includes(plan.status)) return refuse(state, 'status', `the plan is ${plan.status}`)
  return replace(state, changed(withStatus(plan, to, `${action} by ${by}`), now, {}))
}

const actionEffects: Readonly<Record<PlanAction, readonly [PlanStatus, readonly PlanStatus[]]>> = {
  pause: ['paused', ['running']],
  resume: ['running', ['paused', 'halted']],
  abort: ['aborted', ['running', 'paused', 'halted']]
}

const fenceFault = (
  plan: RestartPlan,
  { epoch, revision }: { readonly epoch: Term; readonly revision: number }
): string | null =>
  epoch === plan.epoch && revision === plan.revision
    ? null
    : `epoch ${epoch}, revision ${revision}: it is at ${plan.epoch}, ${plan.revision}`

const withStatus = (plan: RestartPlan, status: PlanStatus, reason: string): RestartPlan => ({
  ...plan,
  status,
  reason: cutReason(reason)
})

/** The plan with its next revision and one more record. */
function changed(
  plan: RestartPlan,
  now: WallMs,
  { node = '', what = `${plan.status}: ${plan.reason}` }: { node?: string; what?: string }
): RestartPlan {
  const revision = plan.revision + 1
  const record = { at: now, revision, node, what: cutReason(what) }
  const history = [...plan.history, record].slice(-planHistoryMax)
  return { ...plan, revision, updatedAt: now, history }
}

const accept = (state: RestartPlans, revision: number): PlanOutcome => ({
  state,
  answer: { kind: 'accepted', revision }
})

const replace = ({ plans }: RestartPlans, plan: RestartPlan): PlanOutcome =>
  accept({ plans: plans.map((one) => (one.id === plan.id ? plan : one)) }, plan.revision)

const refuse = (state: RestartPlans, refusal: PlanRefusal, detail: string): PlanOutcome => ({
  state,
  answer: { kind: 'refused', refusal, detail: cutReason(detail) }
})
