/**
 * The Raft core of one replica: who leads, and which entries are committed.
 *
 * Source: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014), chapters 3, 4
 * (configurations), 6.2 (check quorum), 6.4 (reads), 9.6 (pre-vote), 3.10 (transfer). Scenario ids
 * R-… are those of the tests.
 *
 * Invariants:
 * 1. At most one leader per term: a vote is given once per term and is durable before it is told.
 * 2. Logs that have the same index and term are the same up to it.
 * 3. What is committed stays, in every later leader's log.
 * 4. A term is raised by a campaign alone that a majority has forecast to succeed, or that the
 *    leader asked for.
 * 5. Of two configurations that follow one another in a log, every quorum of the one shares a
 *    replica with every quorum of the other; the second is appended when the first is committed,
 *    and an entry of the leader's own term (R-M02).
 *
 * Owner's duties:
 * 1. After each call: drain, carry out in the order of `Effects`, arm a timer for `nextDeadline`.
 * 2. `handlePersisted(sequence)` when the request is durable, in order; never after an error.
 * 3. Hand over only messages whose sender is the node that it says; read reads' answers as
 *    applied state at or above the index of `ReadReady`.
 * 4. `handleApplied` as the entries of `Committed` are applied: more come only then. After
 *    `handleRestored`, entries of `Committed` up to its base are not applied any more.
 * 5. What was read by `leaseRead` is told only when `holdsLease`, with the clock as it is after the
 *    read, agrees; each replica's clock is monotonic and keeps to `leaseClockRatioMax`.
 * 6. On RoleChanged away from leader: the outcome of what was proposed and is not committed is
 *    unknown.
 * 7. `RolledBack`: the replica is stopped, and nothing of its node goes on.
 */
import { assert } from '../../core/assert.js'
import type { Effects } from '../../core/effects.js'
import type { RaftRole } from '../../core/events.js'
import type { LogIndex, MonotonicMs, ReplicaId, Term } from '../../core/ids.js'
import type { SnapshotDescription } from '../../core/ports/engine.js'
import type { LogBase } from '../../core/ports/log-store.js'
import { type Configuration, isJoint } from '../configuration.js'
import type { AppendEntries, RaftMessage, Vote } from '../messages.js'
import { Candidate } from './candidate.js'
import type { MemberChange } from './configuration-change.js'
import { answerPreVote, answerVote } from './elections.js'
import { Follower } from './follower.js'
import { Leader } from './leader.js'
import { lostStateShownBy } from './lost-state.js'
import { assertRaftOptions } from './options.js'
import { Replica } from './replica.js'
import { leadershipTransferred, type Transitions } from './role.js'
import type {
  ChangeOutcome,
  CompactionLimits,
  ElectionRecord,
  HeardAt,
  LeaseRead,
  ProposeOutcome,
  RaftEvent,
  RaftInit,
  RaftPersist,
  RaftStatus
} from './types.js'

export class Raft {
  readonly #replica: Replica
  readonly #transitions: Transitions
  #role: Follower | Candidate | Leader

  constructor(init: RaftInit) {
    assertRaftOptions(init.options)
    this.#replica = new Replica(init)
    this.#transitions = {
      becomeFollower: (term, leader, reason) => this.#becomeFollower(term, leader, reason),
      becomePreCandidate: (reason) => this.#becomeCandidate(true, false, reason),
      becomeCandidate: (transfer, reason) => this.#becomeCandidate(false, transfer, reason),
      becomeLeader: (reason) => this.#becomeLeader(reason)
    }
    const follower = new Follower(this.#replica, this.#transitions)
    const { configuration, isVoter } = this.#replica
    const isAlone = configuration.voters.length === 1 && !isJoint(configuration)
    if (isVoter && isAlone) follower.campaignAtOnce()
    else this.#replica.keepForgottenPromise()
    this.#role = follower
  }

