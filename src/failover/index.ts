export { BackupsDriver } from './backup/backups-driver.js'
export {
  FailoverCoordinator,
  type FailoverMove,
  type FailoverRecord
} from './coordinator/failover-coordinator.js'
export { type FailoverComponents, FailoverDriver } from './coordinator/failover-driver.js'
export { type FailoverPolicy, failoverDefaults } from './coordinator/failover-policy.js'
export { FailoversDriver } from './coordinator/failovers-driver.js'
export { failoversSection } from './coordinator/failovers-section.js'
export { compareTokens, FencingGate } from './coordinator/fencing-token.js'
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
export { sessionMessages } from './session/messages.js'
export { type SessionRecord, sessionKeptMs } from './session/session-record.js'
export { sessionsSection } from './session/sessions-section.js'
export { type SqlSessionsComponents, SqlSessionsDriver } from './session/sql-sessions-driver.js'
export { logFollowerMessages, stateTransferMessages } from './state-transfer/messages.js'
export {
  type StateSyncComponents,
  StateSyncDriver,
  type StateSyncOptions
} from './state-transfer/state-sync-driver.js'
export {
  type Change,
  changesMax,
  decodeChanges,
  encodeChanges
} from './two-phase/changes.js'
export {
  type BranchPlan,
  Coordinator,
  type CoordinatorEvent,
  type CoordinatorOptions,
  type CoordinatorSend,
  type TransactionPlan,
  type Vote
} from './two-phase/coordinator.js'
export type { LockKey, LockKeys, Locks } from './two-phase/lock-holders.js'
export { LockTable, type LockWait } from './two-phase/lock-table.js'
export { transactionMessages } from './two-phase/messages.js'
export {
  Participant,
  type ParticipantEvent,
  type ParticipantOptions,
  type ParticipantSend,
  type Planned,
  type PrepareRequest
} from './two-phase/participant.js'
export {
  type TransactionCounter,
  transactionCounterNames
} from './two-phase/transaction-counters.js'
export { transactionLimits } from './two-phase/transaction-options.js'
export {
  branchRecord,
  decisionRecord,
  type End,
  endRecord,
  transactionKeyPrefix
} from './two-phase/transaction-records.js'
export { reportTransactions } from './two-phase/transaction-report.js'
export {
  type AppliedAt,
  type BranchState,
  type ChangeAnswer,
  TransactionState,
  type TransactionView
} from './two-phase/transaction-state.js'
export { TransactionsDriver } from './two-phase/transactions-driver.js'
