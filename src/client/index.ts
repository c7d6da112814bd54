export {
  type ClientComponents,
  ClientDriver,
  type ClientTransport
} from './client-driver.js'
export type { ClientEventBody } from './events.js'
export { KnownCluster } from './known-cluster.js'
export type { ClientQueryOptions } from './query-options.js'
export { type SessionOptions, SqlSession } from './sql-session-driver.js'
