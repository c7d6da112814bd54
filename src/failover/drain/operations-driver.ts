/**
 * What an operator has done to one node or one group: drain, undrain, switchover. Decided here, by
 * what every node says of itself; done by the node that it is about.
 */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import {
  NotFoundError,
  NotVoterError,
  StoppedError,
  TransferFailedError,
  UnknownNodeError
} from '../../core/errors.js'
import type { GroupId, MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import {
  type ClusterOperations,
  type DrainPhase,
  type DrainReport,
  type DrainTimeouts,
  drainPhases,
  type SwitchoverReport,
  type SwitchoverRequest
} from '../../core/rolling-restart.js'
import type { LookOptions } from '../rolling-restart/cluster-look-driver.js'
import { type ClusterSight, type GroupView, nodeIn } from '../rolling-restart/cluster-view.js'
import { drainFaults, reportAfter } from '../rolling-restart/drain-progress.js'
import { moveFault, movesFrom, moveTarget } from '../rolling-restart/leadership-moves.js'
import { emptyReport } from '../rolling-restart/plan.js'
import { resolveRestartOptions, restartDefaults } from '../rolling-restart/restart-options.js'
import { leadershipKeep, leadershipMove, nodeDrain, nodeUndrain } from './messages.js'
import type { NodeDrainDriver } from './node-drain-driver.js'

export interface OperationsComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  readonly node: NodeDrainDriver
  readonly look: (options: LookOptions) => Promise<ClusterSight>
}

/** How often a drain looks how far it is. */
const pollIntervalMs = 200
const orderTimeoutMs = 5_000
const switchoverTimeoutMs = 10_000
/** A leader that was put somewhere stays so long, unless its node drains or fails. */
export const switchoverKeptMs = 600_000

const isAnybody = () => 0

export class OperationsDriver implements ClusterOperations {
  readonly #components: OperationsComponents
  readonly #self: NodeId
  readonly #waiting = new Set<{ reject(error: Error): void; timer: DeadlineTimer }>()
  #isStopped = false

  constructor(components: OperationsComponents, self: NodeId) {
    this.#components = components
    this.#self = self
  }

  stop(): void {
    this.#isStopped = true
    for (const { reject, timer } of this.#waiting) {
      timer.stop()
      reject(new StoppedError('this node is stopping'))
    }
    this.#waiting.clear()
  }

