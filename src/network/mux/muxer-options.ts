import type { ClusterId } from '../../core/ids.js'
import type { Compression } from '../../core/ports/compression.js'
import type { PeerIdentity } from '../../core/ports/stream-network.js'
import type { BufferPool, Catalogue, HybridClock } from '../../wire/index.js'
import type { MessagePolicy } from '../security/message-policy.js'
import type { StreamLimits } from './streams/stream-limits.js'
import type { TransportCounters } from './transport-counters.js'

/** Compression of bodies from a size on. */
export interface Packing {
  readonly compression: Compression
  readonly thresholdBytes: number
}

export interface MuxerComponents {
  readonly catalogue: Catalogue
  /** Absent: the declarations alone decide who may send what. */
  readonly policy?: MessagePolicy
  /** Absent: nothing is compressed, and nothing compressed is taken. */
  readonly packing?: Packing
  readonly hybridClock: HybridClock
  /** What leaves lies in these. */
  readonly buffers: BufferPool
  readonly counters: TransportCounters
  /** Message ids are unique in a process, so that a queued message can change its connection. */
  readonly nextMessageId: () => number
  readonly nextHelloSequence: () => number
  readonly clusterId: () => ClusterId | null
}

export interface MuxerLimits extends StreamLimits {
  readonly handshakeTimeoutMs: number
  readonly keepAliveIntervalMs: number
  readonly idleTimeoutMs: number
  readonly sendQueueLengthMax: number
  readonly sendQueueBytesMax: number
  readonly requestsInFlightMax: number
  readonly requestsServedMax: number
  readonly reassemblyBytesMax: number
}

export interface MuxerOptions {
  readonly local: PeerIdentity
  readonly isDialer: boolean
  /** Of a connection that is dialled: 0 carries messages, others streams alone. */
  readonly lane: number
  readonly connectionsPerPeerMax: number
  readonly bootNonce: Uint8Array
  /** The number of the Hello whose connection this one replaces; absent: none. */
  readonly renews?: number
  readonly limits: MuxerLimits
}
