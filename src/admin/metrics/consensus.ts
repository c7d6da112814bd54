import { counter, type MetricFamily } from './metric.js'

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
  log_entries_compacted: counter('Entries forgotten because the engine holds them.'),
  snapshots_taken: counter('Snapshots taken for followers.'),
  snapshots_installed: counter('Snapshots that replicas of this node were restored from.'),
  snapshots_failed: counter('Snapshots not taken, or not taken in.'),
  snapshot_chunks_sent: counter('Parts of snapshots sent.'),
  snapshot_bytes_sent: counter('Bytes of them.'),
  snapshot_chunks_received: counter('Parts of snapshots received.'),
  snapshot_bytes_received: counter('Bytes of them.'),
  snapshot_chunks_damaged: counter('Parts of snapshots asked for again: damaged.'),
  messages_sent: counter('Messages between replicas sent.'),
  messages_received: counter('Messages between replicas received.'),
  messages_dropped: counter('Messages for replicas that are not here.')
}
