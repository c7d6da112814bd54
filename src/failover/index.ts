export { type MigrationReason, migrationReasons, sessionMessages } from './session/messages.js'
export { stateTransferMessages } from './state-transfer/messages.js'
export { transactionMessages } from './two-phase/messages.js'
