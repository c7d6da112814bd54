/** What one node knows of its peers' health: the sub-facade `manager.health`. */
import type { NodeId } from './ids.js'
import type { HealthStatus, Lifecycle } from './member.js'

/** What a peer said of itself in its last heartbeat. */
export interface PeerStatus {
  readonly nodeId: NodeId
  readonly status: HealthStatus
  readonly lifecycle: Lifecycle
  /** How late its main loop ran. */
  readonly loopDelayMs: number
  readonly metadata: Readonly<Record<string, string>>
  /** Since it was heard. */
  readonly ageMs: number
  /** Heartbeats in a row that it did not answer. */
  readonly missedInRow: number
  /** Not heard for `health.heartbeatTimeoutMs`: what it said may be true no more. */
  readonly silent: boolean
}

export interface ClusterHealth {
  /** The last heartbeat of each peer, in the order of their names. Not the failure detector. */
  peerStatuses(): readonly PeerStatus[]
}
