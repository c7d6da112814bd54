import { after } from '../../core/deadlines.js'
import type { Clock } from '../../core/ports/clock.js'
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
 * Deliveries without a pause: a node that only talks to itself must still hear its timers and
 * sockets.
 */
const deliveriesPerTurn = 64
const pauseMs = 1

/**
 * A stream from a node to itself. Messages to one's own node pass the same muxers, with the same
 * bounds and copies, as those to any other.
 */
export function createLoopback(
  self: PeerIdentity,
  clock: Clock
): readonly [ByteStream, ByteStream] {
  const near = new LoopbackEnd(self, clock)
  const far = new LoopbackEnd(self, clock)
  near.connect(far)
  far.connect(near)
  return [near, far]
}

class LoopbackEnd implements ByteStream {
  readonly peer: PeerIdentity
  readonly certificate = null
  readonly remoteAddress = 'loopback:0'
  readonly #clock: Clock
  #deliveries = 0
  #other: LoopbackEnd | null = null
  #handlers: StreamHandlers | null = null
  #inbox: Uint8Array[] = []
  #isDelivering = false
  #isClosed = false
  #mustDrain = false
  bufferedBytes = 0

  constructor(peer: PeerIdentity, clock: Clock) {
    this.peer = peer
    this.#clock = clock
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
    const deliver = () => {
      this.#isDelivering = false
      this.#deliver()
    }
    this.#deliveries++
    const mustYield = this.#deliveries % deliveriesPerTurn === 0
    if (mustYield) this.#clock.schedule(after(this.#clock.now(), pauseMs), deliver)
    else queueMicrotask(deliver)
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
