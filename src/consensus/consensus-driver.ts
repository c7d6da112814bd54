/**
 * All of consensus on one node: the data directory, the founding, the log that its groups share,
 * and a replica per group. The founding makes all groups at once, and who joins gets one replica
 * of each.
 *
 * Owner's order: construct with the messenger and `open` before that one takes connections;
 * `start` when it does; `handOver`, `untilLed`, then `stop`, while it still does.
 */
import { must } from '../core/assert.js'
import type { Config } from '../core/config/schema.js'
import { Counters } from '../core/counters.js'
import { after } from '../core/deadlines.js'
import {
  InvalidArgumentError,
  LogCorruptedError,
  NotAuthorizedError,
  NotFoundError,
  type RolledBackError
} from '../core/errors.js'
import type { ConsensusEvent } from '../core/events.js'
import {
  type ClusterId,
  CONTROL_GROUP,
  DEFAULT_GROUP,
  type GroupId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  nodeOf,
  type ReplicaId,
  type Term
} from '../core/ids.js'
import type {
  MemberChangeKind,
  MemberChangeOptions,
  MemberChangeReport
} from '../core/member-changes.js'
import type { Clock } from '../core/ports/clock.js'
import type { Crypto } from '../core/ports/crypto.js'
import type { Disk, DiskLock } from '../core/ports/disk.js'
import type { EngineProvider } from '../core/ports/engine-provider.js'
import type { LogEntry, LogStore, RecoveredGroup } from '../core/ports/log-store.js'
import type { Logger } from '../core/ports/logger.js'
import type { Inbound, MessageType, Messenger } from '../core/ports/messenger.js'
import type { Random } from '../core/ports/random.js'
import type { ReplicaObserver } from '../core/ports/replica-observer.js'
import { factsOf } from '../core/remote-error.js'
import type { TellQueue } from '../core/tell-queue.js'
import { configurationOf, membersOf } from './configuration.js'
import { type ConsensusCounters, consensusCounterNames } from './counters.js'
import { encodeConfiguration } from './entry.js'
import { expectHonest, FoundingDriver, helloOf, type ReplicaHello } from './founding-driver.js'
import type { GroupDriver } from './group/group-driver.js'
import {
  checkReport,
  checkVerdict,
  memberChange,
  readIndexRequest,
  replicaHello,
  replicaInvite,
  snapshotChunkRequest
} from './group/group-messages.js'
import type { GroupSection } from './group/group-section.js'
import { HandOver } from './host/hand-over-driver.js'
import { type HostBeats, HostHeartbeats } from './host/host-heartbeats-driver.js'
import { hostBeatAnswers, hostBeats } from './host/host-messages.js'
import { emptyGroup, HostedReplicas } from './host/hosted-replicas-driver.js'
import { HostedVoters } from './host/hosted-voters.js'
import { LeaderBalanceDriver } from './host/leader-balance-driver.js'
import { IdentityStore } from './identity/identity-driver.js'
import { clusterIdOf, type ReplicaIdentity, selfOf } from './identity/replica-identity.js'
import { ReplicaNames } from './identity/replica-names.js'
import {
  type ClusterKnowledge,
  ClusterMembers,
  memberChangeTimeoutMs,
  ownKnowledge
} from './members/cluster-members-driver.js'
import { MemberRequests, type ReplicaInvitation } from './members/member-requests-driver.js'
import {
  fromWire,
  type RaftMessage,
  raftDeclarations,
  toWire,
  type WireMessage
} from './messages.js'
import { RollbackWatch } from './rollback/rollback-watch-driver.js'
import { lostStateError, outlivedError } from './rollback/rolled-back.js'
import { beginStart } from './rollback/start-mark-driver.js'

export interface ConsensusComponents {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly messenger: Messenger
  /** The node's data directory. */
  readonly disk: Disk
  /** On the same disk; opened and closed by the driver. */
  readonly log: LogStore
  /** Null on a node that never hosts a replica. */
  readonly engines: EngineProvider | null
  /** What a replica replicates beside its data, made for each anew; absent: nothing. */
  readonly sections?: ((group: GroupId) => readonly GroupSection[]) | undefined
  readonly logger: Logger
  /** What other rooms know of groups and nodes; absent: this node's own replicas are all. */
  readonly knowledge?: ClusterKnowledge | undefined
  /** For simulation. */
  readonly observer?: ReplicaObserver | undefined
}

