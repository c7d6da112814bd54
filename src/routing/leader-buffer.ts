/**
 * Queries of one group that wait for a leader: who may go on, and when.
 *
 * 1. Bounded by count and bytes; what finds no room is refused at once, nothing is pushed out.
 * 2. Out they come by priority, then in the order of their first arrival: a query whose attempt
 *    failed again takes its old place.
 * 3. Nobody goes on while no leader is known; then no more than `drainMax` at a time, each until
 *    its attempt has ended.
 * 4. A query that was let go and came back goes on when its pause is over, or at the next change
 *    of the leader.
 */
import { assert } from '../core/assert.js'
import { NEVER } from '../core/deadlines.js'
import type { MonotonicMs } from '../core/ids.js'
import { PriorityQueue, type Queued } from './overload/priority-queue.js'

export interface LeaderBufferOptions {
  readonly bufferedQueriesMax: number
  readonly bufferedBytesMax: number
  readonly bufferDrainMax: number
}

export interface Buffered extends Queued {
  readonly sizeBytes: number
  /** Not before. */
  readyAt: MonotonicMs
}

export class LeaderBuffer<Item extends Buffered> {
  readonly #options: LeaderBufferOptions
  readonly #queue = new PriorityQueue<Item>()
  #bytes = 0
  #draining = 0

  constructor(options: LeaderBufferOptions) {
    this.#options = options
  }

  get length(): number {
    return this.#queue.length
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False: there is no room. */
  enter(item: Item): boolean {
    const { bufferedQueriesMax, bufferedBytesMax } = this.#options
    if (this.length >= bufferedQueriesMax) return false
    if (this.#bytes + item.sizeBytes > bufferedBytesMax && this.length > 0) return false
    this.#queue.add(item)
    this.#bytes += item.sizeBytes
    return true
  }

  /** It waits no more: cancelled, or out of time. */
  leave(item: Item): void {
    const before = this.length
    this.#queue.remove(item)
    if (this.length < before) this.#bytes -= item.sizeBytes
  }

  /** Takes out the next that may go on; its owner tells with `handleEnded` when it is done. */
  next(isLed: boolean, now: MonotonicMs): Item | null {
    if (!isLed || this.#draining >= this.#options.bufferDrainMax) return null
    const item = this.#queue.first(({ readyAt }) => readyAt <= now)
    if (item === null) return null
    this.leave(item)
    this.#draining++
    return item
  }

  leaveAll(each: (item: Item) => void): void {
    for (const item of [...this.#queue]) {
      this.leave(item)
      each(item)
    }
  }

  handleEnded(): void {
    assert(this.#draining > 0, 'an attempt ended twice')
    this.#draining--
  }

  /** Another leader, or another term: pauses are over. */
  handleLeaderChanged(now: MonotonicMs): void {
    for (const item of this.#queue) item.readyAt = now
  }

  /** When the next pause ends that somebody could go on after; NEVER when nobody could. */
  nextReadyAt(): MonotonicMs {
    if (this.#draining >= this.#options.bufferDrainMax) return NEVER
    let next = NEVER
    for (const { readyAt } of this.#queue) if (readyAt < next) next = readyAt
    return next
  }
}
