import type { PeerSummary } from '../core/health-views.js'

export const healthCounterNames = [
  'health_checks',
  'failed_health_checks',
  /** Gauge: mean of the peers' averages. */
  'average_latency_ms',
  /** Gauge: lost of sent datagrams, over the peers where there are enough. */
  'packet_loss_rate',
  /** Gauge: megabits per second, both ways, to all peers together. */
  'bandwidth_mbps',
  'route_optimizations',
  'pings',
  'failed_pings',
  'loss_trains',
  'capacity_probes',
  'verdict_changes',
  'samples',
  'samples_lost',
  'worker_failures',
  'matrix_rows_refused',
  /** Gauge. */
  'active_relays'
] as const
export type HealthCounterName = (typeof healthCounterNames)[number]

export interface Totals {
  readonly averageLatencyMs: number
  readonly packetLossRate: number
  readonly bandwidthMbps: number
}

/** Zero stands for what nobody measured. */
export function measureTotals(peers: readonly PeerSummary[]): Totals {
  let averages = 0
  let measured = 0
  let sent = 0
  let lost = 0
  let bandwidthMbps = 0
  for (const { latency, loss, throughput } of peers) {
    if (latency !== null) {
      averages += latency.averageMs
      measured++
    }
    if (loss.kind === 'measured') {
      sent += loss.sent
      lost += loss.lost
    }
    bandwidthMbps += (throughput?.sentMbps ?? 0) + (throughput?.receivedMbps ?? 0)
  }
  return {
    averageLatencyMs: measured === 0 ? 0 : averages / measured,
    packetLossRate: sent === 0 ? 0 : lost / sent,
    bandwidthMbps
  }
}
