import { Counters } from '../../core/counters.js'

const names = [
  'messages_sent',
  'messages_received',
  'bytes_sent',
  'bytes_received',
  'requests_sent',
  'requests_served',
  'request_timeouts',
  'requests_cancelled',
  'late_answers',
  'failed_sends',
  'backpressure_refusals',
  'streams_opened',
  'streams_accepted',
  'streams_refused',
  'streams_reset',
  'streams_active',
  'stream_bytes_sent',
  'stream_bytes_received',
  'messages_compressed',
  'bytes_before_compression',
  'bytes_after_compression',
  'messages_decompressed',
  'compressed_refusals',
  'unknown_messages',
  'unreadable_messages',
  'unauthorized_messages',
  'protocol_errors',
  'clock_rejections',
  'dials',
  'dial_failures',
  'handshakes_refused',
  'connections_opened',
  'connections_replaced',
  'connections_renewed',
  'connections_cut',
  'duplicate_identities',
  'relays_dialled',
  'relays_served',
  'relays_refused',
  'relayed_bytes',
  'messages_relayed',
  'connection_errors',
  'active_connections'
] as const

export type TransportCounter = (typeof names)[number]
export type TransportCounters = Counters<TransportCounter>

export const createTransportCounters = (): TransportCounters => new Counters(names)
