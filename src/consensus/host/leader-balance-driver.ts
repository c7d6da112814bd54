/** Moves leaderships of this node to others, one at a time, when `LeaderBalance` says so. */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import type { GroupId, MonotonicMs, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Logger } from '../../core/ports/logger.js'
import type { ConsensusCounters } from '../counters.js'
import type { GroupDriver } from '../group/group-driver.js'
import { type BalanceInputs, LeaderBalance, type LeaderMove } from './leader-balance.js'

export interface LeaderBalanceComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly counters: ConsensusCounters
  groups(): readonly GroupDriver[]
  mayLead(node: NodeId): boolean
}

export interface LeaderBalanceOptions {
  readonly nodeId: NodeId
  /** Zero: leaders stay where they are elected. */
  readonly intervalMs: number
}

/** A move that takes longer is given up. */
export const moveTimeoutMs = 2_000
/** Moves of one round; the others wait for the next. */
export const leaderMovesMax = 64

export class LeaderBalanceDriver {
  readonly #components: LeaderBalanceComponents
  readonly #options: LeaderBalanceOptions
  readonly #balance: LeaderBalance
  readonly #timer: DeadlineTimer
  #isStopped = false

  constructor(components: LeaderBalanceComponents, options: LeaderBalanceOptions) {
    this.#components = components
    this.#options = options
    this.#balance = new LeaderBalance(options.intervalMs, components.clock.now())
    this.#timer = new DeadlineTimer(components.clock, () => void this.#round())
  }

  start(): void {
    this.#arm()
  }

  /** A leadership that came here on purpose is not given away for so long. */
  keep(group: GroupId, forMs: number): void {
    this.#balance.keep(group, after(this.#components.clock.now(), forMs))
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
  }

  async #round(): Promise<void> {
    let isOwn = false
    for (let moves = 0; moves < leaderMovesMax && !this.#isStopped; moves++) {
      const move = this.#balance.decide(this.#inputs(), this.#components.clock.now(), isOwn)
      if (move === null || !(await this.#move(move))) break
      isOwn = true
    }
    this.#arm()
  }

  async #move({ group, to }: LeaderMove): Promise<boolean> {
    const { clock, counters, groups, logger } = this.#components
    const led = groups().find((one) => one.group === group)
    const deadline: MonotonicMs = after(clock.now(), moveTimeoutMs)
    try {
      await led?.transferLeadership(to, deadline)
      await this.#untilLed(led, to, deadline)
      counters.add('leaders_moved')
      return led !== undefined
    } catch (error) {
      logger.info({ group, to, error }, 'leadership stays: it could not be moved for balance')
      return false
    }
  }

  /** This node has stepped down; the counts are right again when the other is known to lead. */
  async #untilLed(led: GroupDriver | undefined, to: NodeId, deadline: MonotonicMs): Promise<void> {
    const { clock } = this.#components
    while (led !== undefined && led.leadership().leader !== to && clock.now() < deadline) {
      if (this.#isStopped) return
      await new Promise<void>((resolve) => {
        clock.schedule(after(clock.now(), leaderPollIntervalMs), resolve)
      })
    }
  }

  #inputs(): BalanceInputs {
    const { groups, mayLead } = this.#components
    const drivers = groups()
    return {
      self: this.#options.nodeId,
      groups: drivers.map((driver) => {
        const { leader, voters } = driver.leadership()
        return { group: driver.group, leader, voters }
      }),
      mayLead,
      isLevel: (group, voter) => isLevel(drivers, group, voter)
    }
  }

  #arm(): void {
    const { intervalMs } = this.#options
    if (intervalMs === 0 || this.#isStopped) return
    this.#timer.arm(after(this.#components.clock.now(), intervalMs))
  }
}

const leaderPollIntervalMs = 20

/** Near enough to take over without holding writes up. */
function isLevel(drivers: readonly GroupDriver[], group: GroupId, voter: NodeId): boolean {
  const status = drivers.find((driver) => driver.group === group)?.status()
  const found = status?.progress.find(({ nodeId }) => nodeId === voter)
  return found?.active === true && found.matchIndex >= (status?.commitIndex ?? 0)
}
