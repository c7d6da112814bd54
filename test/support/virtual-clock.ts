import type { MonotonicMs, WallMs } from '../../src/core/ids.js'
import type { Clock, Timer } from '../../src/core/ports/clock.js'

interface Scheduled {
  readonly at: number
  readonly sequence: number
  /** Null: cancelled. */
  callback: (() => void) | null
}

/** Time that a test moves; promises are drained with one real turn of the event loop per timer. */
export class VirtualClock implements Clock {
  /** Sorted, the next one last: timers come mostly in the order of their time. */
  readonly #timers: Scheduled[] = []
  #now = 0
  #sequence = 0

  now(): MonotonicMs {
    return this.#now as MonotonicMs
  }

  wallNow(): WallMs {
    return (1_700_000_000_000 + Math.floor(this.#now)) as WallMs
  }

  schedule(at: MonotonicMs, callback: () => void): Timer {
    const timer: Scheduled = {
      at: Math.max(at, this.#now),
      sequence: this.#sequence++,
      callback
    }
    this.#insert(timer)
    return {
      cancel() {
        timer.callback = null
      }
    }
  }

  /** Timers that are neither due nor cancelled. */
  get pending(): number {
    return this.#timers.filter(({ callback }) => callback !== null).length
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await drain()
    for (let next = this.#next(); next !== null && next.at <= end; next = this.#next()) {
      this.#timers.pop()
      this.#now = next.at
      next.callback?.()
      await drain()
    }
    this.#now = end
  }

  /** Moves time until `condition` holds. */
  async until(condition: () => boolean, withinMs = 60_000): Promise<void> {
    const end = this.#now + withinMs
    await drain()
    while (!condition()) {
      const next = this.#next()
      if (next === null || next.at > end) throw new Error(`not within ${withinMs} ms`)
      this.#timers.pop()
      this.#now = next.at
      next.callback?.()
      await drain()
    }
  }

  /** Moves time until the promise settles. */
  async settle<T>(promise: Promise<T>, withinMs = 60_000): Promise<T> {
    let settled = false
    const mark = () => {
      settled = true
    }
    promise.then(mark, mark)
    await this.until(() => settled, withinMs)
    return promise
  }

  #next(): Scheduled | null {
    for (let next = this.#timers.at(-1); next !== undefined; next = this.#timers.at(-1)) {
      if (next.callback !== null) return next
      this.#timers.pop()
    }
    return null
  }

  #insert(timer: Scheduled): void {
    let low = 0
    let high = this.#timers.length
    while (low < high) {
      const middle = (low + high) >> 1
      // Of equal times the later one comes before, that is, runs after.
      if ((this.#timers[middle] as Scheduled).at > timer.at) low = middle + 1
      else high = middle
    }
    this.#timers.splice(low, 0, timer)
  }
}

const drain = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
