/**
 * Rolling restarts on one node: while it leads the control group it carries the plan out that is at
 * work, whoever started it; and it is the place where plans are started, watched and stopped.
 *
 * It looks at the cluster every `pollIntervalMs` and after each change of a plan, asks the executor
 * for one effect, and carries that out. An effect that fails is decided again at the next look.
 */

import type { Control } from '../../control/index.js'
import { unreachable } from '../../core/assert.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import {
  ContinuedElsewhereError,
  NotFoundError,
  PlanRefusedError,
  StoppedError
} from '../../core/errors.js'
import type { GroupId, NodeId, Term } from '../../core/ids.js'
import { Lifecycles, type Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type {
  PlanAction,
  RestartOptions,
  RestartPlan,
  RestartPreview,
  RollingRestart,
  RollingRestartRequest,
  RollingRestarts
} from '../../core/rolling-restart.js'
import { nodeDrain, nodeRestart, nodeUndrain } from '../drain/messages.js'
import type { NodeDrainDriver } from '../drain/node-drain-driver.js'
import type { LookOptions } from './cluster-look-driver.js'
import type { ClusterSight } from './cluster-view.js'
import { planAtWork, type RestartPlans } from './plan.js'
import type { PlanAnswer, PlanChange } from './plan-changes.js'
import type { PlanFence } from './plan-fence.js'
import { type RestartEvent, restartEventOf } from './restart-events.js'
import { type RestartEffect, RestartExecutor } from './restart-executor.js'
import { resolveRestartOptions } from './restart-options.js'
import { plannedOrder, previewRestart } from './restart-preview.js'
import { restartsSection } from './restarts-section.js'

export interface RestartComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  readonly control: Control
  /** This node's own part. */
  readonly node: NodeDrainDriver
  readonly members: () => readonly Member[]
  /** Asks everybody how they are. */
  readonly look: (options: LookOptions) => Promise<ClusterSight>
  /** Unique in the cluster. */
  readonly newPlanId: () => string
}

export interface RestartDriverOptions {
  readonly self: NodeId
  readonly controlGroup: GroupId
  /** The executor looks at the cluster this often. */
  readonly pollIntervalMs: number
  /** For changes of a plan, and reads of one. */
  readonly changeTimeoutMs: number
}

export const restartDriverDefaults = {
  pollIntervalMs: 500,
  changeTimeoutMs: 5_000
} as const

/** One who waits for a plan to end. */
interface Watcher {
  readonly plan: string
  readonly resolve: (plan: RestartPlan) => void
  readonly reject: (error: Error) => void
}

type NodeOrder = Extract<RestartEffect, { kind: 'drain' | 'undrain' | 'restart' }>

/** Calls that wait for a plan to end, on one node. */
export const planWatchersMax = 1_024

export class RestartDriver implements RollingRestarts {
  readonly #components: RestartComponents
  readonly #options: RestartDriverOptions
  readonly #executor: RestartExecutor
  readonly #timer: DeadlineTimer
  readonly #watchTimer: DeadlineTimer
  readonly #watchers = new Set<Watcher>()
  readonly #listeners: ((event: RestartEvent) => void)[] = []
  /** Null: this node does not lead the control group. */
  #term: Term | null = null
  #isLooking = false
  #mustLookAgain = false
  #isStopped = false
  #lastEffect: RestartEffect = { kind: 'idle' }

  constructor(components: RestartComponents, options: RestartDriverOptions) {
    this.#components = components
    this.#options = options
    this.#executor = new RestartExecutor(options)
    this.#timer = new DeadlineTimer(components.clock, () => this.#wake())
    this.#watchTimer = new DeadlineTimer(components.clock, () => this.#askForWatchers())
    const { control } = components
    control.onLeadership((leads, term) => {
      this.#term = leads ? term : null
      this.#wake()
    })
    control.onApplied(restartsSection, (state, change, answer) => {
      this.#handleApplied(state, change, answer)
    })
  }

  /** Those who wait are told where the plan goes on. */
  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
    this.#watchTimer.stop()
    const plans = this.#components.control.local(restartsSection)?.plans ?? []
    for (const watcher of [...this.#watchers]) {
      const owner = plans.find(({ id }) => id === watcher.plan)?.owner ?? null
      const goesOn = owner === null || owner === this.#options.self ? null : owner
      const where = goesOn === null ? 'another node' : `node ${goesOn}`
      this.#watchers.delete(watcher)
      watcher.reject(
        new ContinuedElsewhereError(`the rolling restart is continued on ${where}`, {
          ...(goesOn === null ? {} : { nodeId: goesOn }),
          details: { plan: watcher.plan }
        })
      )
    }
  }

