import type { CoordinatorOptions } from './coordinator.js'
import { endRetentionMs, endsMax } from './ends.js'
import type { ParticipantOptions } from './participant.js'
import { branchesMax, decisionsMax, type TransactionLimits } from './transaction-state.js'

/** Transactions that one leader coordinates at once. */
export const openTransactionsMax = 4_096
/** Branches of one group between their question and their vote. */
export const preparingBranchesMax = 4_096
/** What one attempt takes at most, whatever its caller allows: half of what an end is kept. */
export const transactionTimeoutMsMax = 30_000

export const transactionLimits: TransactionLimits = {
  branchesMax,
  decisionsMax,
  endsMax,
  endRetentionMs
}

export const coordinatorDefaults: Omit<CoordinatorOptions, 'group'> = {
  openMax: openTransactionsMax,
  prepareRetryMs: 100,
  scanIntervalMs: 1_000,
  settleDelayMs: 200,
  inFlightMax: 256,
  answerTimeoutMs: 1_000,
  retryMinMs: 50,
  retryMaxMs: 2_000,
  unreachableAlarmMs: 60_000
}

export const participantDefaults: Omit<ParticipantOptions, 'group'> = {
  preparingMax: preparingBranchesMax,
  inDoubtAfterMs: 500,
  askIntervalMaxMs: 2_000,
  inDoubtAlarmMs: 60_000
}
