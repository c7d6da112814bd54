/**
 * One replica of one group: Raft below, the engine above, callers beside. What is done with the
 * engine is `GroupWorker`'s, reads are `GroupReads`', comparing contents is `GroupChecks`'.
 *
 * 1. An error while applying is fail-stop for the replica: it steps down, campaigns no more, serves
 *    nothing; its log goes on voting and storing, which no engine is needed for.
 * 2. A replica whose content differs from the majority's stops serving likewise.
 */
import { InvariantError } from '../../core/assert.js'
import type { Config } from '../../core/config/schema.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  DivergedError,
  NotFoundError,
  NotVoterError,
  ReplicaFailedError,
  RequestTimeoutError,
  RolledBackError,
  type SkeinError,
  StoppedError,
  TransferFailedError
} from '../../core/errors.js'
import type { ConsensusEvent } from '../../core/events.js'
import {
  type ClientId,
  type GroupId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  nodeOf,
  type ReplicaId
} from '../../core/ids.js'
import { messageSizeBytesMax } from '../../core/limits.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Engine } from '../../core/ports/engine.js'
import type { PersistRequest, RecoveredGroup } from '../../core/ports/log-store.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type {
  ClientTag,
  GroupStatus,
  Leadership,
  ReadAnswer,
  ReadRequest,
  ReplicaSight,
  ReplicatedGroup,
  WriteAnswer,
  WriteRequest
} from '../../core/ports/replicated-group.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { hasMemberOn, isJoint, membersOf } from '../configuration.js'
import type { ConsensusCounters } from '../counters.js'
import { leadershipTransferred } from '../raft/role.js'
import type { LostState, RaftEvent } from '../raft/types.js'
import { Applier } from './applier-driver.js'
import { type ClientStanding, standingOf } from './client-standing.js'
import type { CheckVerdict } from './divergence-check.js'
import { GroupChecks } from './group-checks-driver.js'
import { beginSnapshot, type GroupCopy } from './group-copy-driver.js'
import { asFailure, notLeader, notMember } from './group-errors.js'
import { GroupReads } from './group-reads-driver.js'
import type { GroupSection, MakeEntry, RowGuard } from './group-section.js'
import { LeadershipView, sightOf, statusOf } from './group-status.js'
import { GroupWorker } from './group-worker-driver.js'
import { MemberChanges } from './member-changes-driver.js'
import type { PartsManifest } from './parts-manifest.js'
import { PartsManifestFile } from './parts-manifest-driver.js'
import { Pending } from './pending-write.js'
import { ProposalPipeline } from './proposal-pipeline-driver.js'
import type { RaftDriver } from './raft-driver.js'
import type { Chunk, ChunkRequest } from './snapshot-source-driver.js'
import { Snapshots } from './snapshots-driver.js'
import { Waiters } from './waiters.js'

export interface GroupComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  /** The node's data directory. */
  readonly disk: Disk
  readonly engine: Engine
  readonly logger: Logger
  readonly counters: ConsensusCounters
  /** Of what is replicated beside the data; absent: none. */
  readonly sections?: readonly GroupSection[]
  emit(event: ConsensusEvent): void
  /** The storage is an older copy; the owner halts all of its replicas. */
  onRolledBack(lost: LostState): void
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

/** What a replica consists of once Raft is there. */
interface Parts {
  readonly raft: RaftDriver
  readonly pipeline: ProposalPipeline
  readonly members: MemberChanges
  readonly snapshots: Snapshots
  readonly reads: GroupReads
  readonly checks: GroupChecks
  readonly worker: GroupWorker
}