export interface ConsensusOptions {
  readonly nodeId: NodeId
  readonly clusterName: string
  /** The founders; null, or without this node: it founds nothing. */
  readonly bootstrapVoters: readonly NodeId[] | null
  /** Sorted; where there is a cluster, its own are hosted. Absent: group 0. */
  readonly foundedGroups?: readonly GroupId[]
  /** Absolute path of the engine's own directory. */
  engineDirectory(group: GroupId): string
  readonly config: Config['consensus']
}

/** Locked while the driver runs. */
export const lockFile = 'lock'
/** A follower's question of a read index without a deadline of its own is given up after this. */
const readIndexTimeoutMs = 5_000
/** Who was given a leadership takes it in one; a stop waits for that many before it goes on. */
const successorElections = 3

export class ConsensusDriver {
  readonly #components: ConsensusComponents
  readonly #options: ConsensusOptions
  readonly #identities: IdentityStore
  readonly #replicas: HostedReplicas
  readonly #handlers: ((event: ConsensusEvent) => void)[] = []
  readonly #voters = new HostedVoters()
  readonly #votersHandlers: ((voters: readonly NodeId[]) => void)[] = []
  readonly #counters: ConsensusCounters = new Counters(consensusCounterNames)
  readonly #heartbeats: HostHeartbeats
  readonly #balance: LeaderBalanceDriver
  readonly #memberRequests: MemberRequests
  readonly #members: ClusterMembers
  readonly #rollbackWatch: RollbackWatch
  readonly #handOver: HandOver
  #identity: ReplicaIdentity | null = null
  #founding: FoundingDriver | null = null
  #isFounded = false
  /** Asked for with every datagram. */
  #clusterId: ClusterId | null = null
  readonly #names = new ReplicaNames()
  #joining: Promise<void> | null = null
  #lock: DiskLock | null = null
  #isStopped = false
  /** Peers have proved that the data directory is an older copy: nothing of this node goes on. */
  #rolledBack: RolledBackError | null = null

