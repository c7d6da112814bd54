/**
 * From measurements to a verdict on each peer, with hysteresis, so that a path at the border does
 * not flap.
 *
 * Invariants:
 * 1. a status changes after `confirmations` observations in a row that ask for it, and not before;
 *    between `degradedBelow` and `recoveredAbove` it stays what it is;
 * 2. an observation made while this node's own loop stood still, or while nobody answered it,
 *    counts for nothing: it neither accuses nor clears;
 * 3. a peer whose main loop stands still is degraded, however good the path to it is;
 * 4. a verdict of health decides preference, never liveness, leadership or votes;
 * 5. every change is recorded with the inputs it came from; records are bounded.
 */
import { assert } from '../core/assert.js'
import {
  Diagnoses,
  type Diagnosis,
  type HealthVerdict,
  type VerdictStatus,
  VerdictStatuses
} from '../core/health-verdict.js'
import type { Observation, VerdictRecord } from '../core/health-views.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import { RingBuffer } from '../core/ring-buffer.js'

export interface VerdictLimits {
  readonly degradedBelow: number
  readonly recoveredAbove: number
  /** Checks without an answer, in a row. */
  readonly unreachableAfter: number
  readonly confirmations: number
  readonly recordsMax: number
}

interface Judged {
  verdict: HealthVerdict
  /** What the newest observations ask for instead, and how often in a row. */
  wanted: VerdictStatus
  wantedCount: number
}

export class Verdicts {
  readonly #limits: VerdictLimits
  readonly #judged = new Map<NodeId, Judged>()
  readonly #records: RingBuffer<VerdictRecord>

  constructor(limits: VerdictLimits) {
    assert(limits.degradedBelow < limits.recoveredAbove, 'hysteresis needs a band')
    this.#limits = limits
    this.#records = new RingBuffer(limits.recordsMax)
  }

  /** The new verdict when the status changed. */
  observe(observation: Observation, now: MonotonicMs): HealthVerdict | null {
    const judged = this.#judgedOf(observation.nodeId, now)
    if (isDiscounted(observation.diagnosis)) return null
    const { quality, diagnosis } = observation
    const wanted = this.#wantedBy(observation, judged.verdict.status)
    judged.wantedCount = wanted === judged.wanted ? judged.wantedCount + 1 : 1
    judged.wanted = wanted
    judged.verdict = { ...judged.verdict, quality, diagnosis }
    const from = judged.verdict.status
    if (wanted === from || judged.wantedCount < this.#confirmationsFor(wanted)) return null
    const reason = reasonOf(observation, wanted)
    judged.verdict = { ...judged.verdict, status: wanted, since: now, reason }
    this.#records.push({
      at: now,
      from,
      verdict: judged.verdict,
      observation,
      confirmations: judged.wantedCount
    })
    return judged.verdict
  }

  verdictOn(nodeId: NodeId): HealthVerdict | null {
    return this.#judged.get(nodeId)?.verdict ?? null
  }

  /** Changes of one peer's status, or of all, oldest first. */
  explain(nodeId?: NodeId): readonly VerdictRecord[] {
    return this.#records
      .toArray()
      .filter((record) => nodeId === undefined || record.verdict.nodeId === nodeId)
  }

  forget(nodeId: NodeId): void {
    this.#judged.delete(nodeId)
  }

  /** Failures in a row are confirmations of their own. */
  #confirmationsFor(wanted: VerdictStatus): number {
    return wanted === VerdictStatuses.Unreachable ? 1 : this.#limits.confirmations
  }

  #wantedBy(observation: Observation, status: VerdictStatus): VerdictStatus {
    const { quality, diagnosis, failuresInRow } = observation
    const { degradedBelow, recoveredAbove, unreachableAfter } = this.#limits
    if (failuresInRow >= unreachableAfter) return VerdictStatuses.Unreachable
    if (failuresInRow > 0 || quality === null) return status
    if (diagnosis === Diagnoses.RemoteLoopStalled) return VerdictStatuses.Degraded
    if (quality < degradedBelow) return VerdictStatuses.Degraded
    if (quality > recoveredAbove) return VerdictStatuses.Healthy
    if (status === VerdictStatuses.Unreachable) return VerdictStatuses.Degraded
    return status === VerdictStatuses.Unknown ? VerdictStatuses.Healthy : status
  }

  #judgedOf(nodeId: NodeId, now: MonotonicMs): Judged {
    let judged = this.#judged.get(nodeId)
    if (judged === undefined) {
      judged = { verdict: unknown(nodeId, now), wanted: VerdictStatuses.Unknown, wantedCount: 0 }
      this.#judged.set(nodeId, judged)
    }
    return judged
  }
}

const isDiscounted = (diagnosis: Diagnosis): boolean =>
  diagnosis === Diagnoses.LocalLoopStalled || diagnosis === Diagnoses.SelfIsolated

const unknown = (nodeId: NodeId, since: MonotonicMs): HealthVerdict => ({
  nodeId,
  status: VerdictStatuses.Unknown,
  quality: null,
  diagnosis: Diagnoses.Fine,
  since,
  reason: 'not measured yet'
})

function reasonOf(observation: Observation, wanted: VerdictStatus): string {
  const { quality, diagnosis, failuresInRow } = observation
  if (wanted === VerdictStatuses.Unreachable) return `${failuresInRow} checks without an answer`
  const why = diagnosis === Diagnoses.Fine ? '' : `, ${diagnosis}`
  return `quality ${(quality ?? 0).toFixed(2)}${why}`
}
