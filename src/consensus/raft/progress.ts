/**
 * A leader's view of one other replica.
 *
 * `probe`: where the logs agree is not known; one append at a time, and another at each heartbeat's
 * answer. `replicate`: appends are sent ahead of their answers, up to a window.
 *
 * Invariants: `match` never falls; `next` is above `match`.
 */
import { assert } from '../../core/assert.js'
import { BoundedQueue } from '../../core/bounded-queue.js'
import type { LogIndex, MonotonicMs } from '../../core/ids.js'

export class Progress {
  match = 0 as LogIndex
  next: LogIndex
  mode: 'probe' | 'replicate' = 'probe'
  /** When it last answered in this term; the election counts as an answer. */
  heardAt: MonotonicMs
  /** The highest commit index that it was sent. */
  sentCommit = 0 as LogIndex
  /**
   * `match` when the last heartbeat was answered: without movement, what is on its way may be
   * lost.
   */
  matchAtHeartbeat = 0 as LogIndex
  #isProbePaused = false
  /** The last index of each append on its way. */
  readonly #inFlight: BoundedQueue<LogIndex>

  constructor(next: LogIndex, appendsInFlightMax: number, now: MonotonicMs) {
    this.next = next
    this.heardAt = now
    this.#inFlight = new BoundedQueue(appendsInFlightMax)
  }

  get isPaused(): boolean {
    return this.mode === 'probe' ? this.#isProbePaused : this.#inFlight.isFull
  }

  get appendsInFlight(): number {
    return this.#inFlight.length
  }

  noteSent(last: LogIndex | null, commitIndex: LogIndex): void {
    if (commitIndex > this.sentCommit) this.sentCommit = commitIndex
    if (this.mode === 'probe') {
      this.#isProbePaused = true
    } else if (last !== null) {
      this.#inFlight.push(last)
      this.next = (last + 1) as LogIndex
    }
  }

  /** False: nothing new, such as an old answer that was overtaken. */
  handleAccepted(index: LogIndex): boolean {
    while ((this.#inFlight.peek() ?? Number.POSITIVE_INFINITY) <= index) this.#inFlight.shift()
    const isNews = index > this.match || (index === this.match && this.mode === 'probe')
    if (!isNews) return false
    this.match = index
    if (this.mode === 'probe') {
      this.mode = 'replicate'
      this.next = (index + 1) as LogIndex
    } else if (this.next <= index) {
      this.next = (index + 1) as LogIndex
    }
    return true
  }

  /** `agreed` is the highest index where the logs may agree. False: an old answer. */
  handleRejected(rejected: LogIndex, agreed: LogIndex): boolean {
    if (rejected <= this.match) return false
    if (this.mode === 'probe' && rejected !== this.next - 1) return false
    if (this.mode === 'replicate') {
      this.becomeProbe()
      return true
    }
    this.next = Math.max(Math.min(rejected, agreed + 1), this.match + 1) as LogIndex
    this.#isProbePaused = false
    assert(this.next > this.match, 'next is above match')
    return true
  }

  /** Appends on their way may be lost: start again behind what is known. */
  becomeProbe(): void {
    this.mode = 'probe'
    this.next = (this.match + 1) as LogIndex
    this.#inFlight.takeAll()
    this.#isProbePaused = false
  }

  /** A sign of life: one more message may go. */
  resume(): void {
    this.#isProbePaused = false
    if (this.mode === 'replicate' && this.#inFlight.isFull) this.#inFlight.shift()
  }
}
