/** Answers that are due, the earliest first: a binary heap. */
export class AnswerQueue {
  readonly #heap: Answer[] = []

  get length(): number {
    return this.#heap.length
  }

  get earliest(): number {
    return (this.#heap[0] as Answer).at
  }

  push(at: number, begunAt: number, server: number, router: number): void {
    const heap = this.#heap
    const added = { at, begunAt, server, router }
    let hole = heap.length
    heap.push(added)
    while (hole > 0) {
      const parent = (hole - 1) >> 1
      if ((heap[parent] as Answer).at <= at) break
      heap[hole] = heap[parent] as Answer
      hole = parent
    }
    heap[hole] = added
  }

  pop(): Answer {
    const heap = this.#heap
    const earliest = heap[0] as Answer
    const last = heap.pop() as Answer
    if (heap.length === 0) return earliest
    let hole = 0
    for (;;) {
      let child = 2 * hole + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && (heap[child + 1] as Answer).at < (heap[child] as Answer).at) {
        child++
      }
      if ((heap[child] as Answer).at >= last.at) break
      heap[hole] = heap[child] as Answer
      hole = child
    }
    heap[hole] = last
    return earliest
  }
}

interface Answer {
  readonly at: number
  readonly begunAt: number
  readonly server: number
  readonly router: number
}
