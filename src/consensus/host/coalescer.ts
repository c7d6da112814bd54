/** Collects what goes to each of several receivers, until it is taken for all of them at once. */
export class Coalescer<Receiver, Item> {
  #waiting = new Map<Receiver, Item[]>()
  #length = 0

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  get length(): number {
    return this.#length
  }

  push(to: Receiver, item: Item): void {
    const items = this.#waiting.get(to)
    if (items === undefined) this.#waiting.set(to, [item])
    else items.push(item)
    this.#length++
  }

  /** The receiver is written to even if there is nothing for it. */
  ensure(to: Receiver): void {
    if (!this.#waiting.has(to)) this.#waiting.set(to, [])
  }

  /** In the order in which the receivers came, and each one's items in theirs. */
  takeAll(): ReadonlyMap<Receiver, readonly Item[]> {
    const taken = this.#waiting
    this.#waiting = new Map()
    this.#length = 0
    return taken
  }
}
