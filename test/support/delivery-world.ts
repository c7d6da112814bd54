import {
  type Config,
  type MonotonicMs,
  type NodeId,
  Priorities,
  type Reliability,
  resolveConfig,
  type SendMessageOptions,
  SplittableRandom,
  silentLogger
} from '../../src/core/index.js'
import type { Clock } from '../../src/core/ports/clock.js'
import type {
  ByteStream,
  PeerIdentity,
  StreamHandlers,
  StreamNetwork
} from '../../src/core/ports/stream-network.js'
import { DeliveryDriver } from '../../src/network/delivery/delivery-driver.js'
import { deliveryMessages } from '../../src/network/delivery/messages.js'
import { controlMessages } from '../../src/network/mux/messages.js'
import { TransportDriver } from '../../src/network/pool/transport-driver.js'
import {
  Catalogue,
  declareMessage,
  declareRequest,
  openStruct,
  text,
  u32
} from '../../src/wire/index.js'
import { MemoryStreamHub } from './memory-streams.js'
import { VirtualClock } from './virtual-clock.js'

export const parcel = declareMessage({
  number: 0xf010,
  name: 'Parcel',
  priority: Priorities.Normal,
  body: openStruct({ number: u32, text: text(65_536) }),
  about: 'For tests.'
})
export const unheard = declareMessage({
  number: 0xf011,
  name: 'Unheard',
  priority: Priorities.Normal,
  body: openStruct({}),
  about: 'For tests: nobody handles it.'
})
export const question = declareRequest({
  number: 0xf012,
  name: 'Question',
  priority: Priorities.Normal,
  body: openStruct({ number: u32 }),
  answer: openStruct({ number: u32 }),
  about: 'For tests.'
})

export const deliveryCatalogue = new Catalogue([
  ...controlMessages,
  ...deliveryMessages,
  parcel,
  unheard,
  question
])

const defaults = resolveConfig({
  code: {
    node: { id: 'a', dataDirectory: 'data' },
    security: { insecure: true },
    cluster: { bootstrap: { voters: ['a'] } }
  }
})

export interface ProcessOptions {
  readonly delivery?: Partial<Config['delivery']>
  readonly transport?: Partial<Config['transport']>
  readonly catalogue?: Catalogue
}

/** What a handler saw of a message. */
export interface Handled {
  readonly from: string
  readonly number: number
  readonly skipped: number
}

/** One life of a node. After `kill` nothing of it runs any more, and its streams are reset. */
export class Process {
  readonly nodeId: NodeId
  readonly transport: TransportDriver
  readonly delivery: DeliveryDriver
  readonly handled: Handled[] = []
  /** Runs before a message counts as handled. */
  before: (number: number) => void | Promise<void> = () => {}
  #isAlive = true
  readonly #streams: ByteStream[] = []

  constructor(world: DeliveryWorld, name: string, boot: number, options: ProcessOptions) {
    this.nodeId = name as NodeId
    const identity: PeerIdentity = { kind: 'node', nodeId: this.nodeId, clusterName: 'test' }
    const clock = this.#mortal(world.clock)
    const catalogue = options.catalogue ?? deliveryCatalogue
    this.transport = new TransportDriver(
      {
        clock,
        random: SplittableRandom.fromSeed(boot),
        streams: this.#network(world.hub.networkOf(identity)),
        catalogue,
        logger: silentLogger,
        addressOf: (id) => world.addresses.get(id),
        nonces: { ...noCrypto, randomBytes: (length) => new Uint8Array(length).fill(boot) }
      },
      {
        identity,
        clusterId: () => null,
        onPeerClusterId: () => {},
        listenAddress: '127.0.0.1:0',
        config: { ...defaults.transport, ...options.transport },
        linkAgeMaxMs: 0,
        sameIdentity: 'newest'
      }
    )
    this.delivery = new DeliveryDriver(
      {
        self: this.nodeId,
        clock,
        random: SplittableRandom.fromSeed(boot),
        transport: this.transport,
        catalogue,
        logger: silentLogger
      },
      { ...defaults.delivery, ...options.delivery }
    )
    this.delivery.onMessage(parcel, (message) => {
      const { from, body, skipped } = message
      const done = () => void this.handled.push({ from, number: body.number, skipped })
      const waiting = this.before(body.number)
      return waiting === undefined ? done() : waiting.then(done)
    })
  }

  get numbers(): number[] {
    return this.handled.map(({ number }) => number)
  }

  send(
    to: string,
    number: number,
    options: SendMessageOptions & { readonly text?: string } = {}
  ): Promise<void> {
    const message = { type: parcel, body: { number, text: options.text ?? '' } }
    return this.delivery.send(to as NodeId, message, options)
  }

  kill(): void {
    this.#isAlive = false
    for (const stream of this.#streams) stream.destroy()
  }

  #mortal(clock: VirtualClock): Clock {
    return {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      schedule: (at: MonotonicMs, callback) =>
        clock.schedule(at, () => {
          if (this.#isAlive) callback()
        })
    }
  }

  #network(network: StreamNetwork): StreamNetwork {
    const wrap = (stream: ByteStream): ByteStream => {
      this.#streams.push(stream)
      return mortalStream(stream, () => this.#isAlive)
    }
    return {
      listen: (address, onStream) =>
        network.listen(address, (stream) => {
          if (this.#isAlive) onStream(wrap(stream))
          else stream.destroy()
        }),
      pipe: (address, deadline) => network.pipe(address, deadline),
      dial: async (address, options) => wrap(await network.dial(address, options))
    }
  }
}

function mortalStream(stream: ByteStream, isAlive: () => boolean): ByteStream {
  const mortal = (handlers: StreamHandlers): StreamHandlers => ({
    onData: (chunk) => isAlive() && handlers.onData(chunk),
    onDrain: () => isAlive() && handlers.onDrain(),
    onClose: (end, cause) => isAlive() && handlers.onClose(end, cause)
  })
  return {
    get peer() {
      return stream.peer
    },
    get certificate() {
      return stream.certificate
    },
    get remoteAddress() {
      return stream.remoteAddress
    },
    get bufferedBytes() {
      return stream.bufferedBytes
    },
    attach: (handlers) => stream.attach(mortal(handlers)),
    write: (chunk) => isAlive() && stream.write(chunk),
    end: () => isAlive() && stream.end(),
    destroy: () => stream.destroy()
  }
}

/** Nodes with delivery over memory streams on one virtual clock. */
export class DeliveryWorld {
  readonly clock = new VirtualClock()
  readonly hub = new MemoryStreamHub(this.clock)
  readonly addresses = new Map<NodeId, string>()
  #boots = 0

  async start(name: string, options: ProcessOptions = {}): Promise<Process> {
    const process = new Process(this, name, ++this.#boots, options)
    const { address } = await process.transport.start()
    this.addresses.set(process.nodeId, address)
    return process
  }

  /** `ok`, or the code of the error, moving time until it is told. */
  outcome(promise: Promise<unknown>): Promise<string> {
    return this.clock.settle(codeOf(promise))
  }
}

export const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'ok',
    (error: { code?: string }) => error.code ?? String(error)
  )

export const reliabilities = ['acked', 'ordered'] as const satisfies readonly Reliability[]

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
