/**
 * How often the parts of the product that only trouble brings to work were at work: summed from
 * the metrics of every life of every node.
 */
import type { MetricsSnapshot } from '../core/index.js'

/** Name in the report → category and metric. */
const sources = {
  messages_repeated: ['delivery', 'retries'],
  duplicates_suppressed: ['delivery', 'duplicates'],
  order_gaps_told: ['delivery', 'gaps_told'],
  relays_dialled: ['communication', 'relays_dialled'],
  messages_relayed: ['communication', 'messages_relayed'],
  queries_buffered: ['load_balancer', 'queries_buffered'],
  buffered_released: ['load_balancer', 'queries_buffer_released'],
  queries_forwarded: ['load_balancer', 'queries_forwarded'],
  query_retries: ['load_balancer', 'query_retries'],
  stale_routes_refused: ['load_balancer', 'stale_routes_refused'],
  nodes_ejected: ['load_balancer', 'nodes_ejected'],
  hotspots_detected: ['load_balancer', 'hotspots_detected'],
  rebalance_operations: ['load_balancer', 'rebalance_operations'],
  affinity_hits: ['load_balancer', 'affinity_hits'],
  suspicions: ['topology', 'suspect_count'],
  refutations: ['topology', 'refute_count'],
  indirect_pings: ['topology', 'indirect_ping_count'],
  state_exchanges: ['topology', 'push_pull_count'],
  partitions_detected: ['topology', 'partition_detections'],
  loss_trains: ['health', 'loss_trains'],
  verdict_changes: ['health', 'verdict_changes'],
  heartbeats_missed: ['health', 'heartbeats_missed'],
  replays_refused: ['security', 'datagrams_refused_replayed'],
  messages_compressed: ['communication', 'messages_compressed'],
  messages_decompressed: ['communication', 'messages_decompressed'],
  connections_renewed: ['communication', 'connections_renewed'],
  certificates_reloaded: ['security', 'certificate_reloads'],
  revocation_lists_taken: ['security', 'revocation_lists_taken'],
  links_cut_revoked: ['security', 'links_cut_revoked'],
  gossip_key_changes: ['security', 'gossip_key_changes'],
  gossip_key_changes_refused: ['security', 'gossip_key_changes_refused'],
  gossip_keys_fetched: ['security', 'gossip_keys_fetched'],
  host_beats: ['consensus', 'host_beats'],
  groups_put_to_sleep: ['consensus', 'groups_put_to_sleep'],
  groups_woken: ['consensus', 'groups_woken'],
  leaders_moved: ['consensus', 'leaders_moved'],
  lease_reads: ['consensus', 'lease_reads'],
  lease_reads_withheld: ['consensus', 'lease_reads_withheld'],
  log_entries_compacted: ['consensus', 'log_entries_compacted'],
  snapshots_taken: ['consensus', 'snapshots_taken'],
  snapshots_installed: ['consensus', 'snapshots_installed'],
  snapshots_failed: ['consensus', 'snapshots_failed'],
  snapshot_chunks_sent: ['consensus', 'snapshot_chunks_sent'],
  transactions_committed: ['transactions', 'transactions_committed'],
  transactions_aborted: ['transactions', 'transactions_aborted'],
  transactions_unknown: ['transactions', 'transactions_unknown'],
  transactions_retried: ['transactions', 'transactions_retried'],
  transaction_recoveries: ['transactions', 'transaction_recoveries'],
  session_requests_held: ['sessions', 'session_requests_held'],
  session_migrations: ['sessions', 'session_migrations'],
  session_migrations_in_doubt: ['sessions', 'session_migrations_in_doubt'],
  sessions_reattached: ['sessions', 'sessions_reattached'],
  control_changes_applied: ['control', 'changes_applied'],
  control_changes_forwarded: ['control', 'changes_forwarded'],
  control_changes_retried: ['control', 'changes_retried']
} as const satisfies Record<string, readonly [string, string]>

/** Counted by whoever brings them about. */
const ownKinds = [
  'metadata_changes',
  'members_added',
  'members_removed',
  'replicas_replaced',
  'member_changes_failed',
  'sessions_used',
  'session_requests_ok',
  'drains_done',
  'session_moves_asked'
] as const

export type FeatureKind = keyof typeof sources | (typeof ownKinds)[number]
export type FeatureCounts = Record<FeatureKind, number>

export const featureKinds: readonly FeatureKind[] = [
  ...(Object.keys(sources) as (keyof typeof sources)[]),
  ...ownKinds
]

export const noFeatures = (): FeatureCounts =>
  Object.fromEntries(featureKinds.map((kind) => [kind, 0])) as FeatureCounts

/** What one life of one node has counted. */
export function addMetrics(into: FeatureCounts, metrics: MetricsSnapshot): void {
  for (const [kind, [category, name]] of Object.entries(sources)) {
    into[kind as FeatureKind] += metrics[category]?.[name] ?? 0
  }
}

export function addFeatures(into: FeatureCounts, more: Readonly<FeatureCounts>): void {
  for (const kind of featureKinds) into[kind] += more[kind]
}
