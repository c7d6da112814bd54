/**
 * The failover coordinator on one node: while it leads the control group it looks at the cluster at
 * an interval, asks leaders to hand over as the core decides, and records in the control group what
 * became of it. A move that fails is decided again when the group's gap has passed.
 *
 * Elections are noticed on every node, so that whoever comes to coordinate knows of those that its
 * predecessor was lost in; they are recorded when it shows what became of the former leader, or
 * `causeTimeoutMs` later.
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
import { type FormerLeader, failoverCause, isCauseClear, wasHandedOver } from './failover-causes.js'
import {
  FailoverCoordinator,
  type FailoverMove,
  type FailoverRecord,
  failoverRecordsMax,
  type LeaderChange
} from './failover-coordinator.js'
import type { FailoverPolicy } from './failover-policy.js'
import { cutSentence, failoverOptionsMax, failoversSection } from './failovers-section.js'

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
const recordTimeoutMs = 5_000
const causeTimeoutMs = 5_000
/** What is older was another coordinator's to record. */
const inheritedMs = 60_000

export class FailoverDriver {
  readonly #components: FailoverComponents
  readonly #options: FailoverOptions
  readonly #core: FailoverCoordinator
  readonly #timer: DeadlineTimer
  #isLeading = false
  #isLooking = false
  /** That are not recorded yet. */
  #elections: FailoverRecord[] = []
  #boots: ReadonlyMap<NodeId, string> = new Map()

  constructor(components: FailoverComponents, options: FailoverOptions) {
    this.#components = components
    this.#options = options
    this.#core = new FailoverCoordinator(options.self, options.policy)
    this.#timer = new DeadlineTimer(components.clock, () => this.#wake())
    components.control.onLeadership((leads) => {
      if (leads && !this.#isLeading) this.#inherit()
      this.#isLeading = leads
      this.#arm()
    })
  }

  stop(): void {
    this.#isLeading = false
    this.#timer.stop()
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
    const pausedBy = control.local(failoversSection)?.pausedBy ?? null
    if (pausedBy === null) this.#core.resume()
    else this.#core.pause(pausedBy)
    const plans = control.local(restartsSection)
    const isPlanned = plans !== null && planAtWork(plans) !== null
    const move = this.#core.next(sight, clock.now(), isPlanned)
    this.#noteElections()
    await this.#recordElections(sight)
    if (move === null || !this.#isLeading) return
    const record = this.#core.handleMoved(move, sight, clock.now())
    const asked = `${move.from} was asked to hand over to ${move.target}`
    try {
      await this.#carryOut(move)
    } catch (error) {
      await this.#record(record, `${asked}: ${error instanceof Error ? error.message : error}`)
      throw error
    }
    onMoved(move)
    await this.#record(record, `${asked}, and did`)
  }

  /** What was noticed before this node came to coordinate, as far as it is recent. */
  #inherit(): void {
    const now = this.#components.clock.now()
    this.#elections = this.#core.drainRecords().filter(({ at }) => now - at < inheritedMs)
    this.#boots = new Map()
  }

  #noteElections(): void {
    this.#elections = [...this.#elections, ...this.#core.drainRecords()].slice(-failoverRecordsMax)
  }

  async #recordElections(sight: ClusterSight): Promise<void> {
    const now = this.#components.clock.now()
    const left: FailoverRecord[] = []
    for (const election of this.#elections) {
      const former = this.#formerLeader(election)
      const isDue = now - election.at >= causeTimeoutMs
      const handedOver = wasHandedOver(election, sight)
      if (former !== null && !isDue && handedOver !== true && !isCauseClear(former, sight)) {
        left.push(election)
        continue
      }
      const cause = former === null ? 'nobody led' : failoverCause(former, sight, handedOver)
      const [record, action] = explained(election, cause, handedOver === true)
      if (!(await this.#record(record, action))) left.push(election)
    }
    this.#elections = left
    if (left.length > 0) return
    this.#boots = new Map(
      sight.nodes.flatMap(({ node, status }) => (status === null ? [] : [[node, status.boot]]))
    )
  }

  #formerLeader({ from }: FailoverRecord): FormerLeader | null {
    return from === null ? null : { node: from, boot: this.#boots.get(from) ?? null }
  }

  /** False: the control group did not take it. */
  async #record(record: FailoverRecord, action: string): Promise<boolean> {
    const { clock, control, logger } = this.#components
    const { group, term, reason, from, to, why, options } = record
    const failover = {
      group,
      term,
      reason,
      from,
      to,
      why: cutSentence(why),
      action: cutSentence(action),
      options: options
        .slice(0, failoverOptionsMax)
        .map((one) => ({ ...one, fault: one.fault === null ? null : cutSentence(one.fault) })),
      by: this.#options.self
    }
    try {
      const deadline = after(clock.now(), recordTimeoutMs)
      await control.change(failoversSection, { kind: 'record', failover }, { deadline })
      return true
    } catch (error) {
      logger.warn({ group, term, error }, 'why a leadership moved is not recorded')
      return false
    }
  }

  async #carryOut({ group, from, target }: FailoverMove): Promise<void> {
    const { clock, messenger, node } = this.#components
    const deadline = after(clock.now(), moveTimeoutMs)
    if (from === this.#options.self) await node.moveLeadership(group, target, deadline)
    else await messenger.request(from, leadershipMove, { group, target }, { deadline })
  }
}

/** A change of leaders that nobody asked the coordinator for, with what was done. */
function explained(
  election: FailoverRecord,
  cause: string,
  isHandedOver: boolean
): [FailoverRecord, string] {
  const { from, to, term } = election
  const why = `${cause}; ${election.why}`
  if (!isHandedOver) {
    return [{ ...election, why }, `its voters elected ${to} in term ${term}`]
  }
  const record: FailoverRecord = { ...election, reason: 'transferred', why }
  return [record, `${from ?? 'its leader'} handed over to ${to}, which leads in term ${term}`]
}
