/**
 * How a segment file looks. Decides nothing about files; see `segmented-log-driver.ts`.
 *
 * segment = header, frame…
 * header  = magic "SKLG" u32, format version u32, segment number u64, first frame number u64,
 *           CRC-32C of the segment's predecessor's last frame u32, CRC-32C of these 28 bytes u32
 * frame   = magic "FR" u16, reserved u16, payload length u32, frame number u64,
 *           CRC-32C of the previous frame u32, CRC-32C of the 20 bytes before and the payload u32
 * payload = record…
 * record  = u8 kind 1, group u32, first index u64, varint count, { term u64, varint length,
 * octets }…
 *         | u8 kind 2, group u32, term u64, nullable text vote
 *         | u8 kind 3, group u32, index u64, term u64, configuration index u64,
 *           varint length, configuration, u8 replaces the log
 *         | u8 kind 4, first segment u64
 *
 * All numbers are big-endian. A frame is what one write and one sync made durable, so at most the
 * last frame of the last segment can be torn. Entries replace whatever their group has at and
 * after the first index; truncation is thereby part of the record that follows it. Frame numbers
 * rise by one and each frame names its predecessor's checksum, over segments too: a frame left
 * from an earlier life of the file cannot pass for a successor. Kind 3 is a group's base, kind 4
 * says that no segment before the named one holds anything of any group's live part.
 */
import { ProtocolError } from '../../core/errors.js'
import type { GroupId, LogIndex } from '../../core/ids.js'
import { messageSizeBytesMax } from '../../core/limits.js'
import type { BaseChange, HardState, LogEntry } from '../../core/ports/log-store.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import {
  bool,
  bytes,
  groupId,
  logIndex,
  nullable,
  replicaId,
  struct,
  term
} from '../../wire/codec.js'
import { crc32c } from '../../wire/crc32c.js'

export const segmentFormatVersion = 1
export const segmentHeaderBytes = 32
export const frameHeaderBytes = 24
/** A payload is cut after the request that reaches this size. */
export const framePayloadTargetBytes = 4 * 1024 * 1024
/** No payload is larger: the target, and one entry of the largest message behind it. */
export const framePayloadBytesMax = 16 * 1024 * 1024

const segmentMagic = 0x534b4c47
const frameMagic = 0x4652
const recordKinds = { entries: 1, hardState: 2, base: 3, firstSegment: 4 } as const

const hardStateRecord = struct({ group: groupId, term, vote: nullable(replicaId) })

const baseRecord = struct({
  group: groupId,
  index: logIndex,
  term,
  configurationIndex: logIndex,
  configuration: bytes(messageSizeBytesMax),
  replacesLog: bool
})

/** Where a chain of frames stands. */
export interface ChainPosition {
  /** Number of the next frame, from 1. */
  readonly nextFrame: number
  /** Checksum of the last frame, 0 before the first. */
  readonly checksum: number
}

export const chainStart: ChainPosition = { nextFrame: 1, checksum: 0 }

export type LogRecord =
  | { readonly kind: 'entries'; readonly group: GroupId; readonly entries: readonly LogEntry[] }
  | { readonly kind: 'hardState'; readonly group: GroupId; readonly hardState: HardState }
  | { readonly kind: 'base'; readonly group: GroupId; readonly change: BaseChange }
  | { readonly kind: 'firstSegment'; readonly number: number }

export interface EncodedFrame {
  readonly bytes: Uint8Array
  readonly next: ChainPosition
}

export interface ScannedSegment {
  readonly number: number
  readonly start: ChainPosition
  readonly end: ChainPosition
  readonly records: readonly LogRecord[]
  /** The bytes up to here are whole frames. */
  readonly validBytes: number
  /** A whole frame stands somewhere behind the first damage: what is damaged was durable once. */
  readonly isDamagedInside: boolean
}

export function encodeSegmentHeader(number: number, start: ChainPosition): Uint8Array {
  const writer = new ByteWriter(segmentHeaderBytes)
  writer.u32(segmentMagic)
  writer.u32(segmentFormatVersion)
  writer.u64(number)
  writer.u64(start.nextFrame)
  writer.u32(start.checksum)
  writer.u32(crc32c(writer.peek()))
  return writer.take()
}

/** Builds frames in a buffer of its own; what it gives out is a copy. */
export class FrameEncoder {
  readonly #writer = new ByteWriter(frameHeaderBytes + framePayloadBytesMax)

  constructor() {
    this.#begin()
  }

  get isEmpty(): boolean {
    return this.#writer.length === frameHeaderBytes
  }

  get isFull(): boolean {
    return this.#writer.length >= framePayloadTargetBytes
  }

