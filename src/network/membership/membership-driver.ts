import type { Config } from '../../core/config/schema.js'
import { Counters } from '../../core/counters.js'
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import {
  HandshakeRefusedError,
  InvalidArgumentError,
  NoQuorumError,
  NotAuthorizedError,
  NotStartedError,
  PeerIdentityError,
  StoppedError
} from '../../core/errors.js'
import type { MembershipEvent } from '../../core/events.js'
import type { ClusterId, MonotonicMs, NodeId, WallMs } from '../../core/ids.js'
import { memberMetadataBytesMax } from '../../core/limits.js'
import type { HealthStatus, Lifecycle, Member } from '../../core/member.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { DatagramNetwork } from '../../core/ports/datagram-network.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Inbound, Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import type { Address } from '../../core/ports/stream-network.js'
import { factsOf } from '../../core/remote-error.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { isForeign, type JoinRequestBody, refusalOfJoin } from './admission.js'
import {
  DatagramChannel,
  type DatagramCounterName,
  type DatagramRefusalName
} from './datagram-channel-driver.js'
import type { DeathRecord } from './death-records.js'
import { KnownPeers } from './known-peers-driver.js'
import {
  type ExchangeAnswer,
  joinRequest,
  leave,
  type PacketPart,
  pushPull,
  statementBytes,
  statementBytesMax,
  streamPing
} from './messages.js'
import type { Quorum } from './partition/quorum-guard.js'
import { Seeds } from './seeds-driver.js'
import { type Sender, Swim } from './swim.js'
import type { SwimCounterName, SwimSend } from './swim-state.js'

/** State exchanges that this node has asked for and that are not answered yet. */
export const exchangesInFlightMax = 8
const exchangeTimeoutMs = 10_000
/** Connected members that are told of a goodbye over the stream too. */
const goodbyesMax = 16
/** Senders whose boot and window are kept, in multiples of the members that may be. */
const peersPerMember = 2

/** What membership needs of the transport beyond a `Messenger`. */
export interface MembershipMessenger extends Messenger {
  /** Connects to an address whose node is not known yet; answers who is there. */
  dialAddress(address: Address, deadline: MonotonicMs): Promise<NodeId>
}

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
  readonly config: Config['membership']
}

