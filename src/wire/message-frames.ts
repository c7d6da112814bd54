/**
 * Messages to frames and back. A message whose frame would be longer than `frameSizeBytesMax`
 * travels as chunks: frames with the same type, message id and flags, of which all but the last
 * say `more-follows`, and the first alone carries the extension block. Chunks of one message
 * stay in order; frames of others may stand between them.
 */
import { must } from '../core/assert.js'
import { MessageTooLargeError, ProtocolError } from '../core/errors.js'
import { frameHeaderBytes, frameSizeBytesMax, messageSizeBytesMax } from '../core/limits.js'
import type { ByteWriter } from './byte-writer.js'
import type { Codec } from './codec.js'
import { type Extension, writeExtension } from './extension.js'
import { beginFrame, endFrame, type Frame, FrameFlags, type FrameHeader } from './frame.js'

/** What a writer must be able to hold behind its present length to take any message. */
export const encodedMessageRoomBytes = messageSizeBytesMax + 8 * 1024

/** Where the flags stand in a frame. */
const flagsOffset = 5

/** The compressed body; null: it travels as it is. The argument is a view on the writer's bytes. */
export type PackBody = (body: Uint8Array) => Uint8Array | null

/**
 * Appends the frames of one message. When it throws, the writer is as it was before.
 *
 * @throws MessageTooLargeError above `messageSizeBytesMax`
 */
export function encodeMessage<Body>(
  writer: ByteWriter,
  header: FrameHeader,
  extension: Extension | null,
  codec: Codec<Body>,
  body: Body,
  pack: PackBody | null = null
): void {
  const start = writer.length
  try {
    const flags = extension === null ? header.flags : header.flags | FrameFlags.Extension
    beginFrame(writer, header, flags)
    if (extension !== null) writeExtension(writer, extension)
    const bodyStart = writer.length
    codec.write(writer, body)
    const bodyLength = writer.length - bodyStart
    if (bodyLength > messageSizeBytesMax) {
      throw new MessageTooLargeError(
        `message of ${bodyLength} bytes, at most ${messageSizeBytesMax} allowed`
      )
    }
    const packed = pack?.(writer.peek().subarray(bodyStart)) ?? null
    if (packed !== null) {
      writer.truncate(bodyStart)
      writer.raw(packed)
      writer.patchU8(start + flagsOffset, flags | FrameFlags.Compressed)
    }
    if (writer.length - start <= frameSizeBytesMax) endFrame(writer, start)
    else {
      const chunkFlags = packed === null ? header.flags : header.flags | FrameFlags.Compressed
      splitIntoChunks(writer, { ...header, flags: chunkFlags }, start, bodyStart)
    }
  } catch (error) {
    writer.truncate(start)
    throw error
  }
}

/** In place: the later chunks move back, the last one first, and headers come between them. */
function splitIntoChunks(
  writer: ByteWriter,
  header: FrameHeader,
  start: number,
  bodyStart: number
): void {
  const end = writer.length
  const room = frameSizeBytesMax - frameHeaderBytes
  const firstEnd = start + frameSizeBytesMax
  const later = Math.ceil((end - firstEnd) / room)
  writer.skip(later * frameHeaderBytes)
  for (let i = later - 1; i >= 0; i--) {
    const from = firstEnd + i * room
    writer.move(from, Math.min(from + room, end), from + (i + 1) * frameHeaderBytes)
  }
  const whole = writer.length
  const firstFlags = bodyStart > start + frameHeaderBytes ? FrameFlags.Extension : 0
  for (let i = 0; i <= later; i++) {
    const at = start + i * frameSizeBytesMax
    const frameEnd = Math.min(at + frameSizeBytesMax, whole)
    const more = i < later ? FrameFlags.MoreFollows : 0
    writer.truncate(at)
    beginFrame(writer, header, header.flags | more | (i === 0 ? firstFlags : 0))
    writer.skip(frameEnd - at - frameHeaderBytes)
    endFrame(writer, at)
  }
}

/** A whole message: the first frame's header and extension, and the body of all frames. */
export interface AssembledMessage {
  readonly header: FrameHeader
  readonly extension: Extension | null
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

interface Partial {
  readonly header: FrameHeader
  readonly extension: Extension | null
  readonly chunks: Uint8Array[]
  sizeBytes: number
}

export interface ReassemblerLimits {
  /** Of one message. */
  readonly messageSizeBytesMax: number
  /** Of all half-received messages together. */
  readonly reassemblyBytesMax: number
  /** Half-received messages at a time. */
  readonly reassembliesMax: number
}

/** Puts chunked messages together; at each bound it throws, and the connection is closed. */
export class Reassembler {
  readonly #limits: ReassemblerLimits
  readonly #partials = new Map<number, Partial>()
  #sizeBytes = 0

