/**
 * One replica of one group: Raft below, the engine above, callers beside.
 *
 * 1. One thing at a time is done with the engine's batch: discard what was planned in vain, take a
 *    snapshot in or have the log compacted, apply what is committed, plan and propose what waits,
 *    in this order of preference.
 * 2. A leader plans only when it has applied an entry of its own term and everything before it, so
 *    that the exactly-once table and the data are those at the end of the log.
 * 3. An error while applying is fail-stop for the replica: it steps down, campaigns no more, serves
 *    nothing; its log goes on voting and storing, which no engine is needed for.
 * 4. What a snapshot has brought is not applied again: it replaces the engine's content first, then
 *    Raft hears of it.
 * 5. A replica whose content differs from the majority's stops serving likewise.
 */
import { InvariantError } from '../../core/assert.js'
import type { Config } from '../../core/config/schema.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after, NEVER } from '../../core/deadlines.js'
import {
  BackpressureError,
  CancelledError,
  DivergedError,
  EngineFailedError,
  NoLeaderError,
  NotFoundError,
  NotLeaderError,
  ReplicaFailedError,
  RequestTimeoutError,
  SkeinError,
  StoppedError,
  TransferFailedError
} from '../../core/errors.js'
import type { ConsensusEvent } from '../../core/events.js'
import {
  type ClientId,
  type GroupId,
  groupName,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  nodeOf,
  type ReplicaId
} from '../../core/ids.js'
import { messageSizeBytesMax } from '../../core/limits.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Engine } from '../../core/ports/engine.js'
import type { LogEntry, PersistRequest, RecoveredGroup } from '../../core/ports/log-store.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type {
  GroupStatus,
  Leadership,
  ReadAnswer,
  ReadRequest,
  ReplicatedGroup,
  WriteAnswer,
  WriteRequest
} from '../../core/ports/replicated-group.js'
import { factsOf } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { type Configuration, isJoint, membersOf } from '../configuration.js'
import type { ConsensusCounters } from '../counters.js'
import type { RaftEvent } from '../raft/types.js'
import {
  Applier,
  applyCommandsMax,
  applyEntriesMax,
  type DecodedEntry,
  decodeEntry
} from './applier-driver.js'
import { type CheckVerdict, DivergenceCheck } from './divergence-check.js'
import { checkReport, checkVerdict, readIndexRequest } from './group-messages.js'
import { MemberChanges } from './member-changes-driver.js'
import { Pending } from './pending-write.js'
import { ProposalPipeline } from './proposal-pipeline-driver.js'
import type { RaftDriver } from './raft-driver.js'
import { ReadRounds } from './read-rounds.js'
import type { Chunk, ChunkRequest } from './snapshot-source-driver.js'
import { Snapshots } from './snapshots-driver.js'
import { statementError } from './statement-error.js'
import { Waiters } from './waiters.js'

export interface GroupComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly engine: Engine
  readonly logger: Logger
  readonly counters: ConsensusCounters
  emit(event: ConsensusEvent): void
}

/** A replica as its log and its engine together say. */
export interface OpenedGroup {
  readonly recovered: RecoveredGroup
  /** What Raft must know at its start. */
  readonly appliedIndex: LogIndex
  /** To be durable before Raft starts; null: nothing. */
  readonly request: PersistRequest | null
}

export interface GroupOptions {
  readonly group: GroupId
  readonly self: ReplicaId
  readonly config: Config['consensus']
}

/** Callers whose deadline has passed are told so at this interval. */
export const sweepIntervalMs = 20

