/**
 * The extension block: what concerns a message and is not its body. At most 256 bytes by
 * construction:
 *
 *   u8 length of what follows, then { u8 tag, u8 length, value }…
 *
 * Tags are append-only; a reader skips those it does not know. A tag stands at most once.
 */
import { assert } from '../core/assert.js'
import { ProtocolError } from '../core/errors.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'

export const ExtensionTags = {
  Deadline: 1,
  Trace: 2,
  Stream: 3,
  Group: 4,
  Epoch: 5,
  Delivery: 6
} as const

/** Trace id (16 bytes), span id (8), flags (1), as in W3C trace context without its version. */
export const traceContextBytes = 25
/** Receiver u64, sequence u64, how far the floor is below it u16, lane u8. */
const deliveryTagBytes = 19

/** Sequences of one sender and receiver: those that keep order have their own. */
export const DeliveryLanes = { Acked: 1, Ordered: 2 } as const
export type DeliveryLane = (typeof DeliveryLanes)[keyof typeof DeliveryLanes]

/** What a message bears that is to be acknowledged. */
export interface DeliveryTag {
  /** The process that it is for, by its boot nonce; another one does not take it. */
  readonly receiver: number
  readonly lane: DeliveryLane
  readonly sequence: number
  /** The sender waits for nothing below; at most 65,535 less than the sequence. */
  readonly floor: number
}

export interface Extension {
  /** Milliseconds that the sender still waits, counted from the sending; 0…2^32-1. */
  readonly deadlineMs?: number
  readonly trace?: Uint8Array
  readonly stream?: number
  readonly group?: number
  readonly epoch?: number
  readonly delivery?: DeliveryTag
}

export function writeExtension(writer: ByteWriter, extension: Extension): void {
  const start = writer.beginSized()
  writeU32(writer, ExtensionTags.Deadline, extension.deadlineMs)
  if (extension.trace !== undefined) {
    assert(extension.trace.length === traceContextBytes, 'trace context has 25 bytes')
    writer.u8(ExtensionTags.Trace)
    writer.u8(traceContextBytes)
    writer.raw(extension.trace)
  }
  writeU32(writer, ExtensionTags.Stream, extension.stream)
  writeU32(writer, ExtensionTags.Group, extension.group)
  if (extension.epoch !== undefined) {
    writer.u8(ExtensionTags.Epoch)
    writer.u8(8)
    writer.u64(extension.epoch)
  }
  if (extension.delivery !== undefined) writeDelivery(writer, extension.delivery)
  writer.endSized(start)
}

/** @throws ProtocolError when the block is longer than the frame, or a field than the block */
export function readExtension(reader: ByteReader): Extension {
  const length = reader.u8()
  if (length > reader.remaining) throw new ProtocolError('extension block is truncated')
  const end = reader.offset + length
  const found: { -readonly [Key in keyof Extension]: Extension[Key] } = {}
  while (reader.offset < end) {
    const tag = reader.u8()
    const fieldLength = reader.u8()
    if (fieldLength > end - reader.offset) {
      throw new ProtocolError(`extension field ${tag} is longer than its block`)
    }
    readField(reader, tag, fieldLength, found)
  }
  if (reader.offset !== end) throw new ProtocolError('extension block is truncated')
  return found
}

function readField(
  reader: ByteReader,
  tag: number,
  length: number,
  found: { -readonly [Key in keyof Extension]: Extension[Key] }
): void {
  switch (tag) {
    case ExtensionTags.Deadline:
      found.deadlineMs = readU32(reader, tag, length, found.deadlineMs)
      return
    case ExtensionTags.Trace:
      expectOnce(tag, length, traceContextBytes, found.trace)
      found.trace = reader.raw(length)
      return
    case ExtensionTags.Stream:
      found.stream = readU32(reader, tag, length, found.stream)
      return
    case ExtensionTags.Group:
      found.group = readU32(reader, tag, length, found.group)
      return
    case ExtensionTags.Epoch:
      expectOnce(tag, length, 8, found.epoch)
      found.epoch = reader.u64()
      return
    case ExtensionTags.Delivery:
      expectOnce(tag, length, deliveryTagBytes, found.delivery)
      found.delivery = readDelivery(reader)
      return
    default:
      reader.raw(length)
  }
}

function writeDelivery(writer: ByteWriter, tag: DeliveryTag): void {
  writer.u8(ExtensionTags.Delivery)
  writer.u8(deliveryTagBytes)
  writer.u64(tag.receiver)
  writer.u64(tag.sequence)
  writer.u16(tag.sequence - tag.floor)
  writer.u8(tag.lane)
}

function readDelivery(reader: ByteReader): DeliveryTag {
  const receiver = reader.u64()
  const sequence = reader.u64()
  const floor = sequence - reader.u16()
  const lane = reader.u8()
  if (lane !== DeliveryLanes.Acked && lane !== DeliveryLanes.Ordered) {
    throw new ProtocolError(`delivery lane ${lane}`)
  }
  if (floor < 1) throw new ProtocolError(`delivery floor ${floor}`)
  return { receiver, lane, sequence, floor }
}

function writeU32(writer: ByteWriter, tag: number, value: number | undefined): void {
  if (value === undefined) return
  assert(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff, 'u32 of another number')
  writer.u8(tag)
  writer.u8(4)
  writer.u32(value)
}

function readU32(reader: ByteReader, tag: number, length: number, seen: unknown): number {
  expectOnce(tag, length, 4, seen)
  return reader.u32()
}

function expectOnce(tag: number, length: number, expected: number, seen: unknown): void {
  if (length !== expected) {
    throw new ProtocolError(`extension field ${tag} of ${length} bytes, expected ${expected}`)
  }
  if (seen !== undefined) throw new ProtocolError(`extension field ${tag} stands twice`)
}
