import { assert } from '../core/assert.js'
import { MessageTooLargeError } from '../core/errors.js'
import type { BufferPool } from './buffer-pool.js'

const encoder = new TextEncoder()
const initialBytes = 512
/** What is written behind something large should not move it again. */
const spareBytes = 512
/** Longer texts are encoded apart, which spares room for the worst case. */
const inPlaceTextLengthMax = 4_096

/**
 * Big-endian writer into a buffer that grows up to `sizeBytesMax`. It is meant to be kept:
 * `reset` and write again, and only `take` allocates.
 */
export class ByteWriter {
  readonly sizeBytesMax: number
  readonly #pool: BufferPool | null
  #bytes: Uint8Array
  #view: DataView
  #length = 0

  /** @param pool where its buffers come from; null: new ones */
  constructor(sizeBytesMax: number, pool: BufferPool | null = null) {
    this.sizeBytesMax = sizeBytesMax
    this.#pool = pool
    this.#bytes = new Uint8Array(Math.min(initialBytes, sizeBytesMax))
    this.#view = new DataView(this.#bytes.buffer)
  }

  get length(): number {
    return this.#length
  }

  reset(): void {
    this.#length = 0
  }

  /** Forgets what was written behind `length`. */
  truncate(length: number): void {
    assert(length <= this.#length, 'truncate behind what was written')
    this.#length = length
  }

  /**
   * Hands over the whole buffer that was written to, without a copy, and goes on in another one
   * of at least `initialSizeBytes`.
   */
  detach(initialSizeBytes = initialBytes): Uint8Array {
    const written = this.#bytes
    this.#bytes = this.#buffer(Math.min(initialSizeBytes, this.sizeBytesMax))
    this.#view = new DataView(this.#bytes.buffer)
    this.#length = 0
    return written
  }

  /** A copy of what was written since `reset`. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  /** What was written, without a copy; valid until the next write or reset. */
  peek(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  u8(value: number): void {
    const at = this.#grow(1)
    this.#bytes[at] = value
  }

  u16(value: number): void {
    const at = this.#grow(2)
    this.#view.setUint16(at, value)
  }

  u32(value: number): void {
    const at = this.#grow(4)
    this.#view.setUint32(at, value)
  }

  /** A safe integer from 0; written as 64 bits. */
  u64(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'u64 of another number')
    const at = this.#grow(8)
    this.#view.setUint32(at, (value / 0x1_0000_0000) >>> 0)
    this.#view.setUint32(at + 4, value >>> 0)
  }

  /** Two numbers of 32 bits: one of 64 that a double cannot hold. */
  u32Pair(high: number, low: number): void {
    const at = this.#grow(8)
    this.#view.setUint32(at, high)
    this.#view.setUint32(at + 4, low)
  }

  i64(value: bigint): void {
    const at = this.#grow(8)
    this.#view.setBigInt64(at, value)
  }

  f64(value: number): void {
    const at = this.#grow(8)
    this.#view.setFloat64(at, value)
  }

  /** Seven bits a byte, low first; 0…2^32-1. */
  varint(value: number): void {
    let rest = value >>> 0
    while (rest >= 0x80) {
      this.u8((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.u8(rest)
  }

  /** The same up to 2^53-1. */
  varint53(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'varint53 of another number')
    let rest = value
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.u8(rest)
  }

  /** Bare bytes, without a length. */
  raw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length)
    this.#bytes.set(bytes, at)
  }

  /** UTF-8 with a varint length; answers the bytes used by the text alone. */
  text(value: string): number {
    const ascii = value.length < 64 && isAscii(value)
    if (ascii) {
      this.varint(value.length)
      const at = this.#grow(value.length)
      for (let i = 0; i < value.length; i++) this.#bytes[at + i] = value.charCodeAt(i)
      return value.length
    }
    const worstEnd = this.#length + 1 + 3 * value.length
    const fits = value.length <= inPlaceTextLengthMax && worstEnd <= this.sizeBytesMax
    return fits ? this.#textInPlace(value) : this.#textApart(value)
  }

  /** Encoded where it belongs; it takes at most three bytes a character. */
  #textInPlace(value: string): number {
    const start = this.beginSized()
    const at = this.#grow(3 * value.length)
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(at))
    this.#length = at + written
    this.endSized(start)
    return written
  }

  #textApart(value: string): number {
    const bytes = encoder.encode(value)
    this.varint(bytes.length)
    this.raw(bytes)
    return bytes.length
  }

  /** Moves what lies between `start` and `end`; it must stay within what is written. */
  move(start: number, end: number, to: number): void {
    assert(to + end - start <= this.#length, 'moved outside of what was written')
    this.#bytes.copyWithin(to, start, end)
  }

  /** Makes room for `count` bytes that are written later, in any order. */
  skip(count: number): void {
    this.#grow(count)
  }

  /** Overwrites four bytes written earlier. */
  patchU8(at: number, value: number): void {
    assert(at < this.#length, 'patch outside of what was written')
    this.#bytes[at] = value
  }

  patchU32(at: number, value: number): void {
    assert(at + 4 <= this.#length, 'patch outside of what was written')
    this.#view.setUint32(at, value)
  }

  /** Starts a part that is preceded by its length; `endSized` gets what this answers. */
  beginSized(): number {
    this.#grow(1)
    return this.#length
  }

  /** Writes the varint length of what was written since `beginSized`, in front of it. */
  endSized(start: number): void {
    const length = this.#length - start
    const extra = varintBytes(length) - 1
    if (extra > 0) {
      this.#grow(extra)
      this.#bytes.copyWithin(start + extra, start, start + length)
    }
    const end = this.#length
    this.#length = start - 1
    this.varint(length)
    this.#length = end
  }

  #grow(count: number): number {
    const at = this.#length
    const needed = at + count
    if (needed > this.#bytes.length) this.#enlarge(needed)
    this.#length = needed
    return at
  }

  #enlarge(needed: number): void {
    if (needed > this.sizeBytesMax) {
      throw new MessageTooLargeError(
        `${needed} bytes encoded, at most ${this.sizeBytesMax} allowed`
      )
    }
    const wanted = Math.max(needed + spareBytes, this.#length * 2)
    const larger = this.#buffer(Math.min(this.sizeBytesMax, wanted))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#pool?.give(this.#bytes)
    this.#bytes = larger
    this.#view = new DataView(larger.buffer)
  }

  #buffer(sizeBytesMin: number): Uint8Array {
    return this.#pool?.take(sizeBytesMin) ?? new Uint8Array(sizeBytesMin)
  }
}

function varintBytes(value: number): number {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x20_0000) return 3
  return value < 0x1000_0000 ? 4 : 5
}

function isAscii(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (value.charCodeAt(i) > 0x7f) return false
  return true
}
