/**
 * Encoded messages on their way out. Messages are encoded one behind the other into the writer's
 * buffer, so that a turn's small messages lie in one block and leave in one write without a copy.
 */
import { must } from '../../core/assert.js'
import {
  type BufferPool,
  ByteWriter,
  encodedMessageRoomBytes,
  largeBufferBytes
} from '../../wire/index.js'
import { Block } from './block.js'

const blockSizeBytes = 64 * 1024
const spareBytes = 512

export class OutputWriter {
  readonly #pool: BufferPool
  readonly #writer: ByteWriter
  #block: Block

  constructor(pool: BufferPool) {
    this.#pool = pool
    this.#writer = new ByteWriter(blockSizeBytes + encodedMessageRoomBytes, pool)
    this.#block = new Block(pool)
  }

  /** The block and the writer for one message; the message begins at `writer.length`. */
  begin(): { readonly block: Block; readonly writer: ByteWriter } {
    if (this.#writer.length >= blockSizeBytes) this.seal()
    return { block: this.#block, writer: this.#writer }
  }

  /** Lets go of what was written, so that it can be read and sent. The next turn may be like it. */
  seal(): void {
    const length = this.#writer.length
    if (length === 0) return
    const next = Math.min(largeBufferBytes, length + spareBytes)
    this.#block.seal(this.#writer.detach(next))
    this.#block = new Block(this.#pool)
  }
}

/** Bytes for one write to the stream; `release`, where there is one, when nobody needs them. */
export interface Slice {
  readonly bytes: Uint8Array
  readonly release?: () => void
}

interface Run {
  /** Null: bytes that are not ours. */
  readonly block: Block | null
  readonly bytes: Uint8Array
  readonly start: number
  end: number
}

/**
 * Frames for one write to the stream. Neighbours in a block are one run, which leaves as it lies.
 * Several are copied together: a socket over TLS copies what it gets in pieces, too, and into new
 * memory each time.
 */
export class Batch {
  readonly #pool: BufferPool
  readonly #runs: Run[] = []
  #last: Run | null = null
  #sizeBytes = 0

  constructor(pool: BufferPool) {
    this.#pool = pool
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Part of a sealed block. */
  add(block: Block, start: number, end: number): void {
    const last = this.#last
    this.#sizeBytes += end - start
    if (last !== null && last.block === block && last.end === start) {
      last.end = end
      return
    }
    block.hold()
    this.#push({ block, bytes: must(block.bytes, 'sealed block'), start, end })
  }

  /** A payload that lies elsewhere. */
  addPayload(bytes: Uint8Array): void {
    this.#sizeBytes += bytes.length
    this.#push({ block: null, bytes, start: 0, end: bytes.length })
  }

  /** Everything that was added, once. */
  slice(): Slice {
    const [first] = this.#runs
    if (this.#runs.length === 1 && first !== undefined) {
      const { block, bytes, start, end } = first
      const part = bytes.subarray(start, end)
      return block === null ? { bytes: part } : { bytes: part, release: () => block.release() }
    }
    const buffer = this.#pool.take(this.#sizeBytes)
    let at = 0
    for (const { block, bytes, start, end } of this.#runs) {
      buffer.set(bytes.subarray(start, end), at)
      at += end - start
      block?.release()
    }
    return { bytes: buffer.subarray(0, at), release: () => this.#pool.give(buffer) }
  }

  #push(run: Run): void {
    this.#runs.push(run)
    this.#last = run
  }
}
