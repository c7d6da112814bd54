/**
 * Who is a member, and who is not heard any more: SWIM (Das, Gupta, Motivala, DSN 2002) with the
 * suspicion and the buddy system of Lifeguard (arXiv 1707.00788), push/pull state exchange, and a
 * probe over the stream before a suspicion.
 *
 * Three axes: liveness is what the detector says; lifecycle and health are what the member states
 * about itself under its incarnation.
 *
 * Invariants:
 * 1. An incarnation only rises, in every table; only its owner raises it.
 * 2. Of two pieces of news about a member the greater stands (`precedence.ts`), so that members
 *    with the same news hold the same view.
 * 3. A member is declared dead only after a suspicion that it had time to refute: at least
 *    `suspicionMult` probe intervals of this node's running time.
 * 4. Each change of a member's standing is told once, in order.
 * 5. A datagram fits `packetPartsBytesMax`; every table and queue here is bounded.
 *
 * Owner's duties: drain the effects after each call, in order; call `handleTimeout` at
 * `nextDeadline()`; hand in only messages whose sender is authenticated; answer `streamPing` and
 * `pushPull` effects through `handleStreamAck` and `merge`, or not at all.
 */
import { assert, unreachable } from '../../core/assert.js'
import type { DeathRecord, PartitionView } from '../../core/cluster-membership.js'
import type { Counters } from '../../core/counters.js'
import { after } from '../../core/deadlines.js'
import type { Effects } from '../../core/effects.js'
import type { MembershipEvent } from '../../core/events.js'
import type { MonotonicMs, NodeId } from '../../core/ids.js'
import {
  type HealthStatus,
  type Lifecycle,
  Lifecycles,
  type Member,
  type TellIncarnation
} from '../../core/member.js'
import type { Address } from '../../core/ports/stream-network.js'
import type { TellQueue } from '../../core/tell-queue.js'
import { pushPullDelayMs } from './formulas.js'
import { Gossip } from './gossip.js'
import { isLive, type MemberRecord, toMember } from './member-table.js'
import { exchangedMembers, mergeMembers } from './merge.js'
import type { DatagramMessage, MemberState, Statement } from './messages.js'
import { MetadataSpread } from './metadata/metadata-spread.js'
import type { MetadataDigest, VersionedEntry } from './metadata/metadata-store.js'
import { Cohesion } from './partition/cohesion.js'
import type { Quorum } from './partition/quorum-guard.js'
import { Ranks } from './precedence.js'
import { Prober } from './prober.js'
import { Relays, relaysMax } from './relays.js'
import { isOtherwise, Rumours } from './rumours.js'
import {
  type Restatement,
  type SwimComponents,
  type SwimCounterName,
  type SwimOptions,
  type SwimSend,
  SwimState
} from './swim-state.js'
import { ViewMark } from './view-mark.js'

/** Who sent a message, by its seal, and where it came from. */
export interface Sender {
  readonly nodeId: NodeId
  readonly address: Address
}

/** How late a timer may fire without a doubt about this node, in probe timeouts. */
const toleratedLateness = 0.5

export type SwimEffects = Effects<SwimSend, never, MembershipEvent>

export class Swim {
  readonly #state: SwimState
  readonly #gossip: Gossip
  readonly #prober: Prober
  readonly #relays: Relays
  readonly #rumours: Rumours
  readonly #cohesion: Cohesion
  readonly #viewMark: ViewMark
  readonly metadata: MetadataSpread
  #sequence: number
  #list: readonly Member[] | null = null
  #listRevision = 0
  #isProbing = false

