/**
 * One authenticated stream between simulated hosts, and its two directions. Order is kept and
 * nothing is lost inside it, but it may be slow, stand still while its link is cut, break at any
 * byte, or go on at one end only. Its buffer is what its peer has not taken yet: a peer that is cut
 * off or paused makes `write` answer false.
 */
import {
  type Address,
  assert,
  type ByteStream,
  type PeerCertificate,
  type PeerIdentity,
  type StreamEnd,
  StreamEnds,
  type StreamHandlers
} from '../core/index.js'
import type { Links } from './links.js'
import type { Named } from './named-stream.js'
import { ProcessExits, type SimulatedProcess, type VirtualTime } from './virtual-clock.js'

/** Above it `write` answers false. */
const watermarkBytes = 512 * 1024
/** A sender that goes on writing beyond this ignores the back-pressure. */
const bufferedBytesMax = 64 * 1024 * 1024
/** A half-closed stream is gone after this. */
const lingerMs = 2_000

type Segment =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'fin' }
  | { readonly kind: 'reset' }

/** One way of a stream: segments travel in order, each as late as its link makes it. */
export class Direction {
  bufferedBytes = 0
  readonly #time: VirtualTime
  readonly #links: Links
  readonly #from: SimulatedStream
  readonly #to: SimulatedStream
  readonly #stalled: Segment[] = []
  #lastArrival = 0
  /** Nothing arrives any more, and nobody is told. */
  #isBlackHole = false

  constructor(time: VirtualTime, links: Links, from: SimulatedStream, to: SimulatedStream) {
    this.#time = time
    this.#links = links
    this.#from = from
    this.#to = to
  }

  send(segment: Segment): void {
    if (segment.kind === 'data') this.bufferedBytes += segment.bytes.length
    const added = this.#links.addedMs(this.#from.process.host, this.#to.process.host)
    this.#travel(segment, this.#links.latencyMs() + this.#links.resendDelayMs() + added)
  }

  handleHeal(): void {
    if (this.#stalled.length === 0 || this.#isCut()) return
    const backoff = this.#links.resendBackoffMs()
    for (const segment of this.#stalled.splice(0)) this.#travel(segment, backoff)
  }

  #travel(segment: Segment, latency: number): void {
    this.#lastArrival = Math.max(this.#lastArrival, this.#time.now + latency)
    this.#time.post(this.#lastArrival, 'stream.arrives', null, () => this.#arrive(segment))
  }

  #arrive(segment: Segment): void {
    if (this.#isBlackHole) return
    const cut = this.#links.meetCut(this.#from.process.host, this.#to.process.host)
    if (cut?.streams === 'lost') this.#isBlackHole = true
    else if (cut || this.#stalled.length > 0) this.#stalled.push(segment)
    else this.#handOver(segment)
  }

  #handOver(segment: Segment): void {
    if (segment.kind !== 'data') {
      this.#deliver(segment)
      return
    }
    const { bytes } = segment
    const arrived = this.#links.breaksStream(bytes.length)
    if (arrived !== null) {
      this.#isBlackHole = true
      if (arrived > 0) this.#deliver({ kind: 'data', bytes: bytes.subarray(0, arrived) })
      this.#deliver({ kind: 'reset' })
      this.#from.loseAfter(this.#links.latencyMs())
      return
    }
    const splitAt = this.#links.splitsChunk(bytes.length)
    if (splitAt > 0) {
      this.#deliver({ kind: 'data', bytes: bytes.slice(0, splitAt) })
      this.#deliver({ kind: 'data', bytes: bytes.slice(splitAt) })
    } else {
      this.#deliver(segment)
    }
  }

  #deliver(segment: Segment): void {
    const { process } = this.#to
    if (!process.alive) {
      // A host that has no such connection answers with a reset.
      if (segment.kind === 'data') this.#from.loseAfter(this.#links.latencyMs())
      return
    }
    this.#time.post(this.#time.now, `stream.${segment.kind}`, process, () => {
      if (segment.kind === 'data') {
        this.bufferedBytes -= segment.bytes.length
        this.#from.handleTaken()
      }
      this.#to.handleSegment(segment)
    })
  }

  #isCut(): boolean {
    return this.#links.isCut(this.#from.process.host, this.#to.process.host)
  }
}

