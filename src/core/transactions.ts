/** Transactions over several groups, for operators. */
import type { GroupId, Term, TransactionId } from './ids.js'

export const TransactionStates = {
  /** In doubt in this group. */
  Prepared: 'prepared',
  /** Decided in this group, and `pending` have not acknowledged it. */
  Committed: 'committed',
  /** An operator decided, the coordinator has not said anything yet. */
  Heuristic: 'heuristic',
  /** Outcomes differ. */
  Mixed: 'mixed'
} as const
export type TransactionViewState = (typeof TransactionStates)[keyof typeof TransactionStates]

/** Of one group: what is not at an end everywhere, or has an end that somebody has to know of. */
export interface TransactionReport {
  readonly transaction: TransactionId
  readonly group: GroupId
  readonly coordinator: GroupId | null
  /** Every group that takes part, as far as this one knows. */
  readonly groups: readonly GroupId[]
  readonly state: TransactionViewState
  readonly outcome: 'committed' | 'aborted' | null
  /** Groups that owe an acknowledgement, or did the opposite. */
  readonly pending: readonly GroupId[]
  readonly mixed: readonly GroupId[]
  readonly epoch: Term | null
  /** By log time. */
  readonly ageMs: number
  /** Rows that it holds; `all`: the group. */
  readonly lockedRows: number | 'all'
  /** Transactions that wait for its rows. */
  readonly waiters: readonly TransactionId[]
  readonly reason: string
}

export interface TransactionsView {
  /** Branches that are prepared, and not decided here yet. */
  readonly inDoubt: number
  /** Oldest first. */
  readonly transactions: readonly TransactionReport[]
}

export const transactionResolutions = ['commit', 'abort', 'forget'] as const
export type TransactionResolution = (typeof transactionResolutions)[number]

export interface ResolveTransaction {
  /** Whose branch is to be ended. */
  readonly group: GroupId
  /** `forget`: the operator has read that outcomes differ. */
  readonly outcome: TransactionResolution
  /** Says that it may differ from the coordinator's; without it nothing is decided by hand. */
  readonly force: boolean
  readonly by: string
  readonly reason: string
  readonly timeoutMs?: number
}

export interface ClusterTransactions {
  /** As this node's replicas know it; who waits for rows, the leader alone knows. */
  list(): TransactionsView
  /**
   * An operator ends a branch without its coordinator. Answers how it stands then.
   * @throws ChangeRefusedError without `force`, or nothing is there to forget
   * @throws NotFoundError nothing is known of the transaction in this group
   */
  resolve(
    transaction: TransactionId,
    request: ResolveTransaction
  ): Promise<{ readonly state: 'unknown' | 'prepared' | 'committed' | 'aborted' }>
}
