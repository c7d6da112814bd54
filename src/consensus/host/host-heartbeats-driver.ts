/**
 * The heartbeats of all groups of this host: puts those that leave together into one message for
 * each other host, takes such messages apart again, and lets groups sleep (`quiescence.ts`). A Raft
 * core sees its own usual messages, or none at all while it sleeps.
 *
 * 1. A heartbeat that carries a read goes at once and as itself; so does every other message.
 * 2. What is collected leaves in this turn of the loop or the next: nothing is held back for more.
 * 3. Messages and calls wake a group before they reach its core.
 */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import type { NodeId, ReplicaId, Term } from '../../core/ids.js'
import { type GroupId, type LogIndex, type MonotonicMs, nodeOf } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { TypeOf } from '../../wire/codec.js'
import type { ConsensusCounters } from '../counters.js'
import type { GroupDriver } from '../group/group-driver.js'
import type { ReplicaNames } from '../identity/replica-names.js'
import type { Heartbeat, RaftMessage } from '../messages.js'
import { Coalescer } from './coalescer.js'
import { type HostBeat, hostBeatAnswers, hostBeats, hostBeatsMax } from './host-messages.js'
import { Quiescence, type QuiescenceOptions, type Rest } from './quiescence.js'
import { restOfFollower, restOfLeader } from './rest.js'

export interface HostHeartbeatsComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly names: ReplicaNames
  readonly counters: ConsensusCounters
  self(): ReplicaId
  groupOf(group: GroupId): GroupDriver | null
  /** With one alone sleep saves nothing: the host would have to speak for it as often. */
  groupCount(): number
}

export interface HostHeartbeatsOptions extends QuiescenceOptions {
  /** Of this process; another one's differs. */
  readonly life: number
}

export type HostBeats = TypeOf<typeof hostBeats.codec>
export type HostBeatAnswers = TypeOf<typeof hostBeatAnswers.codec>

interface Answer {
  readonly group: GroupId
  readonly term: Term
  asleepAt: LogIndex
}

const awake = 0 as LogIndex

