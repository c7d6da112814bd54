/**
 * Leads one term: replicates, commits by counting, proves its leadership to readers, and gives it
 * up when a majority has been silent for an election timeout.
 *
 * Invariants:
 * 1. Only an entry of the own term is committed by counting; older ones commit with it (R-C02).
 * 2. The leader counts itself with what is durable here, like anybody else (R-P03).
 * 3. Its first entry is a no-op, so that older entries commit and reads may begin (R-C03, R-Q02).
 */
import { after } from '../../core/deadlines.js'
import { type RaftRole, RaftRoles } from '../../core/events.js'
import { compareText, type LogIndex, type MonotonicMs, type ReplicaId } from '../../core/ids.js'
import { encodeEntryPayload } from '../entry.js'
import type { AppendEntriesResponse, HeartbeatResponse, RaftMessage } from '../messages.js'
import { appendEntriesCountMax } from '../raft-bodies.js'
import { Progress } from './progress.js'
import { quorumValue } from './quorum.js'
import { ReadRounds } from './read-index.js'
import type { Replica } from './replica.js'
import type { Role, Transitions } from './role.js'
import { Transfer } from './transfer.js'
import type { ProposeOutcome, ReplicaProgress, TransferOutcome } from './types.js'

export class Leader implements Role {
  readonly name: RaftRole = RaftRoles.Leader
  readonly #replica: Replica
  readonly #transitions: Transitions
  readonly #progress = new Map<ReplicaId, Progress>()
  readonly #reads: ReadRounds
  readonly #transfer = new Transfer()
  #uncommittedBytes = 0
  #heartbeatAt: MonotonicMs
  #quorumCheckAt: MonotonicMs

