import type { Crypto, Random } from '../core/index.js'

/** Real ciphers; keys, nonces and ids come from the seed. */
export function simulatedCrypto(real: Crypto, random: Random): Crypto {
  return {
    randomBytes(length) {
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) bytes[i] = random.nextInt(256)
      return bytes
    },
    seal: (key, nonce, aad, plaintext) => real.seal(key, nonce, aad, plaintext),
    open: (key, nonce, aad, ciphertext) => real.open(key, nonce, aad, ciphertext),
    deriveKey: (key, salt, info, lengthBytes) => real.deriveKey(key, salt, info, lengthBytes),
    sha256: (bytes) => real.sha256(bytes)
  }
}
