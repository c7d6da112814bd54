/** What one node knows of its peers' health: the sub-facade `manager.health`. */
import type { HealthVerdict } from './health-verdict.js'
import type { Capacity, MatrixRow, PeerSummary, RelayRoute, VerdictRecord } from './health-views.js'
import type { NodeId } from './ids.js'
import type { HealthStatus, Lifecycle } from './member.js'
import type { Reachability } from './reachability.js'

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
  /** Everything this node measured of each peer, in the order of their names. */
  peers(): readonly PeerSummary[]
  /** Null: the node was never measured. */
  verdictOn(nodeId: NodeId): HealthVerdict | null
  /** Changes of verdicts with the inputs they came from, oldest first; of one node, or of all. */
  explainVerdicts(nodeId?: NodeId): readonly VerdictRecord[]
  /** What every node measured of every other, as far as this one has heard. */
  latencyMatrix(): readonly MatrixRow[]
  /** The paths that have a relay now. */
  routes(): readonly RelayRoute[]
  /**
   * Sends up to `health.capacityProbeBytesMax` bytes at low priority to measure what the path can
   * carry.
   * @throws BackpressureError a probe is running, or the peer serves no more now
   */
  probeCapacity(
    nodeId: NodeId,
    options?: { readonly bytesMax?: number; readonly timeoutMs?: number }
  ): Promise<Capacity>
  /**
   * Tests every way to the nodes named, or to all members: by stream, by small datagrams and by
   * those of full size, both ways; a few kilobytes and a second per eight nodes. In the order of
   * the names.
   * @throws UnknownNodeError one is no other member
   * @throws BackpressureError a test of this node is running
   */
  reachability(nodeIds?: readonly NodeId[]): Promise<readonly Reachability[]>
}
