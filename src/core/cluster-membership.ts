import type { PartitionKind } from './events.js'
import type { Incarnation, MonotonicMs, NodeId } from './ids.js'
import type { NodeCapacity } from './member.js'

/** One probe of a member by this node. */
export interface ProbeRecord {
  readonly sentAt: MonotonicMs
  /** Of a straight answer; null: by a detour, or none. */
  readonly roundTripMs: number | null
  readonly outcome: 'straight' | 'detour' | 'unanswered'
}

/** A probe that was not answered. */
export interface ProbeEvidence {
  readonly sentAt: MonotonicMs
  readonly endedAt: MonotonicMs
  /** Asked to probe in our stead. */
  readonly helpers: readonly NodeId[]
  /** Helpers that tried and said so. */
  readonly nackedBy: readonly NodeId[]
  /** Whether a ping was tried over the stream too. */
  readonly streamTried: boolean
  /** How much this node stretched its own timeouts. */
  readonly localHealthMultiplier: number
}

/** A timer of this node that fired `lateMs` after its time. */
export interface Lateness {
  readonly at: MonotonicMs
  readonly lateMs: number
}

/** Why this node holds a member dead: the inputs of the verdict as they were. */
export interface DeathRecord {
  readonly nodeId: NodeId
  readonly incarnation: Incarnation
  readonly at: MonotonicMs
  /** `ownTimer`: a suspicion ran out here. `rumour`: `accuser` said so. */
  readonly verdictBy: 'ownTimer' | 'rumour'
  readonly accuser: NodeId
  readonly suspicion: {
    readonly startedAt: MonotonicMs
    readonly accuser: NodeId
    /** Distinct accusers beyond the first, in the order heard. */
    readonly confirmedBy: readonly NodeId[]
    readonly verdictAt: MonotonicMs
    /** The least and the greatest that it could last, and the confirmations for the least. */
    readonly minMs: number
    readonly maxMs: number
    readonly expectedConfirmations: number
  } | null
  /** This node's own last probes of it, the oldest first. */
  readonly probes: readonly ProbeRecord[]
  readonly lastFailedProbe: ProbeEvidence | null
  /** Times at which it contradicted earlier accusations, the oldest first. */
  readonly refutations: readonly { readonly at: MonotonicMs; readonly incarnation: Incarnation }[]
  readonly lastSeen: MonotonicMs
  /** Live members when the verdict fell, this node included. */
  readonly liveMembers: number
  readonly localHealthMultiplier: number
  /** When this node itself last stood still. */
  readonly lastLate: Lateness | null
}

export interface QuorumView {
  readonly isPresent: boolean
  readonly needed: number
  readonly present: readonly NodeId[]
  readonly missing: readonly NodeId[]
}

/** Nodes that this one does not reach, or not straight. */
export interface PartitionView {
  readonly kind: PartitionKind
  readonly unreachable: readonly NodeId[]
  readonly since: MonotonicMs
}

/** What the failure detector of this node knows beyond the members. */
export interface ClusterMembership {
  /** Why this node held a member dead, the latest time; null when no verdict is kept. */
  explainDeath(nodeId: NodeId): DeathRecord | null
  /** Splits and broken links that are not healed. */
  partitions(): readonly PartitionView[]
  /** Who of the voters is in reach, by the failure detector. */
  quorum(): QuorumView
  /**
   * What this node can bear and what it is for; whatever is absent stays.
   * @throws InvalidArgumentError naming the field
   */
  describe(change: {
    readonly capacity?: Partial<NodeCapacity>
    readonly tags?: readonly string[]
  }): void
}
