/**
 * Authenticated byte streams between simulated hosts. Order is kept inside a stream and nothing
 * is lost inside it, but it may be slow, stand still while its link is cut, break at any byte, or
 * go on at one end only. A stream's buffer is what its peer has not taken yet: a peer that is cut
 * off or paused makes `write` answer false.
 */
import {
  type Address,
  assert,
  type BytePipe,
  type ByteStream,
  type Clock,
  DialFailedError,
  type DialOptions,
  ListenFailedError,
  type NodeId,
  type PeerCertificate,
  type PeerIdentity,
  PeerIdentityError,
  type StreamEnd,
  StreamEnds,
  type StreamHandlers,
  type StreamListener,
  type StreamNetwork
} from '../core/index.js'
import type { Links } from './links.js'
import { nameOver } from './named-stream.js'
import { ProcessExits, type SimulatedProcess, type VirtualTime } from './virtual-clock.js'

interface Listening {
  readonly process: SimulatedProcess
  readonly identity: PeerIdentity
  readonly certificate: PeerCertificate | null
  readonly onStream: (stream: ByteStream) => void
}

/** Who a process is, and where. */
export interface StreamHost {
  readonly process: SimulatedProcess
  readonly clock: Clock
  /** The host's part of its addresses. */
  readonly hostName: string
  readonly identity: PeerIdentity
  /** What proves it to others; absent: they believe the name. */
  readonly certificate?: PeerCertificate
}

/** Above it `write` answers false. */
const watermarkBytes = 512 * 1024
/** A sender that goes on writing beyond this ignores the back-pressure. */
const bufferedBytesMax = 64 * 1024 * 1024
/** A half-closed stream is gone after this. */
const lingerMs = 2_000

export class SimulatedStreamWorld {
  readonly #time: VirtualTime
  readonly #links: Links
  readonly #listening = new Map<Address, Listening>()
  /** Hosts by the name in front of the port. */
  readonly #hosts = new Map<string, number>()
  readonly #directions = new Set<Direction>()
  #portCounter = 50_000

  constructor(time: VirtualTime, links: Links) {
    this.#time = time
    this.#links = links
    links.onHeal(() => {
      for (const direction of this.#directions) direction.handleHeal()
    })
  }

  /** The port as one process sees it. */
  networkOf(host: StreamHost): StreamNetwork {
    this.#hosts.set(host.hostName, host.process.host)
    return {
      listen: async (address, onStream) => this.#listen(host, address, onStream),
      dial: (address, options) => this.#dial(host, address, options),
      pipe: (address, deadline) =>
        this.#reach(host, address, { expectedNodeId: null, deadline, isPipe: true })
    }
  }

  #listen(
    host: StreamHost,
    wanted: Address,
    onStream: (stream: ByteStream) => void
  ): StreamListener {
    const address = wanted.endsWith(':0') ? `${wanted.slice(0, -1)}${this.#portCounter++}` : wanted
    if (this.#listening.has(address)) throw new ListenFailedError(`${address} is taken`)
    const { process, identity, certificate = null } = host
    const listening = { process, identity, certificate, onStream }
    this.#listening.set(address, listening)
    const release = () => {
      if (this.#listening.get(address) === listening) this.#listening.delete(address)
    }
    process.onExit(release)
    return {
      address,
      async close() {
        release()
      }
    }
  }

  #dial(host: StreamHost, address: Address, options: DialOptions): Promise<ByteStream> {
    const { through } = options
    return through === undefined
      ? this.#reach(host, address, options)
      : this.#dialThrough(through, host, address, options)
  }

  #dialThrough(
    pipe: BytePipe,
    host: StreamHost,
    address: Address,
    { deadline, expectedNodeId }: DialOptions
  ): Promise<ByteStream> {
    return new Promise((resolve, reject) => {
      const give = (error: Error) => {
        timer.cancel()
        pipe.destroy()
        reject(error)
      }
      const timer = host.clock.schedule(deadline, () =>
        give(new DialFailedError(`dialling ${address} through a relay: deadline passed`))
      )
      nameOver(pipe, namedOf(host), address, (stream) => {
        if (stream === null) return give(new DialFailedError(`dialling ${address}: closed`))
        if (isOther(stream.peer, host.identity, expectedNodeId)) {
          return give(new PeerIdentityError(`${address} is ${JSON.stringify(stream.peer)}`))
        }
        timer.cancel()
        resolve(stream)
      })
    })
  }