  hardState(group: GroupId, hardState: HardState): void {
    this.#writer.u8(recordKinds.hardState)
    hardStateRecord.write(this.#writer, { group, ...hardState })
  }

  base(group: GroupId, { base, replacesLog }: BaseChange): void {
    this.#writer.u8(recordKinds.base)
    baseRecord.write(this.#writer, { group, ...base, replacesLog })
  }

  firstSegment(number: number): void {
    this.#writer.u8(recordKinds.firstSegment)
    this.#writer.u64(number)
  }

  /** Adds entries from `from` on until the frame is full; answers how many are in by now. */
  entries(group: GroupId, entries: readonly LogEntry[], from: number): number {
    let until = from
    let sizeBytes = this.#writer.length
    while (until < entries.length && (until === from || sizeBytes < framePayloadTargetBytes)) {
      sizeBytes += (entries[until++] as LogEntry).payload.length
    }
    this.#writer.u8(recordKinds.entries)
    this.#writer.u32(group)
    this.#writer.u64((entries[from] as LogEntry).index)
    this.#writer.varint(until - from)
    for (let i = from; i < until; i++) {
      const entry = entries[i] as LogEntry
      this.#writer.u64(entry.term)
      this.#writer.varint(entry.payload.length)
      this.#writer.raw(entry.payload)
    }
    return until
  }

  finish(position: ChainPosition): EncodedFrame {
    const bytes = this.#writer.take()
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    view.setUint16(0, frameMagic)
    view.setUint32(4, bytes.length - frameHeaderBytes)
    view.setUint32(8, Math.floor(position.nextFrame / 0x1_0000_0000))
    view.setUint32(12, position.nextFrame >>> 0)
    view.setUint32(16, position.checksum)
    const checksum = frameChecksum(bytes, 0, bytes.length)
    view.setUint32(20, checksum)
    this.#begin()
    return { bytes, next: { nextFrame: position.nextFrame + 1, checksum } }
  }

  #begin(): void {
    this.#writer.reset()
    for (let i = 0; i < frameHeaderBytes / 4; i++) this.#writer.u32(0)
  }
}

/**
 * Null: the header is not whole, so the segment was never begun, or is damaged (see `hasFrame`).
 */
export function scanSegment(bytes: Uint8Array): ScannedSegment | null {
  const header = readSegmentHeader(bytes)
  if (header === null) return null
  const records: LogRecord[] = []
  let position = header.start
  let at = segmentHeaderBytes
  for (;;) {
    const frame = frameAt(bytes, at)
    if (frame === null || !follows(frame, position)) break
    readRecords(bytes.subarray(at + frameHeaderBytes, frame.end), records)
    position = { nextFrame: frame.number + 1, checksum: frame.checksum }
    at = frame.end
  }
  return {
    number: header.number,
    start: header.start,
    end: position,
    records,
    validBytes: at,
    isDamagedInside: hasFrame(bytes, at, position.nextFrame)
  }
}

/** Whether any whole frame numbered `numberMin` or above begins at or after `from`. */
export function hasFrame(bytes: Uint8Array, from: number, numberMin: number): boolean {
  for (let at = from; at + frameHeaderBytes <= bytes.length; at++) {
    if (bytes[at] !== frameMagic >> 8 || bytes[at + 1] !== (frameMagic & 255)) continue
    const frame = frameAt(bytes, at)
    if (frame !== null && frame.number >= numberMin) return true
  }
  return false
}

interface FrameHeader {
  readonly number: number
  readonly previousChecksum: number
  readonly checksum: number
  readonly end: number
}

const follows = (frame: FrameHeader, position: ChainPosition): boolean =>
  frame.number === position.nextFrame && frame.previousChecksum === position.checksum

function readSegmentHeader(bytes: Uint8Array): { number: number; start: ChainPosition } | null {
  if (bytes.length < segmentHeaderBytes) return null
  const reader = new ByteReader(bytes, 0, segmentHeaderBytes)
  if (reader.u32() !== segmentMagic) return null
  const version = reader.u32()
  const fields = reader.raw(20)
  if (reader.u32() !== crc32c(bytes, 0, segmentHeaderBytes - 4)) return null
  if (version !== segmentFormatVersion) {
    throw new ProtocolError(`segment format ${version}, this version reads ${segmentFormatVersion}`)
  }
  const inner = new ByteReader(fields)
  const number = inner.u64()
  return { number, start: { nextFrame: inner.u64(), checksum: inner.u32() } }
}

/** The frame that stands whole at this offset, whatever its place in the chain. */
function frameAt(bytes: Uint8Array, at: number): FrameHeader | null {
  if (at + frameHeaderBytes > bytes.length) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, frameHeaderBytes)
  if (view.getUint16(0) !== frameMagic) return null
  const end = at + frameHeaderBytes + view.getUint32(4)
  const numberHigh = view.getUint32(8)
  if (end > bytes.length || numberHigh > 0x1f_ffff) return null
  const checksum = view.getUint32(20)
  if (frameChecksum(bytes, at, end) !== checksum) return null
  return {
    number: numberHigh * 0x1_0000_0000 + view.getUint32(12),
    previousChecksum: view.getUint32(16),
    checksum,
    end
  }
}

const frameChecksum = (bytes: Uint8Array, at: number, end: number): number =>
  crc32c(bytes, at + frameHeaderBytes, end, crc32c(bytes, at, at + 20))

function readRecords(payload: Uint8Array, into: LogRecord[]): void {
  const reader = new ByteReader(payload)
  while (reader.remaining > 0) {
    const kind = reader.u8()
    if (kind === recordKinds.hardState) {
      const { group, term: hardTerm, vote } = hardStateRecord.read(reader)
      into.push({ kind: 'hardState', group, hardState: { term: hardTerm, vote } })
    } else if (kind === recordKinds.entries) {
      into.push(readEntries(reader))
    } else if (kind === recordKinds.base) {
      into.push(readBase(reader))
    } else if (kind === recordKinds.firstSegment) {
      into.push({ kind: 'firstSegment', number: reader.u64() })
    } else {
      throw new ProtocolError(`log record of kind ${kind}`)
    }
  }
}

function readEntries(reader: ByteReader): LogRecord {
  const group = groupId.read(reader)
  const first = reader.u64()
  const count = reader.varint()
  const entries: LogEntry[] = []
  for (let i = 0; i < count; i++) {
    const entryTerm = term.read(reader)
    const payload = reader.raw(reader.varint())
    entries.push({ index: (first + i) as LogIndex, term: entryTerm, payload })
  }
  return { kind: 'entries', group, entries }
}

function readBase(reader: ByteReader): LogRecord {
  const { group, configuration, replacesLog, ...rest } = baseRecord.read(reader)
  return {
    kind: 'base',
    group,
    change: { base: { ...rest, configuration: configuration.slice() }, replacesLog }
  }
}