  constructor(components: ConsensusComponents, options: ConsensusOptions) {
    this.#components = components
    this.#options = options
    this.#identities = new IdentityStore(components)
    const { clock, logger, messenger, random } = components
    const { config, nodeId } = options
    this.#heartbeats = new HostHeartbeats(
      {
        clock,
        messenger,
        names: this.#names,
        counters: this.#counters,
        self: () => selfOf(must(this.#identity, 'identity')),
        groupOf: (group) => this.group(group),
        groupCount: () => this.#replicas.count
      },
      {
        quiesceAfterMs: config.quiesceAfterMs,
        heartbeatIntervalMs: config.heartbeatIntervalMs,
        silenceMs: config.electionTimeoutMinMs,
        life: random.split('life').nextUint32()
      }
    )
    this.#memberRequests = new MemberRequests({
      messenger,
      groupOf: (group) => this.group(group),
      hello: () => this.#hello(),
      invitationTo: (group) => this.#invitationTo(group)
    })
    this.#rollbackWatch = new RollbackWatch({
      clock,
      messenger,
      logger,
      hello: () => this.#currentHello(),
      onOutlived: (...proof) => this.#halt(outlivedError(...proof))
    })
    const knowledge = components.knowledge ?? ownKnowledge(this)
    const mayLead = (node: NodeId) => knowledge.mayLead(node)
    this.#handOver = new HandOver(
      { clock, logger, groups: () => this.groups(), mayLead },
      { nodeId, ledWaitMs: successorElections * config.electionTimeoutMaxMs }
    )
    this.#members = new ClusterMembers(
      {
        clock,
        messenger,
        knowledge,
        requests: this.#memberRequests,
        foundedGroups: () => (this.#isFounded ? must(this.#identity, 'identity').groups : null),
        hello: () => this.#hello()
      },
      options
    )
    this.#balance = new LeaderBalanceDriver(
      {
        clock,
        logger,
        counters: this.#counters,
        // The control group has next to nothing to do: it would only move leaders that have.
        groups: () => this.groups().filter(({ group }) => group !== CONTROL_GROUP),
        mayLead
      },
      { nodeId, intervalMs: config.leaderBalanceIntervalMs }
    )
    this.#replicas = this.#makeReplicas()
    this.#listen()
  }

  /**
   * Locks and reads the data directory, so that `clusterId` is known before anybody connects, and
   * counts this start of it, before anything is sent.
   * @throws DataDirectoryInUseError, DataDirectoryForeignError, LogCorruptedError, DiskFailedError
   */
  async open(): Promise<void> {
    this.#lock = await this.#components.disk.lock(lockFile)
    try {
      await this.#recover()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** The leadership of this group, once it is here, is not moved for balance so long. */
  keepLeader(group: GroupId, forMs: number): void {
    if (this.group(group) !== null) this.#balance.keep(group, forMs)
  }

  /**
   * Resolves when the replicas that the log knows run; a founding goes on in the background.
   * @throws RolledBackError peers have proved it already; later `ReplicaFailed` tells it
   */
  async start(): Promise<void> {
    const { nodeId, bootstrapVoters } = this.#options
    const identity = must(this.#identity, 'identity: call open() first')
    this.#balance.start()
    if (this.#isFounded) {
      const { logger } = this.#components
      if (bootstrapVoters !== null) logger.info({}, 'bootstrap is ignored: there is a log')
      this.#tellOtherGroups(identity.groups)
      await this.#replicas.ensureKept()
    } else if (bootstrapVoters?.includes(nodeId)) {
      this.#found(bootstrapVoters, identity)
    }
    if (this.#rolledBack !== null) throw this.#rolledBack
  }

  /**
   * Of every group of the cluster, whoever leads it; the same call again is harmless.
   * @throws as `ClusterMembers.change`
   */
  changeMembers(
    change: MemberChangeKind,
    node: NodeId,
    options: MemberChangeOptions
  ): Promise<MemberChangeReport> {
    return this.#members.change(change, node, options)
  }

  /**
   * Asks `node` to host a replica of the group that this node leads, and makes a voter of it when
   * it keeps up.
   * @throws as `MemberRequests.addNode`
   */
  async addNode(id: GroupId, node: NodeId, deadline: MonotonicMs): Promise<void> {
    await this.#memberRequests.addNode(id, node, deadline)
  }

  /** Campaigns no more, and gives leadership away where it can; never throws. */
  async handOver(deadline: MonotonicMs): Promise<void> {
    this.#balance.stop()
    await this.#handOver.giveAway(deadline)
  }

  /** After `handOver`: until others are heard to lead what was given away; never throws. */
  untilLed(deadline: MonotonicMs): Promise<void> {
    return this.#handOver.untilLed(deadline)
  }

  /** Everybody who waits is told; the log is closed and the directory unlocked. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#founding?.stop()
    this.#rollbackWatch.stop()
    this.#balance.stop()
    this.#members.stop()
    await this.#replicas.settled()
    await this.#replicas.stop()
    this.#heartbeats.stop()
    await this.#components.log.close()
    await this.#lock?.release()
    this.#lock = null
  }

  tellQueues(tell: TellQueue): void {
    this.#replicas.tellQueues(tell)
  }

  group(id: GroupId): GroupDriver | null {
    return this.#replicas.get(id)
  }

  /** Whose engines are not open yet, for whoever wonders why a start takes long. */
  get openingIds(): readonly GroupId[] {
    return this.#replicas.openingIds
  }

  /** In the order of their ids. */
  groups(): readonly GroupDriver[] {
    return this.#replicas.sorted
  }

  /** Of the groups that have a replica here, sorted. */
  get groupIds(): readonly GroupId[] {
    return this.#replicas.ids
  }

  /** Null before the founding, and on nodes without a replica. */
  clusterId(): ClusterId | null {
    const identity = this.#identity
    if (!this.#isFounded || identity === null) return null
    const founders = must(identity.founders, 'founders')
    this.#clusterId ??= clusterIdOf(this.#components.crypto, identity.clusterName, founders)
    return this.#clusterId
  }

  /** Null before `start`. */
  replicaId(): ReplicaId | null {
    return this.#identity === null ? null : selfOf(this.#identity)
  }

  /** As far as this node's replica knows. */
  leaderOf(id: GroupId): NodeId | null {
    return this.#replicas.get(id)?.status().leader ?? null
  }

  onEvent(handler: (event: ConsensusEvent) => void): void {
    this.#handlers.push(handler)
  }

  /** Told when other nodes vote in the groups with a replica here, all taken together. */
  onVotersChanged(handler: (voters: readonly NodeId[]) => void): void {
    this.#votersHandlers.push(handler)
  }

  get counters(): ConsensusCounters {
    this.#counters.set('log_syncs', this.#components.log.syncCount)
    this.#counters.set('groups_asleep', this.#heartbeats.sleeping)
    return this.#counters
  }

  #makeReplicas(): HostedReplicas {
    const { random } = this.#components
    const { config } = this.#options
    return new HostedReplicas(
      {
        ...this.#components,
        counters: this.#counters,
        heartbeats: this.#heartbeats,
        engines: () => this.#expectEngines(),
        self: () => selfOf(must(this.#identity, 'identity')),
        isOver: () => this.#isOver,
        send: (message) => this.#send(message),
        emit: (event) => this.#emit(event),
        onOpened: (group) => this.#noteVoters(group),
        onRolledBack: (group, lost) => this.#halt(lostStateError(group, lost))
      },
      {
        engineDirectory: (group) => this.#options.engineDirectory(group),
        config,
        heartbeatPhaseMs: random.split('phase').nextInt(config.heartbeatIntervalMs)
      }
    )
  }

  async #recover(): Promise<void> {
    const { log, logger } = this.#components
    const { nodeId, clusterName } = this.#options
    const recovered = await log.open()
    if (recovered.tornBytes > 0) {
      logger.info({ tornBytes: recovered.tornBytes }, 'cut a torn write from the end of the log')
    }
    const hasLog = recovered.groups.size > 0
    const identity = await this.#withControlGroup(
      await this.#identities.open(nodeId, clusterName, hasLog)
    )
    // Before anybody can ask for a replica: between the identity and what the log has of it nothing
    // is waited for.
    this.#rollbackWatch.begin(await beginStart(this.#components))
    this.#identity = identity
    const { founders } = identity
    if (founders === null) {
      if (hasLog) throw new LogCorruptedError('there is a log of no cluster')
      return
    }
    // A founder without a log waits until the founding has taken place, here or elsewhere.
    if (!hasLog && founders.includes(selfOf(identity))) return
    this.#isFounded = true
    this.#replicas.keep(await this.#completed(recovered.groups, identity))
  }

  /** Every cluster has one: one that was founded without gets it when its founders start. */
  async #withControlGroup(identity: ReplicaIdentity): Promise<ReplicaIdentity> {
    const { founders, groups } = identity
    const isWanted = this.#foundedGroups.includes(CONTROL_GROUP) && !groups.includes(CONTROL_GROUP)
    if (founders === null || !isWanted) return identity
    return this.#identities.pledge(founders, [...groups, CONTROL_GROUP])
  }

  /**
   * A crash may have come between the groups' first entries, and a guest may have heard nothing of
   * a group: what its log lacks never was, for the log is one.
   */
  async #completed(
    found: ReadonlyMap<GroupId, RecoveredGroup>,
    identity: ReplicaIdentity
  ): Promise<Map<GroupId, RecoveredGroup>> {
    const missing = identity.groups.filter((group) => !found.has(group))
    if (missing.length === 0) return new Map(found)
    const founders = must(identity.founders, 'founders')
    const isFounder = founders.includes(selfOf(identity))
    const made = isFounder
      ? await this.#writeFirstEntries(founders, missing)
      : new Map(missing.map((group) => [group, emptyGroup]))
    return new Map([...found, ...made].sort(([a], [b]) => a - b))
  }

  #tellOtherGroups(hosted: readonly GroupId[]): void {
    const configured = this.#foundedGroups
    if (configured.length === hosted.length) return
    const facts = { configured: configured.length, groups: hosted.length }
    this.#components.logger.warn(facts, 'cluster.groups is ignored: the founding has decided')
  }

  #found(voters: readonly NodeId[], identity: ReplicaIdentity): void {
    const { clock, messenger, logger } = this.#components
    this.#founding = new FoundingDriver(
      {
        clock,
        messenger,
        logger,
        identities: this.#identities,
        onFounded: (founders, groups) => {
          this.#beginCluster(founders, groups).catch((error: unknown) =>
            this.#handleFailedFounding(error)
          )
        },
        onFailed: (error) => this.#handleFailedFounding(error)
      },
      { voters, groups: this.#foundedGroups },
      identity
    )
    this.#founding.start()
  }

  async #beginCluster(founders: readonly ReplicaId[], groups: readonly GroupId[]): Promise<void> {
    const founded = await this.#writeFirstEntries(founders, groups)
    this.#identity = { ...must(this.#identity, 'identity'), founders, groups }
    this.#isFounded = true
    const clusterId = this.clusterId()
    const facts = { clusterId, founders, groups: groups.length }
    this.#components.logger.info(facts, 'the cluster is founded')
    this.#replicas.keep(founded)
    await this.#replicas.ensureKept()
  }

  /** In one request, so that however many groups there are, one sync founds them. */
  async #writeFirstEntries(
    founders: readonly ReplicaId[],
    groups: readonly GroupId[]
  ): Promise<Map<GroupId, RecoveredGroup>> {
    const payload = encodeConfiguration(configurationOf(founders))
    const first: LogEntry = { index: 1 as LogIndex, term: 0 as Term, payload }
    const { hardState } = emptyGroup
    const entries = [first]
    await this.#components.log.persist(groups.map((group) => ({ group, hardState, entries })))
    return new Map(groups.map((group) => [group, { hardState, entries }]))
  }

  #handleFailedFounding(error: unknown): void {
    const { code, message } = factsOf(error)
    this.#components.logger.error({ error }, 'the founding failed')
    this.#emit({ type: 'ReplicaFailed', group: DEFAULT_GROUP, code, message })
  }

  get #isOver(): boolean {
    return this.#isStopped || this.#rolledBack !== null
  }

  /** All replicas stand on the one directory: what is proved of one concerns each. */
  #halt(error: RolledBackError): void {
    if (this.#isOver) return
    this.#rolledBack = error
    this.#founding?.stop()
    this.#rollbackWatch.stop()
    this.#balance.stop()
    this.#heartbeats.stop()
    const { code, message, details } = error
    this.#components.logger.error({ code, ...details }, message)
    const told = this.groups().filter((group) => group.halt(error))
    if (told.length > 0) return
    this.#emit({ type: 'ReplicaFailed', group: DEFAULT_GROUP, code, message })
  }

  #emit(event: ConsensusEvent): void {
    for (const handler of this.#handlers) handler(event)
    this.#noteVoters(event.group)
  }

  /** There is an event for each of many groups: none may cost a look at all of them. */
  #noteVoters(group: GroupId): void {
    const voters = this.#replicas.get(group)?.leadership().voters ?? []
    if (!this.#voters.note(group, voters)) return
    for (const handler of this.#votersHandlers) handler(this.#voters.voters)
  }

  #send(message: RaftMessage): boolean {
    this.#counters.add('messages_sent')
    const declaration = raftDeclarations[message.kind] as MessageType<WireMessage>
    const { node, storage } = this.#names.partsOf(message.to)
    const wire = toWire(message, this.#names.partsOf(message.from).storage, storage)
    return this.#components.messenger.send(node, declaration, wire, { group: message.group })
  }

  #listen(): void {
    const { messenger, clock } = this.#components
    for (const declaration of Object.values(raftDeclarations)) {
      messenger.onMessage(declaration as MessageType<WireMessage>, (inbound) =>
        this.#receive(inbound)
      )
    }
    messenger.onMessage(hostBeats, ({ from, body }) =>
      this.#receiveBeats(from, body, (host) => this.#heartbeats.handleBeats(host, body))
    )
    messenger.onMessage(hostBeatAnswers, ({ from, body }) =>
      this.#receiveBeats(from, body, (host) => this.#heartbeats.handleAnswers(host, body))
    )
    messenger.onRequest(readIndexRequest, async ({ body, deadline, from }) => {
      const group = this.#expectGroup(body.group)
      const until = deadline ?? after(clock.now(), readIndexTimeoutMs)
      return { index: await group.handleReadIndexRequest(from, until) }
    })
    messenger.onMessage(checkReport, ({ from, body }) => {
      if (nodeOf(body.replica) !== from) this.#counters.add('messages_dropped')
      else this.group(body.group)?.handleCheckReport(body.replica, body.index, body.hash)
    })
    messenger.onMessage(checkVerdict, ({ from, body }) => {
      this.group(body.group)?.handleCheckVerdict(from, body)
    })
    messenger.onRequest(snapshotChunkRequest, ({ body }) =>
      this.#expectGroup(body.group).serveChunk(body)
    )
    messenger.onRequest(replicaHello, async ({ from, body }) => this.#greet(from, body))
    messenger.onRequest(replicaInvite, ({ from, body }) => this.#host(from, body))
    messenger.onRequest(memberChange, ({ body, deadline }) =>
      this.#memberRequests.handle(body, deadline ?? after(clock.now(), memberChangeTimeoutMs))
    )
    messenger.onPeer(({ nodeId, connected }) => this.#handlePeer(nodeId, connected))
  }

  /** The sender is a replica of the peer that the connection has proved, whatever it says. */
  #receive({ from, body }: Inbound<WireMessage>): void {
    const group = this.#replicas.get(body.group)
    const identity = this.#identity
    // What is meant for another storage of this node, which may have voted before, is not for this.
    if (group === null || identity === null || body.to !== identity.storageId) {
      this.#counters.add('messages_dropped')
      return
    }
    if (this.#rollbackWatch.holdsBack(from, body.kind)) {
      this.#counters.add('messages_held_back')
      return
    }
    this.#counters.add('messages_received')
    this.#heartbeats.noteActivity(body.group)
    const sender = this.#names.replicaOf(from, body.from)
    group.raft.receive(fromWire(body, sender, this.#names.replicaOf(identity.nodeId, body.to)))
  }

  /** Between the storages of two hosts; the sender is who the connection has proved. */
  #receiveBeats(
    from: NodeId,
    body: Pick<HostBeats, 'from' | 'to'>,
    handle: (host: ReplicaId) => void
  ): void {
    if (body.to !== this.#identity?.storageId || this.#isOver) {
      this.#counters.add('messages_dropped')
      return
    }
    this.#counters.add('messages_received')
    handle(this.#names.replicaOf(from, body.from))
  }

  #greet(from: NodeId, hello: ReplicaHello): ReplicaHello {
    expectHonest(from, hello, this.#options.clusterName)
    if (this.#identity === null) throw new NotFoundError('this node is not ready')
    this.#founding?.handleHello(from, hello)
    return { ...this.#currentHello(), ...this.#rollbackWatch.answerTo(from, hello) }
  }

  #currentHello(): ReplicaHello {
    if (this.#founding !== null && !this.#isFounded) return this.#founding.hello()
    return this.#hello()
  }

  #hello(): ReplicaHello {
    return helloOf(must(this.#identity, 'identity'), this.#isFounded, this.#foundedGroups)
  }

  /** Answers when the replicas take messages. */
  async #host(from: NodeId, invitation: ReplicaInvitation): Promise<{ self: ReplicaId }> {
    const { group, groups = [group], clusterName, founders } = invitation
    if (clusterName !== this.#options.clusterName || founders.length === 0) {
      throw new NotAuthorizedError(`${from} invites to cluster ${clusterName}`)
    }
    if (this.#rolledBack !== null) throw this.#rolledBack
    const self = selfOf(must(this.#identity, 'identity'))
    if (this.#replicas.get(group) === null) {
      this.#joining ??= this.#join(groups, founders).finally(() => {
        this.#joining = null
      })
      await this.#joining
    }
    this.#expectGroup(group)
    return { self }
  }

  async #join(groups: readonly GroupId[], founders: readonly ReplicaId[]): Promise<void> {
    const identity = must(this.#identity, 'identity')
    const pledge = identity.founders
    if (pledge !== null && pledge.join() !== founders.join()) {
      throw new NotAuthorizedError('this node has pledged itself to another cluster')
    }
    if (founders.includes(selfOf(identity))) {
      throw new NotAuthorizedError('this node is a founder that has not founded yet')
    }
    this.#expectEngines()
    this.#founding?.stop()
    this.#identity = await this.#identities.pledge(founders, groups)
    this.#isFounded = true
    await this.#replicas.ensure(groups)
  }

  get #foundedGroups(): readonly GroupId[] {
    return this.#options.foundedGroups ?? [DEFAULT_GROUP]
  }

  #invitationTo(group: GroupId): ReplicaInvitation {
    const { founders, groups } = must(this.#identity, 'identity')
    const { clusterName } = this.#options
    return { group, groups, clusterName, founders: must(founders, 'founders') }
  }

  #handlePeer(nodeId: NodeId, connected: boolean): void {
    for (const group of this.groups()) {
      for (const replica of membersOf(group.raft.core.configuration)) {
        if (nodeOf(replica) !== nodeId) continue
        if (connected) group.raft.handlePeerConnected(replica)
        else group.raft.handlePeerLost(replica)
      }
    }
    if (!connected) this.#heartbeats.handlePeerLost(nodeId)
    this.#rollbackWatch.handlePeer(nodeId, connected)
  }

  #expectEngines(): EngineProvider {
    const { engines } = this.#components
    if (engines !== null) return engines
    throw new InvalidArgumentError('engine', 'this node hosts a replica and needs an engine')
  }

  #expectGroup(id: GroupId): GroupDriver {
    const group = this.#replicas.get(id)
    if (group === null) throw new NotFoundError(`group ${id} has no replica on this node`)
    return group
  }
}
