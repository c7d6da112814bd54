/**
 * The frame: 32 bytes of header, then an optional extension block, then the body or a chunk of
 * it.
 *
 *   u32 length of what follows   u8 version   u8 flags   u16 type
 *   u64 message id               u64 hybrid time
 *   u32 source index             u32 destination index
 */
import { assert } from '../core/assert.js'
import { ProtocolError } from '../core/errors.js'
import { frameHeaderBytes, frameSizeBytesMax } from '../core/limits.js'
import type { Priority } from '../core/ports/messenger.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'

/** The bits of the flags byte; the lowest two are the priority. */
export const FrameFlags = {
  PriorityMask: 0x03,
  Request: 0x04,
  Response: 0x08,
  /** The extension block has a delivery tag. */
  AckWanted: 0x10,
  /** The body, of all chunks together, is raw DEFLATE. Only to who said that it can read it. */
  Compressed: 0x20,
  /** Another chunk of the same message follows. */
  MoreFollows: 0x40,
  /** An extension block stands before the body. */
  Extension: 0x80
} as const

/** The smallest value of the length field: a header and nothing else. */
const shortestLength = frameHeaderBytes - 4
const longestLength = frameSizeBytesMax - 4

export interface FrameHeader {
  readonly version: number
  readonly flags: number
  readonly type: number
  readonly messageId: number
  /** Hybrid logical time; see `HybridClock`. */
  readonly timestamp: number
  /** Node indexes of this connection; 0 is the end of the connection itself. */
  readonly source: number
  readonly destination: number
}

/** A received frame: the header, and where its payload lies in the received bytes. */
export interface Frame extends FrameHeader {
  /** Shared with other frames; `start` to `end` is this one's extension block and body. */
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/**
 * Writes a header whose length is not known yet; answers where the frame begins, for
 * `endFrame`.
 */
export function beginFrame(
  writer: ByteWriter,
  header: FrameHeader,
  flags: number = header.flags
): number {
  const start = writer.length
  writer.u32(0)
  writer.u8(header.version)
  writer.u8(flags)
  writer.u16(header.type)
  writer.u64(header.messageId)
  writer.u64(header.timestamp)
  writer.u32(header.source)
  writer.u32(header.destination)
  return start
}

export function endFrame(writer: ByteWriter, start: number): void {
  const length = writer.length - start - 4
  assert(length >= shortestLength && length <= longestLength, 'frame of another length')
  writer.patchU32(start, length)
}

/**
 * The length field, before anything is allocated for the frame.
 *
 * @throws ProtocolError outside of 28…65,532
 */
export function checkFrameLength(length: number): number {
  if (length < shortestLength || length > longestLength) {
    throw new ProtocolError(`frame length ${length}, allowed ${shortestLength} to ${longestLength}`)
  }
  return length
}

/**
 * Reads the header behind the length field; `reader` stands on the version, `end` is the
 * frame's.
 */
export function readFrame(reader: ByteReader, bytes: Uint8Array, end: number): Frame {
  const version = reader.u8()
  const flags = reader.u8()
  const type = reader.u16()
  const messageId = reader.u64()
  const timestamp = reader.u64()
  const source = reader.u32()
  const destination = reader.u32()
  const start = reader.offset
  return { version, flags, type, messageId, timestamp, source, destination, bytes, start, end }
}

export const priorityOf = (flags: number): Priority => (flags & FrameFlags.PriorityMask) as Priority
