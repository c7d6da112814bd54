/**
 * One file of a simulated disk: the image that programs read (cached), the image that a power
 * failure leaves (durable), and the operations between the two.
 */
import { assert } from '../core/assert.js'
import type { Random } from '../core/ports/random.js'

type Operation =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }

/** What became of the un-synced operations of a file. */
export interface CrashOutcome {
  readonly kept: number
  readonly dropped: number
  readonly torn: number
}

export class SimulatedFile {
  /** Tells it from every other file of its disk. */
  readonly #id: number
  #changes = 0
  readonly #cached = new Image()
  readonly #durable = new Image()
  #operations: Operation[] = []
  #settledCount = 0

  constructor(id: number) {
    this.#id = id
  }

  get sizeBytes(): number {
    return this.#cached.sizeBytes
  }

  /** Another after every change. */
  get version(): string {
    return `${this.#id}.${this.#changes}`
  }

  /** What a sync that begins now will make durable: hand it to `settle`. */
  get syncPoint(): number {
    return this.#settledCount + this.#operations.length
  }

  read(): Uint8Array {
    return this.#cached.copy()
  }

  readAt(offset: number, lengthMax: number): Uint8Array {
    return this.#cached.copy(offset, offset + lengthMax)
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#changes++
    this.#cached.write(offset, bytes)
    this.#operations.push({ kind: 'write', offset, bytes })
  }

  truncate(sizeBytes: number): void {
    this.#changes++
    this.#cached.truncate(sizeBytes)
    this.#operations.push({ kind: 'truncate', sizeBytes })
  }

  /**
   * Makes the operations before `syncPoint` durable; those made while the sync ran stay un-synced.
   */
  settle(syncPoint: number): void {
    const settled = this.#operations.splice(0, Math.max(0, syncPoint - this.#settledCount))
    for (const operation of settled) this.#durable.perform(operation)
    this.#settledCount += settled.length
  }

  /** Each un-synced operation is kept, dropped or, when a write, torn at its sectors' borders. */
  crash(random: Random, sectorBytes: number): CrashOutcome {
    const outcome = { kept: 0, dropped: 0, torn: 0 }
    for (const operation of this.#operations) {
      const fate = random.nextInt(3)
      if (fate === 0) {
        outcome.dropped++
      } else if (fate === 1 || operation.kind === 'truncate') {
        this.#durable.perform(operation)
        outcome.kept++
      } else {
        this.#tear(operation, random, sectorBytes)
        outcome.torn++
      }
    }
    this.#operations = []
    this.#changes++
    this.#cached.become(this.#durable)
    return outcome
  }

  /** Flips one bit in both images, as a medium does that rots. */
  flipBit(offset: number, bit: number): void {
    this.#cached.flip(offset, bit)
    if (offset < this.#durable.sizeBytes) this.#durable.flip(offset, bit)
  }

  #tear(write: { offset: number; bytes: Uint8Array }, random: Random, sectorBytes: number): void {
    const end = write.offset + write.bytes.length
    for (let at = write.offset; at < end; ) {
      const next = Math.min(end, (Math.floor(at / sectorBytes) + 1) * sectorBytes)
      if (random.nextInt(2) === 0) {
        this.#durable.write(at, write.bytes.subarray(at - write.offset, next - write.offset))
      }
      at = next
    }
  }
}

/** Bytes that grow; holes read as zero. */
class Image {
  #bytes: Uint8Array = new Uint8Array(0)
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  copy(start = 0, end = this.#sizeBytes): Uint8Array {
    return this.#bytes.slice(start, Math.min(end, this.#sizeBytes))
  }

  perform(operation: Operation): void {
    if (operation.kind === 'write') this.write(operation.offset, operation.bytes)
    else this.truncate(operation.sizeBytes)
  }

  write(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length
    this.#reserve(end)
    this.#bytes.set(bytes, offset)
    this.#sizeBytes = Math.max(this.#sizeBytes, end)
  }

  truncate(sizeBytes: number): void {
    this.#reserve(sizeBytes)
    if (sizeBytes < this.#sizeBytes) this.#bytes.fill(0, sizeBytes, this.#sizeBytes)
    this.#sizeBytes = sizeBytes
  }

  become(other: Image): void {
    this.#bytes = other.copy()
    this.#sizeBytes = other.#sizeBytes
  }

  flip(offset: number, bit: number): void {
    assert(offset < this.#sizeBytes, `bit rot at ${offset} of ${this.#sizeBytes} bytes`)
    this.#bytes[offset] = (this.#bytes[offset] as number) ^ (1 << bit)
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(sizeBytes, this.#bytes.length * 2, 4096))
    larger.set(this.#bytes.subarray(0, this.#sizeBytes))
    this.#bytes = larger
  }
}
