/** What the health room tells of its measurements, as `manager.health` shows it. */
import type { Diagnosis, HealthVerdict, VerdictStatus } from './health-verdict.js'
import type { MonotonicMs, NodeId } from './ids.js'
import type { HealthStatus } from './member.js'

/** The slow end: the 99th percentile where there are enough samples for one, else the maximum. */
export interface Tail {
  readonly ms: number
  readonly basis: 'p99' | 'max'
  readonly count: number
}

export interface LatencySummary {
  readonly count: number
  readonly averageMs: number
  readonly minMs: number
  readonly p50Ms: number
  readonly maxMs: number
  readonly tail: Tail
}

export interface Distribution {
  readonly count: number
  readonly averageMs: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly maxMs: number
  readonly tail: Tail
}

export interface Interval {
  readonly low: number
  readonly high: number
}

export type LossEstimate =
  | { readonly kind: 'insufficientData'; readonly sent: number; readonly needed: number }
  | {
      readonly kind: 'measured'
      readonly sent: number
      readonly lost: number
      /** 0…1 */
      readonly rate: number
      /** Of the rate, 95 %. */
      readonly interval: Interval
    }

export interface Throughput {
  /** Megabits (10^6) per second over the newest interval. */
  readonly sentMbps: number
  readonly receivedMbps: number
  /** The most that was seen in any interval: a lower bound of what the path can carry. */
  readonly peakMbps: number
}

export interface Capacity {
  /** Megabits (10^6) per second; null: too little came back to say. */
  readonly mbps: number | null
  readonly bytesSent: number
  readonly bytesAnswered: number
  readonly durationMs: number
  /** The byte cap ended it, as planned. */
  readonly reachedCap: boolean
}

export interface ClockOffset {
  /** Positive: the peer's clock is ahead. */
  readonly offsetMs: number
  readonly delayMs: number
  /** The true offset is within offset ± error, if neither clock jumped in between. */
  readonly errorMs: number
}

export type QualityPart = 'latency' | 'jitter' | 'loss' | 'answered'

export interface Quality {
  /** Null while no part is known. */
  readonly value: number | null
  readonly parts: Readonly<Record<QualityPart, number | null>>
}

export interface ClockDiagnosis {
  readonly diagnosis: Diagnosis
  readonly networkMs: number | null
  readonly remoteMs: number
  readonly localMs: number
}

export interface PeerSummary {
  readonly nodeId: NodeId
  /** Of the newest round trips. */
  readonly latency: LatencySummary | null
  /** Of the time window, active and passive samples, as the worker last told. */
  readonly distribution: Distribution | null
  readonly jitterMs: number | null
  /** One way, to the peer. */
  readonly loss: LossEstimate
  readonly throughput: Throughput | null
  /** Of the newest probe on demand. */
  readonly capacity: Capacity | null
  readonly clockOffset: ClockOffset | null
  readonly answeredRate: number | null
  readonly failuresInRow: number
  readonly quality: Quality
  readonly diagnosis: ClockDiagnosis | null
  /** What the peer says of itself. */
  readonly report: {
    readonly status: HealthStatus
    readonly loopDelayMs: number
    readonly detail: string
  } | null
}

export interface MatrixCell {
  readonly to: NodeId
  /** Null: no answer. */
  readonly rttMs: number | null
  /** One way, from the row's node; null: insufficient data. */
  readonly lossRate: number | null
  /** Since it was measured, when the row was made. */
  readonly ageMs: number
}

export interface MatrixRow {
  readonly origin: NodeId
  /** Rises with every row of its origin, also across its restarts. */
  readonly version: number
  readonly cells: readonly MatrixCell[]
}

export interface RelayRoute {
  readonly target: NodeId
  readonly relay: NodeId
  readonly why: 'outage' | 'degraded'
  /** Infinity: out. */
  readonly directMs: number
  readonly viaMs: number
  /** 1 − via / direct: the share of the cost that the relay saves; 1: the direct path is out. */
  readonly expectedImprovement: number
  readonly since: MonotonicMs
  readonly expiresAt: MonotonicMs
}

export interface Observation {
  readonly nodeId: NodeId
  /** 0…1; null while nothing is known. */
  readonly quality: number | null
  readonly diagnosis: Diagnosis
  readonly failuresInRow: number
}

export interface VerdictRecord {
  readonly at: MonotonicMs
  readonly from: VerdictStatus
  readonly verdict: HealthVerdict
  readonly observation: Observation
  /** Observations in a row that asked for it. */
  readonly confirmations: number
}
