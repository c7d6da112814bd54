export { type BalanceSheet, type BankFault, type BankOptions, checkBank } from './bank-check.js'
export {
  formatHistory,
  type HistoryEvent,
  type HistoryEventType,
  type HistoryValue,
  historyEventTypes,
  type Operation,
  type OperationKind,
  operationKinds,
  pairOperations,
  parseHistory
} from './history.js'
export {
  checkLinearizability,
  type LinearizabilityOptions,
  type Model,
  type Verdict
} from './linearizability.js'
export { registerModel } from './register-model.js'
export { checkSet, type SetObservation, type SetVerdict } from './set-check.js'
