import type { Incarnation, MonotonicMs, NodeId } from '../../core/ids.js'
import { RingBuffer } from '../../core/ring-buffer.js'
import type { Suspicion } from './suspicion.js'

/** Verdicts kept for `explainDeath`; the oldest goes first. */
export const deathRecordsMax = 256

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
  readonly suspicion: Pick<Suspicion, 'startedAt' | 'accuser' | 'confirmedBy' | 'verdictAt'> | null
  /** This node's own last failed probe of it. */
  readonly lastFailedProbe: ProbeEvidence | null
  readonly lastSeen: MonotonicMs
  /** Live members when the verdict fell, this node included. */
  readonly liveMembers: number
  readonly localHealthMultiplier: number
  /** When this node itself last stood still. */
  readonly lastLate: Lateness | null
}

export class DeathRecords {
  readonly #records = new RingBuffer<DeathRecord>(deathRecordsMax)

  push(record: DeathRecord): void {
    this.#records.push(record)
  }

  /** The latest verdict about this member, even if it came back since. */
  latestOf(nodeId: NodeId): DeathRecord | null {
    return this.#records.toArray().findLast((record) => record.nodeId === nodeId) ?? null
  }
}
