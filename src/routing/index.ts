export { type ClusterAnswer, routingMessages, watchCluster } from './messages.js'
export type { Placement } from './placement-table.js'
export {
  type QueryComponents,
  type QueryCounterName,
  QueryDriver,
  type QueryDriverOptions,
  queryCounterNames
} from './query-driver.js'
export { SqlClassifier } from './sql-classifier.js'
export { strategyFaults } from './strategies/registry.js'
