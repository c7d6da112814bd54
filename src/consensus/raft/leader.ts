/**
 * Leads one term: replicates, commits by counting, proves its leadership to readers, and gives it
 * up when a majority has been silent for an election timeout.
 *
 * Invariants:
 * 1. Only an entry of the own term is committed by counting; older ones commit with it (R-C02).
 * 2. The leader counts itself with what is durable here, like anybody else (R-P03).
 * 3. Its first entry is a no-op, so that older entries commit and reads may begin (R-C03, R-Q02).
 * 4. It leaves a joint configuration when that is committed, whoever entered it (R-M11).
 * 5. A leader that the newest configuration leaves out counts for nothing, and gives up when that
 *    configuration is committed, not before (R-C07, R-M07).
 * 6. A commit is told with the next append, or by itself when none leaves for a moment; that of a
 *    configuration at once. A read round tells it too, so no read waits for that moment. Who is
 *    told to take over is told it, too: it applies while it campaigns what it would wait for as a
 *    leader.
 */
import { after, NEVER } from '../../core/deadlines.js'
import { type RaftRole, RaftRoles } from '../../core/events.js'
import { compareText, type LogIndex, type MonotonicMs, type ReplicaId } from '../../core/ids.js'
import type { SnapshotDescription } from '../../core/ports/engine.js'
import type { LogBase, LogEntry } from '../../core/ports/log-store.js'
import { type Configuration, isJoint, noConfiguration } from '../configuration.js'
import { configurationIn, encodeConfiguration, encodeEntryPayload } from '../entry.js'
import type {
  AppendEntries,
  AppendEntriesResponse,
  HeartbeatResponse,
  RaftMessage,
  SnapshotRefused
} from '../messages.js'
import { appendEntriesCountMax } from '../raft-bodies.js'
import { changeConfiguration, leaveJoint, type MemberChange } from './configuration-change.js'
import { Followers } from './followers.js'
import { Lease, leaseMsOf } from './lease.js'
import type { Progress } from './progress.js'
import { quorumValue } from './quorum.js'
import { ReadRounds } from './read-index.js'
import type { Replica } from './replica.js'
import type { Role, Transitions } from './role.js'
import { Transfer } from './transfer.js'
import type {
  ChangeOutcome,
  HeardAt,
  ProposeOutcome,
  ReplicaProgress,
  TransferOutcome
} from './types.js'

/** A snapshot that the owner holds, and what stands for it in a log. */
interface KnownSnapshot {
  readonly snapshot: SnapshotDescription
  readonly base: LogBase
}

type ChangeRefusal = Extract<ChangeOutcome, { kind: 'refused' }>['reason']

export class Leader implements Role {
  readonly name: RaftRole = RaftRoles.Leader
  readonly #replica: Replica
  readonly #transitions: Transitions
  readonly #followers: Followers
  readonly #reads: ReadRounds
  readonly #transfer = new Transfer()
  readonly #lease: Lease
  #snapshot: KnownSnapshot | null = null
  #isSnapshotWanted = false
  #uncommittedBytes = 0
  #heartbeatAt: MonotonicMs
  #quorumCheckAt: MonotonicMs
  /** When those are told of the newest commit whom no append has told; never: at once. */
  #noticeAt: MonotonicMs = NEVER

  constructor(replica: Replica, transitions: Transitions) {
    const { electionTimeoutMaxMs, pendingReadsMax } = replica.options
    this.#replica = replica
    this.#transitions = transitions
    this.#followers = new Followers(replica)
    this.#reads = new ReadRounds(pendingReadsMax)
    this.#lease = new Lease(leaseMsOf(replica.options))
    this.#heartbeatAt = replica.nextHeartbeatAt()
    this.#quorumCheckAt = after(replica.now, electionTimeoutMaxMs)
  }

  get uncommittedBytes(): number {
    return this.#uncommittedBytes
  }

  get pendingReads(): number {
    return this.#reads.pending
  }

  get transferTarget(): ReplicaId | null {
    return this.#transfer.target
  }

  /** @param isHandedOver the leader before was at work until now */
  start(isHandedOver: boolean): void {
    const replica = this.#replica
    this.#followers.follow()
    if (isHandedOver) {
      for (const voter of replica.configuration.voters) this.#followers.get(voter)?.presumeSame()
    }
    replica.setLeader(replica.self)
    this.#append(encodeEntryPayload({ kind: 'noop' }))
  }

