import type { ClusterId, NodeId } from '../../src/core/ids.js'
import { type Config, resolveConfig } from '../../src/core/index.js'
import { silentLogger } from '../../src/core/ports/logger.js'
import { Priorities } from '../../src/core/ports/messenger.js'
import type { PeerIdentity } from '../../src/core/ports/stream-network.js'
import { SplittableRandom } from '../../src/core/splittable-random.js'
import { DeliveryDriver } from '../../src/network/delivery/delivery-driver.js'
import { controlMessages } from '../../src/network/mux/messages.js'
import { TransportDriver } from '../../src/network/pool/transport-driver.js'
import {
  bytes,
  Catalogue,
  declareMessage,
  declareRequest,
  openStruct,
  text,
  u32
} from '../../src/wire/index.js'
import { MemoryStreamHub } from './memory-streams.js'
import { VirtualClock } from './virtual-clock.js'

export const note = declareMessage({
  number: 0xf000,
  name: 'Note',
  priority: Priorities.Normal,
  senders: ['node', 'client'],
  body: openStruct({ text: text(200) }),
  about: 'For tests.'
})
export const echo = declareRequest({
  number: 0xf001,
  name: 'Echo',
  priority: Priorities.Normal,
  senders: ['node', 'client'],
  body: openStruct({ count: u32 }),
  answer: openStruct({ count: u32 }),
  about: 'For tests.'
})
export const bulk = declareMessage({
  number: 0xf003,
  name: 'Bulk',
  priority: Priorities.Low,
  body: bytes(2 * 1024 * 1024),
  about: 'For tests.'
})

export const catalogue = new Catalogue([...controlMessages, note, echo, bulk])
export const node = (name: string) => name as NodeId
export const clusterIdOf = (digit: string) => digit.repeat(32) as ClusterId

const defaults = resolveConfig({
  code: {
    node: { id: 'a', dataDirectory: 'data' },
    security: { insecure: true },
    cluster: { bootstrap: { voters: ['a'] } }
  }
})
const baseConfig = defaults.transport

interface NodeOptions {
  readonly config?: Partial<Config['transport']>
  readonly clusterId?: ClusterId | null
  readonly clusterName?: string
  readonly catalogue?: Catalogue
  /** `name` is a client's: it dials, and is not found. */
  readonly isClient?: boolean
  readonly linkAgeMaxMs?: number
  readonly sameIdentity?: 'newest' | 'oldest'
}

/** Several transports over memory streams on one virtual clock. */
export class TransportWorld {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryStreamHub(this.clock)
  readonly learned = new Map<string, ClusterId>()
  readonly changes: string[] = []
  readonly #addresses = new Map<NodeId, string>()
  #boots = 0

  /** A transport that is not started: it can dial, and is not found by others. */
  create(name: string, options: NodeOptions = {}): TransportDriver {
    const clusterName = options.clusterName ?? 'test'
    const identity: PeerIdentity = options.isClient
      ? { kind: 'client', name, clusterName }
      : { kind: 'node', nodeId: node(name), clusterName }
    const boot = ++this.#boots
    const driver = new TransportDriver(
      {
        clock: this.clock,
        random: SplittableRandom.fromSeed(boot),
        streams: this.hub.networkOf(identity),
        catalogue: options.catalogue ?? catalogue,
        logger: silentLogger,
        addressOf: (id) => this.#addresses.get(id),
        nonces: { ...noCrypto, randomBytes: (length) => new Uint8Array(length).fill(boot) }
      },
      {
        identity,
        clusterId: () => options.clusterId ?? this.learned.get(name) ?? null,
        onPeerClusterId: (id) => this.learned.set(name, id),
        listenAddress: options.isClient ? null : '127.0.0.1:0',
        config: { ...baseConfig, ...options.config },
        linkAgeMaxMs: options.linkAgeMaxMs ?? 0,
        sameIdentity: options.sameIdentity ?? 'newest'
      }
    )
    driver.onPeer(({ nodeId: peer, connected }) => {
      this.changes.push(`${name} ${connected ? 'has' : 'lost'} ${peer}`)
    })
    return driver
  }

  async start(name: string, options: NodeOptions = {}): Promise<TransportDriver> {
    const driver = this.create(name, options)
    const { address } = await driver.start()
    this.#addresses.set(node(name), address)
    return driver
  }

  /** What hands out the messages of a transport whose catalogue has those of delivery. */
  deliveryOf(transport: TransportDriver, catalogue: Catalogue): DeliveryDriver {
    return new DeliveryDriver(
      {
        self: node('self'),
        clock: this.clock,
        random: SplittableRandom.fromSeed(1),
        transport,
        catalogue,
        logger: silentLogger
      },
      defaults.delivery
    )
  }

  addressOf(name: string): string {
    return this.#addresses.get(node(name)) ?? ''
  }

  forget(name: string): void {
    this.#addresses.delete(node(name))
  }

  deadline(ms: number) {
    return { deadline: (this.clock.now() + ms) as ReturnType<VirtualClock['now']> }
  }

  /** What a promise came to, moving time until it settles. */
  async outcome(promise: Promise<unknown>): Promise<unknown> {
    return this.clock.settle(
      promise.then(
        (value) => value,
        (error: { code?: string }) => error.code ?? error
      )
    )
  }
}

const unused = (): never => {
  throw new Error('the transport encrypts nothing itself')
}
const noCrypto = {
  seal: unused,
  open: unused,
  deriveKey: unused,
  sha256: unused,
  startSha256: unused
}
