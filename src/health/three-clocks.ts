/**
 * Whose fault a slow or missing answer is. Three clocks are compared: our main loop's, the peer's
 * main loop's (it says how late it ran and how long it held the question), and what is left of the
 * round trip, which is the network's.
 *
 *   network = round trip − held by the peer − the peer's loop delay − ours
 *
 * Order matters: a node whose own loop stood still can say nothing of others, so that is asked
 * first; then the peer's own word; only then is the network blamed. Loop delays are the worst of
 * the last rounds, so the network's share is a lower bound.
 */
import { Diagnoses, type Diagnosis } from '../core/health-verdict.js'
import type { ClockDiagnosis } from '../core/health-views.js'

export interface ClockReadings {
  /** Null: not answered in time. */
  readonly rttMs: number | null
  /** What the round trip's network part is when all is well; null: not known yet. */
  readonly baselineMs: number | null
  readonly localLoopDelayMs: number
  /** As the peer last told; null: never. */
  readonly remoteLoopDelayMs: number | null
  readonly remoteHeldMs: number
  /** Whether any other peer answered in the same round; true when there is no other. */
  readonly othersAnswer: boolean
}

export interface ClockLimits {
  /** A loop that is later than this stood still. */
  readonly loopDelayMs: number
  /** The network is slow above baseline × factor + floor. */
  readonly slowFactor: number
  readonly slowFloorMs: number
}

export function diagnose(readings: ClockReadings, limits: ClockLimits): ClockDiagnosis {
  const localMs = readings.localLoopDelayMs
  const remoteMs = readings.remoteHeldMs + (readings.remoteLoopDelayMs ?? 0)
  const networkMs =
    readings.rttMs === null ? null : Math.max(0, readings.rttMs - remoteMs - localMs)
  return { diagnosis: diagnosisOf(readings, limits, networkMs), networkMs, remoteMs, localMs }
}

function diagnosisOf(
  readings: ClockReadings,
  limits: ClockLimits,
  networkMs: number | null
): Diagnosis {
  if (readings.localLoopDelayMs > limits.loopDelayMs) return Diagnoses.LocalLoopStalled
  if (networkMs === null) {
    return readings.othersAnswer ? Diagnoses.PeerSilent : Diagnoses.SelfIsolated
  }
  const remoteMs = Math.max(readings.remoteHeldMs, readings.remoteLoopDelayMs ?? 0)
  if (remoteMs > limits.loopDelayMs) return Diagnoses.RemoteLoopStalled
  const { baselineMs } = readings
  const isSlow =
    baselineMs !== null && networkMs > baselineMs * limits.slowFactor + limits.slowFloorMs
  return isSlow ? Diagnoses.NetworkSlow : Diagnoses.Fine
}
