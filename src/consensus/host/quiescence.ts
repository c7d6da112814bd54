/**
 * Which groups of this host sleep. A group in which everybody has everything, and of which nobody
 * has asked for a while, sends no heartbeats of its own: those of the host stand for them. Sources:
 * CockroachDB's quiescent ranges, TiKV's hibernated regions; what they learned is in the numbers.
 *
 * Raft's safety asks nothing of time, so nothing here can harm it. What is kept is its liveness:
 * 1. A group sleeps here as a follower only at the word of its leader, with the same last entry,
 *    and as a leader only when every member has said that it sleeps. So nobody is awake who would
 *    wait for a heartbeat, unless something woke it; and that wakes the leader.
 * 2. A follower sleeps as long as its leader's host is heard. Silence of an election timeout wakes
 *    every group that sleeps under it, as does another life of that host. So a dead host's groups
 *    campaign as soon as they would have awake.
 * 3. A leader sleeps as long as every member's host answers, so that it steps down in time when it
 *    is cut off.
 * 4. Whoever sleeps longer than `asleepIntervalsMax` refreshes unseen wakes by itself: whatever
 *    went wrong is over then.
 *
 * Owner's duties: tell of every message and call that concerns a group before it is handed over,
 * wake what `wake` and `tick` name, and tell with `noteWoken` whatever wakes by itself.
 */
import { after, NEVER } from '../../core/deadlines.js'
import type { GroupId, LogIndex, MonotonicMs, ReplicaId, Term } from '../../core/ids.js'
import type { HostBeat } from './host-messages.js'

export interface QuiescenceOptions {
  /** Without a sign of life from the group's own work; zero: nobody sleeps. */
  readonly quiesceAfterMs: number
  readonly heartbeatIntervalMs: number
  /** A host that was not heard for so long stands by nobody. */
  readonly silenceMs: number
}

/** A sleeping group is spoken of this often. */
export const asleepIntervalMs = 10_000
/** Of them that a follower may miss. */
export const asleepIntervalsMax = 3

/** What a group falls asleep with. */
export interface Rest {
  readonly term: Term
  /** Of the last entry, committed everywhere. */
  readonly index: LogIndex
}

interface LeadingSleeper extends Rest {
  readonly members: readonly ReplicaId[]
  /** When its members are told again. */
  readonly dueAt: MonotonicMs
}

interface FollowingSleeper extends Rest {
  readonly leader: ReplicaId
  /** When it wakes by itself. */
  readonly dueAt: MonotonicMs
}

interface Host {
  /** Of the last `hostBeats`. */
  life: number | null
  beatsAt: MonotonicMs
  answersAt: MonotonicMs
  /** That sleep under it, as their leader's host. */
  readonly followed: Set<GroupId>
  /** That sleep here as leaders, and have a member there. */
  readonly led: Set<GroupId>
}

export interface Tick {
  readonly wake: readonly GroupId[]
  /** Everybody who must hear of this host now, and what of groups that sleep. */
  readonly beats: ReadonlyMap<ReplicaId, readonly HostBeat[]>
}

const never = Number.NEGATIVE_INFINITY as MonotonicMs

export class Quiescence {
  readonly #options: QuiescenceOptions
  readonly #activeAt = new Map<GroupId, MonotonicMs>()
  /** Members of a group that is awake and led here, that have said they sleep with `rest`. */
  readonly #ready = new Map<GroupId, { readonly rest: Rest; readonly members: Set<ReplicaId> }>()
  /** Each by `dueAt`: who is put off goes to the end. */
  readonly #leading = new Map<GroupId, LeadingSleeper>()
  readonly #following = new Map<GroupId, FollowingSleeper>()
  readonly #hosts = new Map<ReplicaId, Host>()
  #nextTickAt: MonotonicMs = NEVER

  constructor(options: QuiescenceOptions) {
    this.#options = options
  }

  get sleeping(): number {
    return this.#leading.size + this.#following.size
  }

  /** As its leader, with just this. */
  isAsleepWith(group: GroupId, rest: Rest): boolean {
    const sleeper = this.#leading.get(group)
    return sleeper !== undefined && isSame(sleeper, rest)
  }

  /** Something other than a plain heartbeat or its answer passed. */
  noteActivity(group: GroupId, now: MonotonicMs): void {
    this.#activeAt.set(group, now)
    this.#ready.delete(group)
  }

  /** Nobody has asked anything of the group for long enough. */
  isIdle(group: GroupId, now: MonotonicMs): boolean {
    const { quiesceAfterMs } = this.#options
    if (quiesceAfterMs === 0) return false
    const activeAt = this.#activeAt.get(group)
    if (activeAt === undefined) this.#activeAt.set(group, now)
    return activeAt !== undefined && now - activeAt >= quiesceAfterMs
  }

  /** A member of a group that is led here sleeps with this. */
  noteReady(group: GroupId, member: ReplicaId, rest: Rest): void {
    const known = this.#ready.get(group)
    if (known !== undefined && isSame(known.rest, rest)) known.members.add(member)
    else this.#ready.set(group, { rest, members: new Set([member]) })
  }

  areAllReady(group: GroupId, members: readonly ReplicaId[], rest: Rest): boolean {
    const known = this.#ready.get(group)
    if (known === undefined || !isSame(known.rest, rest)) return false
    return members.length > 0 && members.every((member) => known.members.has(member))
  }

