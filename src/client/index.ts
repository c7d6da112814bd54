export {
  type ClientComponents,
  ClientDriver,
  type ClientQueryOptions,
  type ClientTransport
} from './client-driver.js'
export type { ClientEventBody } from './events.js'
export { KnownCluster } from './known-cluster.js'
