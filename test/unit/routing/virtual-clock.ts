import type { Clock, MonotonicMs, Timer, WallMs } from '../../../src/core/index.js'

/** Time that moves only when it is told to, or when everybody waits for it. */
export class VirtualClock implements Clock {
  #now = 1_000
  #timers: { at: number; order: number; callback: () => void }[] = []
  #order = 0

  now(): MonotonicMs {
    return this.#now as MonotonicMs
  }

  wallNow(): WallMs {
    return (1_700_000_000_000 + this.#now) as WallMs
  }

  after(ms: number): MonotonicMs {
    return (this.#now + ms) as MonotonicMs
  }

  schedule(at: MonotonicMs, callback: () => void): Timer {
    const timer = { at: Math.max(at, this.#now), order: this.#order++, callback }
    this.#timers.push(timer)
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer)
      }
    }
  }

  get pending(): number {
    return this.#timers.length
  }

  async advance(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      await settled()
      const next = this.#next()
      if (next === undefined || next.at > until) break
      this.#fire(next)
    }
    this.#now = until
    await settled()
  }

  /** Lets time pass until the promise settles; fails when nothing is left to wait for. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const end = () => {
      isSettled = true
    }
    promise.then(end, end)
    for (;;) {
      await settled()
      if (isSettled) return promise
      const next = this.#next()
      if (next === undefined) throw new Error('it waits for nothing')
      this.#fire(next)
    }
  }

  #next() {
    return this.#timers.sort((a, b) => a.at - b.at || a.order - b.order)[0]
  }

  #fire(timer: { at: number; callback: () => void }): void {
    this.#timers = this.#timers.filter((other) => other !== timer)
    this.#now = timer.at
    timer.callback()
  }
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
