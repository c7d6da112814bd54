import type { ClusterHealth } from '../core/cluster-health.js'
import type { HealthDriver } from './health-driver.js'
import type { HeartbeatDriver } from './heartbeat-driver.js'

/** What was measured, and what the peers say of themselves, as one. */
export const clusterHealthOf = (measured: HealthDriver, told: HeartbeatDriver): ClusterHealth => ({
  peerStatuses: () => told.peerStatuses(),
  peers: () => measured.peers(),
  verdictOn: (nodeId) => measured.verdictOn(nodeId),
  explainVerdicts: (nodeId) => measured.explainVerdicts(nodeId),
  latencyMatrix: () => measured.latencyMatrix(),
  routes: () => measured.routes(),
  probeCapacity: (nodeId, options) => measured.probeCapacity(nodeId, options),
  reachability: (nodeIds) => measured.reachability(nodeIds)
})
