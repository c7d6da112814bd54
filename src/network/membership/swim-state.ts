import type { Lateness } from '../../core/cluster-membership.js'
import type { Config } from '../../core/config/schema.js'
import { Counters } from '../../core/counters.js'
import { after, Deadlines, NEVER } from '../../core/deadlines.js'
import { EffectsBuffer } from '../../core/effects.js'
import type { MembershipEvent } from '../../core/events.js'
import {
  type Incarnation,
  type MonotonicMs,
  type NodeId,
  toIncarnation,
  type WallMs
} from '../../core/ids.js'
import { HealthStatuses, type Lifecycle, Lifecycles, type NodeCapacity } from '../../core/member.js'
import type { Random } from '../../core/ports/random.js'
import type { Address } from '../../core/ports/stream-network.js'
import type { VersionRange } from '../../core/versions.js'
import { BroadcastQueue, type Topic } from './broadcast-queue.js'
import { DeathRecords } from './death-records.js'
import { retransmitLimit } from './formulas.js'
import { LocalHealth } from './local-health.js'
import { isLive, type MemberRecord, MemberTable } from './member-table.js'
import { type DatagramMessage, PacketWriter, type Rumour, type Statement } from './messages.js'
import { MetadataStore } from './metadata/metadata-store.js'
import { Links } from './partition/links.js'
import { Ranks } from './precedence.js'
import { Suspicions } from './suspicion.js'

export interface SwimOptions {
  readonly nodeId: NodeId
  /** What the others are told. */
  readonly address: Address
  readonly datacenter: string
  readonly rack: string
  readonly metadata: Readonly<Record<string, string>>
  readonly capacity: NodeCapacity
  readonly tags: readonly string[]
  /** What its software speaks. */
  readonly versions: VersionRange
  /** By its wall clock; orders members by age. */
  readonly bornAt: WallMs
  readonly config: Config['membership']
}

/** What a node may say otherwise of itself while it runs. */
export type Restatement = Partial<Pick<Statement, 'lifecycle' | 'health' | 'capacity' | 'tags'>>

export interface SwimComponents {
  readonly random: Random
}

export type SwimSend =
  | {
      readonly kind: 'datagram'
      readonly to: Address
      readonly messages: readonly DatagramMessage[]
    }
  /** Request a `StreamPing`; its answer goes to `handleStreamAck`. */
  | {
      readonly kind: 'streamPing'
      readonly nodeId: NodeId
      readonly address: Address
      readonly sequence: number
      readonly deadline: MonotonicMs
    }
  /** Exchange states; the answer goes to `merge`. */
  | { readonly kind: 'pushPull'; readonly nodeId: NodeId; readonly address: Address }
  /** Tell whoever measures paths. */
  | { readonly kind: 'roundTrip'; readonly nodeId: NodeId; readonly ms: number }

export const swimCounterNames = [
  'ping_count',
  'ack_count',
  'suspect_count',
  'failed_ping_count',
  'gossip_messages_sent',
  'gossip_messages_received',
  'topology_changes',
  'indirect_ping_count',
  'relayed_ping_count',
  'relays_refused',
  'nack_count',
  'stream_ping_count',
  'stream_only_ack_count',
  'refute_count',
  'conflict_count',
  'incarnations_refused',
  'members_refused',
  'misdirected_pings',
  'rumours_oversized',
  'rumours_dropped',
  'push_pull_count',
  'metadata_refused',
  'views_differing',
  'partition_detections',
  'partitions_healed',
  'late_timers',
  'stalls',
  'local_health_score'
] as const
export type SwimCounterName = (typeof swimCounterNames)[number]

/** What the parts of the detector share: tables, counters and effects, without decisions. */
export class SwimState {
  readonly options: SwimOptions
  readonly random: Random
  readonly localHealth: LocalHealth
  readonly table: MemberTable
  readonly queue: BroadcastQueue
  readonly suspicions = new Suspicions()
  readonly deaths = new DeathRecords()
  readonly metadata: MetadataStore
  readonly links = new Links()
  readonly counters = new Counters<SwimCounterName>(swimCounterNames)
  readonly effects = new EffectsBuffer<SwimSend, never, MembershipEvent>()
  /** The last time that this node's own timers fired late. */
  lastLate: Lateness | null = null
  readonly deadlines = new Deadlines<'gossip' | 'pushPull' | 'reap'>()
  readonly packets = new PacketWriter()
  /** The last round of gossip. */
  gossipedAt = Number.NEGATIVE_INFINITY as MonotonicMs

