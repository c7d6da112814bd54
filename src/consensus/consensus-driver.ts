/**
 * All of consensus on one node: the data directory, the founding, the log that its groups share,
 * and a replica per group.
 *
 * The groups of a founding begin with the same voters and the same first entry, so each founder
 * writes it by itself, and a group that is founded later than the cluster begins in the same way:
 * at each founder when it starts and its log has nothing of that group.
 *
 * Owner's order: construct with the messenger and `open` before that one takes connections;
 * `start` when it does; `handOver`, then `stop`, while it still does.
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
  NotLeaderError
} from '../core/errors.js'
import type { ConsensusEvent } from '../core/events.js'
import {
  type ClusterId,
  DEFAULT_GROUP,
  type GroupId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  nodeOf,
  type ReplicaId,
  type Term
} from '../core/ids.js'
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
import type { TypeOf } from '../wire/codec.js'
import { configurationOf, membersOf } from './configuration.js'
import { type ConsensusCounters, consensusCounterNames } from './counters.js'
import { encodeConfiguration } from './entry.js'
import { expectHonest, FoundingDriver, helloOf, type ReplicaHello } from './founding-driver.js'
import { GroupDriver } from './group/group-driver.js'
import {
  checkReport,
  checkVerdict,
  readIndexRequest,
  replicaHello,
  replicaInvite
} from './group/group-messages.js'
import { RaftDriver } from './group/raft-driver.js'
import { IdentityStore } from './identity/identity-driver.js'
import { clusterIdOf, type ReplicaIdentity, selfOf } from './identity/replica-identity.js'
import { ReplicaNames } from './identity/replica-names.js'
import {
  fromWire,
  type RaftMessage,
  raftDeclarations,
  toWire,
  type WireMessage
} from './messages.js'
import { Raft } from './raft/raft.js'

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
  readonly logger: Logger
  /** For simulation. */
  readonly observer?: ReplicaObserver | undefined
}

export interface ConsensusOptions {
  readonly nodeId: NodeId
  readonly clusterName: string
  /** The founders; null, or without this node: it founds nothing. */
  readonly bootstrapVoters: readonly NodeId[] | null
  /** What founders found; absent: group 0. */
  readonly groups?: readonly GroupId[]
  /** Absolute path of the engine's own directory. */
  engineDirectory(group: GroupId): string
  readonly config: Config['consensus']
}

type ReplicaInvitation = TypeOf<typeof replicaInvite.codec>

const emptyGroup: RecoveredGroup = { hardState: { term: 0 as Term, vote: null }, entries: [] }

/** Locked while the driver runs. */
export const lockFile = 'lock'
/** A follower's question of a read index without a deadline of its own is given up after this. */
const readIndexTimeoutMs = 5_000

export class ConsensusDriver {
  readonly #components: ConsensusComponents
  readonly #options: ConsensusOptions
  readonly #identities: IdentityStore
  readonly #groups = new Map<GroupId, GroupDriver>()
  readonly #handlers: ((event: ConsensusEvent) => void)[] = []
  readonly #counters: ConsensusCounters = new Counters(consensusCounterNames)
  #identity: ReplicaIdentity | null = null
  #founding: FoundingDriver | null = null
  #isFounded = false
  /** Asked for with every datagram. */
  #clusterId: ClusterId | null = null
  readonly #names = new ReplicaNames()
  #joining: Promise<void> | null = null
  #recovered: ReadonlyMap<GroupId, RecoveredGroup> = new Map()
  #lock: DiskLock | null = null

  constructor(components: ConsensusComponents, options: ConsensusOptions) {
    this.#components = components
    this.#options = options
    this.#identities = new IdentityStore(components)
    this.#listen()
  }

