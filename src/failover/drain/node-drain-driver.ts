/**
 * A node's own part in planned work: says how the node is, drains it phase by phase, lets it take
 * work again, has its process replaced, and gives a leadership away. What is asked may be asked
 * again: each phase does what has not been done.
 *
 * 1. What a plan asks is for one process, and fenced (`plan-fence.ts`); an order to restart is
 *    refused unless this node drains and leads nothing.
 * 2. A node that drains does not campaign, so that what it gave away does not come back. Where a
 *    group has no leader for `leaderlessMs` it campaigns all the same: it may be the only one that
 *    can win.
 */

import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import { FencedError, NotLeaderError, NotVoterError, PlanRefusedError } from '../../core/errors.js'
import type { GroupId, MonotonicMs, NodeId } from '../../core/ids.js'
import { type Lifecycle, Lifecycles, type Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { DrainPhase, LeadershipMove } from '../../core/rolling-restart.js'
import type { NodeStatus, NoticedElection, ReplicaStatus } from '../rolling-restart/cluster-view.js'
import { FenceGate, type PlanFence } from '../rolling-restart/plan-fence.js'
import {
  leadershipKeep,
  leadershipMove,
  nodeDrain,
  nodeRestart,
  nodeStatus,
  nodeUndrain
} from './messages.js'

/** A node that drains campaigns when a group has had no leader for so long. */
export const leaderlessMs = 5_000
const leaderlessCheckMs = 1_000

/** A replica of this node, as the drain sees it. */
export interface DrainedGroup {
  readonly group: GroupId
  /** Leader only: the one before handed over to it. */
  readonly isHandedOver: boolean
  status(): Omit<ReplicaStatus, 'group'>
  setCandidacy(allowed: boolean): void
  transferLeadership(target: NodeId | null, deadline: MonotonicMs): Promise<void>
}

/** Replaces the process of this node, or has it replaced; resolves when that is under way. */
export interface RestartHook {
  restart(node: NodeId): Promise<void>
}

/** SQL sessions whose home is this node. */
export interface SessionMover {
  readonly count: number
  readonly moved: number
  readonly refused: number
  /** Begins to move every session away, as far as it has not. */
  moveAway(deadline: MonotonicMs): void
}

export interface NodeDrainComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly logger: Logger
  readonly groups: () => readonly DrainedGroup[]
  readonly members: () => readonly Member[]
  readonly lifecycle: () => Lifecycle
  /** Told to the others at once. */
  readonly setLifecycle: (lifecycle: 'draining' | 'up') => void
  readonly isReady: () => boolean
  /** Queries of others and of this node's callers that have begun here. */
  readonly inFlight: () => number
  /** Queries since the process began. */
  readonly counts: () => Pick<NodeStatus, 'queries' | 'failures' | 'latencies'>
  /** A leadership that is here, or comes, is not given away for the sake of balance so long. */
  readonly keepLeader: (group: GroupId, forMs: number) => void
  readonly sessions?: SessionMover | undefined
  /** That it noticed and no record has; `electionsToldMax` at most. Absent: it notices none. */
  readonly elections?: (() => readonly NoticedElection[]) | undefined
  /** Without one a restart is awaited from outside. */
  readonly hook?: RestartHook | undefined
}

export interface NodeDrainOptions {
  readonly self: NodeId
  /** 16 hex digits, drawn for this process. */
  readonly boot: string
}

export class NodeDrainDriver {
  readonly #components: NodeDrainComponents
  readonly #options: NodeDrainOptions
  readonly #gate: FenceGate
  readonly #leaderless = new Map<GroupId, MonotonicMs>()
  readonly #moving = new Set<GroupId>()
  readonly #timer: DeadlineTimer
  #isRestarting = false

  constructor(components: NodeDrainComponents, options: NodeDrainOptions) {
    this.#components = components
    this.#options = options
    this.#gate = new FenceGate(options.boot)
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#watchLeaders(now))
    this.#listen()
  }

  stop(): void {
    this.#timer.stop()
  }

  status(): NodeStatus {
    const { groups, members, lifecycle, isReady, inFlight } = this.#components
    const { elections, sessions, hook } = this.#components
    const { boot, self } = this.#options
    const own = lifecycle()
    const draining = members()
      .filter((member) => member.nodeId !== self && member.lifecycle === Lifecycles.Draining)
      .map(({ nodeId }) => nodeId)
    return {
      boot,
      lifecycle: own,
      ready: isReady(),
      canRestart: hook !== undefined,
      isRestarting: this.#isRestarting,
      draining: own === Lifecycles.Draining ? [...draining, self] : draining,
      sessions: sessions?.count ?? 0,
      sessionsMoved: sessions?.moved ?? 0,
      sessionsRefused: sessions?.refused ?? 0,
      inFlight: inFlight(),
      ...this.#components.counts(),
      groups: groups().map((group) => ({ group: group.group, ...group.status() })),
      handedOver: groups().flatMap(({ group, isHandedOver }) => (isHandedOver ? [group] : [])),
      elections: elections?.()
    }
  }

