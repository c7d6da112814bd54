import { must } from '../../../core/assert.js'
import { ProtocolError, type SkeinError, StreamResetError } from '../../../core/errors.js'
import type { MonotonicMs, WallMs } from '../../../core/ids.js'
import type { TellQueue } from '../../../core/tell-queue.js'
import type { BodyReader } from '../body-reader.js'
import type { MuxEvent } from '../mux-events.js'
import type { Sender } from '../sender.js'
import type { TransportCounters } from '../transport-counters.js'
import { ReceiveCredit, SendCredit } from './credit.js'
import { FloodMeter } from './flood-meter.js'
import { connectionWindowBytesInitial, type StreamResetReason, streamReset } from './messages.js'
import type { MuxStream } from './mux-stream.js'
import type { StreamLimits } from './stream-limits.js'

/** Resets of one connection, each way: a sender stays below them, a receiver closes above. */
const streamResetsPerSecondMax = 100
const streamResetsPerMinuteMax = 1_000
export const streamResetLimits = {
  perSecondMax: streamResetsPerSecondMax,
  perMinuteMax: streamResetsPerMinuteMax
}
/** Resets that the peer has not answered; beyond it the connection is closed. */
export const streamTombstonesMax = 1_024

export interface StreamParts<Ticket> {
  readonly sender: Sender<Ticket>
  readonly bodies: BodyReader
  readonly counters: TransportCounters
  readonly emit: (event: MuxEvent<Ticket>) => void
  /** Gives the connection up. */
  readonly fail: (error: SkeinError, wallNow: WallMs) => void
}

/** The streams of one connection, and what they have in common. */
export class StreamTable<Ticket> {
  readonly parts: StreamParts<Ticket>
  readonly limits: StreamLimits
  readonly isDialer: boolean
  readonly live = new Map<number, MuxStream>()
  /** Streams that this end reset, and whose peer has not said its last word. */
  readonly tombstones = new Set<number>()
  readonly sendCredit = new SendCredit(connectionWindowBytesInitial)
  readonly receiveCredit: ReceiveCredit
  /** Streams of this end that were reset. */
  readonly ourResets = new FloodMeter(streamResetLimits)
  #ours = 0
  #lastOurs = 0
  #lastTheirs = 0
  #oursReset = 0

  constructor(parts: StreamParts<Ticket>, limits: StreamLimits, isDialer: boolean) {
    this.parts = parts
    this.limits = limits
    this.isDialer = isDialer
    const windowBytes = limits.streamConnectionWindowBytes
    this.receiveCredit = new ReceiveCredit(windowBytes, connectionWindowBytesInitial)
  }

  get ours(): number {
    return this.#ours
  }

  get theirs(): number {
    return this.live.size - this.#ours
  }

  /** Streams of this end that live, or were reset without an answer yet. */
  get unsettled(): number {
    return this.#ours + this.#oursReset
  }

  tellQueues(tell: TellQueue): void {
    const { streamsPerConnectionMax } = this.limits
    tell('transport.streamsPerConnectionMax', this.#ours, streamsPerConnectionMax)
    tell('transport.streamsPerConnectionMax', this.theirs, streamsPerConnectionMax)
    tell('streamTombstonesMax', this.tombstones.size, streamTombstonesMax)
  }

  /** The number of a new stream of this end. */
  nextId(): number {
    this.#lastOurs += this.#lastOurs === 0 ? (this.isDialer ? 1 : 2) : 2
    return this.#lastOurs
  }

  /** @throws ProtocolError for a number that the peer may not choose now */
  takeTheirId(id: number): void {
    if (id === 0 || (id % 2 === 1) === this.isDialer) {
      throw new ProtocolError(`stream ${id} is not the peer's to open`)
    }
    if (id <= this.#lastTheirs) throw new ProtocolError(`stream ${id} was opened before`)
    this.#lastTheirs = id
  }

  wasOpened(id: number): boolean {
    const isOurs = (id % 2 === 1) === this.isDialer
    return id > 0 && id <= (isOurs ? this.#lastOurs : this.#lastTheirs)
  }

  add(stream: MuxStream): void {
    this.live.set(stream.id, stream)
    if (stream.isOurs) this.#ours++
    this.parts.counters.add('streams_active')
  }

  /** The stream is over; what it has in the send queue is taken back. */
  close(stream: MuxStream, error: SkeinError | null): void {
    if (!this.live.delete(stream.id)) return
    if (stream.isOurs) this.#ours--
    this.parts.counters.add('streams_active', -1)
    for (const outgoing of stream.queued) {
      outgoing.cancelled = true
      this.sendCredit.putBack(must(outgoing.frame, 'frame of a stream').payloadBytes)
    }
    stream.handleClosed(error)
    this.parts.emit({ kind: 'streamClosed', stream })
  }

  /** Ends a stream in both directions and tells the peer, if it knows of it. */
  reset(
    stream: MuxStream,
    reason: StreamResetReason,
    message: string,
    now: MonotonicMs,
    wallNow: WallMs
  ): void {
    this.parts.counters.add('streams_reset')
    if (stream.hasOpenLeft) {
      this.sayReset(stream.id, reason, message, wallNow)
      if (!stream.isReceiveEnded) this.#bury(stream.id, stream.isOurs, wallNow)
      else if (stream.isOurs) this.ourResets.count(now)
    }
    this.discard(stream, wallNow)
    this.close(stream, resetError(reason, message))
  }

  /** A stream of the peer that never began here. */
  refuse(id: number, reason: StreamResetReason, message: string, wallNow: WallMs): void {
    this.parts.counters.add('streams_refused')
    this.sayReset(id, reason, message, wallNow)
    this.#bury(id, false, wallNow)
  }

  /** The peer's last word on a stream that this end had reset. */
  exhume(id: number, now: MonotonicMs): boolean {
    if (!this.tombstones.delete(id)) return false
    if ((id % 2 === 1) === this.isDialer) {
      this.#oursReset--
      this.ourResets.count(now)
    }
    return true
  }

  sayReset(id: number, reason: StreamResetReason, message: string, wallNow: WallMs): void {
    const said = { reason, message: message.slice(0, 170) }
    if (this.parts.sender.control(streamReset, said, wallNow, id)) return
    const error = new ProtocolError('more streams are provoked than resets are read')
    this.parts.fail(error, wallNow)
  }

  /** Nobody reads what was received: the connection's window opens again. */
  discard(stream: MuxStream, wallNow: WallMs): void {
    const dropped = stream.received.clear()
    if (dropped === 0) return
    stream.isTruncated = true
    this.consume(dropped, wallNow)
  }

  consume(count: number, wallNow: WallMs): void {
    const increment = this.receiveCredit.consume(count)
    if (increment > 0) this.parts.sender.window(0, increment, wallNow)
  }

  #bury(id: number, isOurs: boolean, wallNow: WallMs): void {
    if (this.tombstones.size >= streamTombstonesMax) {
      const message = `${streamTombstonesMax} resets are not answered`
      this.parts.fail(new ProtocolError(message), wallNow)
      return
    }
    this.tombstones.add(id)
    if (isOurs) this.#oursReset++
  }
}

export const resetError = (reason: StreamResetReason, message: string): StreamResetError =>
  new StreamResetError(`${reason}: ${message}`, { details: { reason } })
