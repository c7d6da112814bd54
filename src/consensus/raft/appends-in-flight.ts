/**
 * The appends on their way to one follower, bounded by their number and by the bytes of their
 * entries: what is on its way waits in queues of the transport, and a slow link must not fill them.
 * Source: etcd's `Inflights`. The bound of bytes is reached by the last append that goes, so one
 * entry of any size can.
 */
import { BoundedQueue } from '../../core/bounded-queue.js'
import type { LogIndex } from '../../core/ids.js'

interface Append {
  readonly lastIndex: LogIndex
  readonly sizeBytes: number
}

export interface AppendsInFlightLimits {
  readonly appendsInFlightMax: number
  readonly appendBytesInFlightMax: number
}

export class AppendsInFlight {
  readonly #bytesMax: number
  readonly #appends: BoundedQueue<Append>
  #sizeBytes = 0

  constructor({ appendsInFlightMax, appendBytesInFlightMax }: AppendsInFlightLimits) {
    this.#bytesMax = appendBytesInFlightMax
    this.#appends = new BoundedQueue(appendsInFlightMax)
  }

  get length(): number {
    return this.#appends.length
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get isFull(): boolean {
    return this.#appends.isFull || this.#sizeBytes >= this.#bytesMax
  }

  push(append: Append): void {
    if (this.#appends.push(append)) this.#sizeBytes += append.sizeBytes
  }

  /** The follower has everything up to `index`. */
  dropUpTo(index: LogIndex): void {
    for (;;) {
      const first = this.#appends.peek()
      if (first === undefined || first.lastIndex > index) return
      this.#sizeBytes -= first.sizeBytes
      this.#appends.shift()
    }
  }

  /** What ends behind `index` did not leave. */
  dropBehind(index: LogIndex): void {
    const appends = this.#appends.takeAll()
    this.#sizeBytes = 0
    for (const append of appends) if (append.lastIndex <= index) this.push(append)
  }

  clear(): void {
    this.#appends.takeAll()
    this.#sizeBytes = 0
  }
}