  propose(payload: Uint8Array): ProposeOutcome {
    const { options, term } = this.#replica
    const leaderHint = this.#replica.self
    if (this.#transfer.target !== null) {
      return { kind: 'refused', reason: 'transferring', leaderHint: this.#transfer.target }
    }
    // What it appends now would outlive its leadership: the successor takes it.
    if (!this.#replica.isVoter) return { kind: 'refused', reason: 'transferring', leaderHint: null }
    if (this.#replica.isApplyBehind) return { kind: 'refused', reason: 'backpressure', leaderHint }
    const uncommittedBytes = this.#uncommittedBytes + payload.length
    // A proposal larger than the bound goes when nothing else is on its way.
    if (this.#uncommittedBytes > 0 && uncommittedBytes > options.uncommittedBytesMax) {
      return { kind: 'refused', reason: 'backpressure', leaderHint }
    }
    return { kind: 'proposed', index: this.#append(payload), term }
  }

  changeConfiguration(changes: readonly MemberChange[]): ChangeOutcome {
    const refuse = (reason: ChangeRefusal): ChangeOutcome => ({
      kind: 'refused',
      reason,
      leaderHint: this.#replica.self
    })
    const { commitIndex, configuration, isConfigurationCommitted, log, term } = this.#replica
    if (this.#transfer.target !== null) return refuse('transferring')
    if (log.termAt(commitIndex) !== term) return refuse('termNotCommitted')
    if (!isConfigurationCommitted) return refuse('changePending')
    const change = changeConfiguration(configuration, changes)
    if (change.kind === 'refused') return refuse(change.reason)
    if (change.kind === 'unchanged') return change
    const isReady = (voter: ReplicaId) =>
      configuration.voters.includes(voter) || this.#followers.isCaughtUp(voter)
    if (!change.configuration.voters.every(isReady)) return refuse('notCaughtUp')
    if (!this.#isQuorumActive(change.configuration)) return refuse('quorumInactive')
    return {
      kind: 'proposed',
      index: this.#append(encodeConfiguration(change.configuration)),
      term
    }
  }

  requestReadIndex(requestId: number): void {
    if (this.#reads.add(requestId)) this.#maybeOpenReads()
    else this.#refuseRead(requestId, 'backpressure', this.#replica.self)
  }

  /** What it takes to hold one at all, whatever the time. */
  get #mayLease(): boolean {
    const { isVoter, options } = this.#replica
    return options.leaseReads && isVoter && !this.#transfer.hasTold
  }

  holdsLease(now: MonotonicMs): boolean {
    return this.#mayLease && this.#lease.isHeld(this.#replica.log.configurationIndex, now)
  }

  /** One that is read under and half over is renewed before it ends, so that no read waits. */
  isLeaseOld(now: MonotonicMs): boolean {
    return this.#lease.isOld(now)
  }

  renewLease(): void {
    if (!this.#mayLease) return
    this.#reads.wantLease()
    this.#maybeOpenReads()
  }

  transferTo(wanted: ReplicaId | null): void {
    const target = wanted ?? this.#bestSuccessor()
    const refusal = this.#transferRefusal(target)
    if (target === null || refusal !== null) {
      this.#emitTransferEnded(target, 'refused', refusal ?? 'noOtherVoter')
      return
    }
    if (target === this.#transfer.target) return
    this.#endTransfer('replaced', target)
    const { transferTimeoutMs, electionTimeoutMaxMs } = this.#replica.options
    const timeoutMs = transferTimeoutMs === 0 ? electionTimeoutMaxMs : transferTimeoutMs
    this.#transfer.begin(target, after(this.#replica.now, timeoutMs))
    this.#replica.record('transferBegun', target, wanted === null ? 'best successor' : 'named')
    this.#followers.get(target)?.resume()
    this.#replicateTo(target, true)
    this.#maybeTellTarget(target)
  }

  /** Whether the leader's own healthy quorum must not keep it from this vote. */
  mayTakeOver(candidate: ReplicaId): boolean {
    return this.#transfer.mayTakeOver(candidate)
  }

  receive(message: RaftMessage): void {
    const progress = this.#followers.get(message.from)
    if (progress === undefined) {
      this.#replica.messagesIgnored++
    } else if (message.kind === 'appendEntriesResponse') {
      progress.hear(this.#replica.now)
      if (message.rejected) this.#handleRejection(progress, message)
      else this.#handleAcceptance(progress, message)
    } else if (message.kind === 'heartbeatResponse') {
      progress.hear(this.#replica.now)
      this.#handleHeartbeatResponse(progress, message)
    } else if (message.kind === 'snapshotRefused') {
      progress.hear(this.#replica.now)
      this.#handleSnapshotRefused(progress, message)
    }
  }

  /**
   * The owner holds this snapshot from now on; null: none, or it could not take one, and is asked
   * again.
   */
  handleSnapshot(snapshot: SnapshotDescription | null): void {
    const { commitIndex, log } = this.#replica
    const isOfUse =
      snapshot !== null && snapshot.index >= log.baseIndex && snapshot.index <= commitIndex
    this.#snapshot = isOfUse ? { snapshot, base: log.baseAt(snapshot.index) } : null
    this.#isSnapshotWanted = false
    if (isOfUse) for (const member of this.#followers.ids) this.#replicateTo(member, false)
  }

  /**
   * What a compaction may not reach, so that whoever takes in the snapshot that is kept, or has
   * taken it in, can go on from there; nobody: infinite.
   */
  get heldIndexMin(): number {
    const keptIndex = this.#snapshot?.base.index ?? Number.POSITIVE_INFINITY
    return Math.min(keptIndex, this.#followers.heldIndexMin)
  }

  /** Somebody would campaign: perhaps it does not know that it is no member any more. */
  handleForecast(from: ReplicaId): void {
    if (this.#followers.readmit(from)) this.#replicateTo(from, true)
  }

  handleTimeout(): void {
    const replica = this.#replica
    if (replica.now >= this.#quorumCheckAt && this.#maybeStepDown()) return
    if (replica.now >= this.#transfer.endsAt) {
      this.#endTransfer('timedOut', 'targetDidNotTakeOver')
      this.#maybeLeaveJoint()
    }
    if (replica.now >= this.#noticeAt) {
      this.#noticeAt = NEVER
      for (const member of this.#followers.ids) this.#replicateTo(member, false)
    }
    if (replica.now < this.#heartbeatAt) return
    this.#heartbeatAt = replica.nextHeartbeatAt()
    this.#followers.dismiss()
    this.#followers.releaseSilent()
    this.#broadcastHeartbeat()
    if (this.#transfer.target !== null) this.#maybeTellTarget(this.#transfer.target)
  }

  handlePersisted(): void {
    this.#maybeCommit()
  }

  handlePeerLost(peer: ReplicaId): void {
    this.#followers.get(peer)?.lose()
  }

  handleNotSent({ to, prevIndex }: AppendEntries): void {
    this.#followers.get(to)?.handleNotSent(prevIndex)
  }

  handlePeerConnected(peer: ReplicaId): void {
    const progress = this.#followers.get(peer)
    if (progress !== undefined) progress.connectedAt = this.#replica.now
    progress?.resume()
    this.#replicateTo(peer, true)
  }

  nextDeadline(): MonotonicMs {
    return Math.min(
      this.#heartbeatAt,
      this.#quorumCheckAt,
      this.#noticeAt,
      this.#transfer.endsAt
    ) as MonotonicMs
  }

  /** Everybody is told at once that it is awake: who slept on its word must not sleep on. */
  resume(heardAt: HeardAt): void {
    const replica = this.#replica
    const { configuration, now, options } = replica
    for (const member of this.#followers.ids) {
      const progress = this.#followers.get(member)
      const heard = heardAt(member, false)
      if (progress !== undefined && heard > progress.heardAt) progress.heardAt = heard
    }
    const healthyUntil = after(this.#quorumHeardAt(configuration), options.electionTimeoutMaxMs)
    this.#quorumCheckAt = Math.max(healthyUntil, now) as MonotonicMs
    this.#heartbeatAt = replica.nextHeartbeatAt()
    this.#broadcastHeartbeat()
  }

  isLeaderAtWork(): boolean {
    const { now, options } = this.#replica
    return now - this.#quorumHeardAt(this.#replica.configuration) < options.electionTimeoutMinMs
  }

  leave(): void {
    const { leader } = this.#replica
    for (const requestId of this.#reads.takeAll()) this.#refuseRead(requestId, 'notLeader', leader)
    this.#endTransfer('steppedDown', 'leadershipEnded')
    this.#followers.clear()
  }

  progress(): ReplicaProgress[] {
    return this.#followers.report()
  }

  #append(payload: Uint8Array): LogIndex {
    const { configuration, log, term } = this.#replica
    const index = (log.lastIndex + 1) as LogIndex
    this.#replica.append([{ index, term, payload }])
    this.#uncommittedBytes += payload.length
    const isChange = this.#replica.configuration !== configuration
    if (isChange) this.#followers.follow()
    // What is not told with it now is told with the answer to what is on the way.
    this.#noticeAt = NEVER
    for (const follower of this.#followers.ids) this.#replicateTo(follower, false)
    if (isChange) this.#recount()
    return index
  }

  /** Other replicas count than before: what waits for a quorum may have one (R-C06, R-Q05). */
  #recount(): void {
    this.#maybeCommit()
    this.#maybeAnswerReads()
  }

  #handleAcceptance(progress: Progress, message: AppendEntriesResponse): void {
    const { log } = this.#replica
    if (message.index > log.lastIndex) {
      this.#replica.messagesIgnored++
      return
    }
    const isNews = progress.handleAccepted(message.index)
    this.#followers.measure(message.from)
    if (!isNews) return
    this.#maybeCommit()
    this.#replicateTo(message.from, false)
    this.#maybeTellTarget(message.from)
  }

  #handleRejection(progress: Progress, message: AppendEntriesResponse): void {
    const agreed = this.#replica.log.lastIndexBelowTerm(message.hintIndex, message.hintTerm)
    if (progress.handleRejected(message.index, agreed)) this.#replicateTo(message.from, true)
  }

  #handleHeartbeatResponse(progress: Progress, message: HeartbeatResponse): void {
    if (progress.mode === 'snapshot') progress.resume()
    const isStuck = progress.mode === 'probe' || progress.match === progress.matchAtHeartbeat
    progress.matchAtHeartbeat = progress.match
    this.#followers.measure(message.from)
    if (progress.match < this.#followers.endOf(message.from)) {
      if (isStuck) this.#checkOn(message.from, progress)
      else this.#replicateTo(message.from, false)
    }
    this.#reads.acknowledge(message.from, message.readContext, message.promised === true)
    this.#maybeAnswerReads()
  }

  /**
   * Nothing was heard of what is on its way. Is it lost, or is the link slow? The answer to an
   * append without entries tells, and adds nothing to a link that is slow.
   */
  #checkOn(member: ReplicaId, progress: Progress): void {
    const isKnown = progress.next > this.#replica.log.baseIndex
    if (progress.isPaused && isKnown) this.#sendAppend(member, progress, [])
    else this.#replicateTo(member, true)
  }

  /**
   * As much as the window takes; `evenIfEmpty` sends a check, or a commit index, without entries.
   */
  #replicateTo(member: ReplicaId, evenIfEmpty: boolean): void {
    const progress = this.#followers.get(member)
    if (progress === undefined) return
    const { log, options } = this.#replica
    if (progress.next <= log.baseIndex) {
      this.#offerSnapshot(member, progress)
      return
    }
    const end = this.#followers.endOf(member)
    const isNoticeDue = this.#noticeAt === NEVER && progress.sentCommit < this.#replica.commitIndex
    let mayBeEmpty = evenIfEmpty || isNoticeDue
    while (!progress.isPaused && (mayBeEmpty || progress.next <= end)) {
      mayBeEmpty = false
      const countMax = Math.min(appendEntriesCountMax, end - progress.next + 1)
      const entries = log.page(progress.next, options.appendSizeBytesMax, countMax)
      this.#sendAppend(member, progress, entries)
    }
  }

  /** Entries from the next one on. */
  #sendAppend(member: ReplicaId, progress: Progress, entries: LogEntry[]): void {
    const { commitIndex, effects, log, term } = this.#replica
    const prevIndex = (progress.next - 1) as LogIndex
    const append: AppendEntries = {
      kind: 'appendEntries',
      ...this.#replica.envelope(member),
      prevIndex,
      prevTerm: log.termAt(prevIndex) ?? term,
      commitIndex,
      entries
    }
    effects.send(progress.isAcknowledged ? { ...append, acknowledged: true } : append)
    progress.noteSent(entries, commitIndex)
  }

  /**
   * To who answers: one at a time, and again when the follower has answered a heartbeat meanwhile.
   */
  #offerSnapshot(member: ReplicaId, progress: Progress): void {
    const { effects, log } = this.#replica
    if (!this.#followers.admitToSnapshot(member) || progress.isPaused) return
    const known = this.#snapshot
    if (known === null || known.base.index < log.baseIndex) {
      if (!this.#isSnapshotWanted) effects.emit({ type: 'SnapshotWanted' })
      this.#isSnapshotWanted = true
      return
    }
    const { base, snapshot } = known
    effects.send({
      kind: 'installSnapshot',
      ...this.#replica.envelope(member),
      index: base.index,
      indexTerm: base.term,
      configuration: configurationIn(base.configuration) ?? noConfiguration,
      configurationIndex: base.configurationIndex,
      format: snapshot.format,
      sizeBytes: snapshot.sizeBytes,
      sha256: snapshot.sha256
    })
    this.#followers.noteOffered(member, base.index)
  }

  #handleSnapshotRefused(progress: Progress, message: SnapshotRefused): void {
    if (message.index === progress.offeredIndex) progress.handleSnapshotRefused()
  }

  #broadcastHeartbeat(): void {
    const { commitIndex, effects, options } = this.#replica
    const readContext = this.#reads.context
    const asksForPromise = readContext !== 0 && this.#mayLease
    for (const member of this.#followers.ids) {
      const match = this.#matchOf(member)
      effects.send({
        kind: 'heartbeat',
        ...this.#replica.envelope(member),
        // The receiver may not have the entries behind its match.
        commitIndex: Math.min(match, commitIndex) as LogIndex,
        readContext,
        ...(asksForPromise ? { promiseMs: options.electionTimeoutMinMs } : {})
      })
    }
  }

  #maybeCommit(): void {
    const replica = this.#replica
    const { commitIndex: before, isConfigurationCommitted: wasCommitted } = replica
    const index = quorumValue(replica.configuration, (voter) => this.#matchOf(voter)) as LogIndex
    if (index <= before || replica.log.termAt(index) !== replica.term) return
    replica.commitTo(index)
    for (const entry of replica.log.between((before + 1) as LogIndex, index)) {
      if (entry.term === replica.term) this.#uncommittedBytes -= entry.payload.length
    }
    if (replica.isConfigurationCommitted && !replica.isVoter) {
      this.#resign()
      return
    }
    const { commitNoticeDelayMs } = replica.options
    const isUrgent = commitNoticeDelayMs === 0 || wasCommitted !== replica.isConfigurationCommitted
    this.#noticeAt = isUrgent ? NEVER : after(replica.now, commitNoticeDelayMs)
    for (const follower of this.#followers.ids) this.#replicateTo(follower, false)
    this.#maybeLeaveJoint()
    this.#maybeOpenReads()
  }

  #maybeLeaveJoint(): void {
    const { commitIndex, configuration, isConfigurationCommitted, log, term } = this.#replica
    if (!isJoint(configuration) || !isConfigurationCommitted) return
    // A transfer may be to somebody who leaves; whoever leads then does this.
    if (log.termAt(commitIndex) !== term || this.#transfer.target !== null) return
    this.#append(encodeConfiguration(leaveJoint(configuration)))
  }

  /** No member any more: the voter that has most campaigns at once. */
  #resign(): void {
    const successor = this.#mostAdvanced()
    if (successor !== null) {
      this.#sendTimeoutNow(successor)
    }
    this.#transitions.becomeFollower(this.#replica.term, null, 'removed')
  }

  #matchOf(voter: ReplicaId): LogIndex {
    if (voter === this.#replica.self) return this.#replica.persists.durableIndex
    return this.#followers.get(voter)?.match ?? (0 as LogIndex)
  }

  #quorumHeardAt(configuration: Configuration): MonotonicMs {
    const { now, self } = this.#replica
    const heardAt = (voter: ReplicaId) =>
      voter === self ? now : (this.#followers.get(voter)?.heardAt ?? Number.NEGATIVE_INFINITY)
    return quorumValue(configuration, heardAt) as MonotonicMs
  }

  /** By their answers in this term: that the election counts as one would let a dead voter in. */
  #isQuorumActive(configuration: Configuration): boolean {
    const { now, options, self } = this.#replica
    const isActive = (voter: ReplicaId): boolean => {
      const progress = this.#followers.get(voter)
      if (progress === undefined || progress.match === 0) return false
      return now - progress.heardAt < options.electionTimeoutMaxMs
    }
    return quorumValue(configuration, (one) => Number(one === self || isActive(one))) === 1
  }

  #maybeStepDown(): boolean {
    const { configuration, now, options, persists, term } = this.#replica
    const diskSince = persists.waitingSince ?? now
    const quorumHeardAt = this.#quorumHeardAt(configuration)
    const healthySince = Math.min(quorumHeardAt, diskSince) as MonotonicMs
    this.#quorumCheckAt = after(healthySince, options.electionTimeoutMaxMs)
    if (now < this.#quorumCheckAt) return false
    const reason = diskSince < quorumHeardAt ? 'diskStalled' : 'quorumLost'
    this.#transitions.becomeFollower(term, null, reason)
    return true
  }

  #maybeOpenReads(): void {
    const { commitIndex: index, log, now: openedAt, self, term } = this.#replica
    if (log.termAt(index) !== term) return
    const { configurationIndex } = log
    if (!this.#reads.maybeOpen({ self, index, openedAt, configurationIndex })) return
    this.#broadcastHeartbeat()
    this.#maybeAnswerReads()
  }

  #maybeAnswerReads(): void {
    const confirmed = this.#reads.takeConfirmed(this.#replica.configuration)
    if (confirmed === null) return
    const { index } = confirmed
    if (confirmed.isPromised && this.#mayLease) this.#lease.begin(confirmed)
    for (const requestId of confirmed.requestIds) {
      this.#replica.effects.emit({ type: 'ReadReady', requestId, index })
    }
    this.#maybeOpenReads()
  }

  #refuseRead(
    requestId: number,
    reason: 'notLeader' | 'backpressure',
    leaderHint: ReplicaId | null
  ): void {
    this.#replica.effects.emit({ type: 'ReadRefused', requestId, reason, leaderHint })
  }

  #transferRefusal(target: ReplicaId | null): string | null {
    if (target === null) return 'noOtherVoter'
    if (target === this.#replica.self) return 'alreadyLeader'
    return this.#replica.configuration.voters.includes(target) ? null : 'notAVoter'
  }

  /**
   * Of those that have what is committed, who has been connected longest: a process that has just
   * begun is slow at everything, and is the likeliest to end again. Whose connection has broken
   * has perhaps gone for good.
   */
  #bestSuccessor(): ReplicaId | null {
    const { commitIndex } = this.#replica
    const connectedAt = ({ replica }: ReplicaProgress) =>
      this.#followers.get(replica)?.connectedAt ?? this.#replica.now
    const able = this.progress().filter(
      (one) => one.isVoter && this.#isThere(one) && one.matchIndex >= commitIndex
    )
    const longest = Math.min(...able.map(connectedAt))
    const [best] = able
      .filter((one) => connectedAt(one) === longest)
      .sort((a, b) => b.matchIndex - a.matchIndex || compareText(a.replica, b.replica))
    return best?.replica ?? this.#mostAdvanced()
  }

  #isThere({ active, replica }: ReplicaProgress): boolean {
    return active && !(this.#followers.get(replica)?.isLost ?? false)
  }

  /** Voters that answer go before silent ones. */
  #mostAdvanced(): ReplicaId | null {
    const [best] = this.progress()
      .filter((one) => one.isVoter)
      .sort(
        (a, b) =>
          Number(this.#isThere(b)) - Number(this.#isThere(a)) ||
          b.matchIndex - a.matchIndex ||
          compareText(a.replica, b.replica)
      )
    return best?.replica ?? null
  }

  #maybeTellTarget(member: ReplicaId): void {
    if (member !== this.#transfer.target) return
    if (this.#followers.get(member)?.match !== this.#replica.log.lastIndex) return
    this.#transfer.noteTold(member)
    this.#sendTimeoutNow(member)
  }

  #sendTimeoutNow(to: ReplicaId): void {
    const { commitIndex: committed, effects } = this.#replica
    const commitIndex = Math.min(this.#matchOf(to), committed) as LogIndex
    effects.send({ kind: 'timeoutNow', ...this.#replica.envelope(to), commitIndex })
  }

  #endTransfer(outcome: TransferOutcome, reason: string): void {
    const { target } = this.#transfer
    if (target === null) return
    this.#transfer.end()
    this.#emitTransferEnded(target, outcome, reason)
  }

  #emitTransferEnded(target: ReplicaId | null, outcome: TransferOutcome, reason: string): void {
    this.#replica.record('transferEnded', target, `${outcome}: ${reason}`)
    this.#replica.effects.emit({ type: 'TransferEnded', target, outcome, reason })
  }
}
