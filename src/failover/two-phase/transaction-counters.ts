export const transactionCounterNames = [
  /** Attempts; a request that meets others may need several. */
  'transactions_begun',
  'transactions_committed',
  'transactions_aborted',
  /** Leadership was lost while the decision was on its way. */
  'transactions_unknown',
  'transactions_retried',
  /** Left by an earlier leader of their coordinating group, and brought to an end by this one. */
  'transaction_recoveries',
  /** A branch in doubt for a minute, a group away for one, outcomes that differ. */
  'transaction_alarms'
] as const
export type TransactionCounter = (typeof transactionCounterNames)[number]
