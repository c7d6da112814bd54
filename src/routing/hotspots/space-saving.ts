/**
 * The most frequent of many keys in bounded memory: Space-Saving (Metwally, Agrawal, El Abbadi:
 * "Efficient computation of frequent and top-k elements in data streams", 2005). With m counters
 * after n keys:
 *
 * 1. A counter is never below its key's true count, and above it by at most its `error`.
 * 2. No `error` is above n / m.
 * 3. A key that came more than n / m times has a counter.
 *
 * A new key takes the place of the least counter. Counters only rise, so the least value only
 * rises: the search goes on where the last one ended and is done after one round, or at once.
 */
import { assert, must } from '../../core/assert.js'

export interface Counted {
  readonly key: string
  readonly count: number
  /** So much of `count` may belong to other keys. */
  readonly error: number
}

export class SpaceSaving {
  readonly capacity: number
  readonly #slots = new Map<string, number>()
  readonly #keys: string[] = []
  readonly #counts: number[] = []
  readonly #errors: number[] = []
  #least = 0
  #cursor = 0
  #total = 0

  constructor(capacity: number) {
    assert(Number.isInteger(capacity) && capacity > 0, 'a sketch needs counters')
    this.capacity = capacity
  }

  get total(): number {
    return this.#total
  }

  add(key: string): void {
    this.#total++
    const slot = this.#slots.get(key)
    if (slot !== undefined) this.#counts[slot] = must(this.#counts[slot], 'count') + 1
    else if (this.#keys.length < this.capacity) this.#take(this.#keys.length, key, 0)
    else this.#replace(key)
  }

  clear(): void {
    this.#slots.clear()
    this.#keys.length = 0
    this.#counts.length = 0
    this.#errors.length = 0
    this.#least = 0
    this.#cursor = 0
    this.#total = 0
  }

  /** In no order. */
  *entries(): Iterable<Counted> {
    for (const [slot, key] of this.#keys.entries()) {
      yield {
        key,
        count: must(this.#counts[slot], 'count'),
        error: must(this.#errors[slot], 'error')
      }
    }
  }

  /** As `entries`, without an object for each. */
  visit(told: (key: string, count: number, error: number) => void): void {
    for (let slot = 0; slot < this.#keys.length; slot++) {
      told(this.#keys[slot] as string, this.#counts[slot] as number, this.#errors[slot] as number)
    }
  }

  #replace(key: string): void {
    const slot = this.#findLeast()
    this.#slots.delete(must(this.#keys[slot], 'key'))
    this.#take(slot, key, must(this.#counts[slot], 'count'))
  }

  #take(slot: number, key: string, error: number): void {
    this.#keys[slot] = key
    this.#counts[slot] = error + 1
    this.#errors[slot] = error
    this.#slots.set(key, slot)
  }

  #findLeast(): number {
    for (let passed = 0; passed < this.capacity; passed++) {
      this.#cursor = (this.#cursor + 1) % this.capacity
      if (this.#counts[this.#cursor] === this.#least) return this.#cursor
    }
    this.#least = Math.min(...this.#counts)
    return this.#counts.indexOf(this.#least)
  }
}
