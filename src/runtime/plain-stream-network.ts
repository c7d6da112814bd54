import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  type Address,
  type BytePipe,
  type ByteStream,
  type Clock,
  DialFailedError,
  type DialOptions,
  describePeer,
  type Logger,
  type MonotonicMs,
  type PeerIdentity,
  PeerIdentityError,
  parsePeerName,
  peerNameOf,
  type StreamListener,
  type StreamNetwork
} from '../core/index.js'
import { parseAddress, remoteAddressOf } from './addresses.js'
import { HandshakeGate, handshakeCounters } from './handshake-gate.js'
import { closeListener, listenOn } from './listening.js'
import { duplexOf } from './pipe-duplex.js'
import { PreambleError, readPreamble } from './preamble.js'
import { openRawPipe } from './raw-pipe.js'
import { SocketStream, streamBufferBytesMax } from './socket-stream.js'

const greeting = 'skein-insecure 1 '
const greetingBytesMax = 256

export interface PlainStreamNetworkOptions {
  readonly self: PeerIdentity
  readonly handshakeTimeoutMs: number
  readonly handshakesMax: number
}

/**
 * Streams over bare TCP, for tests on one machine: each side says who it is in a first line and is
 * believed. The dialler speaks first.
 */
export class PlainStreamNetwork implements StreamNetwork {
  readonly counters = handshakeCounters()
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #options: PlainStreamNetworkOptions

  constructor(
    components: { readonly clock: Clock; readonly logger: Logger },
    options: PlainStreamNetworkOptions
  ) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#options = options
  }

  async listen(address: Address, onStream: (stream: ByteStream) => void): Promise<StreamListener> {
    const gate = new HandshakeGate(
      { counters: this.counters, logger: this.#logger },
      { handshakesMax: this.#options.handshakesMax }
    )
    const server = createServer({ noDelay: true, highWaterMark: streamBufferBytesMax })
    server.on('connection', (socket) => {
      if (gate.enter(socket)) void this.#accept(socket, gate, onStream)
    })
    const bound = await listenOn(server, address)
    server.on('error', (error) => this.#logger.error({ error }, 'stream listener failed'))
    return { address: bound, close: () => closeListener(server, gate) }
  }

  async dial(address: Address, options: DialOptions): Promise<ByteStream> {
    const { host, port } = parseAddress(address)
    const { through } = options
    const socket: Duplex =
      through === undefined ? connect({ host, port, noDelay: true }) : duplexOf(through)
    const timer = this.#clock.schedule(options.deadline, () =>
      socket.destroy(new Error('the deadline passed'))
    )
    try {
      socket.write(this.#greeting())
      const peer = this.#readGreeting(await readPreamble(socket, greetingBytesMax))
      if (peer.kind !== 'node') throw new PeerIdentityError(`${describePeer(peer)} listens`)
      const expected = options.expectedNodeId
      if (expected !== null && peer.nodeId !== expected) {
        const message = `expected node ${expected}, found node ${peer.nodeId}`
        throw new PeerIdentityError(message, { nodeId: peer.nodeId })
      }
      this.counters.add('dials_succeeded')
      return new SocketStream(socket, { peer, certificate: null, remoteAddress: address })
    } catch (error) {
      socket.on('error', () => socket.destroy())
      socket.destroy()
      const isIdentity = error instanceof PeerIdentityError
      this.counters.add(isIdentity ? 'dials_refused_identity' : 'dials_failed')
      if (isIdentity) throw error
      const { message } = error as Error
      throw new DialFailedError(`dial ${address}: ${message}`, { cause: error })
    } finally {
      timer.cancel()
    }
  }

  pipe(address: Address, deadline: MonotonicMs): Promise<BytePipe> {
    return openRawPipe(this.#clock, address, deadline)
  }

  async #accept(
    socket: Socket,
    gate: HandshakeGate,
    onStream: (stream: ByteStream) => void
  ): Promise<void> {
    const address = socket.remoteAddress ?? 'unknown'
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      socket.destroy()
    }, this.#options.handshakeTimeoutMs)
    try {
      const peer = this.#readGreeting(await readPreamble(socket, greetingBytesMax))
      socket.write(this.#greeting())
      gate.accepted(socket)
      const remoteAddress = remoteAddressOf(socket)
      onStream(new SocketStream(socket, { peer, certificate: null, remoteAddress }))
    } catch (error) {
      const isIdentity = error instanceof PeerIdentityError
      const reason = isIdentity ? 'refused_identity' : 'refused_protocol'
      gate.refused(isLate ? 'refused_timeout' : reason, address, error as Error)
      socket.destroy()
    } finally {
      clearTimeout(timer)
    }
  }

  #greeting(): string {
    return `${greeting}${peerNameOf(this.#options.self)}\n`
  }

  /** @throws PeerIdentityError of another cluster  @throws PreambleError no greeting of ours */
  #readGreeting(line: string): PeerIdentity {
    const peer = line.startsWith(greeting) ? parsePeerName(line.slice(greeting.length)) : null
    if (peer === null) throw new PreambleError('another protocol answers')
    const { clusterName } = this.#options.self
    if (peer.clusterName === clusterName) return peer
    throw new PeerIdentityError(`of cluster ${peer.clusterName}, not ${clusterName}`)
  }
}