  /**
   * Locks and reads the data directory, so that `clusterId` is known before anybody connects.
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

  /** Resolves when the replicas that the log knows run; a founding goes on in the background. */
  async start(): Promise<void> {
    const { nodeId, bootstrapVoters } = this.#options
    const identity = must(this.#identity, 'identity: call open() first')
    if (this.#isFounded) {
      const { logger } = this.#components
      if (bootstrapVoters !== null) logger.info({}, 'bootstrap is ignored: there is a log')
      await this.#foundMissing(identity)
      for (const [group, found] of this.#recovered) await this.#createGroup(group, found)
      this.#recovered = new Map()
    } else if (bootstrapVoters?.includes(nodeId)) {
      this.#found(bootstrapVoters, identity)
    }
  }

  /**
   * Asks `node` to host a replica of the group that this node leads, and makes a voter of it when
   * it keeps up. Again is harmless; a replica on an older storage of the node leaves.
   * @throws as `GroupDriver.addReplica`; the errors of a request when the node does not answer
   */
  async addNode(id: GroupId, node: NodeId, deadline: MonotonicMs): Promise<void> {
    const group = this.#expectGroup(id)
    if (!group.isLeader) throw new NotLeaderError('this node does not lead the group')
    const { messenger } = this.#components
    const { clusterName } = this.#options
    const founders = must(must(this.#identity, 'identity').founders, 'founders')
    const invitation = { group: id, clusterName, founders }
    const { self } = await messenger.request(node, replicaInvite, invitation, { deadline })
    if (nodeOf(self) !== node) throw new NotAuthorizedError(`${node} says it is ${self}`)
    await group.addReplica(self, deadline)
  }

  /**
   * Campaigns no more, and gives leadership away where it can; what fails is logged, not thrown.
   */
  async handOver(deadline: MonotonicMs): Promise<void> {
    const transfers = this.groups().map(async (group) => {
      group.setCandidacy(false)
      if (!group.isLeader || group.status().voters.length < 2) return
      try {
        await group.transferLeadership(null, deadline)
      } catch (error) {
        this.#components.logger.warn({ group: group.group, error }, 'leadership stays to the end')
      }
    })
    await Promise.all(transfers)
  }

  /** Everybody who waits is told; the log is closed and the directory unlocked. */
  async stop(): Promise<void> {
    this.#founding?.stop()
    for (const group of this.groups()) await group.stop()
    await this.#components.log.close()
    await this.#lock?.release()
    this.#lock = null
  }

  tellQueues(tell: TellQueue): void {
    for (const group of this.#groups.values()) group.tellQueues(tell)
  }

  group(id: GroupId): GroupDriver | null {
    return this.#groups.get(id) ?? null
  }

  /** In the order of their ids. */
  groups(): readonly GroupDriver[] {
    return [...this.#groups.values()].sort((a, b) => a.group - b.group)
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
    return this.#groups.get(id)?.status().leader ?? null
  }

  onEvent(handler: (event: ConsensusEvent) => void): void {
    this.#handlers.push(handler)
  }

  get counters(): ConsensusCounters {
    this.#counters.set('log_syncs', this.#components.log.syncCount)
    return this.#counters
  }

  async #recover(): Promise<void> {
    const { log, logger } = this.#components
    const { nodeId, clusterName } = this.#options
    const recovered = await log.open()
    if (recovered.tornBytes > 0) {
      logger.info({ tornBytes: recovered.tornBytes }, 'cut a torn write from the end of the log')
    }
    const hasLog = recovered.groups.size > 0
    const identity = await this.#identities.open(nodeId, clusterName, hasLog)
    this.#identity = identity
    if (!hasLog) {
      this.#recoverGuest(identity)
      return
    }
    if (identity.founders === null) throw new LogCorruptedError('there is a log of no cluster')
    this.#isFounded = true
    this.#recovered = recovered.groups
  }

  /** It was asked into a cluster that others founded, and has heard nothing of its log yet. */
  #recoverGuest(identity: ReplicaIdentity): void {
    if (identity.founders === null || identity.founders.includes(selfOf(identity))) return
    this.#isFounded = true
    this.#recovered = new Map([[DEFAULT_GROUP, emptyGroup]])
  }

  #found(voters: readonly NodeId[], identity: ReplicaIdentity): void {
    const { clock, messenger, logger } = this.#components
    this.#founding = new FoundingDriver(
      {
        clock,
        messenger,
        logger,
        identities: this.#identities,
        onFounded: (founders) => {
          this.#beginCluster(founders).catch((error: unknown) => this.#handleFailedFounding(error))
        },
        onFailed: (error) => this.#handleFailedFounding(error)
      },
      { voters },
      identity
    )
    this.#founding.start()
  }

  async #beginCluster(founders: readonly ReplicaId[]): Promise<void> {
    const founded = await this.#foundGroups(founders, this.#foundedGroups)
    this.#identity = { ...must(this.#identity, 'identity'), founders }
    this.#isFounded = true
    const clusterId = this.clusterId()
    this.#components.logger.info({ clusterId, founders }, 'the cluster is founded')
    for (const [group, begun] of founded) await this.#createGroup(group, begun)
  }

  /** The first entry of each, durably, in one step. */
  async #foundGroups(
    founders: readonly ReplicaId[],
    groups: readonly GroupId[]
  ): Promise<ReadonlyMap<GroupId, RecoveredGroup>> {
    const first: LogEntry = {
      index: 1 as LogIndex,
      term: 0 as Term,
      payload: encodeConfiguration(configurationOf(founders))
    }
    const begun = { hardState: { term: 0 as Term, vote: null }, entries: [first] }
    await this.#components.log.persist(groups.map((group) => ({ group, ...begun })))
    return new Map(groups.map((group) => [group, begun]))
  }

