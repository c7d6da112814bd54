/**
 * What an operator sees of a group's distributed transactions: those that are not at an end
 * everywhere, and those whose end he has to know of. A value, made of what the group's log says.
 */
import type { GroupId } from '../../core/ids.js'
import { compareAge } from '../../core/transaction-id.js'
import type { TransactionReport } from '../../core/transactions.js'
import type { LockWait } from './lock-table.js'
import type { Branch } from './transaction-records.js'
import type { TransactionView } from './transaction-state.js'

/** Oldest first. */
export function reportTransactions(
  group: GroupId,
  view: TransactionView,
  logNow: number,
  waits: readonly LockWait[]
): TransactionReport[] {
  const reports = [
    ...[...view.branches()].map((branch): TransactionReport => {
      const { transaction, coordinator, groups, epoch, preparedAt, locks } = branch
      const isWhole = locks.readKeys === 'all' || locks.writeKeys === 'all'
      return {
        ...nothing,
        transaction,
        group,
        coordinator,
        groups,
        epoch,
        state: 'prepared',
        ageMs: Math.max(0, logNow - preparedAt),
        lockedRows: isWhole ? 'all' : new Set([...locks.readKeys, ...locks.writeKeys]).size,
        waiters: waits
          .filter(({ by }) => by.includes(transaction))
          .map((waiter) => waiter.transaction),
        reason: isDecisionLost(group, branch, view) ? decisionLost : ''
      }
    }),
    ...[...view.decisions()].map((decision): TransactionReport => {
      const { transaction, groups, pending, mixed, decidedAt } = decision
      return {
        ...nothing,
        transaction,
        group,
        coordinator: group,
        groups: [group, ...groups],
        state: 'committed',
        outcome: 'committed',
        pending,
        mixed,
        ageMs: Math.max(0, logNow - decidedAt)
      }
    }),
    ...[...view.ends()]
      .filter(({ heuristic }) => heuristic === 'unverified' || heuristic === 'mixed')
      .map((end): TransactionReport => {
        const { transaction, coordinator, outcome, heuristic, mixedGroups, since, reason } = end
        return {
          ...nothing,
          transaction,
          group,
          coordinator,
          groups: [group, ...mixedGroups],
          state: heuristic === 'mixed' ? 'mixed' : 'heuristic',
          outcome,
          mixed: mixedGroups,
          ageMs: Math.max(0, logNow - since),
          reason
        }
      })
  ]
  return reports.sort((a, b) => compareAge(a.transaction, b.transaction))
}

/** Nobody will ever say what was decided of it. */
export const decisionLost = 'its decision may be lost with the majority of its group'

const isDecisionLost = (group: GroupId, branch: Branch, view: TransactionView): boolean =>
  branch.coordinator === group && !view.mayPresumeAbort(branch.epoch)

const nothing = {
  outcome: null,
  pending: [],
  mixed: [],
  epoch: null,
  lockedRows: 0,
  waiters: [],
  reason: ''
} as const
