import { Counters } from '../../core/counters.js'

export const stateSyncCounterNames = [
  'transfers_started',
  'transfers_completed',
  'transfers_failed',
  'transfers_cancelled',
  'transfers_active',
  'chunks_sent',
  'chunks_received',
  'chunks_damaged',
  'chunks_duplicate',
  'chunk_bytes_sent',
  'chunk_bytes_received',
  'files_resumed',
  'services_synced',
  'state_conflicts',
  'tenants_known',
  'tenants_refused',
  'tenant_exchanges',
  'tenant_exchanges_failed',
  'breaker_openings',
  'breaker_refusals',
  'breakers_open'
] as const
export type StateSyncCounterName = (typeof stateSyncCounterNames)[number]
export type StateSyncCounters = Counters<StateSyncCounterName>

export const createStateSyncCounters = (): StateSyncCounters => new Counters(stateSyncCounterNames)