  constructor(limits: ReassemblerLimits) {
    this.#limits = limits
  }

  /** Bytes of half-received messages. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /**
   * Takes a frame's body (from `bodyStart` to the frame's end); answers the message when it is
   * whole.
   *
   * @throws ProtocolError when a bound is passed or chunks contradict each other
   */
  add(frame: Frame, extension: Extension | null, bodyStart: number): AssembledMessage | null {
    const { bytes, end } = frame
    const key = keyOf(frame)
    const more = (frame.flags & FrameFlags.MoreFollows) !== 0
    const partial = this.#partials.size === 0 ? undefined : this.#partials.get(key)
    if (partial === undefined && !more) {
      return { header: frame, extension, bytes, start: bodyStart, end }
    }
    const known = partial ?? this.#begin(key, frame, extension)
    if (partial !== undefined) expectSameMessage(partial.header, frame)
    this.#append(known, bytes.subarray(bodyStart, end))
    return more ? null : this.#finish(key, known)
  }

  /**
   * Takes the first part of a frame's body: the others come by `continue`, one behind the other.
   *
   * @throws ProtocolError as `add` does
   */
  begin(frame: Frame, extension: Extension | null, bodyStart: number): void {
    const key = keyOf(frame)
    const partial = this.#partials.get(key)
    if (partial !== undefined) expectSameMessage(partial.header, frame)
    const known = partial ?? this.#begin(key, frame, extension)
    this.#append(known, frame.bytes.subarray(bodyStart, frame.end))
  }

  /** A later part of the frame that was begun; `isLast`: the frame ends here. */
  continue(frame: Frame, isLast: boolean): AssembledMessage | null {
    const key = keyOf(frame)
    const partial = must(this.#partials.get(key), 'the frame that was begun')
    this.#append(partial, frame.bytes.subarray(frame.start, frame.end))
    const more = !isLast || (frame.flags & FrameFlags.MoreFollows) !== 0
    return more ? null : this.#finish(key, partial)
  }

  #begin(key: number, frame: Frame, extension: Extension | null): Partial {
    if (this.#partials.size >= this.#limits.reassembliesMax) {
      throw new ProtocolError(`more than ${this.#limits.reassembliesMax} half-received messages`)
    }
    const partial = { header: frame, extension, chunks: [], sizeBytes: 0 }
    this.#partials.set(key, partial)
    return partial
  }

  #append(partial: Partial, chunk: Uint8Array): void {
    if (chunk.length === 0) throw new ProtocolError('empty chunk')
    partial.sizeBytes += chunk.length
    this.#sizeBytes += chunk.length
    if (partial.sizeBytes > this.#limits.messageSizeBytesMax) {
      throw new ProtocolError(`message above ${this.#limits.messageSizeBytesMax} bytes`)
    }
    if (this.#sizeBytes > this.#limits.reassemblyBytesMax) {
      throw new ProtocolError(
        `half-received messages above ${this.#limits.reassemblyBytesMax} bytes`
      )
    }
    // The chunk may be a small part of a large buffer that it would keep alive.
    const isMost = chunk.length * 2 >= chunk.buffer.byteLength
    partial.chunks.push(isMost ? chunk : chunk.slice())
  }

  #finish(key: number, partial: Partial): AssembledMessage {
    this.#partials.delete(key)
    this.#sizeBytes -= partial.sizeBytes
    const bytes = new Uint8Array(partial.sizeBytes)
    let at = 0
    for (const chunk of partial.chunks) {
      bytes.set(chunk, at)
      at += chunk.length
    }
    const { header, extension } = partial
    return { header, extension, bytes, start: 0, end: bytes.length }
  }
}

/** A request and the response to another request may have the same id at the same time. */
const keyOf = (frame: Frame): number =>
  (frame.flags & FrameFlags.Response) !== 0 ? -frame.messageId - 1 : frame.messageId

function expectSameMessage(first: FrameHeader, frame: Frame): void {
  const ignored = FrameFlags.MoreFollows | FrameFlags.Extension
  if (first.type !== frame.type || (first.flags | ignored) !== (frame.flags | ignored)) {
    throw new ProtocolError(`chunks of message ${frame.messageId} contradict each other`)
  }
  if ((frame.flags & FrameFlags.Extension) !== 0) {
    throw new ProtocolError('a later chunk carries an extension block')
  }
}
