import { NEVER } from '../../core/deadlines.js'
import type { Clock } from '../../core/ports/clock.js'
import { BufferPool, HybridClock } from '../../wire/index.js'
import { epochOfNonce, toHex } from '../mux/handshake.js'
import { bootNonceBytes } from '../mux/messages.js'
import type { MuxerComponents, MuxerLimits } from '../mux/muxer-options.js'
import { createTransportCounters, type TransportCounters } from '../mux/transport-counters.js'
import { MessagePolicy } from '../security/message-policy.js'
import { Connection, type ConnectionHandlers } from './connection-driver.js'
import { createLoopback } from './loopback-driver.js'
import type { ConnectionRole } from './peer-driver.js'
import type { TransportComponents, TransportOptions } from './transport-options.js'

interface FactoryComponents
  extends Pick<TransportComponents, 'clock' | 'catalogue' | 'nonces' | 'compression'> {
  readonly counters: TransportCounters
}

type FactoryOptions = Pick<TransportOptions, 'identity' | 'clusterId' | 'config' | 'restrictions'>

interface Place {
  readonly limits: MuxerLimits
  readonly counters: TransportCounters
  readonly buffers: BufferPool
}

/** Makes the connections of one process: what they have in common is here. */
export class ConnectionFactory {
  readonly epoch: number
  /** Those that are not done. */
  readonly live = new Set<Connection>()
  readonly #components: FactoryComponents
  readonly #options: FactoryOptions
  readonly #handlers: ConnectionHandlers
  readonly #hybridClock: HybridClock
  readonly #buffers = new BufferPool()
  readonly #bootNonce: Uint8Array
  readonly #policy: MessagePolicy
  #messageIds = 0
  #helloSequence = 0

  constructor(
    components: FactoryComponents,
    options: FactoryOptions,
    handlers: ConnectionHandlers
  ) {
    this.#components = components
    this.#options = options
    this.#handlers = handlers
    this.#hybridClock = new HybridClock(options.config.clockOffsetMaxMs)
    this.#bootNonce = components.nonces.randomBytes(bootNonceBytes)
    this.#policy = new MessagePolicy(options.restrictions)
    this.epoch = epochOfNonce(toHex(this.#bootNonce))
  }

  create(isDialer: boolean, role: ConnectionRole = {}): Connection {
    const { config: limits } = this.#options
    const { counters } = this.#components
    return this.#create(isDialer, role, { limits, counters, buffers: this.#buffers })
  }

  /** The dialling end of a connection to oneself. */
  createLoopback(): Connection {
    const { identity, config } = this.#options
    const place = {
      limits: { ...config, keepAliveIntervalMs: NEVER, idleTimeoutMs: NEVER },
      counters: createTransportCounters(),
      // What stays here is not given back.
      buffers: new BufferPool()
    }
    const [near, far] = createLoopback(identity, this.#components.clock)
    const connection = this.#create(true, {}, place)
    this.#create(false, {}, place).attach(far)
    connection.attach(near)
    return connection
  }

  /** Whether it leads to this process itself. */
  isLocal(connection: Connection): boolean {
    return connection.counters !== this.#components.counters
  }

  #create(isDialer: boolean, { renews, lane = 0 }: ConnectionRole, place: Place): Connection {
    const { clock, catalogue, counters } = this.#components
    const { identity: local, clusterId, config } = this.#options
    const { limits } = place
    const components: MuxerComponents & { readonly clock: Clock } = {
      clock,
      catalogue,
      policy: this.#policy,
      hybridClock: this.#hybridClock,
      buffers: place.buffers,
      counters: place.counters,
      nextMessageId: () => ++this.#messageIds,
      nextHelloSequence: () => ++this.#helloSequence,
      clusterId,
      // What stays here is not worth it.
      ...(place.counters === counters ? this.#packing() : {})
    }
    const { connectionsPerPeerMax } = config
    const renewal = renews === undefined ? {} : { renews }
    const base = { local, isDialer, lane, connectionsPerPeerMax, limits }
    const options = { ...base, bootNonce: this.#bootNonce, ...renewal }
    const connection = new Connection(components, options, this.#handlers)
    this.live.add(connection)
    return connection
  }

  #packing(): Pick<MuxerComponents, 'packing'> {
    const { compression } = this.#components
    const thresholdBytes = this.#options.config.compressionThresholdBytes
    if (compression === undefined || thresholdBytes === 0) return {}
    return { packing: { compression, thresholdBytes } }
  }
}
