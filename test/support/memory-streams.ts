import { after } from '../../src/core/deadlines.js'
import { DialFailedError, PeerIdentityError } from '../../src/core/errors.js'
import type { NodeId } from '../../src/core/ids.js'
import { peerNameOf } from '../../src/core/peer-name.js'
import type { Clock } from '../../src/core/ports/clock.js'
import {
  type Address,
  type ByteStream,
  type DialOptions,
  type PeerCertificate,
  type PeerIdentity,
  type StreamEnd,
  StreamEnds,
  type StreamHandlers,
  type StreamListener,
  type StreamNetwork
} from '../../src/core/ports/stream-network.js'

/**
 * Streams between the networks of one hub, each chunk `latencyMs` late; a test can break them.
 */
export class MemoryStreamHub {
  readonly clock: Clock
  latencyMs = 1
  /** Bytes that a stream takes before `write` answers false. */
  watermarkBytes = 256 * 1024
  /** Both ends of all streams, in the order of their making: dialler, acceptor, dialler, … */
  readonly ends: MemoryStream[] = []
  readonly #listening = new Map<Address, { identity: PeerIdentity; accept: Accept }>()
  #ports = 40_000
  /** By the peer's name; a peer without one is believed. */
  readonly certificates = new Map<string, PeerCertificate>()
  /** Asked by each end about the other; a reason refuses the dial. */
  judge: (judging: PeerIdentity, judged: PeerIdentity) => string | null = () => null
  /** Dials that begin are refused. */
  isUnreachable = false

  constructor(clock: Clock) {
    this.clock = clock
  }

  networkOf(identity: PeerIdentity): StreamNetwork {
    return {
      listen: async (wanted, accept) => this.#listen(identity, wanted, accept),
      dial: (address, options) => this.#dial(identity, address, options),
      pipe: async (address) => {
        throw new DialFailedError(`no pipe to ${address}: these streams know no relays`)
      }
    }
  }

  /** The dialling and accepting end of the newest stream. */
  get newest(): readonly [MemoryStream, MemoryStream] {
    return this.ends.slice(-2) as unknown as readonly [MemoryStream, MemoryStream]
  }

  #listen(identity: PeerIdentity, wanted: Address, accept: Accept): StreamListener {
    const address = wanted.endsWith(':0') ? `${wanted.slice(0, -1)}${this.#ports++}` : wanted
    this.#listening.set(address, { identity, accept })
    return {
      address,
      close: async () => {
        this.#listening.delete(address)
      }
    }
  }

  #dial(from: PeerIdentity, address: Address, options: DialOptions): Promise<ByteStream> {
    return new Promise((resolve, reject) => {
      this.clock.schedule(after(this.clock.now(), this.latencyMs), () => {
        const target = this.#listening.get(address)
        if (target === undefined || this.isUnreachable) {
          reject(new DialFailedError(`nobody listens at ${address}`))
          return
        }
        const { identity } = target
        if (!isExpected(identity, options.expectedNodeId)) {
          reject(new PeerIdentityError(`${address} is somebody else`))
          return
        }
        const reason = this.judge(identity, from) ?? this.judge(from, identity)
        if (reason !== null) {
          reject(new PeerIdentityError(reason))
          return
        }
        const near = new MemoryStream(this, identity, address)
        const far = new MemoryStream(this, from, `127.0.0.1:${this.#ports++}`)
        near.other = far
        far.other = near
        this.ends.push(near, far)
        target.accept(far)
        resolve(near)
      })
    })
  }
}

type Accept = (stream: ByteStream) => void

const isExpected = (identity: PeerIdentity, expected: NodeId | null): boolean =>
  expected === null || (identity.kind === 'node' && identity.nodeId === expected)

export class MemoryStream implements ByteStream {
  readonly peer: PeerIdentity
  readonly certificate: PeerCertificate | null
  readonly remoteAddress: Address
  readonly #hub: MemoryStreamHub
  other: MemoryStream | null = null
  bufferedBytes = 0
  /** Everything that was delivered to the other end. */
  deliveredBytes = 0
  /** After so many delivered bytes the stream breaks at both ends. */
  breakAfterBytes = Number.POSITIVE_INFINITY
  /** What happens then; by default it breaks. */
  onBroken: () => void = () => this.break()
  /** Nothing that is written arrives any more, and nobody hears of it. */
  isSilent = false
  /** The reader takes nothing; what is written stays in the buffer. */
  isPaused = false
  #held: Uint8Array[] = []
  #handlers: StreamHandlers | null = null
  #isClosed = false
  #mustDrain = false

  constructor(hub: MemoryStreamHub, peer: PeerIdentity, remoteAddress: Address) {
    this.#hub = hub
    this.peer = peer
    this.certificate = hub.certificates.get(peerNameOf(peer)) ?? null
    this.remoteAddress = remoteAddress
  }

  attach(handlers: StreamHandlers): void {
    this.#handlers = handlers
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isClosed) return true
    this.bufferedBytes += chunk.length
    this.#later(() => this.#arrive(chunk))
    this.#mustDrain = this.bufferedBytes >= this.#hub.watermarkBytes
    return !this.#mustDrain
  }

  end(): void {
    this.#later(() => this.other?.close(StreamEnds.Closed))
    this.close(StreamEnds.Local)
  }

  destroy(): void {
    this.#later(() => this.other?.close(StreamEnds.Reset))
    this.close(StreamEnds.Local)
  }

  break(): void {
    this.close(StreamEnds.Reset)
    this.other?.close(StreamEnds.Reset)
  }

  resume(): void {
    this.isPaused = false
    const held = this.#held
    this.#held = []
    for (const chunk of held) this.#arrive(chunk)
  }

  close(end: StreamEnd): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const handlers = this.#handlers
    queueMicrotask(() => handlers?.onClose(end))
  }

  #arrive(chunk: Uint8Array): void {
    if (this.isPaused) {
      this.#held.push(chunk)
      return
    }
    this.bufferedBytes -= chunk.length
    if (this.isSilent) return
    const count = Math.min(chunk.length, this.breakAfterBytes - this.deliveredBytes)
    this.deliveredBytes += count
    this.other?.receive(chunk.subarray(0, count))
    if (this.deliveredBytes >= this.breakAfterBytes) this.onBroken()
    else if (this.#mustDrain && this.bufferedBytes < this.#hub.watermarkBytes && !this.#isClosed) {
      this.#mustDrain = false
      this.#handlers?.onDrain()
    }
  }

  receive(chunk: Uint8Array): void {
    if (!this.#isClosed && chunk.length > 0) this.#handlers?.onData(chunk)
  }

  #later(run: () => void): void {
    this.#hub.clock.schedule(after(this.#hub.clock.now(), this.#hub.latencyMs), run)
  }
}
