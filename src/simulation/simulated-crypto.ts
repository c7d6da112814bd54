import type { Crypto, Random } from '../core/index.js'

/** As much of a key as tells it from others. */
const keyNameBytes = 8

/**
 * Real ciphers; keys, nonces and ids come from the seed.
 * @param onOpenedTwice the same nonce under the same key: what was received before is believed
 */
export function simulatedCrypto(
  real: Crypto,
  random: Random,
  onOpenedTwice: () => void = () => {}
): Crypto {
  const opened = new Set<string>()
  return {
    randomBytes(length) {
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) bytes[i] = random.nextInt(256)
      return bytes
    },
    seal: (key, nonce, aad, plaintext) => real.seal(key, nonce, aad, plaintext),
    open(key, nonce, aad, ciphertext) {
      const plaintext = real.open(key, nonce, aad, ciphertext)
      if (plaintext === null) return null
      const name = String.fromCharCode(...key.subarray(0, keyNameBytes), ...nonce)
      if (opened.has(name)) onOpenedTwice()
      opened.add(name)
      return plaintext
    },
    deriveKey: (key, salt, info, lengthBytes) => real.deriveKey(key, salt, info, lengthBytes),
    sha256: (bytes) => real.sha256(bytes),
    startSha256: () => real.startSha256()
  }
}
