/** A digest that is put together piece by piece; `digest` ends it. */
export interface Sha256 {
  update(bytes: Uint8Array): void
  digest(): Uint8Array
}

/** Primitives from the platform. Synchronous; the simulator uses the real ones. */
export interface Crypto {
  /** From the operating system's generator (in the simulator: from the seed). */
  randomBytes(length: number): Uint8Array
  /** AES-256-GCM; the answer is ciphertext with the 16-byte tag behind it. */
  seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Uint8Array
  /** Null when the tag does not fit: forged, corrupted, or another key. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    aad: Uint8Array,
    ciphertext: Uint8Array
  ): Uint8Array | null
  /** HKDF-SHA-256. */
  deriveKey(key: Uint8Array, salt: Uint8Array, info: string, lengthBytes: number): Uint8Array
  sha256(bytes: Uint8Array): Uint8Array
  /** For what is too large to be hashed at once. */
  startSha256(): Sha256
}