export class HostHeartbeats {
  readonly #components: HostHeartbeatsComponents
  readonly #life: number
  readonly #quiescence: Quiescence
  readonly #beats = new Coalescer<ReplicaId, HostBeat>()
  readonly #answers = new Coalescer<ReplicaId, Answer>()
  readonly #flushTimer: DeadlineTimer
  readonly #tickTimer: DeadlineTimer
  /** The answer that a core has just given. */
  #lastAnswer: Answer | null = null
  /** Of the group whose heartbeats are leaving: the same for each member. */
  #leaving: {
    readonly group: GroupId
    readonly at: MonotonicMs
    readonly rest: Rest | null
  } | null = null

  constructor(components: HostHeartbeatsComponents, options: HostHeartbeatsOptions) {
    this.#components = components
    this.#life = options.life
    this.#quiescence = new Quiescence(options)
    this.#flushTimer = new DeadlineTimer(components.clock, () => this.#flush())
    this.#tickTimer = new DeadlineTimer(components.clock, (now) => this.#tick(now))
  }

  stop(): void {
    this.#flushTimer.stop()
    this.#tickTimer.stop()
  }

  get sleeping(): number {
    return this.#quiescence.sleeping
  }

  /** True: it was taken, and leaves with others of its kind. */
  offer(message: RaftMessage): boolean {
    if (message.kind === 'heartbeat' && message.readContext === 0) {
      this.#beats.push(message.to, this.#beatOf(message))
    } else if (message.kind === 'heartbeatResponse' && message.readContext === 0) {
      this.#lastAnswer = { group: message.group, term: message.term, asleepAt: awake }
      this.#answers.push(message.to, this.#lastAnswer)
    } else {
      this.noteActivity(message.group)
      return false
    }
    this.#armFlush()
    return true
  }

  /** Something was asked of the group, or told to it, besides a plain heartbeat. */
  noteActivity(group: GroupId): void {
    this.#quiescence.noteActivity(group, this.#now())
  }

  handleBeats(from: ReplicaId, { life, beats }: HostBeats): void {
    for (const group of this.#quiescence.hearBeats(from, life, this.#now())) this.#wake(group)
    this.#answers.ensure(from)
    this.#armFlush()
    for (const beat of beats) this.#handleBeat(from, beat)
  }

  handleAnswers(from: ReplicaId, { answers }: HostBeatAnswers): void {
    this.#quiescence.hearAnswers(from, this.#now())
    for (const answer of answers) this.#handleAnswer(from, answer)
  }

  /** Its connection is gone; the groups concerned have been told. */
  handlePeerLost(node: NodeId): void {
    this.#quiescence.forget((replica) => nodeOf(replica) === node)
  }

  /** The group wakes, for whatever reason. */
  handleWoken(group: GroupId): void {
    this.#components.counters.add('groups_woken')
    this.#quiescence.noteWoken(group, this.#now())
  }

  /** @param asLeader when its own heartbeats were heard; otherwise its answers */
  heardAt(replica: ReplicaId, asLeader: boolean): MonotonicMs {
    return this.#quiescence.heardAt(replica, asLeader)
  }

  #beatOf({ commitIndex, group, term }: Heartbeat): HostBeat {
    return { group, term, commitIndex, sleeps: this.#restOf(group)?.index === commitIndex }
  }

  /** What the group could sleep with, when nobody has asked for it for long enough. */
  #restOf(group: GroupId): Rest | null {
    const at = this.#now()
    const known = this.#leaving
    if (known !== null && known.group === group && known.at === at) return known.rest
    const { groupCount, groupOf } = this.#components
    const driver = groupOf(group)
    const isIdle = groupCount() > 1 && this.#quiescence.isIdle(group, at) && driver?.isIdle
    const rest = isIdle && driver ? restOfLeader(driver.raft.status()) : null
    this.#leaving = { group, at, rest }
    return rest
  }

  #handleBeat(from: ReplicaId, beat: HostBeat): void {
    const { commitIndex, group, sleeps, term } = beat
    const driver = this.#components.groupOf(group)
    if (driver === null) {
      this.#components.counters.add('messages_dropped')
      return
    }
    if (this.#quiescence.sleepsOn(from, beat, this.#now())) {
      this.#answers.push(from, { group, term, asleepAt: commitIndex })
      return
    }
    this.#lastAnswer = null
    const to = this.#components.self()
    driver.raft.receive({ kind: 'heartbeat', group, from, to, term, commitIndex, readContext: 0 })
    if (sleeps && this.#lastAnswer !== null) this.#maybeFollowAsleep(from, beat, driver)
  }

  #maybeFollowAsleep(from: ReplicaId, beat: HostBeat, driver: GroupDriver): void {
    const answer = this.#lastAnswer
    if (answer?.group !== beat.group || !driver.isIdle) return
    const rest = restOfFollower(driver.raft.status(), beat, from)
    if (rest === null || !driver.raft.fallAsleep()) return
    answer.asleepAt = rest.index
    this.#components.counters.add('groups_put_to_sleep')
    this.#quiescence.followAsleep(beat.group, rest, from, this.#now())
    this.#tickTimer.arm(this.#quiescence.nextDeadline())
  }

  #handleAnswer(from: ReplicaId, { asleepAt, group, term }: Answer): void {
    const driver = this.#components.groupOf(group)
    if (driver === null) {
      this.#components.counters.add('messages_dropped')
      return
    }
    const rest = { term, index: asleepAt }
    if (this.#quiescence.isAsleepWith(group, rest)) return
    const to = this.#components.self()
    driver.raft.receive({ kind: 'heartbeatResponse', group, from, to, term, readContext: 0 })
    if (asleepAt === awake) return
    this.#quiescence.noteReady(group, from, rest)
    this.#maybeLeadAsleep(driver, rest)
  }

  #maybeLeadAsleep(driver: GroupDriver, rest: Rest): void {
    const { group } = driver
    const now = this.#now()
    if (!driver.isIdle || !this.#quiescence.isIdle(group, now)) return
    const status = driver.raft.status()
    const members = status.progress.map(({ replica }) => replica)
    const own = restOfLeader(status)
    if (own === null || own.index !== rest.index || own.term !== rest.term) return
    if (!this.#quiescence.areAllReady(group, members, rest) || !driver.raft.fallAsleep()) return
    this.#components.counters.add('groups_put_to_sleep')
    this.#quiescence.leadAsleep(group, rest, members, now)
    this.#tickTimer.arm(this.#quiescence.nextDeadline())
  }

  #tick(now: MonotonicMs): void {
    const { beats, wake } = this.#quiescence.tick(now)
    for (const group of wake) this.#wake(group)
    for (const [to, words] of beats) {
      this.#beats.ensure(to)
      for (const beat of words) this.#beats.push(to, beat)
    }
    this.#flush()
    this.#tickTimer.arm(this.#quiescence.nextDeadline())
  }

  #wake(group: GroupId): void {
    this.#components.groupOf(group)?.raft.wake()
  }

  #armFlush(): void {
    if (!this.#flushTimer.isArmed) this.#flushTimer.arm(this.#now())
  }

  #flush(): void {
    const { self } = this.#components
    if (this.#beats.isEmpty && this.#answers.isEmpty) return
    const from = this.#components.names.partsOf(self()).storage
    for (const [receiver, beats] of this.#beats.takeAll()) {
      this.#sendBeats(receiver, from, beats)
    }
    for (const [receiver, answers] of this.#answers.takeAll()) {
      const { node, storage: to } = this.#components.names.partsOf(receiver)
      for (const part of partsOf(answers)) {
        this.#components.counters.add('messages_sent')
        this.#components.messenger.send(node, hostBeatAnswers, { from, to, answers: part })
      }
    }
  }

  /** A core whose heartbeat was not taken hears so, as of any other message. */
  #sendBeats(receiver: ReplicaId, from: HostBeats['from'], beats: readonly HostBeat[]): void {
    const { counters, groupOf, messenger, names } = this.#components
    const { node, storage: to } = names.partsOf(receiver)
    for (const part of partsOf(beats)) {
      counters.add('messages_sent')
      counters.add('host_beats')
      if (messenger.send(node, hostBeats, { from, to, life: this.#life, beats: part })) continue
      for (const { group } of part) groupOf(group)?.raft.handlePeerUnreachable(receiver)
    }
  }

  #now(): MonotonicMs {
    return this.#components.clock.now()
  }
}

/** Each as long as a message may be; one, be it empty. */
function* partsOf<Item>(items: readonly Item[]): Iterable<readonly Item[]> {
  if (items.length <= hostBeatsMax) yield items
  else for (let i = 0; i < items.length; i += hostBeatsMax) yield items.slice(i, i + hostBeatsMax)
}
