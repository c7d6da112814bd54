import type { Counters } from '../core/counters.js'
import type { QueryTools } from './query-tools-driver.js'

export const queryCounterNames = [
  'queries_routed',
  'routing_failures',
  'locality_hits',
  'cross_dc_queries',
  'reads',
  'writes',
  'queries_forwarded',
  'queries_served',
  'queries_refused',
  'statements_refused',
  'query_retries',
  'queries_indeterminate',
  'queries_buffered_now',
  'queries_buffered',
  'queries_buffer_released',
  'queries_buffer_expired',
  'queries_buffer_refused',
  'executions_now',
  'executions_queued_now',
  'retries_denied',
  'queries_shed',
  'stale_routes_refused',
  'hotspots_detected',
  'rebalance_operations',
  'hotspots_now',
  'affinity_hits',
  'affinities_voided',
  'nodes_ejected',
  'ejections_refused',
  'queries_in_flight',
  'queries_waiting'
] as const
export type QueryCounterName = (typeof queryCounterNames)[number]

/** Brings up to date what is held elsewhere: states, and counts of the parts. */
export function gauge(counters: Counters<QueryCounterName>, tools: QueryTools): void {
  const buffer = tools.buffer.counts
  counters.set('queries_in_flight', tools.admission.inFlight)
  counters.set('queries_waiting', tools.waiting.waiting + buffer.waiting)
  counters.set('queries_buffered_now', buffer.waiting)
  counters.set('queries_buffered', buffer.entered)
  counters.set('queries_buffer_released', buffer.released)
  counters.set('queries_buffer_expired', buffer.expired)
  counters.set('queries_buffer_refused', buffer.refused)
  counters.set('executions_now', tools.gate.inside)
  counters.set('executions_queued_now', tools.gate.queued)
  const { standings } = tools.choice
  counters.set('nodes_ejected', standings.ejectionsTotal)
  counters.set('ejections_refused', standings.ejectionsRefused)
  const { detected, rebalances, now } = tools.hotspots.counts
  counters.set('hotspots_detected', detected)
  counters.set('rebalance_operations', rebalances)
  counters.set('hotspots_now', now)
  const { hits, voided } = tools.affinities.counts
  counters.set('affinity_hits', hits)
  counters.set('affinities_voided', voided)
}
