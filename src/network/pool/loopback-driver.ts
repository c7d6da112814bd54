import type {
  ByteStream,
  PeerIdentity,
  StreamEnd,
  StreamHandlers
} from '../../core/ports/stream-network.js'
import { StreamEnds } from '../../core/ports/stream-network.js'

/** Bytes on the way to oneself after which `write` asks to wait. */
const watermarkBytes = 256 * 1024

/**
 * A stream from a node to itself. Messages to one's own node pass the same muxers, with the same
 * bounds and copies, as those to any other.
 */
export function createLoopback(self: PeerIdentity): readonly [ByteStream, ByteStream] {
  const near = new LoopbackEnd(self)
  const far = new LoopbackEnd(self)
  near.connect(far)
  far.connect(near)
  return [near, far]
}

class LoopbackEnd implements ByteStream {
  readonly peer: PeerIdentity
  readonly remoteAddress = 'loopback:0'
  #other: LoopbackEnd | null = null
  #handlers: StreamHandlers | null = null
  #inbox: Uint8Array[] = []
  #isDelivering = false
  #isClosed = false
  #mustDrain = false
  bufferedBytes = 0

  constructor(peer: PeerIdentity) {
    this.peer = peer
  }

  connect(other: LoopbackEnd): void {
    this.#other = other
  }

  attach(handlers: StreamHandlers): void {
    this.#handlers = handlers
    this.#schedule()
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isClosed || this.#other === null) return true
    this.bufferedBytes += chunk.length
    this.#other.#inbox.push(chunk)
    this.#other.#schedule()
    this.#mustDrain = this.bufferedBytes >= watermarkBytes
    return !this.#mustDrain
  }

  end(): void {
    this.#close(StreamEnds.Local)
    const other = this.#other
    queueMicrotask(() => {
      if (other !== null) other.#deliverThenClose()
    })
  }

  destroy(): void {
    this.end()
  }

  #schedule(): void {
    if (this.#isDelivering || this.#handlers === null) return
    this.#isDelivering = true
    queueMicrotask(() => {
      this.#isDelivering = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const chunks = this.#inbox
    this.#inbox = []
    for (const chunk of chunks) {
      if (!this.#isClosed) this.#handlers?.onData(chunk)
      this.#other?.handleDelivered(chunk.length)
    }
  }

  handleDelivered(count: number): void {
    this.bufferedBytes -= count
    if (!this.#mustDrain || this.bufferedBytes > 0 || this.#isClosed) return
    this.#mustDrain = false
    this.#handlers?.onDrain()
  }

  #deliverThenClose(): void {
    this.#deliver()
    this.#close(StreamEnds.Closed)
  }

  #close(end: StreamEnd): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const handlers = this.#handlers
    queueMicrotask(() => handlers?.onClose(end))
  }
}