  #reach(host: StreamHost, address: Address, options: ReachOptions): Promise<ByteStream> {
    return new Promise((resolve, reject) => {
      const attempt: DialAttempt = { isOver: false, resolve, reject }
      const timer = host.clock.schedule(options.deadline, () => {
        fail(attempt, new DialFailedError(`dialling ${address}: deadline passed`))
      })
      const over = () => timer.cancel()
      const after = this.#links.latencyMs()
      this.#time.post(this.#time.now + after, 'stream.dial', null, () => {
        this.#arrive({ host, address, options, attempt, over })
      })
    })
  }

  /** The dial reaches the other host, or nothing does. */
  #arrive(dial: Dial): void {
    const { host, address, attempt } = dial
    const target = this.#hosts.get(address.slice(0, address.lastIndexOf(':')))
    if (target !== undefined && this.#links.meetCut(host.process.host, target)) return
    const listening = this.#listening.get(address)
    if (listening === undefined) {
      this.#backAtDialler(dial, target, () => {
        fail(attempt, new DialFailedError(`dialling ${address}: refused`))
      })
      return
    }
    this.#time.post(this.#time.now, 'stream.accept', listening.process, () => {
      if (this.#listening.get(address) === listening && !attempt.isOver) {
        this.#accept(dial, listening)
      }
    })
  }

  #accept(dial: Dial, listening: Listening): void {
    const { host, address, options, attempt } = dial
    const { identity } = listening
    if (isOther(identity, host.identity, options.expectedNodeId)) {
      this.#backAtDialler(dial, listening.process.host, () => {
        fail(attempt, new PeerIdentityError(`${address} is ${JSON.stringify(identity)}`))
      })
      return
    }
    const from = `${host.hostName}:${this.#portCounter++}`
    const near = new SimulatedStream(this.#time, host.process, listening, address)
    const far = new SimulatedStream(this.#time, listening.process, host, from)
    this.#connect(near, far)
    if (options.isPipe === true) this.#askName(far, listening, from)
    else listening.onStream(far)
    this.#backAtDialler(dial, listening.process.host, () => {
      if (attempt.isOver) near.destroy()
      else {
        attempt.isOver = true
        attempt.resolve(near)
      }
    })
  }

  /** Whoever comes by a pipe has not said who it is. */
  #askName(far: SimulatedStream, { identity, certificate, onStream }: Listening, from: Address) {
    nameOver(far, { identity, certificate }, from, (stream) => {
      if (stream === null) return
      if (stream.peer.clusterName === identity.clusterName) onStream(stream)
      else stream.destroy()
    })
  }

  #backAtDialler(dial: Dial, from: number | undefined, run: () => void): void {
    const { process } = dial.host
    this.#time.post(this.#time.now + this.#links.latencyMs(), 'stream.answer', null, () => {
      if (from !== undefined && this.#links.meetCut(from, process.host)) return
      this.#time.post(this.#time.now, 'stream.dialled', process, () => {
        dial.over()
        run()
      })
    })
  }

  #connect(a: SimulatedStream, b: SimulatedStream): void {
    const there = new Direction(this.#time, this.#links, a, b)
    const back = new Direction(this.#time, this.#links, b, a)
    for (const direction of [there, back]) this.#directions.add(direction)
    const forget = () => {
      this.#directions.delete(there)
      this.#directions.delete(back)
    }
    let open = 2
    const onGone = () => {
      if (--open === 0) forget()
    }
    a.connect(there, onGone)
    b.connect(back, onGone)
  }
}

interface ReachOptions extends DialOptions {
  /** The other end is not told who comes. */
  readonly isPipe?: boolean
}

const namedOf = (host: StreamHost) => ({
  identity: host.identity,
  certificate: host.certificate ?? null
})

const isOther = (found: PeerIdentity, self: PeerIdentity, expected: NodeId | null): boolean =>
  found.kind !== 'node' ||
  found.clusterName !== self.clusterName ||
  (expected !== null && expected !== found.nodeId)

interface DialAttempt {
  isOver: boolean
  readonly resolve: (stream: ByteStream) => void
  readonly reject: (error: Error) => void
}

interface Dial {
  readonly host: StreamHost
  readonly address: Address
  readonly options: ReachOptions
  readonly attempt: DialAttempt
  readonly over: () => void
}

function fail(attempt: DialAttempt, error: Error): void {
  if (attempt.isOver) return
  attempt.isOver = true
  attempt.reject(error)
}

type Segment =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'fin' }
  | { readonly kind: 'reset' }

/** One way of a stream: segments travel in order, each as late as its link makes it. */
class Direction {
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

class SimulatedStream implements ByteStream {
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

  constructor(
    time: VirtualTime,
    process: SimulatedProcess,
    other: { readonly identity: PeerIdentity; readonly certificate?: PeerCertificate | null },
    remoteAddress: Address
  ) {
    this.#time = time
    this.process = process
    this.peer = other.identity
    this.certificate = other.certificate ?? null
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

  attach(handlers: StreamHandlers): void {
    assert(this.#handlers === null, 'a stream is attached once')
    this.#handlers = handlers
    for (const segment of this.#inbox.splice(0)) {
      this.#time.post(this.#time.now, 'stream.inbox', this.process, () =>
        this.handleSegment(segment)
      )
    }
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isClosed || this.#isEnding || !this.process.alive || this.#out === null) return false
    this.#time.trace.bytes(chunk)
    if (chunk.length > 0) this.#out.send({ kind: 'data', bytes: chunk })
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