  leadAsleep(group: GroupId, rest: Rest, members: readonly ReplicaId[], now: MonotonicMs): void {
    this.#arm(now)
    this.#ready.delete(group)
    this.#leading.set(group, { ...rest, members, dueAt: after(now, asleepIntervalMs) })
    for (const member of members) this.#hostOf(member).led.add(group)
  }

  followAsleep(group: GroupId, rest: Rest, leader: ReplicaId, now: MonotonicMs): void {
    this.#arm(now)
    this.#following.set(group, { ...rest, leader, dueAt: patienceFrom(now) })
    this.#hostOf(leader).followed.add(group)
  }

  noteWoken(group: GroupId, now: MonotonicMs): void {
    const { leader } = this.#following.get(group) ?? {}
    if (leader !== undefined) this.#hosts.get(leader)?.followed.delete(group)
    for (const member of this.#leading.get(group)?.members ?? []) {
      this.#hosts.get(member)?.led.delete(group)
    }
    this.#following.delete(group)
    this.#leading.delete(group)
    this.noteActivity(group, now)
  }

  /** A host has spoken. The groups that slept under a former life of it, and must wake. */
  hearBeats(from: ReplicaId, life: number, now: MonotonicMs): readonly GroupId[] {
    const host = this.#hostOf(from)
    const isAnother = host.life !== null && host.life !== life
    host.life = life
    host.beatsAt = now
    return isAnother ? [...host.followed] : []
  }

  hearAnswers(from: ReplicaId, now: MonotonicMs): void {
    this.#hostOf(from).answersAt = now
  }

  /** The leader speaks of a group that sleeps here with the same: it sleeps on. */
  sleepsOn(from: ReplicaId, beat: HostBeat, now: MonotonicMs): boolean {
    const { group, term, commitIndex, sleeps } = beat
    const sleeper = this.#following.get(group)
    if (sleeper === undefined || !sleeps || sleeper.leader !== from) return false
    if (sleeper.term !== term || sleeper.index !== commitIndex) return false
    putLast(this.#following, group, { ...sleeper, dueAt: patienceFrom(now) })
    return true
  }

  /** When the leader's host, or a member's, was last heard, for a group that wakes. */
  heardAt(replica: ReplicaId, asLeader: boolean): MonotonicMs {
    const host = this.#hosts.get(replica)
    return (asLeader ? host?.beatsAt : host?.answersAt) ?? never
  }

  /** Hosts whose connection is gone, and that nobody sleeps with. */
  forget(isGone: (replica: ReplicaId) => boolean): void {
    for (const [replica, { followed, led }] of this.#hosts) {
      if (followed.size + led.size === 0 && isGone(replica)) this.#hosts.delete(replica)
    }
  }

  nextDeadline(): MonotonicMs {
    return this.sleeping === 0 ? NEVER : this.#nextTickAt
  }

  /** Once per heartbeat interval, as long as anybody sleeps. */
  tick(now: MonotonicMs): Tick {
    this.#nextTickAt = after(now, this.#options.heartbeatIntervalMs)
    const wake = new Set<GroupId>()
    for (const host of this.#hosts.values()) {
      const isSilent = (heardAt: MonotonicMs) => now - heardAt >= this.#options.silenceMs
      if (isSilent(host.beatsAt)) for (const group of host.followed) wake.add(group)
      if (isSilent(host.answersAt)) for (const group of host.led) wake.add(group)
    }
    for (const [group, { dueAt }] of this.#following) {
      if (dueAt > now) break
      wake.add(group)
    }
    return { wake: [...wake], beats: this.#beatsAt(now) }
  }

  /** Every host with a member of a sleeping group is told, if only that this one is there. */
  #beatsAt(now: MonotonicMs): ReadonlyMap<ReplicaId, readonly HostBeat[]> {
    const beats = new Map<ReplicaId, HostBeat[]>()
    for (const [replica, { led }] of this.#hosts) if (led.size > 0) beats.set(replica, [])
    for (const [group, sleeper] of this.#leading) {
      if (sleeper.dueAt > now) break
      const { term, index, members } = sleeper
      putLast(this.#leading, group, { ...sleeper, dueAt: after(now, asleepIntervalMs) })
      for (const member of members) {
        beats.get(member)?.push({ group, term, commitIndex: index, sleeps: true })
      }
    }
    return beats
  }

  #arm(now: MonotonicMs): void {
    if (this.sleeping > 0) return
    this.#nextTickAt = after(now, this.#options.heartbeatIntervalMs)
  }

  #hostOf(replica: ReplicaId): Host {
    const known = this.#hosts.get(replica)
    if (known !== undefined) return known
    const host: Host = {
      life: null,
      beatsAt: never,
      answersAt: never,
      followed: new Set(),
      led: new Set()
    }
    this.#hosts.set(replica, host)
    return host
  }
}

const patienceFrom = (now: MonotonicMs): MonotonicMs =>
  after(now, asleepIntervalMs * asleepIntervalsMax)

function putLast<Sleeper>(sleepers: Map<GroupId, Sleeper>, group: GroupId, sleeper: Sleeper): void {
  sleepers.delete(group)
  sleepers.set(group, sleeper)
}

const isSame = (a: Rest, b: Rest): boolean => a.term === b.term && a.index === b.index