  constructor(components: SwimComponents, options: SwimOptions, now: MonotonicMs) {
    const state = new SwimState(components, options, now)
    const nextSequence = () => this.#nextSequence()
    this.#state = state
    this.#sequence = components.random.nextUint32()
    this.#gossip = new Gossip(state)
    this.#viewMark = new ViewMark(state)
    this.metadata = new MetadataSpread(state)
    this.#prober = new Prober(
      state,
      this.#gossip,
      () => this.#rumours,
      () => this.#cohesion,
      nextSequence
    )
    this.#relays = new Relays(state, this.#gossip, nextSequence)
    this.#rumours = new Rumours(state, this.#prober, (nodeId) => this.#prober.ask(nodeId))
    this.#cohesion = new Cohesion(state, (health, at) => this.setHealth(health, at))
  }

  /** Begins to probe. Before it the node answers, and asks nobody. */
  start(now: MonotonicMs): void {
    this.#isProbing = true
    this.#prober.start(now)
    this.#armPushPull(now)
  }

  receive(message: DatagramMessage, from: Sender, now: MonotonicMs): void {
    const record = this.#state.table.get(from.nodeId)
    if (record !== undefined) {
      record.lastSeen = now
      record.lastHeardAt = now
    }
    this.#handle(message, from, record, now)
    this.#cohesion.review(now)
  }

  handleTimeout(now: MonotonicMs): void {
    this.#maybeForgiveLateness(now)
    this.#relays.handleTimeout(now)
    this.#prober.handleTimeout(now)
    this.#rumours.handleTimeout(now)
    this.#maybeExchange(now)
    this.#gossip.handleTimeout(now)
    if (this.#state.deadlines.isDue('reap', now)) this.#state.reap(now)
    this.#cohesion.review(now)
    this.#cohesion.handleTimeout(now)
  }

  nextDeadline(): MonotonicMs {
    let next = this.#state.deadlines.next()
    const { suspicions } = this.#state
    for (const part of [this.#prober, this.#relays, suspicions, this.#cohesion]) {
      const at = part.next()
      if (at < next) next = at
    }
    return next
  }

  /** The answer to a `streamPing`, from the node that was authenticated at the other end. */
  handleStreamAck(sequence: number, from: NodeId, now: MonotonicMs): void {
    const record = this.#state.table.get(from)
    if (record !== undefined) record.lastSeen = now
    this.#prober.handleStreamAck(sequence, from)
  }

  /** What another node knows, in answer to a join or a state exchange, or asking for one. */
  merge(members: readonly MemberState[], from: NodeId, now: MonotonicMs): void {
    this.#state.counters.add('push_pull_count')
    const isNewcomer = this.#state.table.size === 1
    mergeMembers(this.#state, this.#rumours, members, from, now)
    this.#cohesion.review(now)
    if (isNewcomer) this.#maybeExchangeSoon(now)
    const record = this.#state.table.get(from)
    if (record !== undefined) record.lastSeen = now
  }

  /** What this node knows, itself first. */
  exchangedMembers(): MemberState[] {
    return exchangedMembers(this.#state)
  }

  /** A statement that its owner made over an authenticated stream. */
  handleStatement(statement: Statement, now: MonotonicMs): void {
    this.#rumours.handleStatement(statement, now)
    this.#cohesion.review(now)
  }

  /** Whether this name may come in from this address; tells subscribers when not. */
  admitsClaim(statement: Statement, now: MonotonicMs): boolean {
    const { table, self } = this.#state
    const record = table.get(statement.nodeId)
    if (record === undefined) return table.size < table.membersMax || table.oldestGone() !== null
    if (record !== self && this.#rumours.mayClaim(record, statement, now)) return true
    this.#rumours.tellConflict(record, statement)
    return false
  }

  /** After `leave` this is how a node comes back; then it is to be started again. */
  setLifecycle(lifecycle: Exclude<Lifecycle, 'left'>, now: MonotonicMs): void {
    this.#restateSelf({ lifecycle }, now)
  }

  setHealth(health: HealthStatus, now: MonotonicMs): void {
    assert(!this.#state.hasLeft, 'a node that left states no health')
    this.#restateSelf({ health }, now)
  }

  /** What it says of itself from now on; whatever is absent stays. */
  describe(change: Pick<Restatement, 'capacity' | 'tags'>, now: MonotonicMs): void {
    assert(!this.#state.hasLeft, 'a node that left describes nothing')
    this.#restateSelf(change, now)
  }

  /** Says goodbye and probes no more. Gossip goes on until the goodbye has spread. */
  leave(now: MonotonicMs): void {
    if (this.#state.hasLeft) return
    this.#isProbing = false
    this.#prober.stop()
    this.#state.deadlines.clear('pushPull')
    this.#state.suspicions.clear()
    this.#restateSelf({ lifecycle: Lifecycles.Left }, now)
    this.#state.deadlines.set('gossip', now)
  }

  /** Whether the goodbye was passed on as often as any rumour. */
  get isGoodbyeSpread(): boolean {
    return this.#state.hasLeft && !this.#state.queue.has(this.#state.nodeId)
  }

  drainEffects(): SwimEffects {
    return this.#state.effects.drain()
  }

  /** Sorted by id; this node, dead and left ones included. */
  members(): Member[] {
    return this.#state.table.all().map(toMember)
  }

  /** What `members` tells of each, without making them. */
  tellIncarnations(tell: TellIncarnation): void {
    for (const { incarnation, statement } of this.#state.table.all()) {
      tell(statement.nodeId, incarnation)
    }
  }

  /**
   * `members` of a router: the same array until one comes, goes or changes, with each `lastSeen`
   * and `incarnation` as of then.
   */
  memberList(): readonly Member[] {
    const { table } = this.#state
    if (this.#list === null || this.#listRevision !== table.revision) {
      this.#listRevision = table.revision
      this.#list = this.members()
    }
    return this.#list
  }

  /** Sorted by id; alive or suspected, not left; this node included. */
  aliveMembers(): Member[] {
    return this.#state.table.all().filter(isLive).map(toMember)
  }

  member(nodeId: NodeId): Member | null {
    const record = this.#state.table.get(nodeId)
    return record === undefined ? null : toMember(record)
  }

  self(): Member {
    return toMember(this.#state.self)
  }

  selfStatement(): Statement {
    return this.#state.self.statement
  }

  /** Live members other than this node. */
  get peerCount(): number {
    return this.#state.table.liveCount - (this.#state.hasLeft ? 0 : 1)
  }

  /** The last committed voters: whose majority makes a quorum. */
  setVoters(voters: readonly NodeId[], now: MonotonicMs): void {
    this.#cohesion.setVoters(voters, now)
  }

  get quorum(): Quorum {
    return this.#cohesion.quorum
  }

  /** Whether the split strategy decided that the other side goes on. */
  get hasYielded(): boolean {
    return this.#cohesion.hasYielded
  }

  partitions(): PartitionView[] {
    return this.#cohesion.partitions()
  }

  explainDeath(nodeId: NodeId): DeathRecord | null {
    return this.#state.deaths.latestOf(nodeId)
  }

  /** Another's pairs, or this node's own; by key. */
  metadataOf(nodeId: NodeId): VersionedEntry[] {
    return this.#state.metadata.entriesOf(nodeId)
  }

  /** Of this node's own pairs. */
  metadataVersion(): number {
    return this.#state.metadata.versionOf(this.#state.nodeId)
  }

  metadataDigests(): MetadataDigest[] {
    return this.#state.metadata.digests()
  }

  tellQueues(tell: TellQueue): void {
    const { queue } = this.#state
    tell('membership.broadcastQueueLengthMax', queue.length, queue.lengthMax)
    tell('relaysMax', this.#relays.length, relaysMax)
  }

  get counters(): Counters<SwimCounterName> {
    return this.#state.counters
  }

  #handle(
    message: DatagramMessage,
    from: Sender,
    record: MemberRecord | undefined,
    now: MonotonicMs
  ): void {
    switch (message.kind) {
      case 'ping':
        this.#handlePing(message, from, record, now)
        return
      case 'pingRequest':
        this.#relays.handleRequest(message.target, message.sequence, from.address, now)
        return
      case 'ack':
        if (message.viewMark !== undefined && record !== undefined && isLive(record)) {
          this.#viewMark.compare(message.viewMark, from.nodeId, from.address, now)
        }
        if (this.#prober.handleAck(message.sequence, from.nodeId, now)) return
        this.#relays.handleAck(message.sequence, from.nodeId)
        return
      case 'nack':
        this.#prober.handleNack(message.sequence, from.nodeId)
        return
      case 'statement':
        this.#state.counters.add('gossip_messages_received')
        this.#rumours.handleStatement(message.statement, now)
        return
      case 'suspect':
      case 'dead':
        this.#state.counters.add('gossip_messages_received')
        this.#rumours.handleAccusation(message, now)
        if (message.nodeId === this.#state.nodeId) this.#contradict(from)
        return
      case 'metadata':
        this.#state.counters.add('gossip_messages_received')
        this.metadata.handleRumour(message, now)
        return
      default:
        unreachable(message)
    }
  }

  #handlePing(
    { target, sequence, isUnheard = false }: Extract<DatagramMessage, { kind: 'ping' }>,
    from: Sender,
    record: MemberRecord | undefined,
    now: MonotonicMs
  ): void {
    if (target !== this.#state.nodeId) {
      this.#state.counters.add('misdirected_pings')
      return
    }
    // A member that this node never heard of: their news of one another got lost.
    if (record === undefined) {
      const { nodeId, address } = from
      this.#state.effects.send({ kind: 'pushPull', nodeId, address })
    } else if (isLive(record)) this.#prober.onPing(record.statement.nodeId, isUnheard, now)
    const ack: DatagramMessage = { kind: 'ack', sequence, viewMark: this.#viewMark.of(now) }
    const accusation = record === undefined ? null : this.#gossip.accusationOf(record)
    this.#gossip.send(from.address, accusation ? [ack, accusation] : [ack])
  }

  /** Whoever passes on an accusation of this node hears the answer to it first-hand, at once. */
  #contradict(accuser: Sender): void {
    if (this.#state.hasLeft || !this.#state.config.buddySystem) return
    const { statement } = this.#state.self
    this.#gossip.send(accuser.address, [{ kind: 'statement', statement }])
  }

  #restateSelf(change: Restatement, now: MonotonicMs): void {
    const { statement } = this.#state.self
    const { lifecycle, health } = statement
    const { incarnation } = statement
    if (!isOtherwise(statement, { ...statement, ...change, incarnation })) return
    this.#state.restate(change, 0, now)
    const member = toMember(this.#state.self)
    this.#state.effects.emit({
      type: 'MemberUpdated',
      member,
      previous: { lifecycle, health }
    })
  }

  /** A late timer means that the process stood still: what it missed is nobody else's fault. */
  #maybeForgiveLateness(now: MonotonicMs): void {
    const { config, counters, suspicions } = this.#state
    const lateMs = now - this.nextDeadline()
    if (!config.loopLagAware || lateMs < config.probeTimeoutMs * toleratedLateness) return
    counters.add('late_timers')
    this.#state.lastLate = { at: now, lateMs }
    this.#state.judgeSelf((localHealth) => localHealth.onLate(lateMs))
    suspicions.postpone(lateMs)
    if (lateMs > config.probeIntervalMs) {
      counters.add('stalls')
      if (this.#isProbing) this.#prober.restart(now)
    } else if (this.#isProbing) this.#prober.postpone(lateMs, now)
  }

  #armPushPull(now: MonotonicMs): void {
    const { config, table, deadlines, random } = this.#state
    if (config.pushPullIntervalMs === 0) return
    const delayMs = pushPullDelayMs(config.pushPullIntervalMs, table.liveCount)
    // Spread over half the interval, so that nodes started together do not exchange together.
    deadlines.set('pushPull', after(now, delayMs * (0.75 + random.nextFloat() * 0.5)))
  }

  /** What was told while this node joined went to those that were known then. */
  #maybeExchangeSoon(now: MonotonicMs): void {
    const { config, deadlines } = this.#state
    if (!this.#isProbing || config.pushPullIntervalMs === 0) return
    deadlines.set('pushPull', after(now, config.probeIntervalMs))
  }

  #maybeExchange(now: MonotonicMs): void {
    const { deadlines, table, random, effects } = this.#state
    if (!deadlines.isDue('pushPull', now)) return
    this.#armPushPull(now)
    // The dead are asked too: after a partition nobody else would speak to them first.
    const partners = [
      ...table.pickOthers(random, 1, isLive),
      ...table.pickOthers(random, 1, (record) => record.rank === Ranks.Dead)
    ]
    for (const { statement } of partners) {
      const { nodeId, address } = statement
      effects.send({ kind: 'pushPull', nodeId, address })
    }
  }

  #nextSequence(): number {
    this.#sequence = (this.#sequence + 1) >>> 0
    return this.#sequence
  }
}
