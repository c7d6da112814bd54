import { ProtocolError } from '../core/errors.js'

/** Up to here a decoder's call costs more than its work. */
const shortTextBytes = 12

/** An optional field of a newer sender. */
export interface UnknownField {
  readonly tag: number
  readonly bytes: Uint8Array
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Big-endian reader over foreign bytes: every read checks its bounds and throws ProtocolError.
 */
export class ByteReader {
  /** Set by who wants to know of optional fields that the codec does not know. */
  unknownFields: UnknownField[] | null = null
  #bytes: Uint8Array
  #view: DataView
  #at: number
  #end: number

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#at = start
    this.#end = end
  }

  /** The same reader over other bytes: a reader that is kept allocates once per buffer. */
  reset(bytes: Uint8Array, start = 0, end = bytes.length): this {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    }
    this.#at = start
    this.#end = end
    return this
  }

  get offset(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  u8(): number {
    return this.#bytes[this.#take(1)] as number
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  /** @throws ProtocolError above 2^53-1: no counter of ours gets there */
  u64(): number {
    const at = this.#take(8)
    const high = this.#view.getUint32(at)
    if (high > 0x1f_ffff) throw new ProtocolError('64-bit number above 2^53-1')
    return high * 0x1_0000_0000 + this.#view.getUint32(at + 4)
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8))
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8))
  }

  varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.u8()
      if (shift === 28 && byte > 0x0f) break
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        if (byte === 0 && shift > 0) throw new ProtocolError('varint is longer than it needs to be')
        return value >>> 0
      }
    }
    throw new ProtocolError('varint above 2^32-1')
  }

  varint53(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 53; scale *= 0x80) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (value > Number.MAX_SAFE_INTEGER) break
      if (byte < 0x80) {
        if (byte === 0 && scale > 1) throw new ProtocolError('varint is longer than it needs to be')
        return value
      }
    }
    throw new ProtocolError('varint above 2^53-1')
  }

  /** A view on the underlying bytes, not a copy. */
  raw(length: number): Uint8Array {
    const at = this.#take(length)
    return this.#bytes.subarray(at, at + length)
  }

  text(lengthMax: number): string {
    const length = this.varint()
    if (length > lengthMax) throw new ProtocolError(`text of ${length} bytes, at most ${lengthMax}`)
    const at = this.#take(length)
    if (length <= shortTextBytes && this.#isAscii(at, length)) {
      let text = ''
      for (let i = at; i < at + length; i++) text += String.fromCharCode(this.#bytes[i] as number)
      return text
    }
    try {
      return decoder.decode(this.#bytes.subarray(at, at + length))
    } catch (cause) {
      throw new ProtocolError('text is not UTF-8', { cause })
    }
  }

  /** Of a text shorter than 128 bytes that comes next: something for a table; reads nothing. */
  peekTextHash(): number {
    const at = this.#at
    if (at >= this.#end) return 0
    const length = this.#bytes[at] as number
    const last = at + length
    if (length === 0 || last >= this.#end) return length
    const middle = this.#bytes[at + 1 + (length >> 1)] as number
    return length + 31 * (this.#bytes[last] as number) + 7 * middle
  }

  /** True, and behind it, when the next text is this one; `ascii` is shorter than 128. */
  skipText(ascii: string): boolean {
    const { length } = ascii
    const start = this.#at + 1
    if (start + length > this.#end || this.#bytes[this.#at] !== length) return false
    for (let i = 0; i < length; i++) {
      if (this.#bytes[start + i] !== ascii.charCodeAt(i)) return false
    }
    this.#at = start + length
    return true
  }

  /** @throws ProtocolError when bytes are left over */
  expectEnd(): void {
    if (this.#at !== this.#end) throw new ProtocolError(`${this.remaining} bytes left over`)
  }

  #isAscii(at: number, length: number): boolean {
    for (let i = at; i < at + length; i++) if ((this.#bytes[i] as number) > 0x7f) return false
    return true
  }

  #take(count: number): number {
    const at = this.#at
    if (count > this.#end - at) {
      throw new ProtocolError(`truncated: ${count} bytes wanted, ${this.#end - at} left`)
    }
    this.#at = at + count
    return at
  }
}
