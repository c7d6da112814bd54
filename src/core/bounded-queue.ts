import { assert } from './assert.js'

/** First in, first out, with a named bound; what happens at the bound is the owner's to say. */
export class BoundedQueue<T> {
  readonly lengthMax: number
  #items: (T | undefined)[] = []
  #head = 0

  constructor(lengthMax: number) {
    assert(Number.isInteger(lengthMax) && lengthMax > 0, 'queue bound must be positive')
    this.lengthMax = lengthMax
  }

  get length(): number {
    return this.#items.length - this.#head
  }

  get isFull(): boolean {
    return this.length >= this.lengthMax
  }

  /** False when full: the item was not taken. */
  push(item: T): boolean {
    if (this.isFull) return false
    this.#items.push(item)
    return true
  }

  peek(): T | undefined {
    return this.#items[this.#head]
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined
    this.#head++
    if (this.#head >= 64 && this.#head * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** Takes everything out, oldest first. */
  takeAll(): T[] {
    const items = this.#items.slice(this.#head) as T[]
    this.#items = []
    this.#head = 0
    return items
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T
  }
}
