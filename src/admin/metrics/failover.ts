import { counter, type MetricFamily } from './metric.js'

/** What the replica of the control group here has applied since it was opened. */
export const failover: MetricFamily = {
  failover_events: counter('Leaderships that moved, or were to move, unasked.'),
  rolling_restarts: counter('Rolling restarts that were begun.')
}
