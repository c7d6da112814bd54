import type { Counters } from '../../core/counters.js'

export const sessionCounterNames = [
  'sessions_open',
  'sessions_opened',
  'sessions_closed',
  'sessions_reattached',
  'sessions_detached',
  'session_requests',
  'session_requests_held',
  'session_captures',
  'session_migrations',
  'session_migrations_refused',
  'session_migrations_in_doubt',
  'sessions_taken'
] as const

export type SessionCounters = Counters<(typeof sessionCounterNames)[number]>
