import type { ClusterMembership, DeathRecord } from '../../core/cluster-membership.js'
import type { ClusterMetadata } from '../../core/cluster-metadata.js'
import type { Config } from '../../core/config/schema.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { NoQuorumError, NotStartedError, StoppedError } from '../../core/errors.js'
import type { MembershipEvent } from '../../core/events.js'
import type { ClusterId, MonotonicMs, NodeId, WallMs } from '../../core/ids.js'
import type {
  HealthStatus,
  Lifecycle,
  Member,
  NodeCapacity,
  TellIncarnation
} from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { DatagramNetwork } from '../../core/ports/datagram-network.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Random } from '../../core/ports/random.js'
import type { Address } from '../../core/ports/stream-network.js'
import { factsOf } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { VersionRange } from '../../core/versions.js'
import type { JoinSettings } from './compatibility.js'
import {
  DatagramChannel,
  type DatagramCounterName,
  type DatagramRefusalName
} from './datagram-channel-driver.js'
import { Exchanges, type ExchangesCounterName } from './exchanges-driver.js'
import { Joining, type JoiningCounterName } from './joining-driver.js'
import { KnownPeers } from './known-peers-driver.js'
import type { MembershipMessenger } from './membership-messenger.js'
import { leave, type PacketPart } from './messages.js'
import { MetadataDriver } from './metadata/metadata-driver.js'
import type { Quorum } from './partition/quorum-guard.js'
import { Seeds } from './seeds-driver.js'
import {
  assertStatementFits,
  checkedDescription,
  type SelfDescription
} from './self-description.js'
import { type Sender, Swim } from './swim.js'
import type { SwimCounterName, SwimSend } from './swim-state.js'

/** Connected members that are told of a goodbye over the stream too. */
const goodbyesMax = 16
/** Senders whose boot and window are kept, in multiples of the members that may be. */
const peersPerMember = 2

export interface MembershipComponents {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly datagrams: DatagramNetwork
  readonly messenger: MembershipMessenger
  readonly logger: Logger
  /** Keeps where the others were; absent: nothing is kept. */
  readonly disk?: Disk
}

export interface MembershipOptions {
  readonly nodeId: NodeId
  readonly clusterName: string
  /** Null until this node has learned it. */
  readonly clusterId: () => ClusterId | null
  /** 32 bytes each, the first seals; null: `insecure`. */
  readonly gossipKeys: readonly Uint8Array[] | null
  readonly advertiseAddress: Address
  readonly bindAddress: Address
  readonly datacenter: string
  readonly rack: string
  readonly metadata: Readonly<Record<string, string>>
  readonly capacity: NodeCapacity
  /** Sorted. */
  readonly tags: readonly string[]
  /** What this node's software speaks. */
  readonly versions: VersionRange
  /** What every member has to speak; null: it is not known here. */
  readonly clusterVersion: () => number | null
  /** What the others must agree with. */
  readonly settings: JoinSettings
  readonly config: Config['membership']
}

export type MembershipCounterName =
  | SwimCounterName
  | DatagramCounterName
  | ExchangesCounterName
  | JoiningCounterName

/**
 * Runs the membership core over datagrams and the messenger.
 *
 * Life: `start` binds the datagram socket and answers others; `join` makes this node known; `leave`
 * says goodbye; `stop` ends it at once, which the others see as a death. One life per object.
 */
export class MembershipDriver {
  readonly #components: MembershipComponents
  readonly #options: MembershipOptions
  readonly #swim: Swim
  readonly #channel: DatagramChannel
  readonly #seeds: Seeds
  readonly #timer: DeadlineTimer
  readonly #known: KnownPeers | null
  readonly #exchanges: Exchanges
  readonly #joining: Joining
  readonly #metadata: MetadataDriver
  readonly #handlers: ((event: MembershipEvent) => void)[] = []
  readonly #roundTripHandlers: ((nodeId: NodeId, ms: number) => void)[] = []
  readonly #payloadHandlers: ((from: NodeId, payload: Uint8Array) => void)[] = []
  readonly #goodbyeWaiters = new Set<() => void>()
  #life: 'new' | 'running' | 'stopped' = 'new'
  #isFlushing = false

