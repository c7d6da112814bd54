/**
 * The failover coordinator on one node: while it leads the control group it looks at the cluster at
 * an interval, asks leaders to hand over as the core decides, and records in the control group what
 * became of it. A move that fails is decided again when the group's gap has passed.
 *
 * Elections are noticed on every node, kept there until the control group's records have them, and
 * told to whoever coordinates; they are recorded when it shows what became of the former leader, or
 * `causeTimeoutMs` later. What is not taken is tried again with the next look.
 */
import type { Control } from '../../control/index.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import type { GroupId, MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import { electionsToldMax, leadershipMove } from '../drain/messages.js'
import type { NodeDrainDriver } from '../drain/node-drain-driver.js'
import type { LookOptions } from '../rolling-restart/cluster-look-driver.js'
import type { ClusterSight, NoticedElection } from '../rolling-restart/cluster-view.js'
import { planAtWork } from '../rolling-restart/plan.js'
import { restartDefaults } from '../rolling-restart/restart-options.js'
import { restartsSection } from '../rolling-restart/restarts-section.js'
import { type FormerLeader, failoverCause, isCauseClear, wasHandedOver } from './failover-causes.js'
import {
  FailoverCoordinator,
  type FailoverMove,
  type FailoverRecord,
  type LeaderChange
} from './failover-coordinator.js'
import type { FailoverPolicy } from './failover-policy.js'
import {
  cutSentence,
  type FailoverFacts,
  failoverOptionsMax,
  failoversSection
} from './failovers-section.js'
import { type Election, moveDone } from './unrecorded-elections.js'

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
/** What was noticed so long before the oldest of the records was recorded, and dropped since. */
const recordedLateMs = 600_000
/** Moves that were asked for and wait to be recorded; at the bound the oldest goes. */
export const unrecordedMovesMax = 16

/** A move that was asked for, as it is to be recorded. */
interface AskedMove {
  /** Recorded once, however often it is tried. */
  readonly idempotencyKey: string
  readonly facts: FailoverFacts
}

export class FailoverDriver {
  readonly #components: FailoverComponents
  readonly #options: FailoverOptions
  readonly #core: FailoverCoordinator
  readonly #timer: DeadlineTimer
  #isLeading = false
  #isLooking = false
  /** That are not recorded yet. */
  #moves: readonly AskedMove[] = []
  #boots: ReadonlyMap<NodeId, string> = new Map()

  constructor(components: FailoverComponents, options: FailoverOptions) {
    this.#components = components
    this.#options = options
    this.#core = new FailoverCoordinator(options.self, options.policy)
    this.#timer = new DeadlineTimer(components.clock, () => this.#wake())
    components.control.onLeadership((leads) => {
      if (leads && !this.#isLeading) this.#begin()
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

  /** What this node noticed and no record has, for whoever coordinates. */
  noticed(): readonly NoticedElection[] {
    const now = this.#components.clock.now()
    this.#settle()
    return this.#core.unrecorded.all
      .slice(-electionsToldMax)
      .map(({ at, why: _own, ...told }) => ({ ...told, agoMs: Math.round(now - at) }))
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
    for (const { status } of sight.nodes) {
      for (const told of status?.elections ?? []) this.#core.handleNoticed(told, clock.now())
    }
    await this.#recordMoves()
    await this.#recordElections(sight)
    if (move === null || !this.#isLeading) return
    const record = this.#core.handleMoved(move, sight, clock.now())
    const asked = `${move.from} was asked to hand over to ${move.target}`
    try {
      await this.#carryOut(move)
    } catch (error) {
      this.#core.handleMoveFailed(move)
      this.#noteMove(record, `${asked}: ${error instanceof Error ? error.message : error}`)
      await this.#recordMoves()
      throw error
    }
    onMoved(move)
    this.#noteMove(record, `${asked}${moveDone}`)
    await this.#recordMoves()
  }

  /** What it asked for before and could not record has come about as an election for all others. */
  #begin(): void {
    this.#moves = []
    this.#boots = new Map()
  }

  #noteMove(record: FailoverRecord, action: string): void {
    const { group, term, at } = record
    const idempotencyKey = `move:${group}:${term}:${Math.floor(at)}`
    const move = { idempotencyKey, facts: this.#factsOf(record, action) }
    this.#moves = [...this.#moves, move].slice(-unrecordedMovesMax)
  }

  async #recordMoves(): Promise<void> {
    for (const move of this.#moves) {
      if (!(await this.#record(move.facts, move.idempotencyKey))) return
      this.#moves = this.#moves.filter((one) => one !== move)
    }
  }

  /** Forgets the elections that the control group has recorded, whoever asked it to. */
  #settle(): void {
    const { clock, control } = this.#components
    const { unrecorded } = this.#core
    const state = unrecorded.size === 0 ? null : control.local(failoversSection)
    if (state === null) return
    const { failovers, count } = state
    const [oldest] = failovers
    const now = clock.now()
    const keepsAll = oldest === undefined || count === failovers.length
    const agoMs = keepsAll ? null : clock.wallNow() - oldest.at + recordedLateMs
    const since = agoMs === null ? null : ((now - agoMs) as MonotonicMs)
    const asked = this.#moves.map(({ facts }) => facts)
    unrecorded.settle([...failovers, ...asked], since)
  }

  async #recordElections(sight: ClusterSight): Promise<void> {
    this.#settle()
    const { unrecorded } = this.#core
    for (const election of unrecorded.all) {
      if (!this.#isLeading) return
      const former = this.#formerLeader(election)
      const isDue = this.#components.clock.now() - election.at >= causeTimeoutMs
      const handedOver = wasHandedOver(election, sight)
      if (former !== null && !isDue && handedOver !== true && !isCauseClear(former, sight)) continue
      const cause = former === null ? 'nobody led' : failoverCause(former, sight, handedOver)
      const [record, action] = explained(election, cause, handedOver === true)
      if (await this.#record(this.#factsOf(record, action))) unrecorded.forget(election)
    }
    if (unrecorded.size > 0) return
    this.#boots = new Map(
      sight.nodes.flatMap(({ node, status }) => (status === null ? [] : [[node, status.boot]]))
    )
  }

  #formerLeader({ from }: Election): FormerLeader | null {
    return from === null ? null : { node: from, boot: this.#boots.get(from) ?? null }
  }

  #factsOf(record: Omit<FailoverRecord, 'at'>, action: string): FailoverFacts {
    const { group, term, reason, from, to, why, options } = record
    return {
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
  }

  /** False: the control group did not take it. */
  async #record(failover: FailoverFacts, idempotencyKey?: string): Promise<boolean> {
    const { clock, control, logger } = this.#components
    const { group, term } = failover
    const key = idempotencyKey === undefined ? {} : { idempotencyKey }
    try {
      const deadline = after(clock.now(), recordTimeoutMs)
      await control.change(failoversSection, { kind: 'record', failover }, { deadline, ...key })
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
  { group, term, from, to, why }: Election,
  cause: string,
  isHandedOver: boolean
): [Omit<FailoverRecord, 'at'>, string] {
  const record = { group, term, from, to, why: `${cause}; ${why}`, options: [] }
  return isHandedOver
    ? [
        { ...record, reason: 'transferred' },
        `${from ?? 'its leader'} handed over to ${to}, which leads in term ${term}`
      ]
    : [{ ...record, reason: 'elected' }, `its voters elected ${to} in term ${term}`]
}
