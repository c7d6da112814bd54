import { assert } from './assert.js'

/** Keeps the newest `lengthMax` items; older ones are overwritten and counted. */
export class RingBuffer<T> {
  readonly lengthMax: number
  readonly #items: T[] = []
  #next = 0
  #overwritten = 0

  constructor(lengthMax: number) {
    assert(Number.isInteger(lengthMax) && lengthMax > 0, 'ring bound must be positive')
    this.lengthMax = lengthMax
  }

  push(item: T): void {
    if (this.#items.length < this.lengthMax) {
      this.#items.push(item)
      return
    }
    this.#items[this.#next] = item
    this.#next = (this.#next + 1) % this.lengthMax
    this.#overwritten++
  }

  get length(): number {
    return this.#items.length
  }

  get overwritten(): number {
    return this.#overwritten
  }

  /** Oldest first. */
  toArray(): T[] {
    return [...this.#items.slice(this.#next), ...this.#items.slice(0, this.#next)]
  }
}
