import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import type { Compression } from '../core/index.js'

/** The quickest level: what crosses a local network must not cost more time than it spares. */
export function nodeCompression(): Compression {
  return {
    deflate: (bytes) => deflateRawSync(bytes, { level: constants.Z_BEST_SPEED }),
    inflate(bytes, sizeBytesMax) {
      try {
        return inflateRawSync(bytes, { maxOutputLength: sizeBytesMax })
      } catch {
        // Whatever is wrong with them, they are not what a peer of ours sends.
        return null
      }
    }
  }
}
