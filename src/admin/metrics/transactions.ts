import { counter, gauge, type MetricFamily } from './metric.js'

/** Transactions over several groups. */
export const transactions: MetricFamily = {
  transactions_begun: counter('Attempts at transactions over groups, coordinated here.'),
  transactions_committed: counter('Transactions over groups that were committed.'),
  transactions_aborted: counter('Attempts that came to nothing; most are tried again.'),
  transactions_unknown: counter('Attempts whose decision was on its way as leadership was lost.'),
  transactions_retried: counter('Attempts that followed one which came to nothing.'),
  transaction_recoveries: counter('Transactions that an earlier leader left, ended by this one.'),
  transaction_alarms: counter('Branches in doubt or groups away for long, outcomes that differ.'),
  transactions_open: gauge('Transactions that are coordinated here now.'),
  branches_prepared: gauge('Prepared branches that are not decided, of replicas of this node.'),
  decisions_pending: gauge('Commits that some group has not acknowledged, of replicas here.')
}
