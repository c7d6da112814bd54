import type { MonotonicMs, WallMs } from '../../src/core/ids.js'
import type { Clock, Timer } from '../../src/core/ports/clock.js'

interface Scheduled {
  readonly at: number
  readonly sequence: number
  readonly callback: () => void
}

/** Time that a test moves; promises are drained with one real turn of the event loop per timer. */
export class VirtualClock implements Clock {
  readonly #timers = new Set<Scheduled>()
  #now = 0
  #sequence = 0

  now(): MonotonicMs {
    return this.#now as MonotonicMs
  }

  wallNow(): WallMs {
    return (1_700_000_000_000 + Math.floor(this.#now)) as WallMs
  }

  schedule(at: MonotonicMs, callback: () => void): Timer {
    const timer = { at: Math.max(at, this.#now), sequence: this.#sequence++, callback }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await drain()
    for (let next = this.#next(); next !== null && next.at <= end; next = this.#next()) {
      this.#timers.delete(next)
      this.#now = next.at
      next.callback()
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
      this.#timers.delete(next)
      this.#now = next.at
      next.callback()
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
    let next: Scheduled | null = null
    for (const timer of this.#timers) {
      if (
        next === null ||
        timer.at < next.at ||
        (timer.at === next.at && timer.sequence < next.sequence)
      ) {
        next = timer
      }
    }
    return next
  }
}

const drain = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
