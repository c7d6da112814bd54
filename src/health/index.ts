export { clusterHealthOf } from './cluster-health-view.js'
export { type HealthCounterName, healthCounterNames } from './health-counters.js'
export { type HealthComponents, HealthDriver, type HealthOptions } from './health-driver.js'
export {
  type HeartbeatCounterName,
  HeartbeatDriver,
  heartbeatCounterNames,
  type SelfStatus,
  selfReportOf,
  selfStatusOf
} from './heartbeat-driver.js'
export { healthMessages } from './messages.js'
export type { ProbeDatagrams, Traffic } from './ports.js'
export { qualityWeights } from './quality.js'
