import { counter, gauge, type MetricFamily } from './metric.js'

/** Files, states and tenants that nodes bring one another. */
export const stateSync: MetricFamily = {
  transfers_started: counter('Files begun to be fetched here, or offered from here.'),
  transfers_completed: counter('Files that arrived whole.'),
  transfers_failed: counter('Files that did not arrive.'),
  transfers_cancelled: counter('Files that were given up by whoever wanted them.'),
  transfers_active: gauge('Files on their way to and from this node.'),
  chunks_sent: counter('Chunks sent and answered.'),
  chunks_received: counter('Chunks received and written.'),
  chunks_damaged: counter('Chunks received with another digest than their own.'),
  chunks_duplicate: counter('Chunks received that were there already.'),
  chunk_bytes_sent: counter('Bytes of chunks sent and answered.', 'bytes'),
  chunk_bytes_received: counter('Bytes of chunks received and written.', 'bytes'),
  files_resumed: counter('Files that went on where an earlier transfer had stopped.'),
  services_synced: counter('States of services brought up to those of others.'),
  state_conflicts: counter('States found to have been changed on two nodes apart.'),
  tenants_known: gauge('Tenants known, removed ones that are remembered included.'),
  tenants_refused: counter('Metadata of tenants that was out of bounds.'),
  tenant_exchanges: counter('Comparisons of what is known of tenants.'),
  tenant_exchanges_failed: counter('Comparisons that did not come to their end.'),
  breaker_openings: counter('Times that a peer had failed too often to be asked on.'),
  breaker_refusals: counter('Requests not sent because the breaker of their peer was open.'),
  breakers_open: gauge('Peers that are not asked now.')
}
