import { assert } from '../core/assert.js'
import { ByteReader } from './byte-reader.js'
import { checkFrameLength, type Frame, readFrame } from './frame.js'

const empty = new Uint8Array(0)
/** Length, header and the longest extension block: what the first part of a frame must have. */
const firstPartBytesMin = 32 + 256 + 1

/** Whether a frame that straddles chunks is wanted in parts. */
export type IsDivisible = (type: number, flags: number, frameBytes: number) => boolean

/**
 * Cuts a byte stream into frames: push a chunk, then call `next` until it answers null. A frame
 * that lies within one chunk is not copied; a frame that straddles chunks is gathered in one
 * buffer of its own length, at most `frameSizeBytesMax`; or, where that is wanted, given
 * out in parts as they come. After a ProtocolError the parser must not be used any more.
 */
export class FrameParser {
  readonly #isDivisible: IsDivisible
  readonly #reader = new ByteReader(empty)
  #chunk: Uint8Array = empty
  #at = 0
  /** The first bytes of a length field that straddles chunks. */
  readonly #prefix = new Uint8Array(4)
  #prefixLength = 0
  /** A frame that straddles chunks. */
  #gathered: Uint8Array | null = null
  #gatheredLength = 0
  /** A frame given out in parts, and what of it has not come. */
  #divided: Frame | null = null
  #missing = 0
  #isContinuation = false

  constructor(isDivisible: IsDivisible = () => false) {
    this.#isDivisible = isDivisible
  }

  /** The frame that `next` gave last is a later part: its bytes are body alone. */
  get isContinuation(): boolean {
    return this.#isContinuation
  }

  /** Of the frame that `next` gave last another part follows. */
  get isDivided(): boolean {
    return this.#divided !== null
  }

  /** Bytes kept of a frame that is not complete. */
  get pendingBytes(): number {
    return this.#prefixLength + this.#gatheredLength
  }

  push(chunk: Uint8Array): void {
    assert(this.#at === this.#chunk.length, 'frames of the chunk before were not taken')
    this.#chunk = chunk
    this.#at = 0
  }

  /**
   * The next complete frame, or part of a divisible one.
   * @throws ProtocolError for a length that no frame has
   */
  next(): Frame | null {
    this.#isContinuation = false
    if (this.#divided !== null) return this.#continue(this.#divided)
    if (this.#gathered !== null) return this.#fill(this.#gathered)
    if (this.#prefixLength > 0) return this.#fillPrefix()
    const left = this.#chunk.length - this.#at
    if (left < 4) {
      this.#keepPrefix(left)
      return null
    }
    const length = checkFrameLength(readLength(this.#chunk, this.#at))
    if (left < 4 + length) {
      return this.#maybeDivide(length, left) ?? this.#fill(this.#gather(length))
    }
    const end = this.#at + 4 + length
    const frame = readFrame(this.#reader.reset(this.#chunk, this.#at + 4, end), this.#chunk, end)
    this.#at = end
    return frame
  }

  #maybeDivide(length: number, left: number): Frame | null {
    const at = this.#at
    if (left < firstPartBytesMin) return null
    const flags = this.#chunk[at + 5] as number
    const type = ((this.#chunk[at + 6] as number) << 8) | (this.#chunk[at + 7] as number)
    if (!this.#isDivisible(type, flags, 4 + length)) return null
    const end = this.#chunk.length
    this.#at = end
    this.#missing = 4 + length - left
    this.#divided = readFrame(this.#reader.reset(this.#chunk, at + 4, end), this.#chunk, end)
    return this.#divided
  }

  #continue(first: Frame): Frame | null {
    const start = this.#at
    const count = Math.min(this.#missing, this.#chunk.length - start)
    if (count === 0) return null
    this.#at += count
    this.#missing -= count
    if (this.#missing === 0) this.#divided = null
    this.#isContinuation = true
    return { ...first, bytes: this.#chunk, start, end: start + count }
  }

  #keepPrefix(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#prefix[this.#prefixLength++] = this.#chunk[this.#at++] as number
    }
  }

  #fillPrefix(): Frame | null {
    this.#keepPrefix(Math.min(4 - this.#prefixLength, this.#chunk.length - this.#at))
    if (this.#prefixLength < 4) return null
    const length = checkFrameLength(readLength(this.#prefix, 0))
    this.#prefixLength = 0
    const gathered = this.#gather(length)
    gathered.set(this.#prefix)
    this.#gatheredLength = 4
    return this.#fill(gathered)
  }

  #gather(length: number): Uint8Array {
    this.#gathered = new Uint8Array(4 + length)
    this.#gatheredLength = 0
    return this.#gathered
  }

  #fill(gathered: Uint8Array): Frame | null {
    const missing = gathered.length - this.#gatheredLength
    const count = Math.min(missing, this.#chunk.length - this.#at)
    gathered.set(this.#chunk.subarray(this.#at, this.#at + count), this.#gatheredLength)
    this.#at += count
    this.#gatheredLength += count
    if (count < missing) return null
    this.#gathered = null
    this.#gatheredLength = 0
    return readFrame(this.#reader.reset(gathered, 4), gathered, gathered.length)
  }
}

function readLength(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  return high * 0x1_0000 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
}