export class GroupDriver implements ReplicatedGroup {
  readonly group: GroupId
  readonly #components: GroupComponents
  readonly #options: GroupOptions
  readonly #applier: Applier
  readonly #transfers = new Waiters<null, void>()
  readonly #leaderless = new Waiters<null, void>()
  readonly #sweepTimer: DeadlineTimer
  /** `status` without its copies. */
  readonly sight: ReplicaSight
  readonly #leadership = new LeadershipView()
  readonly #sections: readonly GroupSection[]
  readonly #rows: RowGuard | null
  #parts: Parts | null = null
  /** Of a snapshot that a process before this one was being sent. */
  #left: PartsManifest | null = null
  /** Sections know that this replica leads. */
  #isLeadershipTold = false
  #isSweepArmed = false
  #isLeader = false
  /** To this replica, which leads since. */
  #isHandedOver = false
  /** Whom this replica handed over to, until a leader is heard of. */
  #successor: ReplicaId | null = null
  #isHalted = false
  #isStopped = false
  #failure: SkeinError | null = null

  constructor(components: GroupComponents, options: GroupOptions) {
    this.group = options.group
    this.#components = components
    this.#options = options
    this.#sections = components.sections ?? []
    this.#rows = this.#sections.find(({ rows }) => rows !== null)?.rows ?? null
    this.#applier = new Applier(components)
    this.sight = sightOf(options.group, {
      core: () => this.#started().raft.core,
      appliedIndex: () => this.#applier.appliedIndex,
      failed: () => this.#failure?.code ?? null
    })
    this.#sweepTimer = new DeadlineTimer(components.clock, (now) => this.#sweep(now))
  }

  /** Opens the engine of the replica that the log has. */
  async open(found: RecoveredGroup): Promise<OpenedGroup> {
    this.#left = await new PartsManifestFile(this.#components.disk, this.group).read()
    const keepsRestore = this.#left !== null
    const { recovered, change } = await this.#applier.open(found, { keepsRestore })
    const { hardState } = recovered
    return {
      recovered,
      appliedIndex: this.#applier.appliedIndex,
      request: change && { group: this.group, hardState, base: change, entries: [] }
    }
  }

