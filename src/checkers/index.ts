export { type BalanceSheet, type BankFault, type BankOptions, checkBank } from './bank-check.js'
export {
  type BankHistoryFault,
  type BankHistoryVerdict,
  checkBankHistory
} from './bank-history-check.js'
export { type CounterFault, checkCounters } from './counter-check.js'
export { type CycleKind, cycleKinds } from './dependency-cycles.js'
export type { EdgeKind } from './dependency-graph.js'
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
export {
  checkListAppend,
  type ListAppendAnomaly,
  type ListAppendCycle,
  type ListAppendVerdict
} from './list-append-check.js'
export { registerModel } from './register-model.js'
export { checkSet, type SetObservation, type SetVerdict } from './set-check.js'
export { checkSetFull, type SetFullVerdict } from './set-full-check.js'
export { pairTransactions, type Transaction, type TransactionOperation } from './transactions.js'
