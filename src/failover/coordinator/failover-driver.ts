/**
 * The failover coordinator on one node: while it leads the control group it looks at the cluster at
 * an interval, and asks leaders to hand over as the core decides. A move that fails is decided
 * again when the group's gap has passed.
 */
import type { Control } from '../../control/index.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import type { GroupId, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import { leadershipMove } from '../drain/messages.js'
import type { NodeDrainDriver } from '../drain/node-drain-driver.js'
import type { LookOptions } from '../rolling-restart/cluster-look-driver.js'
import type { ClusterSight } from '../rolling-restart/cluster-view.js'
import { planAtWork } from '../rolling-restart/plan.js'
import { restartDefaults } from '../rolling-restart/restart-options.js'
import { restartsSection } from '../rolling-restart/restarts-section.js'
import {
  FailoverCoordinator,
  type FailoverMove,
  type FailoverRecord,
  type LeaderChange
} from './failover-coordinator.js'
import type { FailoverPolicy } from './failover-policy.js'

export interface FailoverComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  readonly control: Control
  /** This node's own part. */
  readonly node: NodeDrainDriver
  readonly look: (options: LookOptions) => Promise<ClusterSight>
  /** For the audit trail: each leadership that was moved, with the reason. */
  readonly onMoved: (move: FailoverMove) => void
}

export interface FailoverOptions {
  readonly self: NodeId
  readonly policy: FailoverPolicy
  readonly lookIntervalMs: number
}

const moveTimeoutMs = 5_000

export class FailoverDriver {
  readonly #components: FailoverComponents
  readonly #options: FailoverOptions
  readonly #core: FailoverCoordinator
  readonly #timer: DeadlineTimer
  #isLeading = false
  #isLooking = false

  constructor(components: FailoverComponents, options: FailoverOptions) {
    this.#components = components
    this.#options = options
    this.#core = new FailoverCoordinator(options.self, options.policy)
    this.#timer = new DeadlineTimer(components.clock, () => this.#wake())
    components.control.onLeadership((leads) => {
      this.#isLeading = leads
      this.#arm()
    })
  }

  stop(): void {
    this.#isLeading = false
    this.#timer.stop()
  }

  /** Moves nothing until `resume`; for this node, as long as it coordinates. */
  pause(by: string): void {
    this.#core.pause(by)
  }

  resume(): void {
    this.#core.resume()
  }

  get pausedBy(): string | null {
    return this.#core.pausedBy
  }

  /** Why leaderships moved, as this node knows; oldest first. */
  explain(group?: GroupId): readonly FailoverRecord[] {
    return this.#core.explain(group)
  }

  handleLeaderChanged(change: LeaderChange): void {
    this.#core.handleLeaderChanged(change, this.#components.clock.now())
  }

  #wake(): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.#look()
      .catch((error: unknown) => {
        this.#components.logger.warn({ error }, 'a leadership was not moved')
      })
      .finally(() => {
        this.#isLooking = false
        this.#arm()
      })
  }

  #arm(): void {
    const { clock } = this.#components
    this.#timer.arm(this.#isLeading ? after(clock.now(), this.#options.lookIntervalMs) : NEVER)
  }

  async #look(): Promise<void> {
    const { clock, control, onMoved } = this.#components
    const { failureDomain, lagEntriesMax } = restartDefaults
    const sight = await this.#components.look({ failureDomain, lagEntriesMax })
    if (!this.#isLeading) return
    const plans = control.local(restartsSection)
    const isPlanned = plans !== null && planAtWork(plans) !== null
    const move = this.#core.next(sight, clock.now(), isPlanned)
    if (move === null) return
    this.#core.handleMoved(move, sight, clock.now())
    await this.#carryOut(move)
    onMoved(move)
  }

  async #carryOut({ group, from, target }: FailoverMove): Promise<void> {
    const { clock, messenger, node } = this.#components
    const deadline = after(clock.now(), moveTimeoutMs)
    if (from === this.#options.self) await node.moveLeadership(group, target, deadline)
    else await messenger.request(from, leadershipMove, { group, target }, { deadline })
  }
}