  receive(message: RaftMessage, now: MonotonicMs): void {
    const replica = this.#replica
    replica.now = now
    const { group, self } = replica
    // Another storage of this node may have voted before: what is meant for it is not for this one.
    const isForeign = message.group !== group || message.to !== self || message.from === self
    if (isForeign || replica.isRolledBack) {
      replica.messagesIgnored++
    } else if (message.kind === 'preVote') {
      answerPreVote(replica, message, this.#role.isLeaderAtWork())
      if (this.#role instanceof Leader) this.#role.handleForecast(message.from)
    } else if (message.term < replica.term) {
      this.#handleStaleTerm(message)
    } else if (message.kind === 'vote') {
      this.#handleVote(message)
    } else if (message.kind === 'preVoteResponse' && message.granted) {
      if (message.term === replica.term + 1) this.#role.receive(message)
    } else {
      this.#followUnlessRolledBack(message)
    }
  }

  handleTimeout(now: MonotonicMs): void {
    this.#replica.now = now
    this.#role.handleTimeout()
  }

  /** Every persist request up to `sequence` is durable. */
  handlePersisted(sequence: number, now: MonotonicMs): void {
    this.#replica.now = now
    this.#replica.persists.confirm(sequence)
    this.#replica.emitCommitted()
    this.#role.handlePersisted()
  }

  /** Everything up to `index` is applied, so that more may be handed over. */
  handleApplied(index: LogIndex, now: MonotonicMs): void {
    this.#replica.now = now
    this.#replica.noteApplied(index)
  }

  /** The log is longer than it would be without somebody who catches up. */
  get isLogHeld(): boolean {
    return this.#role instanceof Leader && Number.isFinite(this.#role.heldIndexMin)
  }

  /** Forgets entries that are applied and not needed any more; answers how many. */
  compact({ durableIndex, tail, heedsSnapshots }: CompactionLimits, now: MonotonicMs): number {
    const replica = this.#replica
    replica.now = now
    const { appliedIndex, log } = replica
    const role = this.#role
    const offered = heedsSnapshots && role instanceof Leader ? role.heldIndexMin : appliedIndex
    const index = Math.min(durableIndex, offered, log.tailBelow(appliedIndex, tail)) as LogIndex
    return replica.compactTo(index)
  }

  /**
   * The snapshot that can be offered from now on; null: there is none, also after `SnapshotWanted`.
   */
  handleSnapshot(snapshot: SnapshotDescription | null, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Leader) this.#role.handleSnapshot(snapshot)
  }

  /** Whether an engine that holds everything up to `index` would bring this replica further. */
  needsSnapshot(index: LogIndex): boolean {
    return index > this.#replica.commitIndex && !(this.#role instanceof Leader)
  }

  /** The engine holds for good everything up to `base`, above what it had applied. */
  handleRestored(base: LogBase, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Follower) this.#role.handleRestored(base)
    else this.#replica.restoreTo(base)
  }