export class SimulatedStream implements ByteStream {
  readonly process: SimulatedProcess
  readonly peer: PeerIdentity
  readonly certificate: PeerCertificate | null
  readonly remoteAddress: Address
  readonly #time: VirtualTime
  #out: Direction | null = null
  #handlers: StreamHandlers | null = null
  #inbox: Segment[] = []
  #onGone: () => void = () => {}
  #isEnding = false
  #isClosed = false
  #isWaitingForDrain = false

  constructor(time: VirtualTime, process: SimulatedProcess, other: Named, remoteAddress: Address) {
    this.#time = time
    this.process = process
    this.peer = other.identity
    this.certificate = other.certificate
    this.remoteAddress = remoteAddress
  }

  connect(out: Direction, onGone: () => void): void {
    this.#out = out
    this.#onGone = onGone
    this.process.onExit((exit) => {
      if (this.#isClosed) return
      this.#isClosed = true
      if (exit === ProcessExits.Killed) out.send({ kind: 'reset' })
      onGone()
    })
  }

  get bufferedBytes(): number {
    return this.#out?.bufferedBytes ?? 0
  }

  get isOpen(): boolean {
    return !this.#isClosed && !this.#isEnding
  }

  attach(handlers: StreamHandlers): void {
    assert(this.#handlers === null, 'a stream is attached once')
    this.#handlers = handlers
    for (const segment of this.#inbox.splice(0)) {
      this.#time.post(this.#time.now, 'stream.inbox', this.process, () =>
        this.handleSegment(segment)
      )
    }
  }

  /** What is written is its writer's again at once, who may use the memory for something else. */
  write(chunk: Uint8Array, onReleased?: () => void): boolean {
    if (this.#isClosed || this.#isEnding || !this.process.alive || this.#out === null) return false
    this.#time.trace.bytes(chunk)
    if (chunk.length > 0) this.#out.send({ kind: 'data', bytes: Buffer.from(chunk) })
    onReleased?.()
    assert(this.bufferedBytes <= bufferedBytesMax, 'a stream was written to beyond every bound')
    const isBelow = this.bufferedBytes < watermarkBytes
    if (!isBelow) this.#isWaitingForDrain = true
    return isBelow
  }

  end(): void {
    if (this.#isClosed || this.#isEnding || !this.process.alive) return
    this.#isEnding = true
    this.#out?.send({ kind: 'fin' })
    this.#time.post(this.#time.now + lingerMs, 'stream.linger', this.process, () => {
      this.#close(StreamEnds.Local)
    })
  }

  destroy(): void {
    if (this.#isClosed || !this.process.alive) return
    this.#out?.send({ kind: 'reset' })
    this.#time.post(this.#time.now, 'stream.destroyed', this.process, () => {
      this.#tell(StreamEnds.Local)
    })
    this.#markClosed()
  }

  handleSegment(segment: Segment): void {
    if (this.#isClosed) return
    if (this.#handlers === null) {
      this.#inbox.push(segment)
      return
    }
    switch (segment.kind) {
      case 'data':
        this.#handlers.onData(segment.bytes)
        return
      case 'fin':
        if (!this.#isEnding) this.#out?.send({ kind: 'fin' })
        this.#close(this.#isEnding ? StreamEnds.Local : StreamEnds.Closed)
        return
      case 'reset':
        this.#close(StreamEnds.Reset)
    }
  }

  /** The peer took bytes out of the buffer. */
  handleTaken(): void {
    if (!this.#isWaitingForDrain || this.bufferedBytes >= watermarkBytes / 2) return
    this.#isWaitingForDrain = false
    if (!this.process.alive || this.#isClosed) return
    this.#time.post(this.#time.now, 'stream.drain', this.process, () => {
      if (!this.#isClosed) this.#handlers?.onDrain()
    })
  }

  /** The connection is found broken after a while. */
  loseAfter(ms: number): void {
    if (this.#isClosed || !this.process.alive) return
    this.#time.post(this.#time.now + ms, 'stream.lost', this.process, () => {
      this.handleSegment({ kind: 'reset' })
    })
  }

  #close(end: StreamEnd): void {
    if (this.#isClosed) return
    this.#markClosed()
    this.#tell(end)
  }

  #markClosed(): void {
    this.#isClosed = true
    this.#onGone()
  }

  #tell(end: StreamEnd): void {
    this.#handlers?.onClose(end)
  }
}
