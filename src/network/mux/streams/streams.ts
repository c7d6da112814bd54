/**
 * Byte streams within one connection: opened without a round trip, each with a window of its own
 * and all with one of the connection, counted in bytes. After yamux and HTTP/2, with the lesson
 * of the latter's rapid resets.
 *
 * Invariants:
 * 1. Bytes of a stream arrive in order, once, and before its end.
 * 2. A stream has at most `streamFramesQueuedMax` frames in the send queue, so that neither the
 * messages of its priority nor other streams wait for more of it than that.
 * 3. What is received and not read is never more than the windows.
 * 4. A stream ends once: both ends said everything, one of them reset it, or the connection is
 * over. A reset is answered by an end that had not finished, so that the other knows when nothing
 * of the stream is on its way any more.
 * 5. This end never provokes the peer's flood limits: a stream is opened only when its reset
 * would be within them.
 *
 * Owner's duties: `pump` after frames have left; `handleTimeout` at `nextDeadline()`; read or
 * reset every stream that was opened.
 */

import { assert } from '../../../core/assert.js'
import { after, NEVER } from '../../../core/deadlines.js'
import type { SkeinError } from '../../../core/errors.js'
import type { MonotonicMs, WallMs } from '../../../core/ids.js'
import type { Priority } from '../../../core/ports/messenger.js'
import type { TellQueue } from '../../../core/tell-queue.js'
import type { AssembledMessage, MessageDeclaration } from '../../../wire/index.js'
import {
  type StreamResetReason,
  streamData,
  streamDataBytesMax,
  streamEnd,
  streamOpen,
  streamReset,
  streamWindow
} from './messages.js'
import { MuxStream, type QueuedFrame, SendStates } from './mux-stream.js'
import type { StreamLimits } from './stream-limits.js'
import { StreamReceiver } from './stream-receiver.js'
import { resetError, type StreamParts, StreamTable } from './stream-table.js'

/** Frames of one stream in the send queue. */
export const streamFramesQueuedMax = 4
/** Writes to one stream that wait for credit. */
export const streamWritesPendingMax = 64

export class Streams<Ticket> {
  readonly #table: StreamTable<Ticket>
  readonly #receiver: StreamReceiver<Ticket>
  readonly #parts: StreamParts<Ticket>
  readonly #limits: StreamLimits
  /** Streams that may have something to send, in the order of their turns. */
  #ready = new Set<MuxStream>()
  /** Streams with received bytes; some may be closed already. */
  readonly #unread = new Set<MuxStream>()
  /** No stream is given up before; looked at again when it passes. */
  #checkAt: MonotonicMs = NEVER
  #now = 0 as MonotonicMs
  #isFinished = false

  constructor(parts: StreamParts<Ticket>, limits: StreamLimits, isDialer: boolean) {
    this.#parts = parts
    this.#limits = limits
    this.#table = new StreamTable(parts, limits, isDialer)
    this.#receiver = new StreamReceiver(this.#table)
  }

  get size(): number {
    return this.#table.live.size
  }

  /** The peer speaks: what its connection's window is beyond what every peer takes for granted. */
  handleOpened(wallNow: WallMs): void {
    const increment = this.#table.receiveCredit.takeGrant()
    if (increment > 0) this.#parts.sender.window(0, increment, wallNow)
  }

  /** Whether this end may open one more. */
  hasRoom(now: MonotonicMs): boolean {
    const { unsettled, ourResets } = this.#table
    return !this.isFull && ourResets.hasRoom(now, unsettled + 1)
  }

  /** As many as the connection carries; else what is missing is time. */
  get isFull(): boolean {
    return this.#table.ours >= this.#limits.streamsPerConnectionMax
  }

  open(name: string, priority: Priority, wallNow: WallMs): MuxStream {
    const windowBytes = this.#limits.streamWindowBytes
    const id = this.#table.nextId()
    const stream = new MuxStream({ id, name, priority, isOurs: true, windowBytes })
    this.#table.add(stream)
    this.#parts.counters.add('streams_opened')
    this.#queue(stream, streamOpen, { name }, { stream, payloadBytes: 0, isEnd: false }, wallNow)
    return stream
  }

