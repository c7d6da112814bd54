/**
 * Which chunks of a file are there: one bit each, the lowest first, as on the wire.
 *
 * 1. Every chunk is `chunkBytes` long but the last, which is what is left; an empty file has none.
 * 2. `firstMissing` is the lowest chunk that is not there, or `count`.
 */
import { assert } from '../../core/assert.js'

export class ChunkMap {
  readonly count: number
  readonly #bits: Uint8Array
  #present = 0
  #firstMissing = 0

  constructor(count: number) {
    assert(Number.isSafeInteger(count) && count >= 0, `a file of ${count} chunks`)
    this.count = count
    this.#bits = new Uint8Array(Math.ceil(count / 8))
  }

  /** What `toHave` told: all before `firstChunk` are there, none behind the last bit. */
  static fromHave(count: number, firstChunk: number, have: Uint8Array): ChunkMap {
    const map = new ChunkMap(count)
    for (let chunk = 0; chunk < Math.min(firstChunk, count); chunk++) map.add(chunk)
    const end = Math.min(count, firstChunk + have.length * 8)
    for (let chunk = firstChunk; chunk < end; chunk++) {
      if (isSet(have, chunk - firstChunk)) map.add(chunk)
    }
    return map
  }

  get present(): number {
    return this.#present
  }

  get firstMissing(): number {
    return this.#firstMissing
  }

  get isComplete(): boolean {
    return this.#present === this.count
  }

  has(chunk: number): boolean {
    return isSet(this.#bits, chunk)
  }

  /** False: it was there. */
  add(chunk: number): boolean {
    assert(chunk >= 0 && chunk < this.count, `chunk ${chunk} of ${this.count}`)
    if (this.has(chunk)) return false
    this.#bits[chunk >> 3] = (this.#bits[chunk >> 3] as number) | (1 << (chunk & 7))
    this.#present++
    while (this.#firstMissing < this.count && this.has(this.#firstMissing)) this.#firstMissing++
    return true
  }

  /** False: it was not there. */
  remove(chunk: number): boolean {
    if (!this.has(chunk)) return false
    this.#bits[chunk >> 3] = (this.#bits[chunk >> 3] as number) & ~(1 << (chunk & 7))
    this.#present--
    this.#firstMissing = Math.min(this.#firstMissing, chunk)
    return true
  }

  /** The lowest chunk from `from` on that is not there; null: none. */
  nextMissing(from: number): number | null {
    for (let chunk = Math.max(from, this.#firstMissing); chunk < this.count; chunk++) {
      if (!this.has(chunk)) return chunk
    }
    return null
  }

  /** As much of the map as `bytesMax` holds, from the first chunk that is missing on. */
  toHave(bytesMax: number): { firstChunk: number; have: Uint8Array } {
    const firstChunk = this.#firstMissing
    const bytes = Math.min(bytesMax, Math.ceil((this.count - firstChunk) / 8))
    const have = new Uint8Array(bytes)
    let length = 0
    for (let bit = 0; bit < Math.min(bytes * 8, this.count - firstChunk); bit++) {
      if (!this.has(firstChunk + bit)) continue
      have[bit >> 3] = (have[bit >> 3] as number) | (1 << (bit & 7))
      length = (bit >> 3) + 1
    }
    return { firstChunk, have: have.subarray(0, length) }
  }
}

const isSet = (bits: Uint8Array, bit: number): boolean =>
  ((bits[bit >> 3] ?? 0) & (1 << (bit & 7))) !== 0

export const chunkCount = (sizeBytes: number, chunkBytes: number): number =>
  Math.ceil(sizeBytes / chunkBytes)

/** Where a chunk lies, and how long it is. */
export function chunkSpan(
  chunk: number,
  sizeBytes: number,
  chunkBytes: number
): { offset: number; length: number } {
  const offset = chunk * chunkBytes
  return { offset, length: Math.min(chunkBytes, sizeBytes - offset) }
}
