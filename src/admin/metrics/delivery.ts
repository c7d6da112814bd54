import { counter, type MetricFamily } from './metric.js'

/** Acknowledged and ordered messages. */
export const delivery: MetricFamily = {
  acked_sent: counter('Messages sent that want an acknowledgement.'),
  acked_handled: counter('Messages of ours that the receiver handled.'),
  undelivered: counter('Messages given up that were handled by nobody for certain.'),
  indeterminate: counter('Messages given up of which nobody knows.'),
  refused_by_handlers: counter('Messages whose handler at the receiver failed.'),
  retries: counter('Messages sent again.'),
  acks_sent: counter('Acknowledgements sent.'),
  acks_received: counter('Acknowledgements received.'),
  acks_ignored: counter('Acknowledgements of nothing that is open.'),
  acked_received: counter('Messages received that want an acknowledgement.'),
  duplicates: counter('Messages received again, acknowledged again and not handled again.'),
  settled_arrivals: counter('Messages that came after their sender had given them up.'),
  window_refusals: counter('Messages too far ahead of what is open.'),
  held_refusals: counter('Ordered messages that found the hold full.'),
  sessions_refused: counter('Senders that found the table of sessions full.'),
  foreign_epochs: counter('Messages for an earlier life of this node.'),
  epochs_given_up: counter('Lives of receivers that were given up.'),
  handler_failures: counter('Handlers here that failed.'),
  gaps_told: counter('Ordered messages passed over, because the one before was given up.'),
  backpressure_refusals: counter('Messages not taken, because too many are open.'),
  broadcasts: counter('Broadcasts.')
}
