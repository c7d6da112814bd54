export {
  FailoverCoordinator,
  type FailoverMove,
  FailoverReasons,
  type FailoverRecord
} from './coordinator/failover-coordinator.js'
export { type FailoverComponents, FailoverDriver } from './coordinator/failover-driver.js'
export { type FailoverPolicy, failoverDefaults } from './coordinator/failover-policy.js'
export { compareTokens, FencingGate, type FencingToken } from './coordinator/fencing-token.js'
export { drainMessages } from './drain/messages.js'
export {
  type DrainedGroup,
  NodeDrainDriver,
  type RestartHook,
  type SessionMover
} from './drain/node-drain-driver.js'
export { OperationsDriver } from './drain/operations-driver.js'
export { ClusterLook, type LookComponents } from './rolling-restart/cluster-look-driver.js'
export type { ClusterSight, NodeStatus, ServiceLevel } from './rolling-restart/cluster-view.js'
export {
  type RestartComponents,
  RestartDriver,
  type RestartDriverOptions,
  restartDriverDefaults
} from './rolling-restart/restart-driver.js'
export { restartsSection } from './rolling-restart/restarts-section.js'
export { type MigrationReason, migrationReasons, sessionMessages } from './session/messages.js'
export { stateTransferMessages } from './state-transfer/messages.js'
export { transactionMessages } from './two-phase/messages.js'