  /** @throws FencedError for another process than this one, or by an older coordinator */
  drain(
    fence: PlanFence | null,
    phase: DrainPhase,
    { moves, timeoutMs }: { readonly moves: readonly LeadershipMove[]; readonly timeoutMs: number }
  ): void {
    this.#admit(fence)
    const deadline = after(this.#components.clock.now(), timeoutMs)
    if (this.#components.lifecycle() !== Lifecycles.Draining) {
      this.#components.setLifecycle(Lifecycles.Draining)
    }
    if (phase === 'leaders') this.#giveUpLeaderships(moves, deadline)
    if (phase === 'sessions') this.#components.sessions?.moveAway(deadline)
  }

  /** @throws FencedError */
  undrain(fence: PlanFence | null): void {
    this.#admit(fence)
    if (this.#isRestarting) throw new PlanRefusedError('the process is being replaced')
    this.#timer.arm(NEVER)
    this.#leaderless.clear()
    for (const group of this.#components.groups()) group.setCandidacy(true)
    if (this.#components.lifecycle() === Lifecycles.Draining) {
      this.#components.setLifecycle(Lifecycles.Up)
    }
  }

  /**
   * Resolves when the embedder's hook has.
   * @throws FencedError for another process than this one, or by an older coordinator
   * @throws PlanRefusedError it does not drain, leads a group, or there is no hook
   */
  async restart(fence: PlanFence): Promise<void> {
    const { self } = this.#options
    this.#admit(fence)
    const { hook, lifecycle, groups } = this.#components
    if (hook === undefined) throw new PlanRefusedError(`${self} has no way to restart itself`)
    if (lifecycle() !== Lifecycles.Draining) throw new PlanRefusedError(`${self} does not drain`)
    const led = groups().find((group) => group.status().role === 'leader')
    if (led !== undefined) throw new PlanRefusedError(`${self} leads group ${led.group}`)
    if (this.#isRestarting) return
    this.#isRestarting = true
    try {
      await hook.restart(self)
    } catch (error) {
      this.#isRestarting = false
      throw error
    }
  }

  /**
   * As the leader: resolves with who leads then, as far as this node knows.
   * @throws NotLeaderError, NotVoterError, TransferFailedError
   */
  async moveLeadership(
    id: GroupId,
    target: NodeId | null,
    deadline: MonotonicMs
  ): Promise<NodeId | null> {
    const group = this.#components.groups().find((one) => one.group === id)
    const status = group?.status()
    if (group === undefined || status?.role !== 'leader') {
      const leader = status?.leader ?? null
      const hint = leader === null ? {} : { leaderHint: leader }
      throw new NotLeaderError(`${this.#options.self} does not lead group ${id}`, hint)
    }
    if (target === this.#options.self) return target
    if (target !== null && !status.voters.includes(target)) {
      throw new NotVoterError(`${target} is no voter of group ${id}`)
    }
    await group.transferLeadership(target, deadline)
    return group.status().leader
  }

  keepLeader(group: GroupId, forMs: number): void {
    this.#components.keepLeader(group, forMs)
  }

  #giveUpLeaderships(moves: readonly LeadershipMove[], deadline: MonotonicMs): void {
    const { groups, clock, logger } = this.#components
    this.#timer.arm(after(clock.now(), leaderlessCheckMs))
    for (const group of groups()) {
      group.setCandidacy(false)
      if (group.status().role !== 'leader' || this.#moving.has(group.group)) continue
      const target = moves.find((move) => move.group === group.group)?.target ?? null
      this.#moving.add(group.group)
      group
        .transferLeadership(target, deadline)
        .catch((error: unknown) => {
          logger.warn({ group: group.group, target, error }, 'a leadership stays for now')
        })
        .finally(() => this.#moving.delete(group.group))
    }
  }

  #watchLeaders(now: MonotonicMs): void {
    for (const group of this.#components.groups()) {
      const { leader } = group.status()
      if (leader !== null) {
        this.#leaderless.delete(group.group)
        continue
      }
      const since = this.#leaderless.get(group.group) ?? now
      this.#leaderless.set(group.group, since)
      if (now >= after(since, leaderlessMs)) group.setCandidacy(true)
    }
    this.#timer.arm(after(now, leaderlessCheckMs))
  }

  #admit(fence: PlanFence | null): void {
    const fault = this.#gate.admit(fence)
    if (fault !== null) throw new FencedError(`${this.#options.self}: ${fault}`)
  }

  #listen(): void {
    const { messenger, clock } = this.#components
    messenger.onRequest(nodeStatus, async () => this.status())
    messenger.onRequest(nodeDrain, async ({ body }) => {
      this.drain(body.fence, body.phase, body)
      return {}
    })
    messenger.onRequest(nodeUndrain, async ({ body }) => {
      this.undrain(body.fence)
      return {}
    })
    messenger.onRequest(nodeRestart, async ({ body }) => {
      await this.restart(body.fence)
      return {}
    })
    messenger.onRequest(leadershipMove, async ({ body, deadline }) => {
      const until = deadline ?? after(clock.now(), leaderlessMs)
      return { leader: await this.moveLeadership(body.group, body.target, until) }
    })
    messenger.onRequest(leadershipKeep, async ({ body }) => {
      this.keepLeader(body.group, body.forMs)
      return {}
    })
  }
}
