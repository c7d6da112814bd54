import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import {
  CancelledError,
  ConnectionLostError,
  type ErrorFacts,
  type SkeinError
} from '../../core/errors.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Priority } from '../../core/ports/messenger.js'
import type {
  Address,
  ByteStream,
  PeerCertificate,
  PeerIdentity,
  StreamEnd
} from '../../core/ports/stream-network.js'
import type { DeliveryTag, MessageDeclaration, RequestDeclaration } from '../../wire/index.js'
import type { GoAwayReason } from '../mux/messages.js'
import type { MuxEvent, PeerFacts } from '../mux/mux-events.js'
import { Muxer } from '../mux/muxer.js'
import type { MuxerComponents, MuxerOptions } from '../mux/muxer-options.js'
import type { PendingRequest } from '../mux/outgoing.js'
import type { Dispatch } from '../mux/requester.js'
import type { StreamResetReason } from '../mux/streams/messages.js'
import type { MuxStream } from '../mux/streams/mux-stream.js'

/** From here on a write to the stream is long enough: another frame would make a record more. */
const writeSizeBytes = 60 * 1024
/** How long a connection that is over may take to deliver its last words. */
const closeLingerMs = 1_000

/** Who waits for a request. */
export interface Waiter {
  resolve(body: unknown): void
  reject(error: SkeinError): void
}

export type InboundMessage = Extract<MuxEvent<Waiter>, { kind: 'message' }>
export type UnauthorizedAttempt = Extract<MuxEvent<Waiter>, { kind: 'unauthorized' }>
export type InboundRequest = Extract<MuxEvent<Waiter>, { kind: 'request' }>

/** What a connection tells its owner; called synchronously, in order. */
export interface ConnectionHandlers {
  onOpened(connection: Connection, facts: PeerFacts): void
  onMessage(connection: Connection, message: InboundMessage): void
  onRequest(connection: Connection, request: InboundRequest): void
  onUndeliverable(connection: Connection, delivery: DeliveryTag, error: SkeinError): void
  onCancelled(connection: Connection, id: number): void
  onRejected(connection: Connection, error: SkeinError): void
  onUnauthorized(connection: Connection, attempt: UnauthorizedAttempt): void
  onGoAway(connection: Connection, reason: GoAwayReason): void
  /** The peer opened a stream; nobody has it yet. */
  onStreamOpened(connection: Connection, stream: MuxStream): void
  onStreamClosed(connection: Connection): void
  /** Once, last. Null: in peace. */
  onDone(connection: Connection, error: SkeinError | null): void
}

/**
 * Drives one muxer over one stream: the frames of a turn leave in one write, when the turn
 * ends.
 */
export class Connection {
  readonly isDialer: boolean
  readonly muxer: Muxer<Waiter>
  /** What is being served for the peer, to tell it when nobody waits any more. */
  readonly serving = new Map<number, { abort(): void }>()
  readonly #clock: Clock
  readonly #handlers: ConnectionHandlers
  readonly #timer: DeadlineTimer
  readonly #components: MuxerComponents
  #stream: ByteStream | null = null
  #peer: PeerIdentity | null = null
  #certificate: PeerCertificate | null = null
  #lastHeardAt = Number.NEGATIVE_INFINITY as MonotonicMs
  #remoteAddress: Address = ''
  #facts: PeerFacts | null = null
  #isFlushScheduled = false
  #bytesSent = 0
  #bytesReceived = 0
  #isBlocked = false
  #isDraining = false
  #isEnded = false