  /** The engine is what it was: the offer of a snapshot up to `index` was not taken. */
  refuseSnapshot(index: LogIndex, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Follower) this.#role.refuseSnapshot(index)
  }

  /**
   * The connection to `peer` broke: if it leads, it has probably died, and a campaign may come
   * soon.
   */
  handlePeerLost(peer: ReplicaId, now: MonotonicMs): void {
    this.#replica.now = now
    this.#role.handlePeerLost(peer)
  }

  /** A message to `peer` was not taken by the transport; nothing is known of the peer itself. */
  handlePeerUnreachable(peer: ReplicaId, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Leader) this.#role.handlePeerLost(peer)
  }

  /** The same of an append, which goes again when there is room; those before it may arrive. */
  handleNotSent(append: AppendEntries, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Leader && append.term === this.#replica.term) {
      this.#role.handleNotSent(append)
    }
  }

  /**
   * A connection to `peer` stands: a leader goes on replicating without waiting for a heartbeat.
   */
  handlePeerConnected(peer: ReplicaId, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Leader) this.#role.handlePeerConnected(peer)
  }

  /**
   * `payload` is an encoded EntryPayload of kind `batch`. Committed when `Committed` carries it.
   */
  propose(payload: Uint8Array, now: MonotonicMs): ProposeOutcome {
    this.#replica.now = now
    if (this.#role instanceof Leader) return this.#role.propose(payload)
    return { kind: 'refused', reason: 'notLeader', leaderHint: this.#replica.leader }
  }

  /**
   * Gives each named replica its role, in one step or by way of a joint configuration, which the
   * leader leaves by itself. Refused while another change is under way.
   */
  changeConfiguration(changes: readonly MemberChange[], now: MonotonicMs): ChangeOutcome {
    this.#replica.now = now
    if (this.#role instanceof Leader) return this.#role.changeConfiguration(changes)
    return { kind: 'refused', reason: 'notLeader', leaderHint: this.#replica.leader }
  }

  /** Answered by `ReadReady` or `ReadRefused` with this id, which the owner uses once. */
  requestReadIndex(requestId: number, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Leader) {
      this.#role.requestReadIndex(requestId)
      return
    }
    const leaderHint = this.#replica.leader
    this.#replica.effects.emit({ type: 'ReadRefused', requestId, reason: 'notLeader', leaderHint })
  }

  /**
   * The state at `index` and above may be read, and told when `holdsLease` says so afterwards.
   * Null: a majority has to be asked. Looks at no clock: a lease that ended in a pause of the
   * process is found out by the look after the read, which has to be taken anyway.
   */
  leaseRead(): LeaseRead | null {
    const { commitIndex, now, term } = this.#replica
    if (!(this.#role instanceof Leader) || !this.#role.holdsLease(now)) return null
    return { index: commitIndex, term }
  }

  /** Whether everything that was read since `leaseRead` told this term was up to date. */
  holdsLease(term: Term, now: MonotonicMs): boolean {
    return this.#role instanceof Leader && term === this.#replica.term && this.#role.holdsLease(now)
  }

  /** Whether it is time for `renewLease`, as long as reads go on. */
  isLeaseOld(now: MonotonicMs): boolean {
    return this.#role instanceof Leader && this.#role.isLeaseOld(now)
  }

  renewLease(now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Leader) this.#role.renewLease()
  }

  /**
   * Null: to the best voter, as the leader sees it. Ends with `TransferEnded`; the same target
   * twice is one transfer.
   */
  transferLeadership(target: ReplicaId | null, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Leader) {
      this.#role.transferTo(target)
      return
    }
    const reason = 'notLeader'
    this.#replica.effects.emit({ type: 'TransferEnded', target, outcome: 'refused', reason })
  }

  /** Gives up leadership or a campaign, without a successor. */
  stepDown(reason: string, now: MonotonicMs): void {
    this.#replica.now = now
    if (this.#role instanceof Follower) return
    this.#becomeFollower(this.#replica.term, null, reason)
  }

  /** A replica that is about to stop does not campaign, whoever asks. Allowed at the start. */
  setCandidacy(isAllowed: boolean): void {
    this.#replica.isCandidacyAllowed = isAllowed
  }

  /**
   * It was not called for a while, because its host stood by it. `heardAt` tells when a replica's
   * host was last heard: its own heartbeats, where it leads, or else its answers to ours.
   */
  resume(heardAt: HeardAt, now: MonotonicMs): void {
    this.#replica.now = now
    this.#role.resume(heardAt)
  }

  drain(): Effects<RaftMessage, RaftPersist, RaftEvent> {
    const { effects, group, log, now, persists, term, vote } = this.#replica
    const request = persists.take(group, { term, vote }, log, now)
    if (request !== null) effects.mergePersist(() => request)
    return effects.drain()
  }

  nextDeadline(): MonotonicMs {
    return this.#role.nextDeadline()
  }

  /** The term of the entry at `index`; undefined below the log's base and beyond its end. */
  termAt(index: LogIndex): Term | undefined {
    return this.#replica.log.termAt(index)
  }

  get role(): RaftRole {
    return this.#role.name
  }

  get term(): Term {
    return this.#replica.term
  }

  get leader(): ReplicaId | null {
    return this.#replica.leader
  }

  get commitIndex(): LogIndex {
    return this.#replica.commitIndex
  }

  /** The same value until it changes. */
  get configuration(): Configuration {
    return this.#replica.log.configuration
  }

  /** Entries that the log holds in memory. */
  get logEntries(): number {
    const { log } = this.#replica
    return log.lastIndex - log.baseIndex
  }

  /** Of their payloads. */
  get logBytes(): number {
    return this.#replica.log.sizeBytes
  }

  status(): RaftStatus {
    const { commitIndex, emittedIndex, leader, log, messagesIgnored, persists, term, vote } =
      this.#replica
    const leading = this.#role instanceof Leader ? this.#role : null
    return {
      role: this.#role.name,
      term,
      vote,
      leader,
      configuration: log.configuration,
      configurationIndex: log.configurationIndex,
      commitIndex,
      emittedIndex,
      durableIndex: persists.durableIndex,
      baseIndex: log.baseIndex,
      lastIndex: log.lastIndex,
      lastTerm: log.lastTerm,
      uncommittedBytes: leading?.uncommittedBytes ?? 0,
      pendingReads: leading?.pendingReads ?? 0,
      transferTarget: leading?.transferTarget ?? null,
      messagesIgnored,
      progress: leading?.progress() ?? []
    }
  }

  /** The newest decisions about who leads, oldest first, each with what it was decided on. */
  explainElection(): readonly ElectionRecord[] {
    return this.#replica.records.toArray()
  }

  #handleVote(message: Vote): void {
    const replica = this.#replica
    if (message.term > replica.term) {
      const isLoyal = this.#role.isLeaderAtWork() || replica.isPromised
      if (isLoyal && !this.#isTransferHonoured(message)) {
        const reason = replica.isPromised ? 'promised' : 'leaderAtWork'
        replica.record('voteIgnored', message.from, reason)
        return
      }
      this.#becomeFollower(message.term, null, 'higherTerm')
    }
    const isGranted = answerVote(replica, message)
    if (isGranted && this.#role instanceof Follower) this.#role.postponeElection()
  }

  #isTransferHonoured(message: Vote): boolean {
    if (!message.transfer) return false
    return !(this.#role instanceof Leader) || this.#role.mayTakeOver(message.from)
  }

  /**
   * Tells a sender that lags the term, so that a cut-off leader steps down and a candidate goes
   * on.
   */
  #handleStaleTerm(message: RaftMessage): void {
    const replica = this.#replica
    const envelope = replica.envelope(message.from)
    if (isLeaders(message)) {
      replica.reply({ kind: 'heartbeatResponse', ...envelope, readContext: 0 })
    } else if (message.kind === 'vote') {
      replica.reply({ kind: 'voteResponse', ...envelope, granted: false })
    }
  }

  #followUnlessRolledBack(message: RaftMessage): void {
    const lost = lostStateShownBy(this.#replica, message)
    if (lost === null) {
      this.#followTerm(message)
      this.#role.receive(message)
      return
    }
    this.#replica.isRolledBack = true
    this.#becomeFollower(this.#replica.term, null, 'rolledBack')
    this.#replica.effects.emit({ type: 'RolledBack', lost })
  }

  /**
   * The message's term is not below the own; a leader's message makes a follower of everyone
   * else.
   */
  #followTerm(message: RaftMessage): void {
    const isOfLeader = isLeaders(message)
    const { term } = this.#replica
    assert(
      !isOfLeader || message.term > term || !(this.#role instanceof Leader),
      `${message.from} and this replica lead term ${term}`
    )
    if (message.term > term) {
      this.#becomeFollower(message.term, isOfLeader ? message.from : null, 'higherTerm')
    } else if (isOfLeader && this.#role instanceof Candidate) {
      this.#becomeFollower(term, message.from, 'leaderFound')
    }
  }

  #becomeFollower(term: Term, leader: ReplicaId | null, reason: string): void {
    const replica = this.#replica
    const left = this.#role
    replica.adoptTerm(term)
    replica.setLeader(leader)
    replica.record('becameFollower', leader, reason)
    if (left instanceof Follower) return
    this.#enter(new Follower(replica, this.#transitions), reason)
  }

  #becomeCandidate(isForecast: boolean, transfer: boolean, reason: string): void {
    const replica = this.#replica
    const candidate = new Candidate(replica, this.#transitions, { isForecast, transfer })
    candidate.start()
    replica.record(isForecast ? 'becamePreCandidate' : 'becameCandidate', null, reason)
    this.#enter(candidate, reason)
    candidate.count()
  }

  #becomeLeader(reason: string): void {
    const leader = new Leader(this.#replica, this.#transitions)
    this.#replica.record('becameLeader', this.#replica.self, reason)
    leader.start(reason === leadershipTransferred)
    this.#enter(leader, reason)
  }

  #enter(role: Follower | Candidate | Leader, reason: string): void {
    const left: { name: RaftRole; leave(): void } = this.#role
    this.#role = role
    left.leave()
    const { leader, term, effects } = this.#replica
    effects.emit({ type: 'RoleChanged', term, role: role.name, leader, reason })
  }
}

/** It is a leader's alone to send. */
const isLeaders = ({ kind }: RaftMessage): boolean =>
  kind === 'appendEntries' || kind === 'heartbeat' || kind === 'installSnapshot'