  start(raft: RaftDriver): void {
    this.#parts = this.#makeParts(raft)
    this.#parts.snapshots.handleApplied()
    this.#rows?.onReleased(() => {
      this.#parts?.pipeline.handleReleased()
      this.#parts?.reads.handleReleased()
      this.#wake()
    })
    raft.start()
  }

  #makeParts(raft: RaftDriver): Parts {
    const rows = this.#rows
    const components = { ...this.#components, applier: this.#applier, raft, rows }
    const { group, self, config } = this.#options
    const isLeader = () => this.#isLeader
    const confirm = (deadline: MonotonicMs) => reads.confirmedIndex(deadline)
    const pipeline = new ProposalPipeline({ ...components, confirm }, config)
    const onWork = () => this.#wake()
    const snapshots = new Snapshots(
      { ...components, onWork },
      { ...this.#options, left: this.#left }
    )
    const reads = new GroupReads(
      {
        ...components,
        expectServing: () => this.#expectServing(),
        onWaiting: () => this.#armSweep()
      },
      { group, pendingReadsMax: config.pendingReadsMax }
    )
    const checks = new GroupChecks(
      {
        ...components,
        isLeader,
        onDue: () => {
          pipeline.wantCheck()
          this.#wake()
        },
        onVerdict: (verdict) => this.#obey(verdict)
      },
      { group, self, intervalMs: config.checkIntervalMs }
    )
    const worker = new GroupWorker({
      ...components,
      group,
      pipeline,
      snapshots,
      isLeader,
      isOver: () => this.#isStopped || this.#failure !== null,
      hash: (index) => checks.hash(index),
      onApplied: (index) => {
        reads.handleApplied(index)
        this.#tellLeading()
      },
      onRested: () => this.#wake(),
      onFailed: (failure) => this.#fail(failure)
    })
    const members = new MemberChanges(components)
    return { raft, pipeline, members, snapshots, reads, checks, worker }
  }

  /** The last answers go out: whoever waits is told that the node stops. */
  async stop(): Promise<void> {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#tellResigned()
    const parts = this.#parts
    parts?.raft.stop()
    parts?.members.stop()
    this.#sweepTimer.stop()
    parts?.checks.stop()
    this.#rejectCallers(() => new StoppedError('this node is stopping'))
    await parts?.worker.rested
    await parts?.snapshots.stop()
    await this.#components.engine.close()
  }

  status(): GroupStatus {
    const { appliedIndex } = this.#applier
    const failed = this.#failure?.code ?? null
    const { group, self } = this.#options
    const handedOver = this.#isHandedOver
    const raft = this.#started().raft.status()
    return statusOf(raft, { group, self, appliedIndex, failed, handedOver })
  }

  leadership(): Leadership {
    return this.#leadership.of(this.#started().raft.core)
  }

  tellQueues(tell: TellQueue): void {
    const { config } = this.#options
    const { pendingReadsMax, uncommittedBytesMax, appendsInFlightMax, clientsMax } = config
    tell('consensus.clientsMax', this.#applier.table.size, clientsMax)
    const parts = this.#parts
    if (parts === null) return
    const { pipeline, members, snapshots, reads, raft } = parts
    for (const part of [pipeline, members, snapshots, reads]) part.tellQueues(tell)
    const { uncommittedBytes, pendingReads, progress } = raft.status()
    tell('consensus.pendingReadsMax', pendingReads, pendingReadsMax)
    // One proposal may be larger than all that is allowed, when it is alone.
    const bytesMax = uncommittedBytesMax + messageSizeBytesMax
    tell('consensus.uncommittedBytesMax', uncommittedBytes, bytesMax)
    const bytesInFlightMax = config.appendBytesInFlightMax + messageSizeBytesMax
    for (const { appendBytesInFlight, appendsInFlight } of progress) {
      tell('consensus.appendsInFlightMax', appendsInFlight, appendsInFlightMax)
      tell('consensus.appendBytesInFlightMax', appendBytesInFlight, bytesInFlightMax)
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
      const caller = new Pending<void>(deadline, resolve, reject)
      pipeline.enqueue({ kind: 'register', clientId, caller })
      this.#wake()
    })
  }

  /**
   * Proposes an entry of a section when nothing of the group is on its way. Resolves when it is
   * applied, or when there was nothing to propose; leader only.
   * @throws NotLeaderError, BackpressureError nothing was proposed
   * @throws IndeterminateError proposed, and the outcome is unknown
   */
  proposeSystem(section: string, make: MakeEntry, deadline: MonotonicMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const { pipeline } = this.#expectLeading()
      const caller = new Pending<void>(deadline, resolve, reject)
      pipeline.enqueueEntry({ section, make, caller })
      this.#wake()
    })
  }

  /** The log time that an entry would get now. */
  logNow(): number {
    return this.#applier.nextLogTime()
  }

  /** What stands of a client's command at the end of the log; leader only. */
  standingOf(tag: ClientTag): ClientStanding {
    this.#expectLeading()
    const { clientsMax, clientIdleTimeoutMs, clientAnswersMax } = this.#options.config
    const { table } = this.#applier
    const limits = { clientsMax, clientIdleTimeoutMs }
    const standing = standingOf(tag, { table, logTime: this.logNow(), limits })
    if (standing.kind !== 'new' || table.unansweredCount(tag) < clientAnswersMax) return standing
    const error = new BackpressureError(`client ${tag.clientId} leaves too many answers`)
    return { kind: 'refused', isExecuted: false, error }
  }

  read(request: ReadRequest): Promise<ReadAnswer> {
    return this.#started().reads.read(request)
  }

  readLinearizable(request: ReadRequest): Promise<ReadAnswer> {
    return this.#started().reads.readLinearizable(request)
  }

  readIndex(deadline: MonotonicMs): Promise<LogIndex> {
    return this.#started().reads.readIndex(deadline)
  }

  transferLeadership(target: NodeId | null, deadline: MonotonicMs): Promise<void> {
    return new Promise((resolve, reject) => {
      const { raft } = this.#started()
      const { role, leader, configuration } = raft.status()
      if (role !== 'leader') throw notLeader(leader)
      const replica = configuration.voters.find((voter) => nodeOf(voter) === target) ?? null
      if (target !== null && replica === null) {
        throw new NotVoterError(`${target} is no voter of group ${this.group}`)
      }
      this.#transfers.add(null, { deadline, resolve, reject })
      this.#armSweep()
      raft.transferLeadership(replica)
    })
  }

  /** Resolves when a leader is heard of. @throws TransferFailedError none was */
  untilLed(deadline: MonotonicMs): Promise<void> {
    if (this.#started().raft.core.leader !== null) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#leaderless.add(null, { deadline, resolve, reject })
      this.#armSweep()
    })
  }

  /**
   * `replica` is empty, or was a member before: it listens until it keeps up, and votes then.
   * @throws NotLeaderError, MemberChangeFailedError nothing is changed, or will not stay
   * @throws IndeterminateError a change was proposed, and whether it is committed is not known
   */
  async addReplica(replica: ReplicaId, deadline: MonotonicMs): Promise<void> {
    await this.#expectLeading().members.add(replica, deadline)
  }

  /**
   * Every replica of `node` leaves. Where that is the leader, leadership is handed over first, and
   * the error says who has to be asked now.
   * @throws as `addReplica`; NotFoundError the node has none
   */
  async removeNode(node: NodeId, deadline: MonotonicMs): Promise<void> {
    const { raft, members } = this.#expectLeading()
    if (node === nodeOf(this.#options.self) && raft.core.configuration.voters.length > 1) {
      await this.transferLeadership(null, deadline)
      throw notLeader(raft.core.leader)
    }
    const replicas = membersOf(raft.core.configuration).filter((one) => nodeOf(one) === node)
    if (replicas.length === 0) throw new NotFoundError(`${node} has no replica of the group`)
    await members.remove(replicas, deadline)
  }

  async checksum(): Promise<{ readonly index: LogIndex; readonly hash: string }> {
    this.#expectServing()
    return this.#components.engine.checksum()
  }

  /**
   * Gets ready for a copy of the engine's content, as its `beginSnapshot`.
   * @throws SnapshotRefusedError, or why this replica serves nothing
   */
  async beginCopy(): Promise<GroupCopy> {
    this.#expectServing()
    const { engine } = this.#components
    const start = await beginSnapshot(engine)
    return {
      pin: async (deadline) => {
        const { reads } = this.#started()
        await reads.untilApplied({ atLeastIndex: await reads.readIndex(deadline), deadline })
        this.#expectServing()
        await start.pin()
      },
      copy: () => start.copy(),
      abandon: () => start.abandon()
    }
  }

  /** Proposes a Check entry as soon as nothing is in flight; leader only. */
  check(): void {
    this.#expectLeading().pipeline.wantCheck()
    this.#wake()
  }

  /** This node will stop: it does not campaign any more. */
  setCandidacy(allowed: boolean): void {
    this.#parts?.raft.setCandidacy(allowed && this.#failure === null)
  }

  get raft(): RaftDriver {
    return this.#started().raft
  }

  /** Nobody waits for anything, and nothing is left to apply. */
  get isIdle(): boolean {
    if (this.#failure !== null || this.#isStopped) return false
    const { members, worker } = this.#started()
    return worker.isIdle && !this.#hasCallers() && !members.isWaiting
  }

  /** It leads, and the leader before handed over to it. */
  get isHandedOver(): boolean {
    return this.#isHandedOver
  }

  get isLeader(): boolean {
    return this.#isLeader
  }

  handleRaftEvent(event: RaftEvent): void {
    const { members, reads, snapshots, worker } = this.#started()
    switch (event.type) {
      case 'Committed':
        this.#components.counters.add('commits', event.entries.length)
        worker.handleCommitted(event.entries)
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
        if (event.leader !== null) {
          this.#successor = null
          reads.askAgain()
          this.#leaderless.resolveWhere(() => true, undefined)
        }
        break
      case 'ReadReady':
        reads.handleReady(event)
        break
      case 'ReadRefused':
        reads.handleRefused(event)
        break
      case 'TransferEnded':
        this.#handleTransferEnded(event)
        break
      case 'ConfigurationCommitted':
        members.check()
        this.#tellConfiguration(event)
        break
      case 'SnapshotWanted':
      case 'SnapshotOffered':
        if (this.#failure === null) snapshots.handle(event)
        break
      case 'RolledBack':
        this.#components.onRolledBack(event.lost)
        break
      case 'ConfigurationChanged':
        break
    }
  }

  /** Raft or its log has failed: nothing of this replica goes on. */
  handleRaftFailed(error: unknown): void {
    this.#fail(asFailure(error, 'the log failed'))
  }

  /** Nothing of this replica goes on, its log neither. False: it had failed before. */
  halt(failure: SkeinError): boolean {
    const isNews = this.#failure === null && !this.#isStopped
    this.#fail(failure)
    this.#parts?.raft.stop()
    return isNews
  }

  /**
   * The leader is asked by a follower; it does not pass the question on. Who was removed is told
   * so: it will not be sent the entries that its read would wait for.
   */
  async handleReadIndexRequest(from: NodeId, deadline: MonotonicMs): Promise<LogIndex> {
    const { role, leader, configuration } = this.#started().raft.status()
    if (role !== 'leader') throw notLeader(leader)
    if (!hasMemberOn(from, configuration)) throw notMember(leader)
    this.#expectServing()
    return this.#started().reads.confirmedIndex(deadline)
  }

  /**
   * One part of the snapshot that this replica offers.
   * @throws NotFoundError, InvalidArgumentError
   */
  async serveChunk(request: ChunkRequest): Promise<Chunk> {
    this.#expectServing()
    if (this.#parts === null) throw new NotFoundError('the replica is not ready')
    return this.#parts.snapshots.serve(request)
  }

  handleCheckReport(replica: ReplicaId, index: LogIndex, hash: string): void {
    this.#started().checks.handleReport(replica, index, hash)
  }

  handleCheckVerdict(from: NodeId, verdict: CheckVerdict & { readonly term: number }): void {
    this.#started().checks.handleVerdict(from, verdict)
  }

  #obey({ index, diverged, halted }: CheckVerdict): void {
    if (halted) this.#isHalted = true
    if (diverged.includes(this.#options.self)) {
      this.#fail(new DivergedError(`the content differs from the majority's at index ${index}`))
    }
  }

  #handleRole(event: Extract<RaftEvent, { type: 'RoleChanged' }>): void {
    const { counters, emit } = this.#components
    const { checks, members, pipeline, worker } = this.#started()
    const leads = event.role === 'leader'
    const { term, role, reason } = event
    emit({ type: 'RoleChanged', group: this.group, term, role, reason })
    if (role === 'candidate') {
      worker.rehearse()
      this.#wake()
    }
    if (leads === this.#isLeader) return
    this.#isLeader = leads
    this.#isHandedOver = leads && reason === leadershipTransferred
    if (leads) {
      counters.add(this.#isHandedOver ? 'leaderships_transferred' : 'leader_elections')
      checks.lead()
      this.#tellLeading()
      this.#wake()
      return
    }
    counters.add('leaderships_lost')
    this.#tellResigned()
    checks.resign()
    worker.discard()
    const next = event.leader ?? this.#successor
    pipeline.abandon(next === null ? null : nodeOf(next))
    this.#transfers.resolveWhere(() => true, undefined)
    members.check()
    this.#wake()
  }

  #tellLeading(): void {
    if (this.#isLeadershipTold || !this.#isLeader || this.#failure !== null) return
    const { raft, worker } = this.#started()
    if (!worker.hasEarlierTerms) return
    this.#isLeadershipTold = true
    for (const section of this.#sections) section.handleLeadership(raft.core.term)
  }

  #tellResigned(): void {
    if (!this.#isLeadershipTold) return
    this.#isLeadershipTold = false
    for (const section of this.#sections) section.handleLeadership(null)
  }

  #handleTransferEnded(event: Extract<RaftEvent, { type: 'TransferEnded' }>): void {
    if (event.outcome === 'steppedDown') {
      this.#successor = event.target
      this.#transfers.resolveWhere(() => true, undefined)
    } else if (event.outcome !== 'replaced') {
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
    if (!hasMemberOn(nodeOf(this.#options.self), configuration)) {
      const { raft, reads } = this.#started()
      reads.rejectAll(() => notMember(raft.status().leader))
    }
    this.#components.emit({
      type: 'ConfigurationChanged',
      group: this.group,
      index,
      voters: configuration.voters.map(nodeOf),
      learners: configuration.learners.map(nodeOf)
    })
  }

  #wake(): void {
    this.#armSweep()
    this.#parts?.worker.wake()
  }

  #armSweep(): void {
    if (this.#isStopped || this.#isSweepArmed || !this.#hasCallers()) return
    this.#isSweepArmed = true
    this.#sweepTimer.arm(after(this.#components.clock.now(), sweepIntervalMs))
  }

  #hasCallers(): boolean {
    if (this.#transfers.length + this.#leaderless.length > 0) return true
    const parts = this.#parts
    if (parts === null) return false
    const { pipeline, reads } = parts
    return reads.length > 0 || pipeline.waitingCount > 0 || pipeline.hasInFlight
  }

  #sweep(now: MonotonicMs): void {
    this.#isSweepArmed = false
    const late = () => new RequestTimeoutError('the deadline has passed')
    this.#parts?.pipeline.sweep(now)
    this.#parts?.reads.sweep(now, late)
    this.#transfers.sweep(now, () => new TransferFailedError('this node still leads'))
    this.#leaderless.sweep(now, () => new TransferFailedError('no leader is heard of'))
    this.#armSweep()
  }

  #fail(failure: SkeinError): void {
    if (this.#failure !== null || this.#isStopped) return
    this.#failure = failure
    const { code, message } = failure
    this.#components.counters.add('replicas_failed')
    this.#components.logger.error({ group: this.group, error: failure }, 'the replica has failed')
    this.#components.emit({ type: 'ReplicaFailed', group: this.group, code, message })
    this.#parts?.raft.setCandidacy(false)
    this.#parts?.raft.stepDown(message)
    this.#rejectCallers(() => this.#failureForCallers())
  }

  #rejectCallers(makeError: () => Error): void {
    this.#parts?.pipeline.rejectAll(makeError)
    this.#parts?.reads.rejectAll(makeError)
    this.#transfers.rejectAll(makeError)
    this.#leaderless.rejectAll(makeError)
    this.#parts?.members.rejectAll(makeError)
  }

  #failureForCallers(): SkeinError {
    const failure = this.#failure
    if (failure instanceof DivergedError || failure instanceof RolledBackError) return failure
    return new ReplicaFailedError(`this replica has stopped: ${failure?.message}`, {
      nodeId: nodeOf(this.#options.self),
      cause: failure
    })
  }

  #started(): Parts {
    if (this.#parts === null) throw new InvariantError('the group was not started')
    return this.#parts
  }

  #expectServing(): void {
    if (this.#isStopped) throw new StoppedError('this node is stopping')
    if (this.#failure !== null) throw this.#failureForCallers()
  }

  #expectLeading(): Parts {
    this.#expectServing()
    const started = this.#started()
    if (!this.#isLeader) throw notLeader(started.raft.status().leader ?? this.#successor)
    if (this.#isHalted) {
      throw new DivergedError('the replicas of the group differ and none has a majority')
    }
    return started
  }
}
