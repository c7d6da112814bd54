/**
 * Whom a leader feeds, and how far each one is: the members of the newest configuration, and those
 * that it leaves out. The latter get the log up to the entry that removes them and no further, so
 * that they learn of it and trouble nobody (R-M13).
 *
 * Invariants:
 * 1. The leader itself is not among them; they are sorted.
 * 2. Who left is forgotten when the removal is committed and it was told so, or is silent for an
 *    election timeout, or lacks what is not in the log any more: it gets no snapshot.
 * 3. At most `snapshotsInFlightMax` are given a snapshot at a time.
 * 4. Learners, and whoever is offered a snapshot, need the log behind what they have until they
 *    keep up: otherwise they would need another snapshot, and another.
 */
import { compareText, type LogIndex, type ReplicaId } from '../../core/ids.js'
import { configurationMembersMax, membersOf } from '../configuration.js'
import { CatchUp } from './catch-up.js'
import { snapshotsInFlightMax } from './options.js'
import { Progress } from './progress.js'
import type { Replica } from './replica.js'
import type { ReplicaProgress } from './types.js'

export class Followers {
  readonly #replica: Replica
  #progress: ReadonlyMap<ReplicaId, Progress> = new Map()
  /** Up to where they are fed. */
  readonly #leaving = new Map<ReplicaId, LogIndex>()
  readonly #catchUps = new Map<ReplicaId, CatchUp>()
  /** Of those for whom the log is held. */
  readonly #held = new Map<ReplicaId, CatchUp>()

  constructor(replica: Replica) {
    this.#replica = replica
  }

  /** The configuration is another one. */
  follow(): void {
    const { configuration, log, self } = this.#replica
    const members = membersOf(configuration).filter((member) => member !== self)
    const left = [...this.#progress.keys()].filter(
      (member) => !members.includes(member) && !this.#leaving.has(member)
    )
    this.#leaving.clear()
    for (const member of left) this.#leaving.set(member, log.configurationIndex)
    this.#arrange([...members, ...left])
    this.#measureLearners()
  }

  get(replica: ReplicaId): Progress | undefined {
    return this.#progress.get(replica)
  }

  /** Sorted by replica. */
  get ids(): Iterable<ReplicaId> {
    return this.#progress.keys()
  }

  /** The last entry that it is to have. */
  endOf(replica: ReplicaId): LogIndex {
    return this.#leaving.get(replica) ?? this.#replica.log.lastIndex
  }

  /** It has answered: does it keep up? */
  measure(replica: ReplicaId): void {
    const { log, now } = this.#replica
    const match = this.#progress.get(replica)?.match ?? (0 as LogIndex)
    this.#catchUps.get(replica)?.note(match, log.lastIndex, now)
    const held = this.#held.get(replica)
    held?.note(match, log.lastIndex, now)
    if (held?.isCaughtUp(now)) this.#held.delete(replica)
  }

  isCaughtUp(replica: ReplicaId): boolean {
    return this.#catchUps.get(replica)?.isCaughtUp(this.#replica.now) ?? false
  }

