import { assert } from '../core/assert.js'
import { ByteReader } from './byte-reader.js'
import { checkFrameLength, type Frame, readFrame } from './frame.js'

const empty = new Uint8Array(0)

/**
 * Cuts a byte stream into frames: push a chunk, then call `next` until it answers null. A frame
 * that lies within one chunk is not copied; a frame that straddles chunks is gathered in one
 * buffer of its own length, at most `frameSizeBytesMax`. After a ProtocolError the parser must
 * not be used any more.
 */
export class FrameParser {
  readonly #reader = new ByteReader(empty)
  #chunk: Uint8Array = empty
  #at = 0
  /** The first bytes of a length field that straddles chunks. */
  readonly #prefix = new Uint8Array(4)
  #prefixLength = 0
  /** A frame that straddles chunks. */
  #gathered: Uint8Array | null = null
  #gatheredLength = 0

  /** Bytes kept of a frame that is not complete. */
  get pendingBytes(): number {
    return this.#prefixLength + this.#gatheredLength
  }

  push(chunk: Uint8Array): void {
    assert(this.#at === this.#chunk.length, 'frames of the chunk before were not taken')
    this.#chunk = chunk
    this.#at = 0
  }

  /** The next complete frame. @throws ProtocolError for a length that no frame has */
  next(): Frame | null {
    if (this.#gathered !== null) return this.#fill(this.#gathered)
    if (this.#prefixLength > 0) return this.#fillPrefix()
    const left = this.#chunk.length - this.#at
    if (left < 4) {
      this.#keepPrefix(left)
      return null
    }
    const length = checkFrameLength(readLength(this.#chunk, this.#at))
    if (left < 4 + length) return this.#fill(this.#gather(length))
    const end = this.#at + 4 + length
    const frame = readFrame(this.#reader.reset(this.#chunk, this.#at + 4, end), this.#chunk, end)
    this.#at = end
    return frame
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