  /**
   * Takes over the bytes; they must not change any more. True: they
   * have; false: `streamDrained` will tell.
   */
  write(stream: MuxStream, bytes: Uint8Array, now: MonotonicMs, wallNow: WallMs): boolean {
    assert(stream.sendState === SendStates.Open && !stream.isClosed, 'write to an ended stream')
    assert(stream.pendingWrites < streamWritesPendingMax, 'more writes than may wait')
    this.#now = now
    stream.push(bytes)
    if (stream.pendingBytes === 0) return true
    this.#ready.add(stream)
    this.pump(wallNow)
    return stream.pendingBytes === 0
  }

  /** Nothing more will be written; what waits still leaves. */
  end(stream: MuxStream, wallNow: WallMs): void {
    if (stream.isClosed || stream.sendState !== SendStates.Open) return
    stream.sendState = SendStates.Ending
    this.#ready.add(stream)
    this.pump(wallNow)
  }

  /** Gives the stream up in both directions; what was received and not read is dropped. */
  reset(
    stream: MuxStream,
    reason: StreamResetReason,
    message: string,
    now: MonotonicMs,
    wallNow: WallMs
  ): void {
    this.#unread.delete(stream)
    if (this.#isFinished) return
    if (stream.isClosed) {
      this.#table.discard(stream, wallNow)
      if (stream.isTruncated) stream.error ??= resetError(reason, message)
      return
    }
    this.#table.reset(stream, reason, message, now, wallNow)
    this.#ready.delete(stream)
  }

  /** The next bytes, to whoever reads; null: none now. */
  read(stream: MuxStream, now: MonotonicMs, wallNow: WallMs): Uint8Array | null {
    const bytes = stream.received.shift()
    if (bytes === null || this.#isFinished) return bytes
    this.#now = now
    this.#table.consume(bytes.length, wallNow)
    const increment = stream.receiveCredit.consume(bytes.length)
    if (increment > 0 && !stream.isClosed && !stream.isReceiveEnded) {
      this.#parts.sender.window(stream.id, increment, wallNow)
    }
    if (stream.received.sizeBytes === 0) {
      this.#unread.delete(stream)
      stream.unreadAt = NEVER
    } else this.#watch(stream)
    return bytes
  }

  /** @throws ProtocolError */
  handle(message: AssembledMessage, isUsable: boolean, now: MonotonicMs, wallNow: WallMs): void {
    this.#now = now
    switch (message.header.type) {
      case streamOpen.number:
        this.#receiver.handleOpen(message, isUsable, now, wallNow)
        return
      case streamData.number: {
        const stream = this.#receiver.handleData(message, now, wallNow)
        if (stream === null || this.#unread.has(stream)) return
        this.#unread.add(stream)
        this.#watch(stream)
        return
      }
      case streamWindow.number:
        this.#handleGrant(this.#receiver.handleWindow(message, now), wallNow)
        return
      case streamEnd.number:
        this.#receiver.handleEnd(message, now)
        return
      case streamReset.number:
        this.#receiver.handleReset(message, now, wallNow)
        return
      default:
    }
  }

  /** A frame has left the send queue. */
  handleLeft(frame: QueuedFrame): void {
    const { stream } = frame
    stream.queued.shift()
    stream.hasOpenLeft = true
    this.#parts.counters.add('stream_bytes_sent', frame.payloadBytes)
    if (!frame.isEnd) {
      if (stream.hasSomethingToSay) this.#ready.add(stream)
      return
    }
    stream.sendState = SendStates.Ended
    if (stream.isReceiveEnded) this.#table.close(stream, null)
  }

  /** Fills the send queue up, one frame of each stream at a time. */
  pump(wallNow: WallMs): void {
    while (this.#ready.size > 0) {
      const turn = this.#ready
      this.#ready = new Set()
      for (const stream of turn) {
        const hadPending = stream.pendingBytes > 0
        if (this.#queueNext(stream, wallNow)) this.#ready.add(stream)
        if (hadPending && stream.pendingBytes === 0)
          this.#parts.emit({ kind: 'streamDrained', stream })
      }
    }
  }

  handleTimeout(now: MonotonicMs, wallNow: WallMs): void {
    this.#now = now
    if (now < this.#checkAt) return
    this.#checkAt = NEVER
    for (const stream of [...this.#table.live.values(), ...this.#unread]) {
      const { stalledAt, unreadAt } = stream
      const due = Math.min(stalledAt, unreadAt) as MonotonicMs
      if (now >= due) {
        const waited = this.#limits.streamStallTimeoutMs
        const what = now >= stalledAt ? 'the peer gave no credit' : 'nobody read'
        this.reset(stream, 'stalled', `${what} within ${waited} ms`, now, wallNow)
      } else if (due < this.#checkAt) this.#checkAt = due
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#checkAt
  }

  tellQueues(tell: TellQueue): void {
    this.#table.tellQueues(tell)
    for (const stream of this.#table.live.values()) {
      tell('streamWritesPendingMax', stream.pendingWrites, streamWritesPendingMax)
      tell('streamFramesQueuedMax', stream.queued.length, streamFramesQueuedMax + 2)
    }
  }

  /** The connection is over. */
  finish(error: SkeinError): void {
    this.#isFinished = true
    const live = [...this.#table.live.values()].sort((a, b) => a.id - b.id)
    for (const stream of live) this.#table.close(stream, error)
    this.#ready.clear()
    this.#unread.clear()
    this.#checkAt = NEVER
  }

  #handleGrant(granted: MuxStream | 'all' | null, wallNow: WallMs): void {
    if (granted === null) return
    const streams = granted === 'all' ? this.#table.live.values() : [granted]
    for (const stream of streams) if (stream.hasSomethingToSay) this.#ready.add(stream)
    this.pump(wallNow)
  }

  /** Puts one frame of the stream into the send queue. True: it may have another one. */
  #queueNext(stream: MuxStream, wallNow: WallMs): boolean {
    if (stream.isClosed || stream.queued.length >= streamFramesQueuedMax) return false
    if (stream.pendingBytes === 0) {
      if (stream.sendState === SendStates.Ending) {
        stream.sendState = SendStates.EndQueued
        this.#queue(stream, streamEnd, {}, { stream, payloadBytes: 0, isEnd: true }, wallNow)
      }
      return false
    }
    const { sendCredit } = this.#table
    const credit = Math.min(stream.sendCredit.bytes, sendCredit.bytes)
    const count = Math.min(stream.pendingBytes, streamDataBytesMax, credit)
    if (count === 0) {
      if (stream.queued.length === 0) this.#watchCredit(stream)
      return false
    }
    stream.sendCredit.take(count)
    sendCredit.take(count)
    stream.stalledAt = NEVER
    const frame = { stream, payloadBytes: count, isEnd: false }
    stream.queued.push(this.#parts.sender.queueData(stream.take(count), frame, wallNow))
    return true
  }

  #queue<Body>(
    stream: MuxStream,
    declaration: MessageDeclaration<Body>,
    body: Body,
    frame: QueuedFrame,
    wallNow: WallMs
  ): void {
    stream.queued.push(this.#parts.sender.queueFrame(declaration, body, frame, wallNow))
  }

  #watchCredit(stream: MuxStream): void {
    if (stream.stalledAt !== NEVER) return
    stream.stalledAt = after(this.#now, this.#limits.streamStallTimeoutMs)
    if (stream.stalledAt < this.#checkAt) this.#checkAt = stream.stalledAt
  }

  #watch(stream: MuxStream): void {
    stream.unreadAt = after(this.#now, this.#limits.streamStallTimeoutMs)
    if (stream.unreadAt < this.#checkAt) this.#checkAt = stream.unreadAt
  }
}
