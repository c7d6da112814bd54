/**
 * Encoded messages on their way out. Messages are encoded one behind the other into the writer's
 * buffer, so that a turn's small messages lie in one block and leave in one write without a copy.
 */
import { ByteWriter, encodedMessageRoomBytes } from '../../wire/index.js'
import type { PendingRequest } from './pending-requests.js'
import type { QueuedFrame } from './streams/mux-stream.js'

const blockSizeBytes = 64 * 1024
const firstBlockSizeBytes = 1_024
/** A block that began large holds one message of the largest frame, with its second one. */
const largeBlockSizeBytes = blockSizeBytes + 4 * 1_024
const spareBytes = 512

/** A buffer that messages lie in; null until the writer has let go of it. */
export interface Block {
  bytes: Uint8Array | null
}

/** One encoded message: its frames from `at` (the next one to leave) to `end`. */
export interface Outgoing<Ticket> {
  readonly block: Block
  readonly start: number
  readonly end: number
  at: number
  readonly priority: number
  /** The request that this is, if any; it is told when its first frame leaves. */
  readonly request: PendingRequest<Ticket> | null
  /** The frame of a stream that this is, if any. */
  readonly frame: QueuedFrame | null
  /** What follows the only frame's header and extension block, where it lies elsewhere. */
  readonly payload: Uint8Array | null
  /** Set when nobody wants it any more; it is skipped. */
  cancelled: boolean
}

export class OutputWriter {
  readonly #writer = new ByteWriter(blockSizeBytes + encodedMessageRoomBytes)
  #block: Block = { bytes: null }

  /** The block and the writer for one message; the message begins at `writer.length`. */
  begin(): { readonly block: Block; readonly writer: ByteWriter } {
    if (this.#writer.length >= blockSizeBytes) this.seal()
    return { block: this.#block, writer: this.#writer }
  }

  /** Lets go of what was written, so that it can be read and sent. */
  seal(): void {
    const length = this.#writer.length
    if (length === 0) return
    const next = Math.min(largeBlockSizeBytes, Math.max(firstBlockSizeBytes, length + spareBytes))
    this.#block.bytes = this.#writer.detach(next)
    this.#block = { bytes: null }
  }
}

/** Frames for one write to the stream; neighbours in a block become one run. */
export class Batch {
  readonly #blocks: Uint8Array[] = []
  readonly #bounds: number[] = []
  #sizeBytes = 0
  #hasPayloads = false

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  add(bytes: Uint8Array, start: number, end: number): void {
    const last = this.#blocks.length - 1
    this.#sizeBytes += end - start
    if (last >= 0 && this.#blocks[last] === bytes && this.#bounds[2 * last + 1] === start) {
      this.#bounds[2 * last + 1] = end
      return
    }
    this.#blocks.push(bytes)
    this.#bounds.push(start, end)
  }

  /** A payload that lies elsewhere; it is not copied. */
  addPayload(bytes: Uint8Array): void {
    this.add(bytes, 0, bytes.length)
    this.#hasPayloads = true
  }

  /** As it lies where payloads are in it, else as one. */
  takeParts(): readonly Uint8Array[] {
    if (!this.#hasPayloads) return [this.take()]
    return this.#blocks.map((bytes, i) =>
      bytes.subarray(this.#bounds[2 * i], this.#bounds[2 * i + 1])
    )
  }

  /** One run is handed over as it lies; several are copied together. */
  take(): Uint8Array {
    const first = this.#blocks[0] as Uint8Array
    if (this.#blocks.length === 1) return first.subarray(this.#bounds[0], this.#bounds[1])
    const joined = new Uint8Array(this.#sizeBytes)
    let at = 0
    for (let i = 0; i < this.#blocks.length; i++) {
      const run = (this.#blocks[i] as Uint8Array).subarray(
        this.#bounds[2 * i],
        this.#bounds[2 * i + 1]
      )
      joined.set(run, at)
      at += run.length
    }
    return joined
  }
}
