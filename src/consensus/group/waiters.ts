/**
 * Callers that wait, each with a deadline. The owner settles them when something happens, and
 * sweeps them from time to time; a caller whose deadline has passed is rejected by the next sweep.
 */
import type { MonotonicMs } from '../../core/ids.js'

export interface Waiter<T> {
  readonly deadline: MonotonicMs
  resolve(value: T): void
  reject(error: Error): void
}

interface Waiting<Key, T> {
  readonly key: Key
  readonly waiter: Waiter<T>
}

export class Waiters<Key, T> {
  #waiting: Waiting<Key, T>[] = []

  get length(): number {
    return this.#waiting.length
  }

  add(key: Key, waiter: Waiter<T>): void {
    this.#waiting.push({ key, waiter })
  }

  /** Resolves those whose key passes; the rest keeps waiting, in order. */
  resolveWhere(passes: (key: Key) => boolean, value: T): void {
    if (this.#waiting.length === 0) return
    const [settled, rest] = this.#split(({ key }) => passes(key))
    this.#waiting = rest
    for (const { waiter } of settled) waiter.resolve(value)
  }

  rejectAll(makeError: () => Error): void {
    const all = this.#waiting
    this.#waiting = []
    for (const { waiter } of all) waiter.reject(makeError())
  }

  sweep(now: MonotonicMs, makeError: () => Error): void {
    const [late, rest] = this.#split(({ waiter }) => waiter.deadline <= now)
    this.#waiting = rest
    for (const { waiter } of late) waiter.reject(makeError())
  }

  remove(waiter: Waiter<T>): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting.waiter !== waiter)
  }

  #split(picks: (waiting: Waiting<Key, T>) => boolean): [Waiting<Key, T>[], Waiting<Key, T>[]] {
    const picked: Waiting<Key, T>[] = []
    const rest: Waiting<Key, T>[] = []
    for (const waiting of this.#waiting) {
      if (picks(waiting)) picked.push(waiting)
      else rest.push(waiting)
    }
    return [picked, rest]
  }
}
