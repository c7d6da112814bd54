import { counter, gauge, type MetricFamily } from './metric.js'

/** Replicated groups. */
export const consensus: MetricFamily = {
  leader_elections: counter('Elections that this node won.'),
  leaderships_lost: counter('Leaderships that this node lost or gave away.'),
  proposals: counter('Batches proposed.'),
  proposals_refused: counter('Proposals refused: no leader here, or too much is under way.'),
  commits: counter('Entries committed.'),
  applies: counter('Batches given to the engine.'),
  commands_applied: counter('Commands applied.'),
  batches: counter('Batches planned.'),
  batch_commands: counter('Commands planned in batches.'),
  repeated_answers: counter('Writes that had been executed before, answered again.'),
  answers_refused: counter('Writes of clients that leave too many answers open.'),
  indeterminate_answers: counter('Writes of which the outcome is unknown here.'),
  read_rounds: counter('Rounds of heartbeats that confirmed reads.'),
  reads: counter('Linearizable reads confirmed.'),
  log_syncs: counter('Writes of the log made durable.'),
  checks: counter('Comparisons of content hashes.'),
  replicas_failed: counter('Replicas that stopped.'),
  host_beats: counter('Messages with the heartbeats of all groups for another host.'),
  groups_put_to_sleep: counter('Idle groups that went to sleep here.'),
  groups_woken: counter('Groups that woke from sleep.'),
  groups_asleep: gauge('Groups that sleep here now.'),
  leaders_moved: counter('Leaderships given away so that leaders are spread evenly.'),
  messages_sent: counter('Messages between replicas sent.'),
  messages_received: counter('Messages between replicas received.'),
  messages_dropped: counter('Messages for replicas that are not here.')
}