  /** True: a former member that does not know it, and is fed from now on until it does. */
  readmit(replica: ReplicaId): boolean {
    if (this.#progress.has(replica) || this.#leaving.size >= configurationMembersMax) return false
    const { commitIndex, log } = this.#replica
    const removal = log.removalOf(replica)
    if (removal === null || removal > commitIndex) return false
    this.#leaving.set(replica, removal)
    this.#arrange([...this.#progress.keys(), replica])
    return true
  }

  /** True: it is given a snapshot, or was already. */
  admitToSnapshot(replica: ReplicaId): boolean {
    const progress = this.#progress.get(replica)
    if (progress === undefined || this.#leaving.has(replica)) return false
    if (!progress.isAnswering || this.#isSilent(progress)) return false
    if (progress.mode === 'snapshot') return true
    const count = [...this.#progress.values()].filter(({ mode }) => mode === 'snapshot').length
    if (count >= snapshotsInFlightMax) return false
    progress.becomeSnapshot()
    return true
  }

  /** A snapshot up to `index` is offered. */
  noteOffered(replica: ReplicaId, index: LogIndex): void {
    this.#progress.get(replica)?.noteOffered(index)
    this.#hold(replica)
  }

  /** What is behind this index somebody needs who is catching up; nobody: infinite. */
  get heldIndexMin(): number {
    const indexes = [...this.#held.keys()].map((replica) => this.#heldIndexOf(replica))
    return Math.min(Number.POSITIVE_INFINITY, ...indexes)
  }

  #heldIndexOf(replica: ReplicaId): number {
    const { log, now, options } = this.#replica
    const progress = this.#progress.get(replica)
    if (progress === undefined || now - progress.heardAt >= options.snapshotKeepMs) {
      return Number.POSITIVE_INFINITY
    }
    const { match, mode, offeredIndex } = progress
    if (mode === 'snapshot' && offeredIndex > 0) return offeredIndex
    return match >= log.baseIndex ? match : Number.POSITIVE_INFINITY
  }

  #hold(replica: ReplicaId): void {
    if (this.#held.has(replica)) return
    const { log, now, options } = this.#replica
    this.#held.set(replica, new CatchUp(log.lastIndex, options.electionTimeoutMinMs, now))
  }

  /** Who is silent takes no snapshot: another may have its place. */
  releaseSilent(): void {
    for (const progress of this.#progress.values()) {
      if (progress.mode === 'snapshot' && this.#isSilent(progress)) progress.becomeProbe()
    }
  }

  #isSilent({ heardAt }: Progress): boolean {
    const { now, options } = this.#replica
    return now - heardAt >= options.electionTimeoutMaxMs
  }

  /** Forgets those who have left and know it, or cannot be told. */
  dismiss(): void {
    if (this.#leaving.size === 0) return
    const { commitIndex, log, now, options } = this.#replica
    const stays = (id: ReplicaId, { match, next, sentCommit, heardAt }: Progress): boolean => {
      const end = this.#leaving.get(id)
      if (end === undefined || end > commitIndex) return true
      const isTold = match >= end && sentCommit >= end
      const isLost = next <= log.baseIndex
      return !isTold && !isLost && now - heardAt < options.electionTimeoutMaxMs
    }
    const staying = [...this.#progress].filter(([id, progress]) => stays(id, progress))
    this.#progress = new Map(staying)
    for (const id of this.#leaving.keys()) if (!this.#progress.has(id)) this.#leaving.delete(id)
  }

  /** Nobody is fed any more. */
  clear(): void {
    this.#progress = new Map()
    this.#leaving.clear()
    this.#catchUps.clear()
    this.#held.clear()
  }

  report(): ReplicaProgress[] {
    const { configuration, now, options } = this.#replica
    return [...this.#progress].map(([replica, progress]) => ({
      replica,
      isVoter: configuration.voters.includes(replica),
      isLeaving: this.#leaving.has(replica),
      mode: progress.mode,
      matchIndex: progress.match,
      nextIndex: progress.next,
      appendsInFlight: progress.appendsInFlight,
      appendBytesInFlight: progress.appendBytesInFlight,
      active: now - progress.heardAt < options.electionTimeoutMaxMs,
      isCaughtUp: configuration.voters.includes(replica) || this.isCaughtUp(replica),
      roundsWithoutGain: this.#catchUps.get(replica)?.roundsWithoutGain(now) ?? 0
    }))
  }

  #arrange(replicas: readonly ReplicaId[]): void {
    const { log, now, options } = this.#replica
    const progress = new Map<ReplicaId, Progress>()
    for (const replica of [...replicas].sort(compareText)) {
      const known = this.#progress.get(replica)
      const next = (log.lastIndex + 1) as LogIndex
      progress.set(replica, known ?? new Progress(next, options, now))
    }
    this.#progress = progress
    for (const id of this.#held.keys()) if (!progress.has(id)) this.#held.delete(id)
  }

  #measureLearners(): void {
    const { configuration, log, now, options } = this.#replica
    const { learners } = configuration
    for (const id of this.#catchUps.keys()) if (!learners.includes(id)) this.#catchUps.delete(id)
    for (const id of learners) {
      if (this.#catchUps.has(id)) continue
      this.#catchUps.set(id, new CatchUp(log.lastIndex, options.electionTimeoutMinMs, now))
      this.#hold(id)
    }
  }
}
