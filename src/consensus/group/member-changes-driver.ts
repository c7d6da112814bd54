/**
 * Members of a group come and go, at its leader. A newcomer listens until it keeps up, and votes
 * then; a replica of the same node with another storage leaves in the same step. Source: Raft
 * dissertation 4.2.1.
 *
 * 1. An answer says that the change is committed; when that is not known, it is indeterminate.
 * 2. A newcomer that comes no nearer for `catchUpRoundsMax` rounds, or does not catch up until the
 *    deadline, is taken out again by the call that brought it in, where the leader can.
 */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import { IndeterminateError, MemberChangeFailedError, NotLeaderError } from '../../core/errors.js'
import { type MonotonicMs, nodeOf, type ReplicaId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { isJoint, membersOf } from '../configuration.js'
import type { MemberChange } from '../raft/configuration-change.js'
import type { RaftDriver } from './raft-driver.js'

/** How often what is waited for is looked at. */
export const memberCheckIntervalMs = 20
/** Times its shortest round of replication; none shorter in that, it is too slow for the load. */
export const catchUpRoundsMax = 10
/** Calls that wait for a change or a newcomer. */
export const memberChangesMax = 64

interface Step {
  readonly deadline: MonotonicMs
  /** Told when the deadline has passed. */
  readonly late: () => Error
  /** True: done. @throws why it will never be */
  readonly check: () => boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class MemberChanges {
  readonly #clock: Clock
  readonly #raft: RaftDriver
  readonly #timer: DeadlineTimer
  #steps: Step[] = []

  constructor(components: { readonly clock: Clock; readonly raft: RaftDriver }) {
    this.#clock = components.clock
    this.#raft = components.raft
    this.#timer = new DeadlineTimer(components.clock, () => this.check())
  }

  tellQueues(tell: TellQueue): void {
    tell('memberChangesMax', this.#steps.length, memberChangesMax)
  }

  get isWaiting(): boolean {
    return this.#steps.length > 0
  }

  async add(newcomer: ReplicaId, deadline: MonotonicMs): Promise<void> {
    const { voters, learners } = this.#raft.core.configuration
    if (voters.includes(newcomer)) return
    const isNew = !learners.includes(newcomer)
    if (isNew) {
      await this.#change([{ replica: newcomer, role: 'learner' }], deadline)
    }
    try {
      await this.#untilCaughtUp(newcomer, deadline)
      const former = membersOf(this.#raft.core.configuration).filter(
        (member) => member !== newcomer && nodeOf(member) === nodeOf(newcomer)
      )
      const leaving = former.map((replica): MemberChange => ({ replica, role: 'none' }))
      await this.#change([{ replica: newcomer, role: 'voter' }, ...leaving], deadline)
    } catch (error) {
      // Whether it votes now is not known after anything else.
      if (isNew && error instanceof MemberChangeFailedError) {
        this.#raft.changeConfiguration([{ replica: newcomer, role: 'none' }])
      }
      throw error
    }
  }

  /** All at once. */
  remove(replicas: readonly ReplicaId[], deadline: MonotonicMs): Promise<void> {
    return this.#change(
      replicas.map((replica) => ({ replica, role: 'none' })),
      deadline
    )
  }

  /** Settles what is done, will never be, or is late. */
  check(): void {
    const now = this.#clock.now()
    const steps = this.#steps
    this.#steps = []
    const rest = steps.filter((step) => !isSettled(step, now))
    this.#steps = [...rest, ...this.#steps]
    this.#arm()
  }

  rejectAll(makeError: () => Error): void {
    const steps = this.#steps
    this.#steps = []
    for (const { reject } of steps) reject(makeError())
  }

  stop(): void {
    this.#timer.stop()
  }

  async #change(changes: readonly MemberChange[], deadline: MonotonicMs): Promise<void> {
    const outcome = this.#raft.changeConfiguration(changes)
    if (outcome.kind === 'unchanged') return
    if (outcome.kind === 'refused') {
      const { leaderHint, reason } = outcome
      if (reason !== 'notLeader') throw refused(reason)
      const hint = leaderHint === null ? {} : { leaderHint: nodeOf(leaderHint) }
      throw new NotLeaderError('this node does not lead the group', hint)
    }
    const { index } = outcome
    const unknown = (why: string) => () =>
      new IndeterminateError(`the change was proposed at index ${index}; ${why}`)
    await this.#until(deadline, unknown('it is not committed yet'), () => {
      const { configuration, configurationIndex, commitIndex, role } = this.#raft.status()
      const isCommitted = configurationIndex >= index && configurationIndex <= commitIndex
      if (isCommitted && !isJoint(configuration)) return true
      if (role !== 'leader') throw unknown('this node does not lead any more')()
      return false
    })
  }

  #untilCaughtUp(newcomer: ReplicaId, deadline: MonotonicMs): Promise<void> {
    const late = () => refused('it did not catch up in time')
    return this.#until(deadline, late, () => {
      const { role, progress } = this.#raft.status()
      if (role !== 'leader') throw refused('leadershipLost')
      const found = progress.find(({ replica }) => replica === newcomer)
      if (found === undefined) throw refused('another change has taken it out')
      if (!found.isCaughtUp && found.roundsWithoutGain >= catchUpRoundsMax) {
        throw refused('it takes in no more than is written')
      }
      return found.isCaughtUp
    })
  }

  #until(deadline: MonotonicMs, late: () => Error, check: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#steps.length >= memberChangesMax) throw refused('too many changes wait')
      this.#steps.push({ deadline, late, check, resolve, reject })
      this.#arm()
    })
  }

  #arm(): void {
    if (this.#steps.length === 0 || this.#timer.isArmed) return
    this.#timer.arm(after(this.#clock.now(), memberCheckIntervalMs))
  }
}

function isSettled({ check, deadline, late, resolve, reject }: Step, now: MonotonicMs): boolean {
  try {
    if (check()) resolve()
    else if (deadline <= now) reject(late())
    else return false
  } catch (error) {
    reject(error as Error)
  }
  return true
}

/** What to do about a refusal, by its reason. */
const advice: Readonly<Record<string, string>> = {
  changePending: 'another change is under way; try again when it is over',
  leadershipLost: 'leadership was lost; try again',
  noVoters: 'it is the only voter; add another node first',
  notCaughtUp: 'it lags behind; try again when it keeps up',
  quorumInactive: 'too few of the voters to be answer; bring them back first',
  termNotCommitted: 'the leader is new; try again',
  transferring: 'leadership is being handed over; try again'
}

const refused = (reason: string): MemberChangeFailedError => {
  const told = advice[reason] ?? reason
  return new MemberChangeFailedError(`the members stay as they are: ${told}`, {
    details: { reason }
  })
}