  constructor(
    components: MuxerComponents & { readonly clock: Clock },
    options: MuxerOptions,
    handlers: ConnectionHandlers
  ) {
    this.isDialer = options.isDialer
    this.#components = components
    this.#clock = components.clock
    this.#handlers = handlers
    this.muxer = new Muxer(components, options)
    this.#timer = new DeadlineTimer(components.clock, (now) => {
      if (this.muxer.isDone) this.#stream?.destroy()
      this.muxer.handleTimeout(now, this.#clock.wallNow())
      this.settle()
    })
  }

  /** Known from the moment the stream exists, and beyond its end. */
  get peer(): PeerIdentity | null {
    return this.#peer
  }

  get remoteAddress(): Address {
    return this.#remoteAddress
  }

  /** What the stream carried, beside all connections' counters. */
  get traffic(): { readonly bytesSent: number; readonly bytesReceived: number } {
    return { bytesSent: this.#bytesSent, bytesReceived: this.#bytesReceived }
  }

  /** What proved the peer's name; null: nothing did, or there is no stream yet. */
  get certificate(): PeerCertificate | null {
    return this.#certificate
  }

  /** When the last bytes came. */
  get lastHeardAt(): MonotonicMs {
    return this.#lastHeardAt
  }

  /** Those that it counts in. */
  get counters(): MuxerComponents['counters'] {
    return this.#components.counters
  }

  /** Set once it is open. */
  get facts(): PeerFacts | null {
    return this.#facts
  }

  attach(stream: ByteStream): void {
    this.#stream = stream
    this.#peer = stream.peer
    this.#certificate = stream.certificate
    this.#remoteAddress = stream.remoteAddress
    this.muxer.attach(stream.peer, this.#clock.now(), this.#clock.wallNow())
    stream.attach({
      onData: (chunk) => this.#handleData(chunk),
      onDrain: () => {
        this.#isBlocked = false
        this.#flush()
      },
      onClose: (end, cause) => this.#handleClose(end, cause)
    })
    this.settle()
  }

  send<Body>(declaration: MessageDeclaration<Body>, body: Body, dispatch: Dispatch): boolean {
    const queued = this.muxer.send(declaration, body, dispatch, this.#clock.wallNow())
    if (queued && this.muxer.isOpen) this.#scheduleFlush()
    return queued
  }

  /** @throws NotSentError, BackpressureError, MessageTooLargeError */
  request<Body>(
    declaration: RequestDeclaration<Body, unknown>,
    body: Body,
    dispatch: Dispatch & { readonly deadline: MonotonicMs },
    waiter: Waiter
  ): PendingRequest<Waiter> {
    const now = this.#clock.now()
    const wallNow = this.#clock.wallNow()
    const request = this.muxer.request(declaration, body, dispatch, waiter, now, wallNow)
    this.#components.counters.add('requests_sent')
    this.#timer.arm(this.muxer.nextDeadline())
    if (this.muxer.isOpen) this.#scheduleFlush()
    return request
  }

  /** The waiter is rejected, if the request had not ended. */
  cancel(request: PendingRequest<Waiter>): boolean {
    if (!this.muxer.cancel(request, this.#clock.wallNow())) return false
    this.#components.counters.add('requests_cancelled')
    request.ticket.reject(new CancelledError('the caller cancelled the request'))
    this.settle()
    return true
  }

  answer(id: number, body: unknown): void {
    this.muxer.answer(id, body, this.#clock.wallNow())
    // The flush of this turn settles for all of its answers.
    if (!this.#isFlushScheduled) this.settle()
  }

  answerError(id: number, facts: ErrorFacts): void {
    this.muxer.answerError(id, facts, this.#clock.wallNow())
    this.settle()
  }

  /** Tells the sender of a one-way message why nothing was done with it. */
  reject(message: InboundMessage, error: SkeinError): void {
    this.muxer.reject(message.id, error, this.#clock.wallNow())
    this.settle()
  }

  openStream(name: string, priority: Priority): MuxStream {
    const stream = this.muxer.streams.open(name, priority, this.#clock.wallNow())
    this.settle()
    return stream
  }

  /** True: taken; false: the stream's sink will be told. */
  writeStream(stream: MuxStream, bytes: Uint8Array): boolean {
    const taken = this.muxer.streams.write(stream, bytes, this.#clock.now(), this.#clock.wallNow())
    this.settle()
    return taken
  }

  readStream(stream: MuxStream): Uint8Array | null {
    const bytes = this.muxer.streams.read(stream, this.#clock.now(), this.#clock.wallNow())
    if (bytes !== null && this.muxer.hasOutput) this.#scheduleFlush()
    return bytes
  }

  endStream(stream: MuxStream): void {
    this.muxer.streams.end(stream, this.#clock.wallNow())
    this.settle()
  }

  resetStream(stream: MuxStream, reason: StreamResetReason, message: string): void {
    const { streams } = this.muxer
    streams.reset(stream, reason, message, this.#clock.now(), this.#clock.wallNow())
    this.settle()
  }

  retire(reason: GoAwayReason): void {
    this.muxer.retire(reason, this.#clock.now())
    this.settle()
  }

  abort(error: SkeinError): void {
    this.muxer.abort(error)
    this.settle()
  }

  /** The peer is not to be heard or told anything any more. */
  cut(error: SkeinError): void {
    const stream = this.#stream
    this.#isEnded = true
    this.abort(error)
    stream?.destroy()
  }

  /** What `from` had not sent goes on here. */
  adoptUnsent(from: Connection): void {
    const unsent = from.muxer.takeUnsent()
    this.muxer.adopt(unsent)
    this.settle()
  }

  /** Hands out events, arms the timer, and sends at the end of the turn. */
  settle(): void {
    if (!this.#isDraining) {
      this.#isDraining = true
      for (let events = this.muxer.drain(); events.length > 0; events = this.muxer.drain()) {
        for (const event of events) this.#deliver(event)
      }
      this.#isDraining = false
    }
    if (!this.muxer.isDone) this.#timer.arm(this.muxer.nextDeadline())
    if (this.muxer.hasOutput || this.muxer.isDone) this.#scheduleFlush()
  }

  #handleData(chunk: Uint8Array): void {
    this.#components.counters.add('bytes_received', chunk.length)
    this.#bytesReceived += chunk.length
    this.#lastHeardAt = this.#clock.now()
    this.muxer.receive(chunk, this.#lastHeardAt, this.#clock.wallNow())
    this.settle()
  }

  #handleClose(end: StreamEnd, cause?: Error): void {
    const options = cause === undefined ? {} : { cause }
    this.#stream = null
    this.#timer.stop()
    this.muxer.handleStreamClosed(new ConnectionLostError(`stream ended: ${end}`, options))
    this.settle()
  }

  #scheduleFlush(): void {
    if (this.#isFlushScheduled || this.#stream === null || this.#isEnded) return
    if (this.#isBlocked && !this.muxer.isDone) return
    this.#isFlushScheduled = true
    if (this.#stream.afterTurn === undefined) queueMicrotask(this.#flushScheduled)
    else this.#stream.afterTurn(this.#flushScheduled)
  }

  readonly #flushScheduled = (): void => {
    this.#isFlushScheduled = false
    this.#flush()
  }

  #flush(): void {
    const stream = this.#stream
    if (stream === null || this.#isEnded) return
    while (!this.#isBlocked || this.muxer.isDone) {
      const slice = this.muxer.pullSlice(writeSizeBytes, this.#clock.wallNow())
      if (slice === null) break
      const { bytes, release } = slice
      this.#isBlocked = !stream.write(bytes, release)
      this.#bytesSent += bytes.length
      this.#components.counters.add('bytes_sent', bytes.length)
    }
    if (this.muxer.isDone) {
      this.#isEnded = true
      this.#timer.arm(after(this.#clock.now(), closeLingerMs))
      stream.end()
    }
    this.settle()
  }

  #deliver(event: MuxEvent<Waiter>): void {
    switch (event.kind) {
      case 'answered':
        event.ticket.resolve(event.body)
        return
      case 'failed':
        event.ticket.reject(event.error)
        return
      case 'message':
        this.#handlers.onMessage(this, event)
        return
      case 'request':
        this.#handlers.onRequest(this, event)
        return
      case 'opened':
        this.#facts = event.facts
        this.#handlers.onOpened(this, event.facts)
        return
      case 'undeliverable':
        this.#handlers.onUndeliverable(this, event.delivery, event.error)
        return
      case 'cancelled':
        this.#handlers.onCancelled(this, event.id)
        return
      case 'rejected':
        this.#handlers.onRejected(this, event.error)
        return
      case 'unauthorized':
        this.#handlers.onUnauthorized(this, event)
        return
      case 'goAway':
        this.#handlers.onGoAway(this, event.reason)
        return
      case 'streamOpened':
        this.#handlers.onStreamOpened(this, event.stream)
        return
      case 'streamReadable':
        event.stream.sink?.onReadable()
        return
      case 'streamDrained':
        event.stream.sink?.onDrained()
        return
      case 'streamClosed':
        event.stream.sink?.onClosed(event.stream.error)
        this.#handlers.onStreamClosed(this)
        return
      case 'done':
        if (this.#stream === null) this.#timer.stop()
        this.#handlers.onDone(this, event.error)
    }
  }
}