  /** A founder of the cluster, which has never heard of the group, is a voter of its beginning. */
  async #foundMissing(identity: ReplicaIdentity): Promise<void> {
    const { founders } = identity
    if (founders === null || !founders.includes(selfOf(identity))) return
    const missing = this.#foundedGroups.filter((group) => !this.#recovered.has(group))
    if (missing.length === 0) return
    const founded = await this.#foundGroups(founders, missing)
    this.#recovered = new Map([...this.#recovered, ...founded])
  }

  get #foundedGroups(): readonly GroupId[] {
    return this.#options.groups ?? [DEFAULT_GROUP]
  }

  #handleFailedFounding(error: unknown): void {
    const { code, message } = factsOf(error)
    this.#components.logger.error({ error }, 'the founding failed')
    this.#emit({ type: 'ReplicaFailed', group: DEFAULT_GROUP, code, message })
  }

  async #createGroup(group: GroupId, recovered: RecoveredGroup): Promise<void> {
    const { clock, messenger, random, log, observer } = this.#components
    const { config } = this.#options
    const self = selfOf(must(this.#identity, 'identity'))
    const logger = this.#components.logger.child({ group })
    const directory = this.#options.engineDirectory(group)
    const made = this.#expectEngines().create({ group, directory, clock, logger })
    const engine = observer?.watched?.(group, made) ?? made
    const emit = (event: ConsensusEvent) => this.#emit(event)
    const driver = new GroupDriver(
      { clock, messenger, engine, logger, counters: this.#counters, emit },
      { group, self, config }
    )
    const appliedIndex = await driver.open(recovered.entries.at(-1)?.index ?? (0 as LogIndex))
    observer?.onRecovered(group, self, recovered)
    const raft = new Raft({
      group,
      self,
      recovered,
      appliedIndex,
      random: random.split(`raft ${group}`),
      options: config,
      now: clock.now()
    })
    this.#groups.set(group, driver)
    driver.start(
      new RaftDriver({
        clock,
        raft,
        log,
        observer,
        send: (message) => this.#send(message),
        onEvent: (event) => driver.handleRaftEvent(event),
        onFailed: (error) => driver.handleRaftFailed(error)
      })
    )
  }

  #emit(event: ConsensusEvent): void {
    for (const handler of this.#handlers) handler(event)
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
    messenger.onRequest(readIndexRequest, async ({ body, deadline }) => {
      const group = this.#expectGroup(body.group)
      const until = deadline ?? after(clock.now(), readIndexTimeoutMs)
      return { index: await group.handleReadIndexRequest(until) }
    })
    messenger.onMessage(checkReport, ({ from, body }) => {
      if (nodeOf(body.replica) !== from) this.#counters.add('messages_dropped')
      else this.group(body.group)?.handleCheckReport(body.replica, body.index, body.hash)
    })
    messenger.onMessage(checkVerdict, ({ from, body }) => {
      this.group(body.group)?.handleCheckVerdict(from, body)
    })
    messenger.onRequest(replicaHello, async ({ from, body }) => this.#greet(from, body))
    messenger.onRequest(replicaInvite, ({ from, body }) => this.#host(from, body))
    messenger.onPeer(({ nodeId, connected }) => this.#handlePeer(nodeId, connected))
  }

  /** The sender is a replica of the peer that the connection has proved, whatever it says. */
  #receive({ from, body }: Inbound<WireMessage>): void {
    const group = this.#groups.get(body.group)
    const identity = this.#identity
    // What is meant for another storage of this node, which may have voted before, is not for this.
    if (group === undefined || identity === null || body.to !== identity.storageId) {
      this.#counters.add('messages_dropped')
      return
    }
    this.#counters.add('messages_received')
    const sender = this.#names.replicaOf(from, body.from)
    group.raft.receive(fromWire(body, sender, this.#names.replicaOf(identity.nodeId, body.to)))
  }

  #greet(from: NodeId, hello: ReplicaHello): ReplicaHello {
    expectHonest(from, hello, this.#options.clusterName)
    if (this.#identity === null) throw new NotFoundError('this node is not ready')
    this.#founding?.handleHello(from, hello)
    if (this.#founding !== null && !this.#isFounded) return this.#founding.hello()
    return helloOf(this.#identity, this.#isFounded)
  }

  /** Answers when the replica takes messages. */
  async #host(from: NodeId, invitation: ReplicaInvitation): Promise<{ self: ReplicaId }> {
    const { group, clusterName, founders } = invitation
    if (clusterName !== this.#options.clusterName || founders.length === 0) {
      throw new NotAuthorizedError(`${from} invites to cluster ${clusterName}`)
    }
    const self = selfOf(must(this.#identity, 'identity'))
    if (!this.#groups.has(group)) {
      this.#joining ??= this.#join(group, founders).finally(() => {
        this.#joining = null
      })
      await this.#joining
    }
    this.#expectGroup(group)
    return { self }
  }

  async #join(group: GroupId, founders: readonly ReplicaId[]): Promise<void> {
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
    this.#identity = await this.#identities.pledge(founders)
    this.#isFounded = true
    await this.#createGroup(group, emptyGroup)
  }

  #handlePeer(nodeId: NodeId, connected: boolean): void {
    for (const group of this.groups()) {
      for (const replica of membersOf(group.raft.core.configuration)) {
        if (nodeOf(replica) !== nodeId) continue
        if (connected) group.raft.handlePeerConnected(replica)
        else group.raft.handlePeerLost(replica)
      }
    }
  }

  #expectEngines(): EngineProvider {
    const { engines } = this.#components
    if (engines !== null) return engines
    throw new InvalidArgumentError('engine', 'this node hosts a replica and needs an engine')
  }

  #expectGroup(id: GroupId): GroupDriver {
    const group = this.#groups.get(id)
    if (group === undefined) throw new NotFoundError(`group ${id} has no replica on this node`)
    return group
  }
}
