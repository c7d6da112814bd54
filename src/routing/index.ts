export type { Answered } from './answered.js'
export { type ClusterAnswer, routingMessages, watchCluster } from './messages.js'
export type { Placement } from './placement-table.js'
export { type QueryCounterName, queryCounterNames } from './query-counters.js'
export { QueryDriver } from './query-driver.js'
export type { QueryComponents, QueryDriverOptions } from './query-tools-driver.js'
export {
  sessionAttach,
  sessionClose,
  sessionDefine,
  sessionIdLength,
  sessionKeep,
  sessionOpen,
  sessionTokenBytes
} from './sessions/messages.js'
export type {
  QueryHome,
  SessionCall,
  SessionGate,
  SessionRun
} from './sessions/sql-session.js'
export type { ChangeSchema } from './sharding/shard-runner-driver.js'
export { SqlClassifier } from './sql-classifier.js'
export { strategyFaults } from './strategies/registry.js'
export { type WriteEffect, WriteEffects, writeEffectOf } from './write-effect.js'