export class GroupDriver implements ReplicatedGroup {
  readonly group: GroupId
  readonly #components: GroupComponents
  readonly #options: GroupOptions
  readonly #applier: Applier
  #committed: LogEntry[] = []
  readonly #readRounds: ReadRounds
  readonly #applied = new Waiters<LogIndex, void>()
  readonly #transfers = new Waiters<null, void>()
  readonly #divergence = new DivergenceCheck()
  readonly #sweepTimer: DeadlineTimer
  readonly #checkTimer: DeadlineTimer
  #raft: RaftDriver | null = null
  #pipeline: ProposalPipeline | null = null
  #members: MemberChanges | null = null
  #snapshots: Snapshots | null = null
  #running: Promise<void> | null = null
  /** Of a follower to its leader, for the round that is under way. */
  #readQuestion: AbortController | null = null
  #mustDiscard = false
  #isSweepArmed = false
  #isLeader = false
  /** As last asked for, and what it was made of. */
  #leadership: { by: Configuration; from: ReplicaId | null; is: Leadership } | null = null
  #isHalted = false
  #isStopped = false
  #failure: SkeinError | null = null

  constructor(components: GroupComponents, options: GroupOptions) {
    this.group = options.group
    this.#components = components
    this.#options = options
    this.#applier = new Applier(components)
    const { clock } = components
    this.#readRounds = new ReadRounds(options.config.pendingReadsMax, (round, deadline) =>
      this.#beginReadRound(round, deadline)
    )
    this.#sweepTimer = new DeadlineTimer(clock, (now) => this.#sweep(now))
    this.#checkTimer = new DeadlineTimer(clock, () => this.#checkInTime())
  }

  /** Opens the engine of the replica that the log has. */
  async open(found: RecoveredGroup): Promise<OpenedGroup> {
    const { recovered, change } = await this.#applier.open(found)
    const { hardState } = recovered
    return {
      recovered,
      appliedIndex: this.#applier.appliedIndex,
      request: change && { group: this.group, hardState, base: change, entries: [] }
    }
  }

  start(raft: RaftDriver): void {
    this.#raft = raft
    this.#pipeline = new ProposalPipeline(
      { ...this.#components, applier: this.#applier, raft },
      this.#options.config
    )
    this.#members = new MemberChanges({ ...this.#components, raft })
    this.#snapshots = new Snapshots(
      { ...this.#components, raft, onWork: () => this.#wake() },
      this.#options
    )
    raft.start()
  }

  /** The last answers go out: whoever waits is told that the node stops. */
  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#raft?.stop()
    this.#members?.stop()
    this.#sweepTimer.stop()
    this.#checkTimer.stop()
    this.#rejectCallers(() => new StoppedError('this node is stopping'))
    await this.#running
    await this.#snapshots?.stop()
    await this.#components.engine.close()
  }

  status(): GroupStatus {
    const raft = this.#started().raft.status()
    const leader = raft.leader === null ? null : nodeOf(raft.leader)
    const own = {
      nodeId: nodeOf(this.#options.self),
      matchIndex: raft.durableIndex,
      active: true,
      getsSnapshot: false
    }
    const others = raft.progress
      .filter(({ isVoter }) => isVoter)
      .map(({ replica, matchIndex, active, mode }) => ({
        nodeId: nodeOf(replica),
        matchIndex,
        active,
        getsSnapshot: mode === 'snapshot'
      }))
    return {
      group: this.group,
      name: groupName(this.group),
      role: raft.role,
      term: raft.term,
      leader,
      voters: raft.configuration.voters.map(nodeOf),
      learners: raft.configuration.learners.map(nodeOf),
      commitIndex: raft.commitIndex,
      appliedIndex: this.#applier.appliedIndex,
      firstIndex: (raft.baseIndex + 1) as LogIndex,
      lastIndex: raft.lastIndex,
      failed: this.#failure?.code ?? null,
      progress: raft.role === 'leader' ? [own, ...others] : []
    }
  }

  leadership(): Leadership {
    const { role, term, leader, configuration } = this.#started().raft.core
    const known = this.#leadership
    if (
      known !== null &&
      known.by === configuration &&
      known.from === leader &&
      known.is.role === role &&
      known.is.term === term
    ) {
      return known.is
    }
    const voters = configuration.voters.map(nodeOf)
    const is = { role, term, leader: leader === null ? null : nodeOf(leader), voters }
    this.#leadership = { by: configuration, from: leader, is }
    return is
  }

  tellQueues(tell: TellQueue): void {
    const { pendingReadsMax, uncommittedBytesMax, appendsInFlightMax, clientsMax } =
      this.#options.config
    tell('consensus.pendingReadsMax', this.#readRounds.length, pendingReadsMax)
    tell('consensus.clientsMax', this.#applier.table.size, clientsMax)
    this.#pipeline?.tellQueues(tell)
    this.#members?.tellQueues(tell)
    this.#snapshots?.tellQueues(tell)
    if (this.#raft === null) return
    const { uncommittedBytes, pendingReads, progress } = this.#raft.status()
    tell('consensus.pendingReadsMax', pendingReads, pendingReadsMax)
    // One proposal may be larger than all that is allowed, when it is alone.
    const bytesMax = uncommittedBytesMax + messageSizeBytesMax
    tell('consensus.uncommittedBytesMax', uncommittedBytes, bytesMax)
    for (const { appendsInFlight } of progress) {
      tell('consensus.appendsInFlightMax', appendsInFlight, appendsInFlightMax)
    }
  }

  write(request: WriteRequest): Promise<WriteAnswer> {
    return new Promise((resolve, reject) => {
      const { pipeline } = this.#expectLeading()
      const caller = new Pending<WriteAnswer>(request.deadline, resolve, reject)
      pipeline.enqueue({ kind: 'write', request, caller })
      this.#wake()
    })
  }

  registerClient(clientId: ClientId, deadline: MonotonicMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const { pipeline } = this.#expectLeading()
      pipeline.enqueue({
        kind: 'register',
        clientId,
        caller: new Pending<void>(deadline, resolve, reject)
      })
      this.#wake()
    })
  }

  async read(request: ReadRequest): Promise<ReadAnswer> {
    this.#expectServing()
    await this.#untilApplied(request)
    this.#expectServing()
    this.#components.counters.add('reads')
    const outcome = await this.#components.engine.read(request.statements, {
      // Raft's own entries do not concern the engine: it may never hear of the index asked for.
      atLeastIndex: this.#applier.engineIndex,
      deadline: request.deadline,
      ...(request.signal === undefined ? {} : { signal: request.signal })
    })
    if (outcome.kind === 'failed') throw statementError(outcome.failure)
    return { results: outcome.results, index: outcome.index }
  }

  readIndex(deadline: MonotonicMs): Promise<LogIndex> {
    return new Promise((resolve, reject) => {
      this.#expectServing()
      if (!this.#readRounds.join({ deadline, resolve, reject })) {
        throw new BackpressureError('too many reads wait for the leader')
      }
      this.#armSweep()
    })
  }

  transferLeadership(target: NodeId | null, deadline: MonotonicMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const { raft } = this.#started()
      const { role, leader, configuration } = raft.status()
      if (role !== 'leader') throw notLeader(leader)
      const replica = configuration.voters.find((voter) => nodeOf(voter) === target) ?? null
      if (target !== null && replica === null) {
        throw new TransferFailedError(`${target} is no voter of group ${this.group}`)
      }
      this.#transfers.add(null, { deadline, resolve, reject })
      this.#armSweep()
      raft.transferLeadership(replica)
    })
  }

  /**
   * `replica` is empty, or was a member before: it listens until it keeps up, and votes then.
   * @throws NotLeaderError, MemberChangeFailedError nothing is changed, or will not stay
   * @throws IndeterminateError a change was proposed, and whether it is committed is not known
   */
  async addReplica(replica: ReplicaId, deadline: MonotonicMs): Promise<void> {
    this.#expectLeading()
    await this.#members?.add(replica, deadline)
  }

  /**
   * Every replica of `node` leaves. Where that is the leader, leadership is handed over first, and
   * the error says who has to be asked now.
   * @throws as `addReplica`; NotFoundError the node has none
   */
  async removeNode(node: NodeId, deadline: MonotonicMs): Promise<void> {
    const { raft } = this.#expectLeading()
    if (node === nodeOf(this.#options.self) && raft.core.configuration.voters.length > 1) {
      await this.transferLeadership(null, deadline)
      throw notLeader(raft.core.leader)
    }
    const replicas = membersOf(raft.core.configuration).filter((one) => nodeOf(one) === node)
    if (replicas.length === 0) throw new NotFoundError(`${node} has no replica of the group`)
    await this.#members?.remove(replicas, deadline)
  }

  async checksum(): Promise<{ readonly index: LogIndex; readonly hash: string }> {
    this.#expectServing()
    return this.#components.engine.checksum()
  }

  /** Proposes a Check entry as soon as nothing is in flight; leader only. */
  check(): void {
    this.#expectLeading().pipeline.wantCheck()
    this.#wake()
  }

  /** This node will stop: it does not campaign any more. */
  setCandidacy(allowed: boolean): void {
    this.#raft?.setCandidacy(allowed && this.#failure === null)
  }

  get raft(): RaftDriver {
    return this.#started().raft
  }

  /** Nobody waits for anything, and nothing is left to apply. */
  get isIdle(): boolean {
    if (this.#failure !== null || this.#isStopped || this.#running !== null) return false
    return !this.#hasWork() && !this.#hasCallers() && this.#members?.isWaiting !== true
  }

  get isLeader(): boolean {
    return this.#isLeader
  }

  handleRaftEvent(event: RaftEvent): void {
    switch (event.type) {
      case 'Committed':
        this.#components.counters.add('commits', event.entries.length)
        this.#committed.push(...event.entries)
        this.#wake()
        break
      case 'RoleChanged':
        this.#handleRole(event)
        break
      case 'LeaderChanged':
        this.#components.emit({
          type: 'LeaderChanged',
          group: this.group,
          term: event.term,
          leader: event.leader === null ? null : nodeOf(event.leader)
        })
        if (event.leader !== null) this.#readRounds.askAgain()
        break
      case 'ReadReady':
        this.#readRounds.handleReady(event.requestId, event.index)
        break
      case 'ReadRefused':
        this.#readRounds.handleRefused(event.requestId, () =>
          event.reason === 'backpressure'
            ? new BackpressureError('too many reads wait for a quorum')
            : notLeader(event.leaderHint)
        )
        break
      case 'TransferEnded':
        this.#handleTransferEnded(event)
        break
      case 'ConfigurationCommitted':
        this.#members?.check()
        this.#tellConfiguration(event)
        break
      case 'SnapshotWanted':
      case 'SnapshotOffered':
        if (this.#failure === null) this.#snapshots?.handle(event)
        break
      case 'ConfigurationChanged':
        break
    }
  }

  /** Raft or its log has failed: nothing of this replica goes on. */
  handleRaftFailed(error: unknown): void {
    this.#fail(asFailure(error, 'the log failed'))
  }

  /** The leader is asked by a follower; it does not pass the question on. */
  async handleReadIndexRequest(deadline: MonotonicMs): Promise<LogIndex> {
    const { role, leader } = this.#started().raft.status()
    if (role !== 'leader') throw notLeader(leader)
    return this.readIndex(deadline)
  }

  /**
   * One part of the snapshot that this replica offers.
   * @throws NotFoundError, InvalidArgumentError
   */
  async serveChunk(request: ChunkRequest): Promise<Chunk> {
    this.#expectServing()
    const snapshots = this.#snapshots
    if (snapshots === null) throw new NotFoundError('the replica is not ready')
    return snapshots.serve(request)
  }

  handleCheckReport(replica: ReplicaId, index: LogIndex, hash: string): void {
    if (!this.#isLeader) return
    const { term, configuration } = this.#started().raft.status()
    const verdict = this.#divergence.report(index, replica, hash, configuration.voters)
    if (verdict === null) return
    const nodes = verdict.diverged.map(nodeOf)
    this.#components.logger.error(
      { group: this.group, index, nodes, halted: verdict.halted },
      'replicas differ'
    )
    this.#components.emit({ type: 'ReplicaDiverged', group: this.group, index, nodes })
    for (const voter of configuration.voters) {
      if (voter === this.#options.self) continue
      this.#components.messenger.send(nodeOf(voter), checkVerdict, {
        group: this.group,
        term,
        ...verdict
      })
    }
    this.#obey(verdict)
  }

  handleCheckVerdict(from: NodeId, verdict: CheckVerdict & { readonly term: number }): void {
    const { term, leader } = this.#started().raft.status()
    if (verdict.term === term && leader !== null && nodeOf(leader) === from) this.#obey(verdict)
  }

  #obey({ index, diverged, halted }: CheckVerdict): void {
    if (halted) this.#isHalted = true
    if (diverged.includes(this.#options.self)) {
      this.#fail(new DivergedError(`the content differs from the majority's at index ${index}`))
    }
  }

  #handleRole(event: Extract<RaftEvent, { type: 'RoleChanged' }>): void {
    const { counters, emit } = this.#components
    const leads = event.role === 'leader'
    const { term, role, reason } = event
    emit({ type: 'RoleChanged', group: this.group, term, role, reason })
    if (leads === this.#isLeader) return
    this.#isLeader = leads
    if (leads) {
      counters.add('leader_elections')
      this.#armCheck()
      this.#wake()
      return
    }
    counters.add('leaderships_lost')
    this.#checkTimer.arm(NEVER)
    this.#divergence.clear()
    this.#mustDiscard = true
    this.#started().pipeline.abandon(event.leader === null ? null : nodeOf(event.leader))
    this.#transfers.resolveWhere(() => true, undefined)
    this.#members?.check()
    this.#wake()
  }

  #handleTransferEnded(event: Extract<RaftEvent, { type: 'TransferEnded' }>): void {
    if (event.outcome === 'steppedDown') this.#transfers.resolveWhere(() => true, undefined)
    else if (event.outcome !== 'replaced') {
      const reason = event.reason
      this.#transfers.rejectAll(() => new TransferFailedError(reason))
    }
    this.#wake()
  }

  #tellConfiguration({
    configuration,
    index
  }: Extract<RaftEvent, { type: 'ConfigurationCommitted' }>): void {
    if (isJoint(configuration)) return
    this.#components.emit({
      type: 'ConfigurationChanged',
      group: this.group,
      index,
      voters: configuration.voters.map(nodeOf),
      learners: configuration.learners.map(nodeOf)
    })
  }

  #beginReadRound(round: number, deadline: MonotonicMs): void {
    const { raft } = this.#started()
    this.#components.counters.add('read_rounds')
    this.#readQuestion?.abort()
    this.#readQuestion = null
    const { role, leader } = raft.status()
    if (role === 'leader') {
      raft.requestReadIndex(round)
    } else if (leader === null) {
      this.#readRounds.handleRefused(round, () => new NoLeaderError('no leader is known'))
    } else {
      this.#readQuestion = new AbortController()
      const { signal } = this.#readQuestion
      this.#components.messenger
        .request(nodeOf(leader), readIndexRequest, { group: this.group }, { deadline, signal })
        .then(
          ({ index }) => this.#readRounds.handleReady(round, index),
          (error: Error) => this.#readRounds.handleRefused(round, () => error)
        )
    }
  }

  #untilApplied({ atLeastIndex, deadline, signal }: ReadRequest): Promise<void> {
    if (this.#applier.appliedIndex >= atLeastIndex) return Promise.resolve()
    return new Promise((resolve, reject) => {
      if (signal?.aborted) throw new CancelledError('the read was cancelled')
      const cancel = () => {
        this.#applied.remove(waiter)
        reject(new CancelledError('the read was cancelled'))
      }
      const done = () => signal?.removeEventListener('abort', cancel)
      const waiter = {
        deadline,
        resolve: () => {
          done()
          resolve()
        },
        reject: (error: Error) => {
          done()
          reject(error)
        }
      }
      signal?.addEventListener('abort', cancel)
      this.#applied.add(atLeastIndex, waiter)
      this.#armSweep()
    })
  }

  /** Starts the loop over the engine unless it runs. */
  #wake(): void {
    this.#armSweep()
    if (this.#running !== null || !this.#hasWork()) return
    this.#running = this.#run().finally(() => {
      this.#running = null
      this.#wake()
    })
  }

  #hasWork(): boolean {
    if (this.#isStopped || this.#failure !== null) return false
    if (this.#committed.length > 0 || this.#mustDiscard) return true
    return (this.#snapshots?.hasWork ?? false) || this.#canPropose()
  }

  #canPropose(): boolean {
    const { pipeline, raft } = this.#started()
    if (!this.#isLeader || pipeline.hasInFlight || !pipeline.hasWork) return false
    const { term, transferTarget } = raft.status()
    return this.#applier.appliedTerm === term && transferTarget === null
  }

  async #run(): Promise<void> {
    try {
      while (this.#hasWork()) {
        if (this.#mustDiscard) {
          this.#mustDiscard = false
          await this.#components.engine.discard()
        } else if (this.#snapshots?.hasWork) {
          await this.#workOnSnapshots(this.#snapshots)
        } else if (this.#committed.length > 0) {
          await this.#applyNext()
        } else {
          await this.#proposeNext()
        }
      }
    } catch (error) {
      this.#fail(asFailure(error, 'the engine failed'))
    }
  }

  async #workOnSnapshots(snapshots: Snapshots): Promise<void> {
    const base = await snapshots.work()
    if (base === null) return
    await this.#applier.handleRestored(base)
    this.#committed = this.#committed.filter(({ index }) => index > base.index)
    this.#started().raft.handleRestored(base)
    this.#applied.resolveWhere((index) => index <= base.index, undefined)
  }

  async #proposeNext(): Promise<void> {
    const { pipeline, raft } = this.#started()
    const { term } = raft.status()
    try {
      await pipeline.proposeNext(() => this.#isLeader && raft.status().term === term)
    } catch (error) {
      // The callers know; only an engine that breaks its contract is not to be planned on again.
      if (!(error instanceof SkeinError) || error.code === 'ERR_SKEIN_ENGINE_FAILED') throw error
      this.#components.logger.warn({ group: this.group, error }, 'a batch could not be planned')
      this.#mustDiscard = true
    }
  }

  async #applyNext(): Promise<void> {
    const { pipeline, raft } = this.#started()
    const head = decodeEntry(this.#committed.shift() as LogEntry)
    if (head.payload === null) {
      this.#applier.skip(head)
    } else if (head.payload.kind === 'check') {
      this.#applier.skip(head)
      await this.#hash(head)
    } else {
      const planned = pipeline.plannedFor(head.index, head.term)
      const entries = planned === null ? this.#takeMergeable(head) : [head]
      await this.#applier.apply(entries, planned)
      this.#components.counters.add('applies')
      this.#components.counters.add('commands_applied', sum(entries.map(countCommands)))
    }
    pipeline.handleApplied(head.index, head.term)
    raft.handleApplied(this.#applier.appliedIndex)
    this.#snapshots?.handleApplied()
    this.#applied.resolveWhere((index) => index <= this.#applier.appliedIndex, undefined)
  }

  /** Followers and a replaying replica apply several entries in one engine transaction. */
  #takeMergeable(head: DecodedEntry): DecodedEntry[] {
    const entries = [head]
    let commands = countCommands(head)
    while (entries.length < applyEntriesMax && commands < applyCommandsMax) {
      const next = this.#committed[0]
      if (next === undefined || this.#isLeader) break
      const decoded = decodeEntry(next)
      if (decoded.payload === null || decoded.payload.kind === 'check') break
      this.#committed.shift()
      entries.push(decoded)
      commands += countCommands(decoded)
    }
    return entries
  }

  async #hash({ index }: DecodedEntry): Promise<void> {
    this.#components.counters.add('checks')
    const { hash } = await this.#components.engine.checksum()
    const { self } = this.#options
    if (this.#isLeader) this.handleCheckReport(self, index, hash)
    const leader = this.#started().raft.status().leader
    if (leader === null || leader === self) return
    this.#components.messenger.send(nodeOf(leader), checkReport, {
      group: this.group,
      replica: self,
      index,
      hash
    })
  }

  #checkInTime(): void {
    if (!this.#isLeader || this.#failure !== null) return
    this.#started().pipeline.wantCheck()
    this.#wake()
    this.#armCheck()
  }

  #armCheck(): void {
    const { checkIntervalMs } = this.#options.config
    if (checkIntervalMs === 0) return
    this.#checkTimer.arm(after(this.#components.clock.now(), checkIntervalMs))
  }

  #armSweep(): void {
    if (this.#isStopped || this.#isSweepArmed || !this.#hasCallers()) return
    this.#isSweepArmed = true
    this.#sweepTimer.arm(after(this.#components.clock.now(), sweepIntervalMs))
  }

  #hasCallers(): boolean {
    const pipeline = this.#pipeline
    return (
      this.#readRounds.length + this.#applied.length + this.#transfers.length > 0 ||
      (pipeline !== null && (pipeline.waitingCount > 0 || pipeline.hasInFlight))
    )
  }

  #sweep(now: MonotonicMs): void {
    this.#isSweepArmed = false
    const late = () => new RequestTimeoutError('the deadline has passed')
    this.#pipeline?.sweep(now)
    this.#readRounds.sweep(now, late)
    this.#applied.sweep(now, late)
    this.#transfers.sweep(now, () => new TransferFailedError('this node still leads'))
    this.#armSweep()
  }

  #fail(failure: SkeinError): void {
    if (this.#failure !== null || this.#isStopped) return
    this.#failure = failure
    const { code, message } = failure
    this.#components.counters.add('replicas_failed')
    this.#components.logger.error({ group: this.group, error: failure }, 'the replica has failed')
    this.#components.emit({ type: 'ReplicaFailed', group: this.group, code, message })
    this.#raft?.setCandidacy(false)
    this.#raft?.stepDown(message)
    this.#rejectCallers(() => this.#failureForCallers())
  }

  #rejectCallers(makeError: () => Error): void {
    this.#pipeline?.rejectAll(makeError)
    this.#readRounds.rejectAll(makeError)
    this.#applied.rejectAll(makeError)
    this.#transfers.rejectAll(makeError)
    this.#members?.rejectAll(makeError)
  }

  #failureForCallers(): SkeinError {
    const failure = this.#failure
    if (failure instanceof DivergedError) return failure
    return new ReplicaFailedError(`this replica has stopped: ${failure?.message}`, {
      nodeId: nodeOf(this.#options.self),
      cause: failure
    })
  }

  #started(): { raft: RaftDriver; pipeline: ProposalPipeline } {
    const [raft, pipeline] = [this.#raft, this.#pipeline]
    if (raft === null || pipeline === null) throw new InvariantError('the group was not started')
    return { raft, pipeline }
  }

  #expectServing(): void {
    if (this.#isStopped) throw new StoppedError('this node is stopping')
    if (this.#failure !== null) throw this.#failureForCallers()
  }

  #expectLeading(): { raft: RaftDriver; pipeline: ProposalPipeline } {
    this.#expectServing()
    const started = this.#started()
    if (!this.#isLeader) throw notLeader(started.raft.status().leader)
    if (this.#isHalted) {
      throw new DivergedError('the replicas of the group differ and none has a majority')
    }
    return started
  }
}

const countCommands = ({ payload }: DecodedEntry): number =>
  payload?.kind === 'batch' ? payload.commands.length : 0

const sum = (counts: readonly number[]): number => counts.reduce((a, b) => a + b, 0)

const notLeader = (leader: ReplicaId | null): SkeinError =>
  leader === null
    ? new NotLeaderError('this node does not lead the group')
    : new NotLeaderError('this node does not lead the group', { leaderHint: nodeOf(leader) })

function asFailure(error: unknown, message: string): SkeinError {
  if (error instanceof SkeinError) return error
  return new EngineFailedError(`${message}: ${factsOf(error).message}`, { cause: error })
}
