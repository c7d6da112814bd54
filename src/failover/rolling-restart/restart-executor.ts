/**
 * Carries a rolling restart out: looks at the replicated plan and at the cluster, and says what is
 * to be done next. It keeps nothing but since when it has been looking at a revision, so whoever
 * leads the control group after it goes on where it stopped.
 *
 * Every decision follows from what is, not from what was done: an effect that was lost, late or
 * carried out twice is decided again from the next look.
 *
 * Invariants:
 * 1. It changes nothing in a plan that it has not claimed for the term in which it leads.
 * 2. A node begins to drain, and is restarted, only while every other one is healthy, caught up,
 *    and every group keeps a majority without it.
 * 3. It never restarts the process that it lives in: it hands the control group over first.
 * 4. What is asked of a node is asked of one process, so that a late order meets no later one.
 *
 * Owner's duties: call `next` only while this node leads the control group, with that term and a
 * fresh look; carry out the one effect; look again after it, after each change of the plan, and
 * at an interval.
 */

import { unreachable } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import type { GroupId, MonotonicMs, NodeId, Term } from '../../core/ids.js'
import { Lifecycles } from '../../core/member.js'
import type {
  DrainPhase,
  LeadershipMove,
  RestartPlan,
  RestartStep,
  StepPhase
} from '../../core/rolling-restart.js'
import { type ClusterSight, ledBy, type NodeView, nodeIn } from './cluster-view.js'
import { drainFaults, reportAfter } from './drain-progress.js'
import { movesFrom, moveTarget } from './leadership-moves.js'
import { cutReason, isDrainPhase, stepOut } from './plan.js'
import type { PlanChange } from './plan-changes.js'
import { nextNode } from './restart-order.js'
import { absenceFaults, returnFaults, serviceFault, stepFaults } from './step-checks.js'

export type RestartEffect =
  /** There is nothing to do. */
  | { readonly kind: 'idle' }
  /** Not yet; `reasons` say what is missing. */
  | { readonly kind: 'wait'; readonly reasons: readonly string[] }
  | { readonly kind: 'change'; readonly change: PlanChange }
  /** The node does what this phase is for, as far as it has not. */
  | {
      readonly kind: 'drain'
      readonly node: NodeId
      readonly boot: string
      readonly phase: DrainPhase
      readonly moves: readonly LeadershipMove[]
      readonly timeoutMs: number
    }
  | { readonly kind: 'undrain'; readonly node: NodeId; readonly boot: string }
  /** The process `boot` of the node is replaced. */
  | { readonly kind: 'restart'; readonly node: NodeId; readonly boot: string }
  /** Somebody else is to lead the control group, and carry the plan out. */
  | { readonly kind: 'handOver'; readonly target: NodeId }

export interface ExecutorOptions {
  readonly self: NodeId
  readonly controlGroup: GroupId
}

export interface ExecutorInputs {
  /** The one at work, as this node has applied it. */
  readonly plan: RestartPlan | null
  readonly sight: ClusterSight
  /** In which this node leads the control group. */
  readonly term: Term
  readonly now: MonotonicMs
}

const idle: RestartEffect = { kind: 'idle' }

const nextPhase: Readonly<Record<DrainPhase, StepPhase>> = {
  routing: 'leaders',
  leaders: 'sessions',
  sessions: 'inFlight',
  inFlight: 'restart'
}

export class RestartExecutor {
  readonly #options: ExecutorOptions
  /** Since when this revision has been looked at: time-outs begin there. */
  #revision: { plan: string; revision: number; since: MonotonicMs } | null = null

  constructor(options: ExecutorOptions) {
    this.#options = options
  }

  next(inputs: ExecutorInputs): RestartEffect {
    const { plan, term, now } = inputs
    const { self } = this.#options
    if (plan === null || plan.epoch > term) return idle
    if (plan.owner !== self || plan.epoch !== term) {
      return { kind: 'change', change: { kind: 'claim', plan: plan.id, owner: self, epoch: term } }
    }
    if (this.#revision?.plan !== plan.id || this.#revision.revision !== plan.revision) {
      this.#revision = { plan: plan.id, revision: plan.revision, since: now }
    }
    const step = stepOut(plan)
    if (step !== null) return this.#goOn(plan, step, inputs)
    return plan.status === 'running' ? this.#begin(plan, inputs) : idle
  }

