interface Scheduled {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** What happens when: earliest first, then in the order of scheduling. */
export class EventHeap {
  readonly #heap: Scheduled[] = []
  #order = 0

  /** Infinity when nothing waits. */
  get nextAt(): number {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY
  }

  push(at: number, run: () => void): void {
    const heap = this.#heap
    const added = { at, order: this.#order++, run }
    let i = heap.length
    heap.push(added)
    while (i > 0) {
      const parent = (i - 1) >> 1
      const above = heap[parent] as Scheduled
      if (!isBefore(added, above)) break
      heap[i] = above
      i = parent
    }
    heap[i] = added
  }

  /** Takes out the next one, when there is one. */
  pop(): (() => void) | null {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (first === undefined || last === undefined) return null
    if (heap.length > 0) this.#sink(last)
    return first.run
  }

  #sink(moved: Scheduled): void {
    const heap = this.#heap
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= heap.length) break
      const right = heap[child + 1]
      if (right !== undefined && isBefore(right, heap[child] as Scheduled)) child++
      const below = heap[child] as Scheduled
      if (!isBefore(below, moved)) break
      heap[i] = below
      i = child
    }
    heap[i] = moved
  }
}

const isBefore = (a: Scheduled, b: Scheduled): boolean =>
  a.at < b.at || (a.at === b.at && a.order < b.order)
