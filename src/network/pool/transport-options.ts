import type { Config } from '../../core/config/schema.js'
import type { ClusterId, NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Compression } from '../../core/ports/compression.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Random } from '../../core/ports/random.js'
import type {
  Address,
  PeerCertificate,
  PeerIdentity,
  StreamNetwork
} from '../../core/ports/stream-network.js'
import type { Tracer } from '../../core/ports/tracer.js'
import type { Catalogue } from '../../wire/index.js'
import type { MessageRestrictions } from '../security/message-policy.js'

export interface TransportComponents {
  readonly clock: Clock
  readonly random: Random
  readonly streams: StreamNetwork
  readonly catalogue: Catalogue
  readonly logger: Logger
  /** Where a node is to be dialled, as membership knows it. */
  readonly addressOf: (nodeId: NodeId) => Address | undefined
  readonly nonces: Crypto
  /** Absent: nothing is compressed. */
  readonly compression?: Compression
  /** By way of whom urgent messages go; null, or absent: directly. */
  readonly relayFor?: (to: NodeId) => NodeId | null
  /** Absent: nothing is traced. */
  readonly tracer?: Tracer | null | undefined
}

export interface TransportOptions {
  readonly identity: PeerIdentity
  readonly clusterId: () => ClusterId | null
  /** A peer knows the cluster's id, and this node did not. */
  readonly onPeerClusterId: (id: ClusterId) => void
  /** Null: a client, which only dials. */
  readonly listenAddress: Address | null
  readonly config: Config['transport']
  /** Zero, or absent: connections are not replaced by age. */
  readonly linkAgeMaxMs?: number
  readonly sameIdentity?: 'newest' | 'oldest'
  /** Beyond what the declarations deny. */
  readonly restrictions?: MessageRestrictions
}

/** An open connection that was ended because of who is at the other end. */
export interface CutConnection {
  readonly peer: PeerIdentity
  readonly certificate: PeerCertificate
  readonly address: Address
  readonly reason: string
}
