/**
 * The state that outlives a role: hard state, log, commit index, who leads. Roles change it
 * through the verbs here, each of which keeps one invariant:
 * 1. the term never falls, and a vote is cast once per term;
 * 2. nothing at or below the commit index is truncated;
 * 3. the commit index never falls; `Committed` carries each entry once, in order, when it is
 *    durable here, so that the engine is never ahead of the log on disk, and no further ahead of
 *    what was applied than the bounds (R-C09);
 * 4. a message that promises durable state leaves behind it;
 * 5. until a promise to a leader has run out no vote is given, the own one neither, but for who
 *    was told by that leader to take over: whatever else happens to role, term or connections.
 */
import { assert } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import { EffectsBuffer } from '../../core/effects.js'
import type { GroupId, LogIndex, MonotonicMs, ReplicaId, Term } from '../../core/ids.js'
import type { LogBase, LogEntry } from '../../core/ports/log-store.js'
import type { Random } from '../../core/ports/random.js'
import { RingBuffer } from '../../core/ring-buffer.js'
import { type Configuration, votesIn } from '../configuration.js'
import type { RaftMessage } from '../messages.js'
import {
  committedEntriesMax,
  electionRecordsMax,
  type RaftOptions,
  unappliedEntriesMax
} from './options.js'
import { PersistTracker } from './persist-tracker.js'
import { RaftLog } from './raft-log.js'
import type { ElectionRecord, RaftEvent, RaftInit, RaftPersist } from './types.js'

type Envelope = Pick<RaftMessage, 'group' | 'from' | 'to' | 'term'>

export class Replica {
  readonly group: GroupId
  readonly self: ReplicaId
  readonly options: RaftOptions
  readonly random: Random
  readonly log: RaftLog
  readonly persists: PersistTracker
  readonly effects = new EffectsBuffer<RaftMessage, RaftPersist, RaftEvent>()
  readonly records = new RingBuffer<ElectionRecord>(electionRecordsMax)
  /** The time of the call that is being handled. */
  now: MonotonicMs
  isCandidacyAllowed = true
  /** It has lost what it had promised: nothing of it may count. */
  isRolledBack = false
  messagesIgnored = 0
  readonly #heartbeatPhaseMs: number | null
  #term: Term
  #vote: ReplicaId | null
  #leader: ReplicaId | null = null
  #leaderTerm: Term | null = null
  #leaderHeardAt: MonotonicMs | null = null
  #promisedUntil = Number.NEGATIVE_INFINITY as MonotonicMs
  #commitIndex: LogIndex
  #emittedIndex: LogIndex
  #appliedIndex: LogIndex
  /** Of the entries between the two. */
  #unappliedBytes = 0