  onEvent(listener: (event: RestartEvent) => void): void {
    this.#listeners.push(listener)
  }

  /** What was decided at the last look, for whoever asks why nothing moves. */
  get lastEffect(): RestartEffect {
    return this.#lastEffect
  }

  /**
   * Decides the order, and has the plan carried out by whoever leads the control group.
   * @throws InvalidArgumentError; PlanRefusedError another plan is active
   * @throws NoLeaderError, IndeterminateError
   */
  async start(request: RollingRestartRequest = {}): Promise<RollingRestart> {
    const { nodes, by, ...given } = request
    const options = resolveRestartOptions(given)
    const { order } = await this.#orderOf(nodes, options)
    const id = this.#components.newPlanId()
    await this.#change(
      { kind: 'start', plan: id, nodes: order, options, by: by ?? this.#options.self },
      id
    )
    return this.attach(id)
  }

  /** What `start` would do: the order, what stands in the way, what would move. */
  async preview(request: RollingRestartRequest = {}): Promise<RestartPreview> {
    const { nodes, by: _, ...given } = request
    const options = resolveRestartOptions(given)
    const sight = await this.#components.look(options)
    const { self } = this.#options
    const wanted = nodes ?? presentMembers(this.#components.members())
    return previewRestart(wanted, options, sight, this.#components.control.leader() ?? self)
  }

  attach(id: string): RollingRestart {
    return { id, done: () => this.#untilEnd(id) }
  }

  /** Newest last. */
  async plans(): Promise<readonly RestartPlan[]> {
    const state = await this.#components.control.read(restartsSection, this.#deadline())
    return state.plans
  }

  /** @throws NotFoundError */
  async plan(id: string): Promise<RestartPlan> {
    const found = (await this.plans()).find((plan) => plan.id === id)
    if (found === undefined) throw new NotFoundError(`there is no rolling restart ${id}`)
    return found
  }

  /** @throws NotFoundError, PlanRefusedError */
  async operate(id: string, action: PlanAction, by: string = this.#options.self): Promise<void> {
    await this.#change({ kind: 'operate', plan: id, action, by })
  }

  async #orderOf(
    nodes: readonly NodeId[] | undefined,
    options: RestartOptions
  ): Promise<{ readonly order: readonly NodeId[] }> {
    const wanted = nodes ?? presentMembers(this.#components.members())
    const sight = await this.#components.look(options)
    const coordinator = this.#components.control.leader() ?? this.#options.self
    return { order: plannedOrder(wanted, options, sight, coordinator) }
  }

  async #change(change: PlanChange, idempotencyKey?: string): Promise<void> {
    const { control } = this.#components
    const key = idempotencyKey === undefined ? {} : { idempotencyKey }
    const answer = await control.change(restartsSection, change, {
      deadline: this.#deadline(),
      ...key
    })
    if (answer.kind === 'accepted') return
    if (answer.refusal === 'unknownPlan') throw new NotFoundError(answer.detail)
    throw new PlanRefusedError(answer.detail, { details: { reason: answer.refusal } })
  }

  #handleApplied(state: RestartPlans, change: PlanChange, answer: PlanAnswer): void {
    if (this.#isStopped || answer.kind !== 'accepted') return
    const event = restartEventOf(state, change)
    if (event !== null) for (const listener of this.#listeners) listener(event)
    this.#tellWatchers(state.plans)
    this.#wake()
  }

  #untilEnd(id: string): Promise<RestartPlan> {
    return new Promise((resolve, reject) => {
      if (this.#isStopped) throw new StoppedError('this node is stopping')
      if (this.#watchers.size >= planWatchersMax) {
        throw new PlanRefusedError('too many calls wait for plans')
      }
      this.#watchers.add({ plan: id, resolve, reject })
      this.#watchTimer.arm(this.#components.clock.now())
    })
  }

  /** Also where no replica of the control group is, and nothing is applied. */
  #askForWatchers(): void {
    if (this.#watchers.size === 0) return
    this.plans()
      .then((plans) => this.#tellWatchers(plans))
      .catch((error: unknown) => {
        this.#components.logger.debug({ error }, 'the plans could not be read')
      })
      .finally(() => {
        if (this.#watchers.size === 0) return
        this.#watchTimer.arm(after(this.#components.clock.now(), this.#options.pollIntervalMs))
      })
  }

  #tellWatchers(plans: readonly RestartPlan[]): void {
    for (const watcher of [...this.#watchers]) {
      const plan = plans.find(({ id }) => id === watcher.plan)
      const isOver = plan === undefined || !['running', 'paused'].includes(plan.status)
      if (!isOver) continue
      this.#watchers.delete(watcher)
      if (plan === undefined) watcher.reject(new NotFoundError(`there is no plan ${watcher.plan}`))
      else if (plan.status !== 'halted') watcher.resolve(plan)
      else {
        const details = { plan: plan.id, reason: plan.reason }
        watcher.reject(new PlanRefusedError(`the plan halted: ${plan.reason}`, { details }))
      }
    }
  }

  /** One look at a time; what happens meanwhile leads to another one behind it. */
  #wake(): void {
    if (this.#isStopped || this.#plan() === null) {
      this.#timer.arm(NEVER)
      return
    }
    if (this.#isLooking) {
      this.#mustLookAgain = true
      return
    }
    this.#isLooking = true
    this.#act()
      .catch((error: unknown) => {
        this.#components.logger.warn({ error }, 'a step of the rolling restart failed')
      })
      .finally(() => {
        this.#isLooking = false
        const again = this.#mustLookAgain
        this.#mustLookAgain = false
        if (again) this.#wake()
        else this.#arm()
      })
  }

  #arm(): void {
    const { clock } = this.#components
    const isAtWork = !this.#isStopped && this.#plan() !== null
    this.#timer.arm(isAtWork ? after(clock.now(), this.#options.pollIntervalMs) : NEVER)
  }

  /** That this node is to carry out; null: none. */
  #plan(): RestartPlan | null {
    if (this.#term === null) return null
    const plans = this.#components.control.local(restartsSection)
    return plans === null ? null : planAtWork(plans)
  }

  async #act(): Promise<void> {
    const before = this.#plan()
    if (before === null) return
    const sight = await this.#components.look(before.options)
    const [plan, term] = [this.#plan(), this.#term]
    if (plan === null || term === null || this.#isStopped) return
    // What was seen belongs to the revision that it was looked at for.
    if (plan.id !== before.id || plan.revision !== before.revision) {
      this.#mustLookAgain = true
      return
    }
    const effect = this.#executor.next({ plan, sight, term, now: this.#components.clock.now() })
    this.#lastEffect = effect
    await this.#carryOut(effect, plan)
  }

  async #carryOut(effect: RestartEffect, plan: RestartPlan): Promise<void> {
    const { control, node } = this.#components
    const deadline = this.#deadline()
    switch (effect.kind) {
      case 'idle':
      case 'wait':
        return
      case 'change':
        await control.change(restartsSection, effect.change, { deadline })
        return
      case 'drain':
      case 'undrain':
      case 'restart':
        await this.#order(effect, {
          plan: plan.id,
          epoch: plan.epoch,
          revision: plan.revision,
          boot: effect.boot
        })
        return
      case 'handOver':
        await node.moveLeadership(this.#options.controlGroup, effect.target, deadline)
        return
      default:
        unreachable(effect)
    }
  }

  /** Of the node that is out; after an abort that may be this one. */
  async #order(effect: NodeOrder, fence: PlanFence): Promise<void> {
    const { messenger, node } = this.#components
    const deadline = this.#deadline()
    const isOwn = effect.node === this.#options.self
    switch (effect.kind) {
      case 'drain': {
        const { phase, moves, timeoutMs } = effect
        const order = { fence, phase, moves, timeoutMs }
        if (isOwn) node.drain(fence, phase, order)
        else await messenger.request(effect.node, nodeDrain, order, { deadline })
        return
      }
      case 'undrain':
        if (isOwn) node.undrain(fence)
        else await messenger.request(effect.node, nodeUndrain, { fence }, { deadline })
        return
      case 'restart':
        if (isOwn) await node.restart(fence)
        else await messenger.request(effect.node, nodeRestart, { fence }, { deadline })
        return
      default:
        unreachable(effect)
    }
  }

  #deadline() {
    return after(this.#components.clock.now(), this.#options.changeTimeoutMs)
  }
}

const presentMembers = (members: readonly Member[]): readonly NodeId[] =>
  members.filter(({ lifecycle }) => lifecycle !== Lifecycles.Left).map(({ nodeId }) => nodeId)
