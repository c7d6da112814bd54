import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import type { Crypto, Sha256 } from '../core/index.js'

const cipherName = 'aes-256-gcm'
const tagBytes = 16

/** The platform's OpenSSL. */
export function nodeCrypto(): Crypto {
  return {
    randomBytes: (length) => randomBytes(length),
    seal,
    open,
    deriveKey,
    sha256,
    startSha256
  }
}

function seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array) {
  const cipher = createCipheriv(cipherName, key, nonce, { authTagLength: tagBytes })
  cipher.setAAD(aad)
  const body = cipher.update(plaintext)
  cipher.final()
  return Buffer.concat([body, cipher.getAuthTag()])
}

function open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, ciphertext: Uint8Array) {
  const bodyLength = ciphertext.length - tagBytes
  if (bodyLength < 0) return null
  const decipher = createDecipheriv(cipherName, key, nonce, { authTagLength: tagBytes })
  decipher.setAAD(aad)
  decipher.setAuthTag(ciphertext.subarray(bodyLength))
  const plaintext = decipher.update(ciphertext.subarray(0, bodyLength))
  try {
    decipher.final()
  } catch {
    return null
  }
  return plaintext
}

function deriveKey(key: Uint8Array, salt: Uint8Array, info: string, lengthBytes: number) {
  return new Uint8Array(hkdfSync('sha256', key, salt, info, lengthBytes))
}

function sha256(bytes: Uint8Array) {
  return createHash('sha256').update(bytes).digest()
}

function startSha256(): Sha256 {
  const hash = createHash('sha256')
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest() }
}
