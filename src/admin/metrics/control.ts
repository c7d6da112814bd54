import { counter, type MetricFamily } from './metric.js'

/** The control group. */
export const control: MetricFamily = {
  changes: counter('Changes of the control group that this node asked for.'),
  changes_forwarded: counter('Attempts of changes made at another node.'),
  changes_retried: counter('Attempts of changes beyond the first.'),
  changes_refused: counter('Changes that were given up and not made.'),
  changes_indeterminate: counter(
    'Changes that were given up; whether they were made is not known.'
  ),
  changes_applied: counter('Changes that the replica of this node applied.'),
  state_reads: counter('Reads of the control group that this node asked for.'),
  audit_dropped: counter('Actions that are not recorded in the control group.')
}
