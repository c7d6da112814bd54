/**
 * Samples on their way from the main loop to a worker: a ring in shared memory with one producer
 * and one consumer, without locks. The producer never waits; a consumer that falls behind loses the
 * oldest samples and counts them.
 *
 * Layout, little-endian as the machine has it: four 32-bit words (head, tail, lost, unused), then
 * per slot a 32-bit tag, then per slot a 64-bit float. Head and tail count samples modulo 2^32.
 *
 * Invariants:
 * 1. what is taken was written whole, once, and comes in the order of writing;
 * 2. taken + lost = published, whoever the consumer is: its place stands in the ring;
 * 3. a slot is handed out only while the producer is at least two batches away from writing it
 *    again, because it may be up to a batch ahead of what it has published.
 *
 * Owner's duties: `publish()` before the consumer is sent for; one consumer at a time.
 */
import { assert } from '../core/assert.js'

/** Samples between two publications of the head. */
export const publishBatchLength = 64

const headerBytes = 16
const HEAD = 0
const TAIL = 1
const LOST = 2

export function createSampleRing(slots: number): SharedArrayBuffer {
  const isPowerOfTwo = Number.isInteger(slots) && slots > 0 && (slots & (slots - 1)) === 0
  assert(isPowerOfTwo && slots >= 4 * publishBatchLength, `a ring of ${slots} slots`)
  return new SharedArrayBuffer(headerBytes + 4 * slots + 8 * slots)
}

const slotsOf = (ring: SharedArrayBuffer): number => (ring.byteLength - headerBytes) / 12

export class SampleWriter {
  readonly #words: Int32Array
  readonly #tags: Int32Array
  readonly #values: Float64Array
  readonly #mask: number
  #head: number
  #unpublished = 0

  constructor(ring: SharedArrayBuffer) {
    const slots = slotsOf(ring)
    this.#words = new Int32Array(ring, 0, 4)
    this.#tags = new Int32Array(ring, headerBytes, slots)
    this.#values = new Float64Array(ring, headerBytes + 4 * slots, slots)
    this.#mask = slots - 1
    this.#head = Atomics.load(this.#words, HEAD)
  }

  write(tag: number, value: number): void {
    const slot = this.#head & this.#mask
    this.#tags[slot] = tag
    this.#values[slot] = value
    this.#head = (this.#head + 1) | 0
    if (++this.#unpublished === publishBatchLength) this.publish()
  }

  /** Everything written so far can be taken. */
  publish(): void {
    this.#unpublished = 0
    Atomics.store(this.#words, HEAD, this.#head)
  }
}

export class SampleReader {
  readonly #words: Int32Array
  readonly #tags: Int32Array
  readonly #values: Float64Array
  readonly #slots: number
  readonly #takenTags: Int32Array
  readonly #takenValues: Float64Array

  constructor(ring: SharedArrayBuffer) {
    const slots = slotsOf(ring)
    this.#words = new Int32Array(ring, 0, 4)
    this.#tags = new Int32Array(ring, headerBytes, slots)
    this.#values = new Float64Array(ring, headerBytes + 4 * slots, slots)
    this.#slots = slots
    this.#takenTags = new Int32Array(slots)
    this.#takenValues = new Float64Array(slots)
  }

  /** Samples lost since the ring was made. */
  get lost(): number {
    return Atomics.load(this.#words, LOST) >>> 0
  }

  /** Takes everything published, oldest first; answers how many samples came. */
  take(onSample: (tag: number, value: number) => void): number {
    const head = Atomics.load(this.#words, HEAD)
    const tail = Atomics.load(this.#words, TAIL)
    const from = this.#safeFrom(head, tail)
    const count = (head - from) >>> 0
    this.#copy(from, count)
    // The producer went on while the copy was made: what it may have overwritten is lost as well.
    const safe = this.#safeFrom(Atomics.load(this.#words, HEAD), from)
    const overtaken = Math.min(count, (safe - from) >>> 0)
    Atomics.store(this.#words, TAIL, head)
    Atomics.add(this.#words, LOST, ((from - tail) >>> 0) + overtaken)
    for (let i = overtaken; i < count; i++) {
      onSample(this.#takenTags[i] as number, this.#takenValues[i] as number)
    }
    return count - overtaken
  }

  /** `tail`, or the oldest sample that the producer cannot be writing over. */
  #safeFrom(head: number, tail: number): number {
    const keptMax = this.#slots - 2 * publishBatchLength
    return (head - tail) >>> 0 > keptMax ? (head - keptMax) | 0 : tail
  }

  #copy(from: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const slot = (from + i) & (this.#slots - 1)
      this.#takenTags[i] = this.#tags[slot] as number
      this.#takenValues[i] = this.#values[slot] as number
    }
  }
}