  constructor(components: SwimComponents, options: SwimOptions, now: MonotonicMs) {
    this.options = options
    this.random = components.random
    this.localHealth = new LocalHealth({
      scoreMax: options.config.localHealthScoreMax,
      probeTimeoutMs: options.config.probeTimeoutMs
    })
    this.table = new MemberTable(newRecord(firstStatement(options), now), options.config.membersMax)
    this.metadata = new MetadataStore(options.nodeId, options.bornAt)
    this.queue = new BroadcastQueue(options.config.broadcastQueueLengthMax)
  }

  get nodeId(): NodeId {
    return this.options.nodeId
  }

  get config(): Config['membership'] {
    return this.options.config
  }

  get self(): MemberRecord {
    return this.table.self
  }

  get hasLeft(): boolean {
    return this.self.rank === Ranks.Left
  }

  /** Moves the local health score; its owner reads the counter of this name. */
  judgeSelf(judge: (localHealth: LocalHealth) => void): void {
    judge(this.localHealth)
    this.counters.set('local_health_score', this.localHealth.score)
  }

  get retransmitsMax(): number {
    return Math.max(1, retransmitLimit(this.config.retransmitMult, this.table.liveCount))
  }

  /** Queues news about a member; it supersedes what is queued about it. */
  broadcast(about: Topic, rumour: Rumour, now: MonotonicMs): void {
    const sizeBytes = this.packets.sizeOf(rumour)
    if (!Number.isFinite(sizeBytes)) {
      this.counters.add('rumours_oversized')
      return
    }
    this.queue.push(about, rumour, sizeBytes)
    this.counters.set('rumours_dropped', this.queue.dropped)
    if (this.deadlines.at('gossip') !== NEVER) return
    // News goes out at once, unless a round of gossip has just gone.
    const nextRoundAt = after(this.gossipedAt, this.config.gossipIntervalMs)
    this.deadlines.set('gossip', nextRoundAt > now ? nextRoundAt : now)
  }

  /** What this node says of itself changed; its incarnation is at least `incarnationMin`. */
  restate(change: Restatement, incarnationMin: number, now: MonotonicMs): void {
    const { self } = this
    const incarnation = toIncarnation(Math.max(self.incarnation + 1, incarnationMin))
    this.table.setStatement(self, { ...self.statement, ...change, incarnation })
    const rank = self.statement.lifecycle === Lifecycles.Left ? Ranks.Left : Ranks.Alive
    this.table.setStanding(self, { incarnation, rank }, now)
    this.broadcast(this.nodeId, { kind: 'statement', statement: self.statement }, now)
  }

  /** The member, and what it said of itself. */
  forget(nodeId: NodeId): void {
    this.table.remove(nodeId)
    this.metadata.forget(nodeId)
    this.queue.forget(`metadata:${nodeId}`)
  }

  /** A dead or left member is kept for a while, so that old news of it stays old. */
  armReaping(now: MonotonicMs): void {
    if (this.deadlines.at('reap') !== NEVER) return
    this.deadlines.set('reap', after(now, this.config.deadRetentionMs))
  }

  reap(now: MonotonicMs): void {
    this.deadlines.clear('reap')
    let next: MonotonicMs = NEVER
    for (const record of this.table.others((other) => !isLive(other))) {
      const at = after(record.changedAt, this.config.deadRetentionMs)
      if (at <= now) this.forget(record.statement.nodeId)
      else if (at < next) next = at
    }
    if (next !== NEVER) this.deadlines.set('reap', next)
  }
}

export const newRecord = (statement: Statement, now: MonotonicMs): MemberRecord => ({
  statement,
  incarnation: statement.incarnation,
  rank: Ranks.Alive,
  lastSeen: now,
  lastHeardAt: Number.NEGATIVE_INFINITY as MonotonicMs,
  changedAt: now,
  conflictAddress: null,
  lastFailedProbe: null,
  probes: [],
  refutations: []
})

const firstIncarnation = 1 as Incarnation
const firstLifecycle: Lifecycle = Lifecycles.Joining

const firstStatement = (options: SwimOptions): Statement => ({
  nodeId: options.nodeId,
  incarnation: firstIncarnation,
  address: options.address,
  lifecycle: firstLifecycle,
  health: HealthStatuses.Healthy,
  datacenter: options.datacenter,
  rack: options.rack,
  metadata: options.metadata,
  capacity: options.capacity,
  tags: options.tags,
  bornAt: options.bornAt,
  versionMin: options.versions.min,
  versionMax: options.versions.max
})
