export type { Capacity } from './capacity-probe.js'
export type { ClockOffset } from './clock-offset.js'
export { type HealthCounterName, healthCounterNames } from './health-counters.js'
export { type HealthComponents, HealthDriver, type HealthOptions } from './health-driver.js'
export {
  type HeartbeatCounterName,
  HeartbeatDriver,
  heartbeatCounterNames,
  type SelfStatus,
  selfStatusOf
} from './heartbeat-driver.js'
export type { MatrixCell, MatrixRow } from './latency-matrix.js'
export type { LatencySummary, Tail } from './latency-window.js'
export type { LossEstimate } from './loss-trains.js'
export { healthMessages } from './messages.js'
export type { PeerSummary } from './peer-health.js'
export type { ProbeDatagrams, Traffic } from './ports.js'
export { type Quality, type QualityPart, qualityWeights } from './quality.js'
export type { RelayRoute } from './route-table.js'
export type { Throughput } from './throughput.js'
export type { VerdictRecord } from './verdicts.js'
export type { Distribution } from './windowed-histogram.js'
