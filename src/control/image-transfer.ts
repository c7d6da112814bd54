/** The image of a replica on its way to another one, in memory: it is of bounded size. */
import { SnapshotRefusedError } from '../core/errors.js'
import type { LogIndex } from '../core/ids.js'
import type { Crypto } from '../core/ports/crypto.js'
import type { SnapshotDescription } from '../core/ports/engine.js'
import { controlImageBytesMax, imageFormat } from './state-image.js'

export const describeImage = (
  crypto: Crypto,
  image: Uint8Array,
  index: LogIndex
): SnapshotDescription => ({
  index,
  format: imageFormat,
  sizeBytes: image.length,
  sha256: crypto.sha256(image)
})

/** One that comes in, in pieces of any order. */
export class IncomingImage {
  readonly #description: SnapshotDescription
  readonly #bytes: Uint8Array

  /** @throws SnapshotRefusedError */
  constructor(description: SnapshotDescription) {
    const { format, sizeBytes } = description
    if (format !== imageFormat) {
      throw new SnapshotRefusedError(`an image of format ${format}, ${imageFormat} is known`)
    }
    if (sizeBytes > controlImageBytesMax) {
      throw new SnapshotRefusedError(`an image of ${sizeBytes} bytes`)
    }
    this.#description = description
    this.#bytes = new Uint8Array(sizeBytes)
  }

  /** @throws SnapshotRefusedError it lies beyond the end */
  write(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.#bytes.length) {
      throw new SnapshotRefusedError('a part lies beyond the end of the image')
    }
    this.#bytes.set(bytes, offset)
  }

  /** @throws SnapshotRefusedError it is not what was described */
  whole(crypto: Crypto): Uint8Array {
    const { sha256 } = this.#description
    const found = crypto.sha256(this.#bytes)
    if (found.some((byte, i) => byte !== sha256[i])) {
      throw new SnapshotRefusedError('the image is damaged')
    }
    return this.#bytes
  }
}
