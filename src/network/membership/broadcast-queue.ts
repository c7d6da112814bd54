/**
 * The rumours still to be spread.
 *
 * 1. One rumour per topic: newer news about it supersedes the older.
 * 2. Fewest transmits first, then newest first.
 * 3. A rumour leaves after `transmitsMax` transmits.
 * 4. At the bound the most transmitted one is dropped, the oldest of those.
 */
import { assert } from '../../core/assert.js'
import type { NodeId } from '../../core/ids.js'
import type { Rumour } from './messages.js'

/** A member's standing, or its pairs; a node id has no colon. */
export type Topic = NodeId | `metadata:${NodeId}`

interface Entry {
  readonly about: Topic
  readonly rumour: Rumour
  readonly sizeBytes: number
  transmits: number
  isQueued: boolean
}

export class BroadcastQueue {
  readonly lengthMax: number
  readonly #byTopic = new Map<Topic, Entry>()
  /** By transmits; oldest first in each; may hold entries that left, skipped when met. */
  #buckets: Entry[][] = []
  #dropped = 0

  constructor(lengthMax: number) {
    assert(lengthMax > 0, 'broadcast queue bound must be positive')
    this.lengthMax = lengthMax
  }

  get length(): number {
    return this.#byTopic.size
  }

  /** Rumours that left because the queue was full. */
  get dropped(): number {
    return this.#dropped
  }

  has(about: Topic): boolean {
    return this.#byTopic.has(about)
  }

  push(about: Topic, rumour: Rumour, sizeBytes: number): void {
    this.forget(about)
    if (this.#byTopic.size >= this.lengthMax) this.#dropMostTransmitted()
    const entry: Entry = { about, rumour, sizeBytes, transmits: 0, isQueued: true }
    this.#byTopic.set(about, entry)
    this.#bucket(0).push(entry)
  }

  forget(about: Topic): void {
    const entry = this.#byTopic.get(about)
    if (entry === undefined) return
    entry.isQueued = false
    this.#byTopic.delete(about)
  }

  clear(): void {
    this.#byTopic.clear()
    this.#buckets = []
  }

  /** Rumours that fit `budgetBytes` together; each is one transmit nearer to its end. */
  take(budgetBytes: number, countMax: number, transmitsMax: number): Rumour[] {
    const taken: Entry[] = []
    let left = budgetBytes
    for (let transmits = 0; transmits < this.#buckets.length; transmits++) {
      if (left < partBytesMin || taken.length >= countMax) break
      const bucket = this.#buckets[transmits] as Entry[]
      for (let i = bucket.length - 1; i >= 0 && taken.length < countMax; i--) {
        const entry = bucket[i] as Entry
        if (!entry.isQueued || entry.sizeBytes > left) continue
        left -= entry.sizeBytes
        taken.push(entry)
      }
      this.#buckets[transmits] = bucket.filter((entry) => entry.isQueued && !taken.includes(entry))
    }
    // The newest was taken first and goes in last, so that a bucket stays in the order of age.
    for (let i = taken.length - 1; i >= 0; i--) this.#markSent(taken[i] as Entry, transmitsMax)
    return taken.map((entry) => entry.rumour)
  }

  #markSent(entry: Entry, transmitsMax: number): void {
    entry.transmits++
    if (entry.transmits >= transmitsMax) this.forget(entry.about)
    else this.#bucket(entry.transmits).push(entry)
  }

  #dropMostTransmitted(): void {
    for (let transmits = this.#buckets.length - 1; transmits >= 0; transmits--) {
      const oldest = this.#buckets[transmits]?.find((entry) => entry.isQueued)
      if (oldest === undefined) continue
      this.forget(oldest.about)
      this.#dropped++
      return
    }
  }

  #bucket(transmits: number): Entry[] {
    while (this.#buckets.length <= transmits) this.#buckets.push([])
    return this.#buckets[transmits] as Entry[]
  }
}

/** No part is smaller: kind, length, a node id, an incarnation. */
const partBytesMin = 12
