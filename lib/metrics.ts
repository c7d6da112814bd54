import type { MetricsSnapshot } from '../src/core/index.js'
import type { Ports, Rooms } from './composition.js'

/** Every category and name, as `src/admin/metrics` describes them. */
export function metricsOf(rooms: Rooms, streams: Ports['streams']): MetricsSnapshot {
  const { transport, delivery, membership, consensus, queries, health, heartbeat } = rooms
  const { security, stateSync, sessions } = rooms
  return {
    topology: membership.counters,
    communication: transport.counters.snapshot(),
    delivery: delivery.counters.snapshot(),
    load_balancer: queries.counters.snapshot(),
    consensus: consensus.counters.snapshot(),
    control: {
      ...rooms.control.driver.counters.snapshot(),
      audit_dropped: rooms.control.recorder.dropped
    },
    health: { ...health.metrics(), ...heartbeat.counters.snapshot() },
    security: { ...streams.counters?.snapshot(), ...membership.refusals, ...security.metrics() },
    sessions: sessions.counters.snapshot(),
    state_sync: stateSync.metrics(),
    transactions: rooms.transactions.metrics(),
    backups: rooms.backups.counters.snapshot(),
    failover: rooms.planned.failovers?.counters.snapshot() ?? {}
  }
}
