import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import type { Crypto } from '../../../src/core/index.js'

/** The port over the platform's primitives. */
export const nodeCrypto: Crypto = {
  randomBytes: (length) => new Uint8Array(randomBytes(length)),
  seal(key, nonce, aad, plaintext) {
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    cipher.setAAD(aad)
    const body = cipher.update(plaintext)
    cipher.final()
    return new Uint8Array(Buffer.concat([body, cipher.getAuthTag()]))
  },
  open(key, nonce, aad, ciphertext) {
    const tagAt = ciphertext.length - 16
    const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: 16 })
    decipher.setAAD(aad)
    decipher.setAuthTag(ciphertext.subarray(tagAt))
    const body = decipher.update(ciphertext.subarray(0, tagAt))
    try {
      decipher.final()
    } catch {
      return null
    }
    return new Uint8Array(body)
  },
  deriveKey: (key, salt, info, lengthBytes) =>
    new Uint8Array(hkdfSync('sha256', key, salt, info, lengthBytes)),
  sha256: (bytes) => new Uint8Array(createHash('sha256').update(bytes).digest())
}