  constructor(replica: Replica, transitions: Transitions) {
    const { heartbeatIntervalMs, electionTimeoutMaxMs, pendingReadsMax } = replica.options
    this.#replica = replica
    this.#transitions = transitions
    this.#reads = new ReadRounds(pendingReadsMax)
    this.#heartbeatAt = after(replica.now, heartbeatIntervalMs)
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

  start(): void {
    const replica = this.#replica
    const next = (replica.log.lastIndex + 1) as LogIndex
    const { voters, learners } = replica.log.configuration
    for (const member of [...voters, ...learners].sort(compareText)) {
      if (member === replica.self) continue
      const progress = new Progress(next, replica.options.appendsInFlightMax, replica.now)
      this.#progress.set(member, progress)
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
    if (this.#replica.isApplyBehind) return { kind: 'refused', reason: 'backpressure', leaderHint }
    const uncommittedBytes = this.#uncommittedBytes + payload.length
    // A proposal larger than the bound goes when nothing else is on its way.
    if (this.#uncommittedBytes > 0 && uncommittedBytes > options.uncommittedBytesMax) {
      return { kind: 'refused', reason: 'backpressure', leaderHint }
    }
    return { kind: 'proposed', index: this.#append(payload), term }
  }

  requestReadIndex(requestId: number): void {
    if (this.#reads.add(requestId)) this.#maybeOpenReads()
    else this.#refuseRead(requestId, 'backpressure', this.#replica.self)
  }

  transferTo(wanted: ReplicaId | null): void {
    const target = wanted ?? this.#mostAdvanced()
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
    this.#replica.record('transferBegun', target, wanted === null ? 'most advanced' : 'named')
    this.#progress.get(target)?.resume()
    this.#replicateTo(target, true)
    this.#maybeTellTarget(target)
  }

  /** Whether the leader's own healthy quorum must not keep it from this vote. */
  mayTakeOver(candidate: ReplicaId): boolean {
    return this.#transfer.mayTakeOver(candidate)
  }

  receive(message: RaftMessage): void {
    const progress = this.#progress.get(message.from)
    if (progress === undefined) {
      this.#replica.messagesIgnored++
    } else if (message.kind === 'appendEntriesResponse') {
      progress.heardAt = this.#replica.now
      if (message.rejected) this.#handleRejection(progress, message)
      else this.#handleAcceptance(progress, message)
    } else if (message.kind === 'heartbeatResponse') {
      progress.heardAt = this.#replica.now
      this.#handleHeartbeatResponse(progress, message)
    }
  }

  handleTimeout(): void {
    const replica = this.#replica
    if (replica.now >= this.#quorumCheckAt && this.#maybeStepDown()) return
    if (replica.now >= this.#transfer.endsAt) this.#endTransfer('timedOut', 'targetDidNotTakeOver')
    if (replica.now < this.#heartbeatAt) return
    this.#heartbeatAt = after(replica.now, replica.options.heartbeatIntervalMs)
    this.#broadcastHeartbeat()
    if (this.#transfer.target !== null) this.#maybeTellTarget(this.#transfer.target)
  }

  handlePersisted(): void {
    this.#maybeCommit()
  }

  handlePeerLost(peer: ReplicaId): void {
    this.#progress.get(peer)?.becomeProbe()
  }

  handlePeerConnected(peer: ReplicaId): void {
    this.#progress.get(peer)?.resume()
    this.#replicateTo(peer, true)
  }

  nextDeadline(): MonotonicMs {
    return Math.min(this.#heartbeatAt, this.#quorumCheckAt, this.#transfer.endsAt) as MonotonicMs
  }

  isLeaderAtWork(): boolean {
    const { now, options } = this.#replica
    return now - this.#quorumHeardAt() < options.electionTimeoutMinMs
  }

  leave(): void {
    const { leader } = this.#replica
    for (const requestId of this.#reads.takeAll()) this.#refuseRead(requestId, 'notLeader', leader)
    this.#endTransfer('steppedDown', 'leadershipEnded')
  }

  progress(): ReplicaProgress[] {
    const { now, options, voters } = this.#replica
    return [...this.#progress].map(([replica, progress]) => ({
      replica,
      isVoter: voters.includes(replica),
      mode: progress.mode,
      matchIndex: progress.match,
      nextIndex: progress.next,
      appendsInFlight: progress.appendsInFlight,
      active: now - progress.heardAt < options.electionTimeoutMaxMs
    }))
  }

  #append(payload: Uint8Array): LogIndex {
    const { log, term } = this.#replica
    const index = (log.lastIndex + 1) as LogIndex
    this.#replica.append([{ index, term, payload }])
    this.#uncommittedBytes += payload.length
    for (const member of this.#progress.keys()) this.#replicateTo(member, false)
    return index
  }

  #handleAcceptance(progress: Progress, message: AppendEntriesResponse): void {
    const { log } = this.#replica
    if (message.index > log.lastIndex) {
      this.#replica.messagesIgnored++
      return
    }
    if (!progress.handleAccepted(message.index)) return
    this.#maybeCommit()
    this.#replicateTo(message.from, false)
    this.#maybeTellTarget(message.from)
  }

  #handleRejection(progress: Progress, message: AppendEntriesResponse): void {
    const agreed = this.#replica.log.lastIndexBelowTerm(message.hintIndex, message.hintTerm)
    if (progress.handleRejected(message.index, agreed)) this.#replicateTo(message.from, true)
  }

  #handleHeartbeatResponse(progress: Progress, message: HeartbeatResponse): void {
    progress.resume()
    const isStuck = progress.match === progress.matchAtHeartbeat
    progress.matchAtHeartbeat = progress.match
    if (progress.match < this.#replica.log.lastIndex) this.#replicateTo(message.from, isStuck)
    this.#reads.acknowledge(message.from, message.readContext)
    this.#maybeAnswerReads()
  }

  /**
   * As much as the window takes; `evenIfEmpty` sends a check, or a commit index, without entries.
   */
  #replicateTo(member: ReplicaId, evenIfEmpty: boolean): void {
    const progress = this.#progress.get(member)
    if (progress === undefined) return
    const { log, options } = this.#replica
    let mayBeEmpty = evenIfEmpty || progress.sentCommit < this.#replica.commitIndex
    while (!progress.isPaused && (mayBeEmpty || progress.next <= log.lastIndex)) {
      mayBeEmpty = false
      const entries = log.page(progress.next, options.appendSizeBytesMax, appendEntriesCountMax)
      const prevIndex = (progress.next - 1) as LogIndex
      this.#replica.effects.send({
        kind: 'appendEntries',
        ...this.#replica.envelope(member),
        prevIndex,
        prevTerm: log.termAt(prevIndex) ?? this.#replica.term,
        commitIndex: this.#replica.commitIndex,
        entries
      })
      progress.noteSent(entries.at(-1)?.index ?? null, this.#replica.commitIndex)
    }
  }

  #broadcastHeartbeat(): void {
    const { commitIndex, effects } = this.#replica
    for (const [member, progress] of this.#progress) {
      effects.send({
        kind: 'heartbeat',
        ...this.#replica.envelope(member),
        // The receiver may not have the entries behind its match.
        commitIndex: Math.min(progress.match, commitIndex) as LogIndex,
        readContext: this.#reads.context
      })
    }
  }

  #maybeCommit(): void {
    const replica = this.#replica
    const before = replica.commitIndex
    const index = quorumValue(replica.voters, (voter) => this.#matchOf(voter)) as LogIndex
    if (index <= before || replica.log.termAt(index) !== replica.term) return
    replica.commitTo(index)
    for (const entry of replica.log.between((before + 1) as LogIndex, index)) {
      if (entry.term === replica.term) this.#uncommittedBytes -= entry.payload.length
    }
    for (const member of this.#progress.keys()) this.#replicateTo(member, false)
    this.#maybeOpenReads()
  }

  #matchOf(voter: ReplicaId): LogIndex {
    if (voter === this.#replica.self) return this.#replica.persists.durableIndex
    return this.#progress.get(voter)?.match ?? (0 as LogIndex)
  }

  #quorumHeardAt(): MonotonicMs {
    const { now, self, voters } = this.#replica
    const heardAt = (voter: ReplicaId) =>
      voter === self ? now : (this.#progress.get(voter)?.heardAt ?? Number.NEGATIVE_INFINITY)
    return quorumValue(voters, heardAt) as MonotonicMs
  }

  #maybeStepDown(): boolean {
    const { now, options, persists, term } = this.#replica
    const diskSince = persists.waitingSince ?? now
    const quorumHeardAt = this.#quorumHeardAt()
    const healthySince = Math.min(quorumHeardAt, diskSince) as MonotonicMs
    this.#quorumCheckAt = after(healthySince, options.electionTimeoutMaxMs)
    if (now < this.#quorumCheckAt) return false
    const reason = diskSince < quorumHeardAt ? 'diskStalled' : 'quorumLost'
    this.#transitions.becomeFollower(term, null, reason)
    return true
  }

  #maybeOpenReads(): void {
    const { commitIndex, log, self, term } = this.#replica
    if (log.termAt(commitIndex) !== term || !this.#reads.maybeOpen(commitIndex, self)) return
    this.#broadcastHeartbeat()
    this.#maybeAnswerReads()
  }

  #maybeAnswerReads(): void {
    const confirmed = this.#reads.takeConfirmed(this.#replica.voters)
    if (confirmed === null) return
    const { index } = confirmed
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
    return this.#replica.voters.includes(target) ? null : 'notAVoter'
  }

  /** Voters that answer go before silent ones. */
  #mostAdvanced(): ReplicaId | null {
    const [best] = this.progress()
      .filter((one) => one.isVoter)
      .sort(
        (a, b) =>
          Number(b.active) - Number(a.active) ||
          b.matchIndex - a.matchIndex ||
          compareText(a.replica, b.replica)
      )
    return best?.replica ?? null
  }

  #maybeTellTarget(member: ReplicaId): void {
    if (member !== this.#transfer.target) return
    if (this.#progress.get(member)?.match !== this.#replica.log.lastIndex) return
    this.#transfer.noteTold(member)
    this.#replica.effects.send({ kind: 'timeoutNow', ...this.#replica.envelope(member) })
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