  async drain(node: NodeId, given: Partial<DrainTimeouts> = {}): Promise<DrainReport> {
    const timeouts = resolveRestartOptions(given)
    const phases: DrainReport['phases'][number][] = []
    let report = emptyReport
    for (const phase of drainPhases) {
      const began = this.#components.clock.now()
      const end = await this.#drainPhase(node, phase, after(began, timeouts[`${phase}TimeoutMs`]))
      report = reportAfter(phase, report, node, end.sight)
      phases.push({ phase, tookMs: this.#components.clock.now() - began, left: end.left })
    }
    return { node, complete: phases.every(({ left }) => left.length === 0), phases, report }
  }

  async undrain(node: NodeId): Promise<void> {
    await this.#expectMember(node)
    if (node === this.#self) this.#components.node.undrain(null)
    else {
      const deadline = this.#deadlineIn(orderTimeoutMs)
      await this.#components.messenger.request(node, nodeUndrain, { fence: null }, { deadline })
    }
  }

  async switchover(request: SwitchoverRequest): Promise<SwitchoverReport> {
    const { group } = request
    const began = this.#components.clock.now()
    const deadline = after(began, request.timeoutMs ?? switchoverTimeoutMs)
    const sight = await this.#look()
    const seen = sight.groups.find((one) => one.group === group)
    if (seen === undefined) throw new NotFoundError(`no group ${group} is known`)
    const wanted = request.target
    if (wanted !== undefined && !seen.voters.includes(wanted)) {
      throw new NotVoterError(`${wanted} is no voter of group ${group}`)
    }
    const from = seen.leader
    if (from === null) throw new TransferFailedError(`no leader of group ${group} is known`)
    const asked = { from, preference: isAnybody }
    const target = wanted ?? moveTarget(group, sight, asked)
    if (target === null) throw nobodyCan(seen, sight)
    if (target !== from) {
      const fault = moveFault(group, target, sight)
      if (fault !== null) throw new TransferFailedError(fault)
      await this.#move({ group, target, from, deadline })
    }
    await this.#keep(group, target)
    return { group, from, to: target, tookMs: this.#components.clock.now() - began }
  }

  /** What an operator decided is not undone for the sake of balance. */
  async #keep(group: GroupId, target: NodeId): Promise<void> {
    const { messenger, node, logger } = this.#components
    if (target === this.#self) {
      node.keepLeader(group, switchoverKeptMs)
      return
    }
    try {
      const deadline = this.#deadlineIn(orderTimeoutMs)
      const body = { group, forMs: switchoverKeptMs }
      await messenger.request(target, leadershipKeep, body, { deadline })
    } catch (error) {
      logger.info({ group, target, error }, 'the leadership may be moved again for balance')
    }
  }

  async #move(move: SwitchoverRequest & MoveParts): Promise<void> {
    const { messenger, node, clock } = this.#components
    const { group, target, from, deadline } = move
    if (from === this.#self) await node.moveLeadership(group, target, deadline)
    else await messenger.request(from, leadershipMove, { group, target }, { deadline })
    for (;;) {
      const leader = (await this.#look()).groups.find((one) => one.group === group)?.leader
      if (leader === target) return
      if (clock.now() >= deadline) {
        throw new TransferFailedError(`${leader ?? 'nobody'} leads group ${group}, not ${target}`)
      }
      await this.#pause()
    }
  }

  /** Until the phase is over or its time is. */
  async #drainPhase(node: NodeId, phase: DrainPhase, deadline: MonotonicMs): Promise<PhaseEnd> {
    for (;;) {
      const sight = await this.#look()
      if (nodeIn(sight, node) === null) throw new UnknownNodeError(`no member is called ${node}`)
      const left = drainFaults(phase, node, sight)
      if (left.length === 0 || this.#components.clock.now() >= deadline) return { sight, left }
      await this.#order(node, phase, sight, deadline)
      await this.#pause()
    }
  }

  async #order(
    node: NodeId,
    phase: DrainPhase,
    sight: ClusterSight,
    deadline: MonotonicMs
  ): Promise<void> {
    const { messenger, clock, node: own } = this.#components
    const moves = phase === 'leaders' ? movesFrom(node, sight, isAnybody) : []
    const timeoutMs = Math.max(0, Math.ceil(deadline - clock.now()))
    const order = { fence: null, phase, moves, timeoutMs }
    if (node === this.#self) own.drain(null, phase, order)
    else
      await messenger.request(node, nodeDrain, order, {
        deadline: this.#deadlineIn(orderTimeoutMs)
      })
  }

  async #expectMember(node: NodeId): Promise<void> {
    if (nodeIn(await this.#look(), node) === null) {
      throw new UnknownNodeError(`no member is called ${node}`)
    }
  }

  #look(): Promise<ClusterSight> {
    if (this.#isStopped) throw new StoppedError('this node is stopping')
    const { failureDomain, lagEntriesMax } = restartDefaults
    return this.#components.look({ failureDomain, lagEntriesMax })
  }

  #pause(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isStopped) throw new StoppedError('this node is stopping')
      const timer = new DeadlineTimer(this.#components.clock, () => {
        this.#waiting.delete(waiting)
        resolve()
      })
      const waiting = { reject, timer }
      this.#waiting.add(waiting)
      timer.arm(this.#deadlineIn(pollIntervalMs))
    })
  }

  #deadlineIn(ms: number): MonotonicMs {
    return after(this.#components.clock.now(), ms)
  }
}

interface PhaseEnd {
  readonly sight: ClusterSight
  readonly left: readonly string[]
}

interface MoveParts {
  readonly target: NodeId
  readonly from: NodeId
  readonly deadline: MonotonicMs
}

/** With what keeps each of them from it. */
function nobodyCan({ group, leader, voters }: GroupView, sight: ClusterSight): TransferFailedError {
  const others = voters.filter((node) => node !== leader)
  const faults = others.flatMap((node) => moveFault(group, node, sight) ?? [])
  const why = faults.length === 0 ? 'nobody else votes in it' : faults.join(', ')
  return new TransferFailedError(`nobody can take group ${group} over: ${why}`)
}
