import {
  after,
  type ByteStream,
  type MonotonicMs,
  type NodeId,
  type PeerIdentity,
  type SkeinError,
  silentLogger,
  type WallMs
} from '../../src/core/index.js'
import { controlMessages } from '../../src/network/index.js'
import { Muxer } from '../../src/network/mux/muxer.js'
import { createTransportCounters } from '../../src/network/mux/transport-counters.js'
import { nodeClock, type TlsMaterial, TlsStreamNetwork } from '../../src/runtime/index.js'
import {
  BufferPool,
  Catalogue,
  HybridClock,
  type MessageDeclaration,
  type RequestDeclaration
} from '../../src/wire/index.js'
import { muxerLimits } from './muxer-pair.js'

type Tap = { teardown(handler: () => unknown): void }

const clock = nodeClock()
const dialTimeoutMs = 5_000
const requestTimeoutMs = 5_000
const pullBytesMax = 64 * 1024

interface Ticket {
  resolve(body: unknown): void
  reject(error: SkeinError): void
}

export interface RawPeerOptions {
  readonly material: TlsMaterial
  readonly address: string
  readonly nodeId: NodeId
  /** What its Hello says; by default what its certificate says. */
  readonly claim?: PeerIdentity
  /** False: not a byte of the protocol, only what the test sends. */
  readonly speaks?: boolean
}

/** One connection to a real node by a peer with a valid certificate and free choice of bytes. */
export class RawPeer {
  /** Answers to messages that were no requests. */
  readonly rejected: SkeinError[] = []
  /** What the node said when it closed the connection. */
  lastWords: SkeinError | null = null
  readonly opened: Promise<void>
  readonly closed: Promise<void>
  readonly #stream: ByteStream
  readonly #muxer: Muxer<Ticket>
  #onOpened = () => {}
  #onClosed = () => {}
  #messageIds = 0

  static async connect(t: Tap, options: RawPeerOptions): Promise<RawPeer> {
    const network = new TlsStreamNetwork(
      { clock, logger: silentLogger },
      { material: options.material, handshakeTimeoutMs: dialTimeoutMs, handshakesMax: 1 }
    )
    const deadline = after(clock.now(), dialTimeoutMs)
    const stream = await network.dial(options.address, { expectedNodeId: options.nodeId, deadline })
    t.teardown(() => stream.destroy())
    return new RawPeer(stream, options)
  }

  private constructor(stream: ByteStream, { material, claim, speaks }: RawPeerOptions) {
    this.#stream = stream
    this.opened = new Promise((resolve) => {
      this.#onOpened = resolve
    })
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve
    })
    this.#muxer = new Muxer(
      {
        catalogue: new Catalogue([...controlMessages]),
        buffers: new BufferPool(),
        hybridClock: new HybridClock(500),
        counters: createTransportCounters(),
        nextMessageId: () => ++this.#messageIds,
        nextHelloSequence: () => 1,
        clusterId: () => null
      },
      {
        local: claim ?? material.peer,
        isDialer: true,
        lane: 0,
        connectionsPerPeerMax: 4,
        bootNonce: new Uint8Array(16).fill(7),
        limits: muxerLimits
      }
    )
    stream.attach({
      onData: (chunk) => {
        this.#muxer.receive(chunk, now(), wallNow())
        this.#settle()
      },
      onDrain: () => this.#settle(),
      onClose: () => this.#onClosed()
    })
    if (speaks ?? true) {
      this.#muxer.attach(stream.peer, now(), wallNow())
      this.#settle()
    }
  }

  send<Body>(declaration: MessageDeclaration<Body>, body: Body): void {
    this.#muxer.send(declaration, body, { priority: declaration.priority }, wallNow())
    this.#settle()
  }

  request<Body, Answer>(
    declaration: RequestDeclaration<Body, Answer>,
    body: Body
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const dispatch = { priority: declaration.priority, deadline: after(now(), requestTimeoutMs) }
      const ticket = { resolve: resolve as (body: unknown) => void, reject }
      this.#muxer.request(declaration, body, dispatch, ticket, now(), wallNow())
      this.#settle()
    })
  }

  sendBytes(bytes: Uint8Array): void {
    this.#stream.write(bytes)
  }

  #settle(): void {
    for (const event of this.#muxer.drain()) {
      if (event.kind === 'opened') this.#onOpened()
      else if (event.kind === 'answered') event.ticket.resolve(event.body)
      else if (event.kind === 'failed') event.ticket.reject(event.error)
      else if (event.kind === 'rejected') this.rejected.push(event.error)
      else if (event.kind === 'done') this.lastWords = event.error
    }
    for (;;) {
      const bytes = this.#muxer.pull(pullBytesMax, wallNow())
      if (bytes === null) return
      this.#stream.write(bytes)
    }
  }
}

const now = (): MonotonicMs => clock.now()
const wallNow = (): WallMs => clock.wallNow()