  #begin(plan: RestartPlan, { sight, now }: ExecutorInputs): RestartEffect {
    const { options } = plan
    const fault = serviceFault(sight.serviceLevel, options)
    if (fault !== null) return halt(plan, fault)
    const node = nextNode(plan, sight, this.#options.self)
    if (node === null) return idle
    const faults = stepFaults(node, sight)
    if (faults.length > 0) return this.#waitOr(plan, now, options.preCheckTimeoutMs, faults)
    if (node === this.#options.self) return this.#handOver(plan, sight, now)
    const boot = nodeIn(sight, node)?.status?.boot ?? ''
    const step = plan.steps.find((one) => one.node === node) as RestartStep
    return advance(plan, { ...step, boot }, 'routing')
  }

  #goOn(plan: RestartPlan, step: RestartStep, inputs: ExecutorInputs): RestartEffect {
    const { sight, now } = inputs
    const view = nodeIn(sight, step.node)
    const isNew = hasNewProcess(step, view)
    const mayBeOld = isDrainPhase(step.phase) || step.phase === 'restart'
    if (mayBeOld && isNew && plan.status !== 'halted') {
      return advance(plan, step, 'rejoin', 'a new process is there')
    }
    if (mayBeOld && !isNew && (plan.status === 'halted' || plan.status === 'aborted')) {
      return release(plan, step, view)
    }
    if (plan.status === 'halted') return idle
    const fault = serviceFault(sight.serviceLevel, plan.options)
    if (fault !== null && plan.status !== 'aborted') return halt(plan, fault)
    if (mayBeOld && step.node === this.#options.self) return this.#handOver(plan, sight, now)
    switch (step.phase) {
      case 'routing':
      case 'leaders':
      case 'sessions':
      case 'inFlight':
        return this.#drain(plan, { ...step, phase: step.phase }, inputs)
      case 'restart':
        return this.#restart(plan, step, inputs)
      case 'rejoin':
        return this.#rejoin(plan, step, inputs)
      case 'settle':
        return this.#settle(plan, step, inputs)
      case 'pending':
      case 'done':
        return idle
      default:
        return unreachable(step.phase)
    }
  }

  #drain(
    plan: RestartPlan,
    step: RestartStep & { readonly phase: DrainPhase },
    { sight, now }: ExecutorInputs
  ): RestartEffect {
    const { node, phase } = step
    const view = nodeIn(sight, node)
    const missing = drainFaults(phase, node, sight)
    const timeoutMs = plan.options[`${phase}TimeoutMs`]
    const isLate = this.#isLate(now, timeoutMs)
    const mayTakeTooLong = phase === 'sessions' || phase === 'inFlight'
    const isOver = missing.length === 0 || (isLate && mayTakeTooLong)
    if (isOver && phase === 'inFlight') {
      const faults = absenceFaults(node, sight)
      if (faults.length > 0) return this.#waitOr(plan, now, plan.options.preCheckTimeoutMs, faults)
    }
    if (isOver) {
      const report = reportAfter(phase, step.report, node, sight)
      const why = missing.length === 0 ? '' : `goes on without: ${missing.join(', ')}`
      return advance(plan, { ...step, report }, nextPhase[phase], why)
    }
    if (isLate) return halt(plan, `${phase}: ${missing.join(', ')}`)
    if (view?.status == null) return { kind: 'wait', reasons: missing }
    const moves = phase === 'leaders' ? movesFrom(node, sight, this.#preference(plan)) : []
    return { kind: 'drain', node, boot: step.boot, phase, moves, timeoutMs }
  }

  #restart(plan: RestartPlan, step: RestartStep, { sight, now }: ExecutorInputs): RestartEffect {
    const { node, boot } = step
    const { restartTimeoutMs } = plan.options
    const status = nodeIn(sight, node)?.status ?? null
    if (this.#isLate(now, restartTimeoutMs)) return halt(plan, `no new process of ${node} came`)
    if (status === null || status.isRestarting) {
      return { kind: 'wait', reasons: [`a new process of ${node} is awaited`] }
    }
    if (!status.canRestart) {
      return { kind: 'wait', reasons: [`${node} has to be restarted from outside`] }
    }
    const faults = absenceFaults(node, sight)
    if (faults.length > 0) return { kind: 'wait', reasons: faults }
    const moves = movesFrom(node, sight, this.#preference(plan))
    if (ledBy(nodeIn(sight, node)).length > 0) {
      // It had to campaign again, because nobody else did.
      const timeoutMs = plan.options.leadersTimeoutMs
      return { kind: 'drain', node, boot, phase: 'leaders', moves, timeoutMs }
    }
    return { kind: 'restart', node, boot }
  }

  #rejoin(plan: RestartPlan, step: RestartStep, { sight, now }: ExecutorInputs): RestartEffect {
    const faults = returnFaults(step.node, sight)
    if (faults.length === 0) return advance(plan, step, 'settle')
    if (plan.status === 'aborted') return { kind: 'wait', reasons: faults }
    return this.#waitOr(plan, now, plan.options.rejoinTimeoutMs, faults)
  }

  #settle(plan: RestartPlan, step: RestartStep, { sight, now }: ExecutorInputs): RestartEffect {
    const faults = returnFaults(step.node, sight)
    if (faults.length > 0) return advance(plan, step, 'rejoin', faults.join(', '))
    const { canaryDelayMs, delayMs } = plan.options
    const isCanary = plan.steps.every(({ phase }) => phase !== 'done')
    if (this.#isLate(now, isCanary ? canaryDelayMs : delayMs)) return advance(plan, step, 'done')
    return { kind: 'wait', reasons: [`${step.node} is watched`] }
  }

  /** Whoever leads next carries the plan out, and restarts this node. */
  #handOver(plan: RestartPlan, sight: ClusterSight, now: MonotonicMs): RestartEffect {
    const { self, controlGroup } = this.#options
    const preference = this.#preference(plan)
    const target = moveTarget(controlGroup, sight, { from: self, preference })
    if (target !== null) return { kind: 'handOver', target }
    const reasons = [`nobody can take the control group over from ${self}`]
    return this.#waitOr(plan, now, plan.options.preCheckTimeoutMs, reasons)
  }