  /** @throws InvalidArgumentError keys or metadata out of bounds */
  constructor(components: MembershipComponents, options: MembershipOptions) {
    const { clock, random, logger } = components
    const { nodeId, config, advertiseAddress } = options
    this.#components = components
    this.#options = options
    this.#channel = new DatagramChannel(components, {
      ...options,
      peersMax: config.membersMax * peersPerMember
    })
    this.#swim = new Swim(
      { random: random.split(`membership of ${nodeId}`) },
      { ...options, address: advertiseAddress, bornAt: Math.floor(clock.wallNow()) as WallMs },
      clock.now()
    )
    assertStatementFits(this.#swim.selfStatement())
    this.#timer = new DeadlineTimer(clock, (now) =>
      this.#enter(() => this.#swim.handleTimeout(now))
    )
    const { disk } = components
    this.#known =
      disk === undefined
        ? null
        : new KnownPeers({
            clock,
            disk,
            logger,
            addresses: () => this.#othersAlive().map(({ address }) => address)
          })
    const shared = {
      ...components,
      swim: this.#swim,
      enter: (call: () => void) => this.#enter(call),
      assertRunning: () => this.#assertRunning(),
      isRunning: () => this.#life === 'running'
    }
    this.#exchanges = new Exchanges({ ...shared, channel: this.#channel }, options)
    this.#joining = new Joining(
      { ...shared, exchanges: this.#exchanges, keyIds: () => this.#channel.keyIds },
      { ...options, joinCheck: config.joinCheck }
    )
    this.#metadata = new MetadataDriver(shared, nodeId)
    this.#seeds = new Seeds(
      {
        clock,
        random: random.split(`seeds of ${nodeId}`),
        logger,
        contact: (seed, deadline) => this.#joining.contact(seed, deadline),
        isIsolated: () => this.#swim.peerCount === 0,
        isMemberAt: (address) => this.aliveMembers().some((member) => member.address === address)
      },
      { ownAddress: advertiseAddress, pushPullIntervalMs: config.pushPullIntervalMs }
    )
  }

  async start(): Promise<void> {
    if (this.#life !== 'new') throw new StoppedError('membership was started before')
    const { clock, logger } = this.#components
    if (this.#options.gossipKeys === null) {
      logger.warn({ nodeId: this.#options.nodeId }, 'INSECURE: gossip is neither secret nor proven')
    }
    await this.#channel.open(this.#options.bindAddress, (messages, from) =>
      this.#handleMessages(messages, from)
    )
    this.#life = 'running'
    await this.#metadata.load()
    this.#serve()
    this.#seeds.remember((await this.#known?.load()) ?? [])
    this.#enter(() => this.#swim.start(clock.now()))
  }

  /**
   * Asks the seeds over the stream, again and again until one answers; answers how many did. Seeds
   * that are nobody's address are asked again in the background from then on, failed or not.
   * @throws JoinFailedError none answered before the deadline; `details.seeds` has the reasons
   */
  async join(seeds: readonly Address[], deadline: MonotonicMs): Promise<number> {
    this.#assertRunning()
    return this.#seeds.join(seeds, deadline)
  }

  /** Says goodbye; resolves when it has spread, or at the deadline. `stop` comes after it. */
  async leave(deadline: MonotonicMs): Promise<void> {
    this.#assertRunning()
    const { clock, messenger } = this.#components
    this.#seeds.stop()
    this.#enter(() => this.#swim.leave(clock.now()))
    const statement = this.#swim.selfStatement()
    const connected = this.#othersAlive().filter(({ nodeId }) => messenger.isConnected(nodeId))
    for (const { nodeId } of connected.slice(0, goodbyesMax)) {
      messenger.send(nodeId, leave, { statement })
    }
    if (this.#isGoodbyeSpread()) return
    await new Promise<void>((resolve) => {
      const done = () => {
        timer.cancel()
        this.#goodbyeWaiters.delete(done)
        resolve()
      }
      const timer = clock.schedule(deadline, done)
      this.#goodbyeWaiters.add(done)
    })
  }

  async stop(): Promise<void> {
    if (this.#life === 'stopped') return
    this.#life = 'stopped'
    await this.#metadata.stop()
    this.#timer.stop()
    this.#known?.stop()
    this.#seeds.stop()
    for (const done of [...this.#goodbyeWaiters]) done()
    await this.#channel.close()
  }

  /** Sorted by id; this node, dead and left ones included. */
  members(): readonly Member[] {
    return this.#swim.members()
  }

  tellIncarnations(tell: TellIncarnation): void {
    this.#swim.tellIncarnations(tell)
  }

  /** The same array until a member comes, goes or changes; `lastSeen` as of then. */
  memberList(): readonly Member[] {
    return this.#swim.memberList()
  }

  /** Sorted by id; alive or suspected, not left; this node included. */
  aliveMembers(): readonly Member[] {
    return this.#swim.aliveMembers()
  }

  member(nodeId: NodeId): Member | null {
    return this.#swim.member(nodeId)
  }

  self(): Member {
    return this.#swim.self()
  }

  /** Where a member is or was last; undefined for a node never heard of. */
  addressOf(nodeId: NodeId): Address | undefined {
    return this.#swim.member(nodeId)?.address
  }

  /** What this node tells the others of its stay; `left` is said by `leave`. */
  setLifecycle(lifecycle: Exclude<Lifecycle, 'left'>): void {
    this.#enter(() => this.#swim.setLifecycle(lifecycle, this.#components.clock.now()))
  }

  /**
   * What this node can bear and what it is for, from now on; the others hear of it by gossip.
   * @throws InvalidArgumentError out of bounds; nothing has changed
   */
  describe(change: SelfDescription): void {
    const checked = checkedDescription(this.#swim.selfStatement(), change)
    this.#enter(() => this.#swim.describe(checked, this.#components.clock.now()))
  }

  /** Small values that each node states about itself. */
  get metadata(): ClusterMetadata {
    return this.#metadata
  }

  setHealth(status: HealthStatus): void {
    this.#enter(() => this.#swim.setHealth(status, this.#components.clock.now()))
  }

  /** Rotates the gossip keys: the first seals, all open. Not for `insecure`. */
  setGossipKeys(keys: readonly Uint8Array[]): void {
    this.#channel.setKeys(keys)
  }

  /** Handlers run in the order of registration; register before `start` to miss nothing. */
  onEvent(handler: (event: MembershipEvent) => void): void {
    this.#handlers.push(handler)
  }

  /**
   * Another room's bytes in a datagram of their own, best effort, `datagramExtraBytesMax` at most.
   * False: not sent, because the member's address is not known.
   */
  sendPayload(to: NodeId, payload: Uint8Array): boolean {
    const address = this.addressOf(to)
    if (this.#life !== 'running' || address === undefined) return false
    this.#channel.send(address, [{ kind: 'payload', bytes: payload }])
    return true
  }

  /** Round trips of probes that were answered straight; each side's main loop is part of them. */
  onRoundTrip(handle: (nodeId: NodeId, ms: number) => void): void {
    this.#roundTripHandlers.push(handle)
  }

  /** Payloads of members, as they come: some are lost, some twice, in any order. */
  onPayload(handle: (from: NodeId, payload: Uint8Array) => void): void {
    this.#payloadHandlers.push(handle)
  }

  tellQueues(tell: TellQueue): void {
    this.#swim.tellQueues(tell)
    this.#exchanges.tellQueues(tell)
  }

  get counters(): Readonly<Record<MembershipCounterName, number>> {
    return {
      ...this.#swim.counters.snapshot(),
      ...this.#channel.counters.snapshot(),
      ...this.#exchanges.counters.snapshot(),
      ...this.#joining.counters.snapshot()
    }
  }

  /** Datagrams that were not believed, by reason. */
  get refusals(): Readonly<Record<DatagramRefusalName, number>> {
    return this.#channel.refusals.snapshot()
  }

  /** The last committed voters, of all groups: whose majority makes a quorum. */
  setVoters(voters: readonly NodeId[]): void {
    this.#enter(() => this.#swim.setVoters(voters, this.#components.clock.now()))
  }

  /** Who of the voters is in reach, by the failure detector. */
  get quorum(): Quorum {
    return this.#swim.quorum
  }

  /**
   * The guard for operations that need a quorum. It foresees what consensus would answer, and says
   * why; it never allows what consensus refuses.
   * @throws NoQuorumError naming who is missing
   */
  assertQuorum(): void {
    const { isPresent, needed, present, missing } = this.quorum
    if (isPresent) return
    const voters = present.length + missing.length
    throw new NoQuorumError(
      `${present.length} of ${voters} voters are in reach, ${needed} are needed; ` +
        `missing: ${missing.join(', ')}`,
      { details: { needed, present, missing } }
    )
  }

  /** The inputs of the latest verdict about a member; null when none is kept. */
  explainDeath(nodeId: NodeId): DeathRecord | null {
    return this.#swim.explainDeath(nodeId)
  }

  /** What the facade shows of it. */
  readonly view: ClusterMembership = {
    explainDeath: (nodeId) => this.explainDeath(nodeId),
    partitions: () => this.#swim.partitions(),
    quorum: () => this.quorum,
    describe: (change) => this.describe(change)
  }

  #serve(): void {
    const { messenger, clock } = this.#components
    this.#joining.serve()
    this.#exchanges.serve()
    messenger.onMessage(leave, ({ from, body }) => {
      if (this.#life !== 'running' || body.statement.nodeId !== from) return
      this.#enter(() => this.#swim.handleStatement(body.statement, clock.now()))
    })
  }

  #handleMessages(messages: readonly PacketPart[], from: Sender): void {
    if (this.#life !== 'running') return
    const now = this.#components.clock.now()
    this.#enter(() => {
      for (const message of messages) {
        if (message.kind === 'payload') this.#handlePayload(message.bytes, from)
        else this.#swim.receive(message, from, now)
      }
    })
  }

  #handlePayload(payload: Uint8Array, { nodeId }: Sender): void {
    if (this.#swim.member(nodeId) === null) return
    for (const handle of this.#payloadHandlers) handle(nodeId, payload)
  }

  /** Every call into the core goes through here: afterwards its effects are carried out. */
  #enter(call: () => void): void {
    try {
      call()
    } finally {
      this.#flush()
    }
  }

  #flush(): void {
    // A handler may call back into this object; the loop that runs already will see what it caused.
    if (this.#isFlushing || this.#life === 'stopped') return
    this.#isFlushing = true
    try {
      for (;;) {
        const { sendNow, emit } = this.#swim.drainEffects()
        if (sendNow.length === 0 && emit.length === 0) break
        for (const effect of sendNow) this.#send(effect)
        for (const event of emit) this.#tell(event)
      }
    } finally {
      this.#isFlushing = false
    }
    this.#timer.arm(this.#swim.nextDeadline())
    if (this.#isGoodbyeSpread()) for (const done of [...this.#goodbyeWaiters]) done()
  }

  #send(effect: SwimSend): void {
    if (this.#life !== 'running') return
    switch (effect.kind) {
      case 'datagram':
        this.#channel.send(effect.to, effect.messages)
        return
      case 'streamPing':
        void this.#exchanges.ping(effect)
        return
      case 'pushPull':
        void this.#exchanges.exchange(effect)
        return
      case 'roundTrip':
        for (const handle of this.#roundTripHandlers) handle(effect.nodeId, effect.ms)
        return
    }
  }

  #tell(event: MembershipEvent): void {
    const { logger } = this.#components
    for (const handler of this.#handlers) {
      try {
        handler(event)
      } catch (error) {
        logger.error(
          { event: event.type, cause: factsOf(error) },
          'a handler of member events failed'
        )
      }
    }
    this.#seeds.onMembersChanged()
    this.#known?.onMembersChanged()
  }

  #othersAlive(): Member[] {
    const { nodeId } = this.#options
    return this.#swim.aliveMembers().filter((member) => member.nodeId !== nodeId)
  }

  #isGoodbyeSpread(): boolean {
    return this.#swim.isGoodbyeSpread || this.#swim.peerCount === 0
  }

  #assertRunning(): void {
    if (this.#life === 'new') throw new NotStartedError('membership is not started')
    if (this.#life === 'stopped') throw new StoppedError('membership is stopped')
  }
}
