import { Counters } from '../../core/counters.js'

const names = [
  'acked_sent',
  'acked_handled',
  'undelivered',
  'indeterminate',
  'refused_by_handlers',
  'retries',
  'acks_sent',
  'acks_received',
  'acks_ignored',
  'acked_received',
  'duplicates',
  'settled_arrivals',
  'window_refusals',
  'held_refusals',
  'sessions_refused',
  'foreign_epochs',
  'epochs_given_up',
  'handler_failures',
  'gaps_told',
  'backpressure_refusals',
  'broadcasts'
] as const

export type DeliveryCounter = (typeof names)[number]
export type DeliveryCounters = Counters<DeliveryCounter>

export const createDeliveryCounters = (): DeliveryCounters => new Counters(names)
