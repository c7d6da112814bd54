/** Chunks shorter than this are gathered, so that many small frames do not cost many buffers. */
const gatheredBytes = 4 * 1024

/** Received bytes that nobody has read yet; how many, the credit bounds. */
export class ReceiveBuffer {
  #chunks: Uint8Array[] = []
  /** The last chunk's buffer when it still has room, else null. */
  #open: Uint8Array | null = null
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Long chunks are kept as they lie, short ones copied. */
  push(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.length
    if (chunk.length >= gatheredBytes) {
      this.#chunks.push(chunk)
      this.#open = null
      return
    }
    const last = this.#chunks.length - 1
    const filled = this.#open === null ? 0 : (this.#chunks[last] as Uint8Array).length
    if (this.#open !== null && filled + chunk.length <= this.#open.length) {
      this.#open.set(chunk, filled)
      this.#chunks[last] = this.#open.subarray(0, filled + chunk.length)
      return
    }
    this.#open = new Uint8Array(gatheredBytes)
    this.#open.set(chunk)
    this.#chunks.push(this.#open.subarray(0, chunk.length))
  }

  /** The oldest bytes; null when there are none. */
  shift(): Uint8Array | null {
    const chunk = this.#chunks.shift()
    if (chunk === undefined) return null
    if (this.#chunks.length === 0) this.#open = null
    this.#sizeBytes -= chunk.length
    return chunk
  }

  /** Forgets everything; answers how much it was. */
  clear(): number {
    const cleared = this.#sizeBytes
    this.#chunks = []
    this.#open = null
    this.#sizeBytes = 0
    return cleared
  }
}