const driverCounterNames = [
  'stream_pings_failed',
  'exchanges_failed',
  'exchanges_skipped',
  'joins_served',
  'joins_refused'
] as const
type DriverCounterName = (typeof driverCounterNames)[number]
export type MembershipCounterName = SwimCounterName | DatagramCounterName | DriverCounterName

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
  readonly #counters = new Counters<DriverCounterName>(driverCounterNames)
  readonly #handlers: ((event: MembershipEvent) => void)[] = []
  readonly #roundTripHandlers: ((nodeId: NodeId, ms: number) => void)[] = []
  readonly #payloadHandlers: ((from: NodeId, payload: Uint8Array) => void)[] = []
  readonly #goodbyeWaiters = new Set<() => void>()
  #life: 'new' | 'running' | 'stopped' = 'new'
  #isFlushing = false
  #exchangesInFlight = 0

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
    assertStatementFits(this.#swim)
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
    this.#seeds = new Seeds(
      {
        clock,
        random: random.split(`seeds of ${nodeId}`),
        logger,
        contact: (seed, deadline) => this.#contactSeed(seed, deadline),
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
    tell('exchangesInFlightMax', this.#exchangesInFlight, exchangesInFlightMax)
  }

  get counters(): Readonly<Record<MembershipCounterName, number>> {
    return {
      ...this.#swim.counters.snapshot(),
      ...this.#channel.counters.snapshot(),
      ...this.#counters.snapshot()
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

  #serve(): void {
    const { messenger, clock } = this.#components
    messenger.onRequest(joinRequest, async (inbound) => this.#handleJoin(inbound))
    messenger.onRequest(pushPull, async ({ from, body }) => {
      this.#assertRunning()
      this.#assertOwnCluster(body.clusterId)
      this.#enter(() => this.#swim.merge(body.members, from, clock.now()))
      return this.#exchangeAnswer(from)
    })
    messenger.onRequest(streamPing, async ({ body }) => {
      this.#assertRunning()
      return { sequence: body.sequence, address: this.#options.advertiseAddress }
    })
    messenger.onMessage(leave, ({ from, body }) => {
      if (this.#life !== 'running' || body.statement.nodeId !== from) return
      this.#enter(() => this.#swim.handleStatement(body.statement, clock.now()))
    })
  }

  #handleJoin({ from, body }: Inbound<JoinRequestBody>): ExchangeAnswer {
    this.#assertRunning()
    const now = this.#components.clock.now()
    const household = { ...this.#options, clusterId: this.#options.clusterId() }
    const refusal = refusalOfJoin(body, from, household)
    if (refusal !== null) {
      this.#counters.add('joins_refused')
      if (body.statement.nodeId !== from) throw new NotAuthorizedError(refusal)
      throw new HandshakeRefusedError(refusal, { nodeId: this.#options.nodeId })
    }
    this.#enter(() => {
      if (!this.#swim.admitsClaim(body.statement, now)) {
        this.#counters.add('joins_refused')
        throw new HandshakeRefusedError(
          `${from} is taken by another address, or the member table is full`,
          { nodeId: this.#options.nodeId }
        )
      }
      this.#swim.handleStatement(body.statement, now)
    })
    this.#counters.add('joins_served')
    return this.#exchangeAnswer(from)
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

  async #contactSeed(seed: Address, deadline: MonotonicMs): Promise<boolean> {
    const { messenger } = this.#components
    const nodeId = await messenger.dialAddress(seed, deadline)
    if (nodeId === this.#options.nodeId) return false
    const request = {
      clusterName: this.#options.clusterName,
      clusterId: this.#options.clusterId(),
      statement: this.#swim.selfStatement(),
      features: []
    }
    const answer = await messenger.request(nodeId, joinRequest, request, {
      deadline,
      address: seed
    })
    this.#takeOver(answer, nodeId)
    return true
  }

  #takeOver(answer: ExchangeAnswer, from: NodeId): void {
    if (this.#life !== 'running') return
    this.#assertOwnCluster(answer.clusterId)
    if (answer.bootNumberSeen !== null) this.#channel.raiseBootNumber(answer.bootNumberSeen)
    this.#enter(() => this.#swim.merge(answer.members, from, this.#components.clock.now()))
  }

  #exchangeAnswer(to: NodeId): ExchangeAnswer {
    return {
      clusterId: this.#options.clusterId(),
      members: this.#swim.exchangedMembers(),
      bootNumberSeen: this.#channel.bootNumberOf(to)
    }
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
        void this.#pingOverStream(effect)
        return
      case 'pushPull':
        void this.#exchange(effect)
        return
      case 'roundTrip':
        for (const handle of this.#roundTripHandlers) handle(effect.nodeId, effect.ms)
        return
    }
  }

  async #pingOverStream(effect: Extract<SwimSend, { kind: 'streamPing' }>): Promise<void> {
    const { messenger, clock, logger } = this.#components
    const { nodeId, address, sequence, deadline } = effect
    try {
      const request = { deadline, address }
      const answer = await messenger.request(nodeId, streamPing, { sequence }, request)
      if (answer.address !== address) {
        throw new PeerIdentityError(`${nodeId} answered as ${answer.address}, not ${address}`)
      }
    } catch (error) {
      this.#counters.add('stream_pings_failed')
      logger.debug({ nodeId, cause: factsOf(error) }, 'ping over the stream failed')
      return
    }
    this.#enter(() => this.#swim.handleStreamAck(sequence, nodeId, clock.now()))
  }

  async #exchange({ nodeId, address }: Extract<SwimSend, { kind: 'pushPull' }>): Promise<void> {
    const { messenger, clock, logger } = this.#components
    if (this.#exchangesInFlight >= exchangesInFlightMax) {
      this.#counters.add('exchanges_skipped')
      return
    }
    this.#exchangesInFlight++
    try {
      const answer = await messenger.request(
        nodeId,
        pushPull,
        { clusterId: this.#options.clusterId(), members: this.#swim.exchangedMembers() },
        { deadline: after(clock.now(), exchangeTimeoutMs), address }
      )
      this.#takeOver(answer, nodeId)
    } catch (error) {
      this.#counters.add('exchanges_failed')
      logger.debug({ nodeId, cause: factsOf(error) }, 'state exchange failed')
    } finally {
      this.#exchangesInFlight--
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

  #assertOwnCluster(theirs: ClusterId | null): void {
    const ours = this.#options.clusterId()
    if (isForeign(theirs, ours)) {
      throw new HandshakeRefusedError(`cluster id ${theirs} is not ${ours}`)
    }
  }

  #assertRunning(): void {
    if (this.#life === 'new') throw new NotStartedError('membership is not started')
    if (this.#life === 'stopped') throw new StoppedError('membership is stopped')
  }
}

function assertStatementFits(swim: Swim): void {
  const reason = `${memberMetadataBytesMax} bytes, ${statementBytesMax} with all names, at most`
  let bytes: number
  try {
    bytes = statementBytes(swim.selfStatement())
  } catch (cause) {
    throw new InvalidArgumentError('metadata', `${reason}: ${factsOf(cause).message}`)
  }
  if (bytes > statementBytesMax) {
    throw new InvalidArgumentError('metadata', `${reason}: ${bytes} bytes`)
  }
}