  /** Nodes that have been restarted first, then those that go late. */
  #preference(plan: RestartPlan): (node: NodeId) => number {
    return (node) => {
      const at = plan.steps.findIndex((step) => step.node === node)
      return at < 0 || plan.steps[at]?.phase === 'done' ? 0 : plan.steps.length - at
    }
  }

  #isLate(now: MonotonicMs, timeoutMs: number): boolean {
    return this.#revision !== null && now >= after(this.#revision.since, timeoutMs)
  }

  #waitOr(
    plan: RestartPlan,
    now: MonotonicMs,
    timeoutMs: number,
    reasons: readonly string[]
  ): RestartEffect {
    return this.#isLate(now, timeoutMs) ? halt(plan, reasons.join(', ')) : { kind: 'wait', reasons }
  }
}

const hasNewProcess = ({ boot }: RestartStep, view: NodeView | null): boolean =>
  view?.status != null && view.status.boot !== boot

/** A node that only drained takes work again; one that is being restarted is left to it. */
function release(plan: RestartPlan, step: RestartStep, view: NodeView | null): RestartEffect {
  if (view?.status == null || view.status.isRestarting) return idle
  const { node, boot } = step
  if (view.lifecycle === Lifecycles.Draining) return { kind: 'undrain', node, boot }
  return advance(plan, step, 'pending', 'it takes work again')
}

function advance(plan: RestartPlan, step: RestartStep, to: StepPhase, why = ''): RestartEffect {
  const { id, epoch, revision } = plan
  const { node, boot, report } = step
  return {
    kind: 'change',
    change: {
      kind: 'advance',
      plan: id,
      epoch,
      revision,
      node,
      to,
      boot,
      report,
      why: cutReason(why)
    }
  }
}

const halt = ({ id, epoch, revision }: RestartPlan, reason: string): RestartEffect => ({
  kind: 'change',
  change: { kind: 'halt', plan: id, epoch, revision, reason: cutReason(reason) }
})
