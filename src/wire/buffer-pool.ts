/** Most connections are quiet: what they say in a turn fits here. */
export const smallBufferBytes = 4 * 1024
/** Two messages of the largest frame. */
export const largeBufferBytes = 132 * 1024
/** Buffers that wait to be used again; beyond it they are left to the collector. */
const smallBuffersFreeMax = 64
const largeBuffersFreeMax = 16
/** So many taken and none given back: whoever takes them keeps them, so they are made to fit. */
const takenInVainBeforeFit = 64
/** Then one in so many shows whether that is still so. */
const trialInterval = 16

/**
 * Buffers of two sizes, lent and given back, so that a steady load of messages allocates none.
 * Whoever gives one back must be its only user; one that is never given back is only lost to the
 * pool.
 */
export class BufferPool {
  readonly #small: Uint8Array[] = []
  readonly #large: Uint8Array[] = []
  #takenInVain = 0

  /** A buffer of at least so many bytes, with whatever stands in it. */
  take(sizeBytesMin: number): Uint8Array {
    if (sizeBytesMin <= smallBufferBytes) {
      return this.#small.pop() ?? new Uint8Array(smallBufferBytes)
    }
    if (sizeBytesMin > largeBufferBytes) return new Uint8Array(sizeBytesMin)
    const free = this.#large.pop()
    if (free !== undefined) return free
    this.#takenInVain++
    const isKept = this.#takenInVain > takenInVainBeforeFit && this.#takenInVain % trialInterval > 0
    return new Uint8Array(isKept ? sizeBytesMin : largeBufferBytes)
  }

  give(buffer: Uint8Array): void {
    if (buffer.length === smallBufferBytes) {
      if (this.#small.length < smallBuffersFreeMax) this.#small.push(buffer)
      return
    }
    if (buffer.length !== largeBufferBytes) return
    this.#takenInVain = 0
    if (this.#large.length < largeBuffersFreeMax) this.#large.push(buffer)
  }
}
