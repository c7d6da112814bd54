import { createHash } from 'node:crypto'
import type { Crypto } from '../../src/core/ports/crypto.js'
import type { Random } from '../../src/core/ports/random.js'

/** Hashes for real, draws from a seed; nothing in consensus seals or derives. */
export function testCrypto(random: Random): Crypto {
  const unused = () => {
    throw new Error('not used by consensus')
  }
  return {
    randomBytes: (length) => Uint8Array.from({ length }, () => random.nextInt(256)),
    sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest()),
    startSha256() {
      const hash = createHash('sha256')
      return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() }
    },
    seal: unused,
    open: unused,
    deriveKey: unused
  }
}
