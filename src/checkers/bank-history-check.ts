/**
 * Judges a bank by its history: transactions of `write`s alone open the accounts, transactions of
 * `append`s transfer (what is appended is added), transactions of `read`s alone are balance sheets.
 */
import { InvalidArgumentError } from '../core/errors.js'
import { type BankFault, checkBank } from './bank-check.js'
import { type CounterFault, checkCounters } from './counter-check.js'
import type { Operation, OperationKind } from './history.js'
import type { Transaction } from './transactions.js'

export type BankHistoryFault =
  | { readonly kind: 'sheet'; readonly transaction: string; readonly fault: BankFault }
  /** The balance cannot come from the transfers: one was lost, done twice, or never asked for. */
  | { readonly kind: 'balance'; readonly fault: CounterFault }

export interface BankHistoryVerdict {
  readonly ok: boolean
  readonly faults: readonly BankHistoryFault[]
  readonly sheets: number
}

/** @throws InvalidArgumentError nobody opens accounts, or a value is no number */
export function checkBankHistory(
  transactions: readonly Transaction[],
  options: { readonly mayBeNegative?: boolean } = {}
): BankHistoryVerdict {
  const opening = transactions.filter((one) => isAll(one, 'write') && one.outcome === 'ok')
  const opened = opening.flatMap(({ operations }) => operations)
  if (opened.length === 0) {
    throw new InvalidArgumentError('history', 'nobody opens accounts, by transactions of writes')
  }
  const accounts = opened.map(({ key }) => key)
  const total = opened.reduce((sum, { input }) => sum + numberOf(input), 0)
  const faults: BankHistoryFault[] = []
  let sheets = 0
  for (const transaction of transactions) {
    if (!isAll(transaction, 'read') || transaction.outcome !== 'ok') continue
    sheets++
    const { name, operations } = transaction
    const found = operations.filter(({ output }) => output !== null)
    const sheet = Object.fromEntries(found.map(({ key, output }) => [key, numberOf(output)]))
    for (const fault of checkBank([sheet], { total, accounts, ...options })) {
      faults.push({ kind: 'sheet', transaction: name, fault })
    }
  }
  for (const fault of checkCounters(operationsOf(transactions))) {
    faults.push({ kind: 'balance', fault })
  }
  return { ok: faults.length === 0, faults, sheets }
}

const isAll = ({ operations }: Transaction, kind: OperationKind): boolean =>
  operations.every(({ op }) => op === kind)

/** Each account's own, without those that had no effect. */
const operationsOf = (transactions: readonly Transaction[]): Operation[] =>
  transactions
    .filter(({ outcome }) => outcome !== 'fail')
    .flatMap(({ process, invokedAt, completedAt, operations }) =>
      operations
        .filter(({ op, output }) => op !== 'read' || output !== null)
        .map((operation) => ({ ...operation, process, invokedAt, completedAt }))
    )

function numberOf(value: unknown): number {
  if (typeof value === 'number') return value
  throw new InvalidArgumentError('history', 'value: a balance is no number')
}
