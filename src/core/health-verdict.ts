/** What the health room says of a member; routing and the facade take it as a value. */
import type { MonotonicMs, NodeId } from './ids.js'

export const VerdictStatuses = {
  /** Not measured often enough to say. */
  Unknown: 'unknown',
  Healthy: 'healthy',
  /** It answers, badly: prefer another. */
  Degraded: 'degraded',
  /** It has not answered health checks; the failure detector alone says whether it is dead. */
  Unreachable: 'unreachable'
} as const
export type VerdictStatus = (typeof VerdictStatuses)[keyof typeof VerdictStatuses]

/** Which of three clocks was slow when a measurement was bad. */
export const Diagnoses = {
  Fine: 'fine',
  /** Both loops ran, the bytes took long. */
  NetworkSlow: 'networkSlow',
  /** The peer's main loop stood still; its network may be well. */
  RemoteLoopStalled: 'remoteLoopStalled',
  /** This node's main loop stood still: nothing can be said of anybody. */
  LocalLoopStalled: 'localLoopStalled',
  /** No answer, and others answered. */
  PeerSilent: 'peerSilent',
  /** No answer from anybody: this node is likely the one cut off. */
  SelfIsolated: 'selfIsolated'
} as const
export type Diagnosis = (typeof Diagnoses)[keyof typeof Diagnoses]

export interface HealthVerdict {
  readonly nodeId: NodeId
  readonly status: VerdictStatus
  /** Composite quality of the path, 0 worst … 1 best; null while nothing is known. */
  readonly quality: number | null
  readonly diagnosis: Diagnosis
  readonly since: MonotonicMs
  /** One sentence: what made the status change. */
  readonly reason: string
}
