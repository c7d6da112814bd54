import { assert, must } from '../../core/assert.js'
import type { ProbeEvidence, ProbeRecord } from '../../core/cluster-membership.js'
import { compareText, type Incarnation, type MonotonicMs, type NodeId } from '../../core/ids.js'
import type { Member } from '../../core/member.js'
import type { Random } from '../../core/ports/random.js'
import type { Address } from '../../core/ports/stream-network.js'
import type { MemberState, Statement } from './messages.js'
import { livenessOf, type Rank, Ranks, type Standing } from './precedence.js'

/** A member as this node sees it. Only the table and the rumour handling change it. */
export interface MemberRecord {
  /** The newest that its owner said, as far as it was heard. */
  statement: Statement
  /** Of the standing; not below the statement's. */
  incarnation: Incarnation
  rank: Rank
  /** When it last spoke to this node itself. */
  lastSeen: MonotonicMs
  /** When a datagram of its own last came straight to this node. */
  lastHeardAt: MonotonicMs
  /** When the rank last changed. */
  changedAt: MonotonicMs
  /** The address of a claim to its name that subscribers were told of. */
  conflictAddress: Address | null
  /** The last probe of this node that it did not answer. */
  lastFailedProbe: ProbeEvidence | null
  /** The last `keptProbesMax` of this node, the oldest first. */
  readonly probes: ProbeRecord[]
  /** The last `keptRefutationsMax`, the oldest first. */
  readonly refutations: { readonly at: MonotonicMs; readonly incarnation: Incarnation }[]
}

/** Every member known, this node included; dead and left ones until they are reaped. */
export class MemberTable {
  readonly self: MemberRecord
  readonly membersMax: number
  readonly #byId = new Map<NodeId, MemberRecord>()
  /** Sorted by id; rebuilt after a change of the set. */
  #sorted: MemberRecord[] | null = null
  #liveCount = 1
  #version = 0
  #revision = 0

  constructor(self: MemberRecord, membersMax: number) {
    this.self = self
    this.membersMax = membersMax
    this.#byId.set(self.statement.nodeId, self)
  }

  /** Changes whenever a member comes, goes, or changes its rank. */
  get version(): number {
    return this.#version
  }

  /** Changes with everything that members say of themselves, too. */
  get revision(): number {
    return this.#version + this.#revision
  }

  /** Alive and suspected members, this node included. */
  get liveCount(): number {
    return this.#liveCount
  }

  get size(): number {
    return this.#byId.size
  }

  get(nodeId: NodeId): MemberRecord | undefined {
    return this.#byId.get(nodeId)
  }

  /** In the order of their ids. */
  all(): readonly MemberRecord[] {
    this.#sorted ??= [...this.#byId.values()].sort((a, b) =>
      compareText(a.statement.nodeId, b.statement.nodeId)
    )
    return this.#sorted
  }

  others(isWanted: (record: MemberRecord) => boolean): MemberRecord[] {
    return this.all().filter((record) => record !== this.self && isWanted(record))
  }

  add(record: MemberRecord): void {
    assert(this.size < this.membersMax, 'the member table is full')
    assert(!this.#byId.has(record.statement.nodeId), 'a member is added twice')
    this.#byId.set(record.statement.nodeId, record)
    this.#sorted = null
    this.#version++
    if (isLive(record)) this.#liveCount++
  }

  remove(nodeId: NodeId): void {
    const record = must(this.#byId.get(nodeId), 'member to remove')
    assert(record !== this.self, 'a node does not remove itself')
    this.#byId.delete(nodeId)
    this.#sorted = null
    this.#version++
    if (isLive(record)) this.#liveCount--
  }

  setStatement(record: MemberRecord, statement: Statement): void {
    record.statement = statement
    this.#revision++
  }

  setStanding(record: MemberRecord, standing: Standing, now: MonotonicMs): void {
    assert(standing.incarnation >= record.incarnation, 'an incarnation went back')
    if (isLive(record)) this.#liveCount--
    if (record.rank !== standing.rank) {
      record.changedAt = now
      this.#version++
    }
    record.incarnation = standing.incarnation
    record.rank = standing.rank
    if (isLive(record)) this.#liveCount++
  }

  /** Up to `count` different others, evenly drawn. */
  pickOthers(
    random: Random,
    count: number,
    isWanted: (record: MemberRecord) => boolean
  ): MemberRecord[] {
    const all = this.all()
    const picked: MemberRecord[] = []
    // In a large table a few blind draws nearly always do, without a pass over all of it.
    for (let tries = all.length > 64 ? count * 8 : 0; tries > 0 && picked.length < count; tries--) {
      const record = all[random.nextInt(all.length)] as MemberRecord
      if (record !== this.self && !picked.includes(record) && isWanted(record)) picked.push(record)
    }
    if (picked.length === count) return picked
    const rest = this.others((record) => !picked.includes(record) && isWanted(record))
    while (picked.length < count && rest.length > 0) {
      const [record] = rest.splice(random.nextInt(rest.length), 1)
      picked.push(record as MemberRecord)
    }
    return picked
  }

  /** The dead or left member that has been so longest. */
  oldestGone(): MemberRecord | null {
    let oldest: MemberRecord | null = null
    for (const record of this.all()) {
      if (isLive(record)) continue
      if (oldest === null || record.changedAt < oldest.changedAt) oldest = record
    }
    return oldest
  }
}

/** Neither dead nor left. */
export const isLive = (record: MemberRecord): boolean => record.rank <= Ranks.Suspect

export function toMember(record: MemberRecord): Member {
  const { nodeId, address, lifecycle, health, datacenter, rack, metadata, capacity, tags } =
    record.statement
  return {
    nodeId,
    address,
    incarnation: record.incarnation,
    liveness: livenessOf(record.rank),
    lifecycle,
    health,
    datacenter,
    rack,
    metadata,
    capacity,
    tags,
    lastSeen: record.lastSeen
  }
}

export const toMemberState = (record: MemberRecord): MemberState => ({
  statement: record.statement,
  liveness: livenessOf(record.rank),
  incarnation: record.incarnation
})
