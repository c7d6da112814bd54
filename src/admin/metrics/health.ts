import { counter, gauge, type MetricFamily } from './metric.js'

/** Measurements of the network. */
export const health: MetricFamily = {
  health_checks: counter('Health checks made.'),
  failed_health_checks: counter('Health checks that were not answered.'),
  average_latency_ms: gauge('Mean of the average round trips to the peers.', 'milliseconds'),
  packet_loss_rate: gauge('Lost of sent datagrams of trains; 0 while nobody knows.', 'ratio'),
  bandwidth_mbps: gauge('What is carried to and from all peers together.', 'megabits'),
  route_optimizations: counter('Detours taken.'),
  pings: counter('Round trips begun.'),
  failed_pings: counter('Round trips that did not end.'),
  loss_trains: counter('Trains of datagrams counted.'),
  capacity_probes: counter('Probes of capacity.'),
  verdict_changes: counter('Verdicts that changed.'),
  samples: counter('Round trips that the worker took.'),
  samples_lost: counter('Round trips that the worker was too slow for.'),
  worker_failures: counter('Questions that the worker did not answer.'),
  matrix_rows_refused: counter('Rows of the latency matrix that found it full.'),
  active_relays: gauge('Detours in use.'),
  heartbeats_sent: counter('Heartbeats sent.'),
  heartbeats_missed: counter('Heartbeats that were not answered.'),
  heartbeats_heard: counter('Heartbeats heard.')
}
