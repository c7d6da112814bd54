import { ProtocolError, type SkeinError, StreamResetError } from '../../../core/errors.js'
import type { MonotonicMs, WallMs } from '../../../core/ids.js'
import type { Priority } from '../../../core/ports/messenger.js'
import { type AssembledMessage, priorityOf } from '../../../wire/index.js'
import { FloodMeter } from './flood-meter.js'
import {
  streamData,
  streamDataBytesMax,
  streamEnd,
  streamOpen,
  streamReset,
  streamWindow
} from './messages.js'
import { MuxStream, SendStates } from './mux-stream.js'
import { type StreamTable, streamResetLimits } from './stream-table.js'

/** Frames that move nothing: data without bytes, windows that open by little. */
const idleStreamFramesPerSecondMax = 100
const idleStreamFramesPerMinuteMax = 1_000
const idleLimits = {
  perSecondMax: idleStreamFramesPerSecondMax,
  perMinuteMax: idleStreamFramesPerMinuteMax
}
/** No receiver of ours announces so little. */
const smallGrantBytes = 16 * 1024

/** What the peer's frames do to the streams of one connection. */
export class StreamReceiver<Ticket> {
  readonly #table: StreamTable<Ticket>
  /** Streams of the peer that came to nothing: reset by it, or refused here. */
  readonly #resets = new FloodMeter(streamResetLimits)
  readonly #idle = new FloodMeter(idleLimits)

  constructor(table: StreamTable<Ticket>) {
    this.#table = table
  }

  handleOpen(message: AssembledMessage, isUsable: boolean, now: MonotonicMs, wallNow: WallMs) {
    const { parts, limits, theirs } = this.#table
    const id = streamOf(message)
    const { name } = parts.bodies.read(message, streamOpen)
    this.#table.takeTheirId(id)
    if (!isUsable || theirs >= limits.streamsPerConnectionMax) {
      const reason = isUsable ? 'limit' : 'refused'
      this.#countReset(now)
      this.#table.refuse(id, reason, `${theirs} streams are open`, wallNow)
      return
    }
    const priority: Priority = priorityOf(message.header.flags)
    const windowBytes = limits.streamWindowBytes
    const stream = new MuxStream({ id, name, priority, isOurs: false, windowBytes })
    stream.hasOpenLeft = true
    this.#table.add(stream)
    parts.counters.add('streams_accepted')
    parts.emit({ kind: 'streamOpened', stream })
  }

  /** Answers the stream that has got bytes; null when nobody wants them. */
  handleData(message: AssembledMessage, now: MonotonicMs, wallNow: WallMs): MuxStream | null {
    const { live, tombstones, parts, receiveCredit } = this.#table
    const id = streamOf(message)
    const stream = live.get(id)
    const isBuried = stream === undefined && tombstones.has(id)
    if (!isBuried && (stream === undefined || stream.isReceiveEnded)) {
      throw new ProtocolError(`data on stream ${id}, which is not open`)
    }
    const bytes = parts.bodies.read(message, streamData)
    if (bytes.length === 0) this.#countIdle(now)
    if (bytes.length > streamDataBytesMax) {
      throw new ProtocolError(`${bytes.length} bytes of a stream in one frame`)
    }
    receiveCredit.receive(bytes.length)
    parts.counters.add('stream_bytes_received', bytes.length)
    if (stream === undefined) {
      this.#table.consume(bytes.length, wallNow)
      return null
    }
    stream.receiveCredit.receive(bytes.length)
    if (bytes.length === 0) return null
    const wasEmpty = stream.received.sizeBytes === 0
    stream.received.push(bytes)
    if (wasEmpty) parts.emit({ kind: 'streamReadable', stream })
    return stream
  }

  handleWindow(message: AssembledMessage, now: MonotonicMs): MuxStream | 'all' | null {
    const { live, parts, sendCredit } = this.#table
    const id = streamOf(message)
    const { increment } = parts.bodies.read(message, streamWindow)
    if (increment < smallGrantBytes) this.#countIdle(now)
    if (id === 0) {
      sendCredit.grant(increment)
      return 'all'
    }
    const stream = live.get(id)
    if (stream !== undefined) {
      stream.sendCredit.grant(increment)
      return stream
    }
    if (!this.#table.wasOpened(id)) throw new ProtocolError(`a window for stream ${id}`)
    if (increment === 0) throw new ProtocolError('a window is enlarged by nothing')
    return null
  }

  handleEnd(message: AssembledMessage, now: MonotonicMs): void {
    const { live, parts } = this.#table
    const id = streamOf(message)
    parts.bodies.read(message, streamEnd)
    if (this.#table.exhume(id, now)) return
    const stream = live.get(id)
    if (stream === undefined || stream.isReceiveEnded) {
      throw new ProtocolError(`the end of stream ${id}, which is not open`)
    }
    stream.isReceiveEnded = true
    parts.emit({ kind: 'streamReadable', stream })
    if (stream.sendState === SendStates.Ended) this.#table.close(stream, null)
  }

  handleReset(message: AssembledMessage, now: MonotonicMs, wallNow: WallMs): void {
    const { live, parts } = this.#table
    const id = streamOf(message)
    const { reason, message: said } = parts.bodies.read(message, streamReset)
    if (this.#table.exhume(id, now)) return
    const stream = live.get(id)
    if (stream === undefined && !this.#table.wasOpened(id)) {
      throw new ProtocolError(`a reset of stream ${id}, which was never opened`)
    }
    if (stream === undefined || !stream.isOurs) this.#countReset(now)
    if (stream === undefined) return
    parts.counters.add('streams_reset')
    if (stream.sendState !== SendStates.Ended) this.#table.sayReset(id, 'answered', '', wallNow)
    this.#table.discard(stream, wallNow)
    const error: SkeinError = new StreamResetError(`the peer reset the stream: ${reason} ${said}`, {
      details: { reason }
    })
    this.#table.close(stream, error)
  }

  #countReset(now: MonotonicMs): void {
    if (!this.#resets.count(now)) throw new ProtocolError('a flood of streams that are reset')
  }

  #countIdle(now: MonotonicMs): void {
    if (!this.#idle.count(now)) throw new ProtocolError('a flood of frames that move nothing')
  }
}

function streamOf(message: AssembledMessage): number {
  const id = message.extension?.stream
  if (id === undefined) throw new ProtocolError('a frame of a stream that names none')
  return id
}