  constructor(init: RaftInit) {
    this.group = init.group
    this.self = init.self
    this.options = init.options
    this.random = init.random
    this.now = init.now
    this.#heartbeatPhaseMs = init.heartbeatPhaseMs ?? null
    this.log = new RaftLog(init.recovered.base ?? null, init.recovered.entries)
    this.persists = new PersistTracker(this.log.lastIndex)
    this.#term = init.recovered.hardState.term
    this.#vote = init.recovered.hardState.vote
    this.#commitIndex = init.appliedIndex
    this.#emittedIndex = init.appliedIndex
    this.#appliedIndex = init.appliedIndex
    assert(init.appliedIndex <= this.log.lastIndex, 'the engine is ahead of the log')
    assert(init.appliedIndex >= this.log.baseIndex, 'the engine lacks what the log has no more')
    assert(this.log.lastTerm <= this.#term, 'the log is ahead of the term')
  }

  get term(): Term {
    return this.#term
  }

  get vote(): ReplicaId | null {
    return this.#vote
  }

  get leader(): ReplicaId | null {
    return this.#leader
  }

  get commitIndex(): LogIndex {
    return this.#commitIndex
  }

  get emittedIndex(): LogIndex {
    return this.#emittedIndex
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex
  }

  /** Committed entries wait in the log, because those before them wait to be applied. */
  get isApplyBehind(): boolean {
    return this.#emittedIndex < Math.min(this.#commitIndex, this.persists.durableIndex)
  }

  get configuration(): Configuration {
    return this.log.configuration
  }

  get isVoter(): boolean {
    return votesIn(this.self, this.configuration)
  }

  /**
   * Whether it could be needed as a leader. Where the configuration that leaves it out is perhaps
   * not committed, nobody else may have it (R-M09).
   */
  get isElectable(): boolean {
    if (this.isVoter) return true
    const { configurationBefore, configurationIndex } = this.log
    return configurationIndex > this.#commitIndex && votesIn(this.self, configurationBefore)
  }

  /**
   * A disk that does not answer must not make a leader, nor an engine that has not heard who is a
   * member for certain (R-E30).
   */
  get mayCampaign(): boolean {
    const since = this.persists.waitingSince
    const isDiskStalled = since !== null && this.now - since >= this.options.electionTimeoutMinMs
    const isChangeUnapplied = this.log.configurationIndexAt(this.#commitIndex) > this.#appliedIndex
    if (this.isRolledBack || isDiskStalled || isChangeUnapplied) return false
    return this.isElectable && this.isCandidacyAllowed
  }

  /** Since the leader was heard; null when it never was, or its connection broke. */
  get leaderSilentMs(): number | null {
    return this.#leaderHeardAt === null ? null : this.now - this.#leaderHeardAt
  }

  /** A leader's lease rests on this replica: it elects nobody else. */
  get isPromised(): boolean {
    return this.now < this.#promisedUntil
  }

  get promisedUntil(): MonotonicMs {
    return this.#promisedUntil
  }

  /** False: it makes no promise, or none so long, and nothing may rest on it. */
  promise(ms: number): boolean {
    const { electionTimeoutMinMs, leaseReads } = this.options
    if (!leaseReads || ms > electionTimeoutMinMs) return false
    const until = after(this.now, ms)
    if (until > this.#promisedUntil) this.#promisedUntil = until
    return true
  }

  /** What a process before this one has promised is not known: the longest is kept. */
  keepForgottenPromise(): void {
    this.promise(this.options.electionTimeoutMinMs)
  }

  /** Of a leader. */
  nextHeartbeatAt(): MonotonicMs {
    const { heartbeatIntervalMs } = this.options
    if (this.#heartbeatPhaseMs === null) return after(this.now, heartbeatIntervalMs)
    const beats = Math.floor((this.now - this.#heartbeatPhaseMs) / heartbeatIntervalMs) + 1
    return (this.#heartbeatPhaseMs + beats * heartbeatIntervalMs) as MonotonicMs
  }

  drawElectionTimeoutMs(): number {
    const { electionTimeoutMinMs, electionTimeoutMaxMs } = this.options
    return electionTimeoutMinMs + this.random.nextInt(electionTimeoutMaxMs - electionTimeoutMinMs)
  }

  adoptTerm(term: Term): void {
    assert(term >= this.#term, `term ${term} behind ${this.#term}`)
    if (term === this.#term) return
    this.#term = term
    this.#vote = null
    this.persists.noteHardState()
  }

  castVote(candidate: ReplicaId): void {
    assert(this.#vote === null || this.#vote === candidate, `second vote in term ${this.#term}`)
    if (this.#vote === candidate) return
    this.#vote = candidate
    this.persists.noteHardState()
  }

  setLeader(leader: ReplicaId | null): void {
    assert(
      leader === null || this.#leaderTerm !== this.#term || leader === this.#leader,
      `${leader} and ${this.#leader} lead term ${this.#term}`
    )
    const isNews = leader !== this.#leader || (leader !== null && this.#leaderTerm !== this.#term)
    this.#leader = leader
    this.#leaderTerm = leader === null ? null : this.#term
    this.#leaderHeardAt = leader === null ? null : this.now
    if (isNews) this.effects.emit({ type: 'LeaderChanged', term: this.#term, leader })
  }

  /** Its host was heard on its behalf. */
  noteLeaderHeard(at: MonotonicMs): void {
    if (this.#leaderHeardAt === null || at > this.#leaderHeardAt) this.#leaderHeardAt = at
  }

  /** The leader may be replaced without waiting until it has been silent for long enough. */
  distrustLeader(): void {
    this.#leaderHeardAt = null
  }

  append(entries: readonly LogEntry[]): void {
    const first = entries[0]
    if (first === undefined) return
    const before = this.log.configuration
    if (first.index <= this.log.lastIndex) {
      assert(first.index > this.#commitIndex, `truncation of committed entry ${first.index}`)
      this.log.truncateFrom(first.index)
      this.persists.noteTruncated(first.index)
    }
    this.log.append(entries)
    this.persists.noteAppended(first.index)
    const configuration = this.log.configuration
    if (configuration !== before) {
      this.effects.emit({ type: 'ConfigurationChanged', configuration })
    }
  }

  /** The newest configuration stands, and with it everything that follows from it. */
  get isConfigurationCommitted(): boolean {
    return this.log.configurationIndex <= this.#commitIndex
  }

  commitTo(index: LogIndex): void {
    if (index <= this.#commitIndex) return
    assert(index <= this.log.lastIndex, `commit of ${index}, but the log ends sooner`)
    const wasCommitted = this.isConfigurationCommitted
    this.#commitIndex = index
    if (!wasCommitted && this.isConfigurationCommitted) this.#emitConfigurationCommitted()
    this.emitCommitted()
  }

  emitCommitted(): void {
    const upTo = Math.min(this.#commitIndex, this.persists.durableIndex)
    while (this.#emittedIndex < upTo) {
      const entries = this.#nextToEmit(upTo as LogIndex)
      const last = entries.at(-1)
      if (last === undefined) return
      this.effects.emit({ type: 'Committed', entries })
      this.#emittedIndex = last.index
    }
  }

  noteApplied(index: LogIndex): void {
    assert(index <= this.#emittedIndex, `${index} applied, ${this.#emittedIndex} handed over`)
    if (index <= this.#appliedIndex) return
    for (const entry of this.log.between((this.#appliedIndex + 1) as LogIndex, index)) {
      this.#unappliedBytes -= entry.payload.length
    }
    this.#appliedIndex = index
    this.emitCommitted()
  }

  /** The engine holds everything up to `index` for good. Answers how many entries are forgotten. */
  compactTo(index: LogIndex): number {
    assert(index <= this.#appliedIndex, `compaction to ${index}, ${this.#appliedIndex} is applied`)
    const count = index - this.log.baseIndex
    if (count <= 0) return 0
    this.log.compactTo(index)
    this.persists.noteBase({ base: this.log.baseAt(index), replacesLog: false })
    return count
  }

  /**
   * The engine's content has been replaced, for good, by what the group had at `base`. Where the
   * log has other entries it has nothing that was committed behind them: all of it goes (R-S06).
   */
  restoreTo(base: LogBase): void {
    const { index, term } = base
    assert(index > this.#appliedIndex, `restored to ${index}, ${this.#appliedIndex} was applied`)
    assert(term <= this.#term, `restored to term ${term} in ${this.#term}`)
    const before = this.log.configuration
    const wasCommitted = this.isConfigurationCommitted
    const replacesLog = this.log.termAt(index) !== term
    if (replacesLog) {
      assert(index > this.#commitIndex, `committed entry ${index} is not the group's`)
      this.log.reset(base)
    } else {
      this.log.compactTo(index)
    }
    this.persists.noteBase({ base: this.log.baseAt(index), replacesLog })
    this.#noteRestored(index)
    const { configuration } = this.log
    if (configuration !== before) {
      this.effects.emit({ type: 'ConfigurationChanged', configuration })
    }
    if (this.isConfigurationCommitted && (configuration !== before || !wasCommitted)) {
      this.#emitConfigurationCommitted()
    }
    this.emitCommitted()
  }

  envelope(to: ReplicaId): Envelope {
    return { group: this.group, from: this.self, to, term: this.#term }
  }

  /** For answers that promise nothing but the term: they wait for the disk only while it is new. */
  reply(message: RaftMessage): void {
    if (this.persists.isHardStateDurable) this.effects.send(message)
    else this.effects.sendAfterPersist(message)
  }

  record(decision: string, peer: ReplicaId | null, reason: string): void {
    this.records.push({
      at: this.now,
      term: this.#term,
      decision,
      peer,
      reason,
      lastIndex: this.log.lastIndex,
      lastTerm: this.log.lastTerm,
      leader: this.#leader,
      leaderSilentMs: this.leaderSilentMs
    })
  }

  #emitConfigurationCommitted(): void {
    const { configuration, configurationIndex: index } = this.log
    this.effects.emit({ type: 'ConfigurationCommitted', configuration, index })
  }

  #noteRestored(index: LogIndex): void {
    this.#appliedIndex = index
    if (this.#commitIndex < index) this.#commitIndex = index
    if (this.#emittedIndex < index) this.#emittedIndex = index
    this.#unappliedBytes = 0
    const handedOver = this.log.between((index + 1) as LogIndex, this.#emittedIndex)
    for (const { payload } of handedOver) this.#unappliedBytes += payload.length
  }

  /** One entry goes whatever its size, when all before it are applied. */
  #nextToEmit(upTo: LogIndex): LogEntry[] {
    const countMax = this.#appliedIndex + unappliedEntriesMax - this.#emittedIndex
    const to = Math.min(upTo, this.#emittedIndex + Math.min(committedEntriesMax, countMax))
    const entries: LogEntry[] = []
    for (const entry of this.log.between((this.#emittedIndex + 1) as LogIndex, to as LogIndex)) {
      const unappliedBytes = this.#unappliedBytes + entry.payload.length
      if (this.#unappliedBytes > 0 && unappliedBytes > this.options.unappliedBytesMax) break
      this.#unappliedBytes = unappliedBytes
      entries.push(entry)
    }
    return entries
  }
}
