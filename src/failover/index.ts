export { type MigrationReason, migrationReasons, sessionMessages } from './session/messages.js'
export { logFollowerMessages, stateTransferMessages } from './state-transfer/messages.js'
export {
  type StateSyncComponents,
  StateSyncDriver,
  type StateSyncOptions
} from './state-transfer/state-sync-driver.js'
export { transactionMessages } from './two-phase/messages.js'
