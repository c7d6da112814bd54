import { performance } from 'node:perf_hooks'
import type { Clock, MonotonicMs, Timer, WallMs } from '../core/index.js'

/** Longer waits of `setTimeout` overflow and fire at once. */
const longestTimeoutMs = 2 ** 31 - 1

/** The system's clocks. Every thread of the process sees the same monotonic time. */
export function nodeClock(): Clock {
  // performance.now() counts from the start of its thread, hrtime from the start of the machine.
  const [seconds, nanoseconds] = process.hrtime()
  const originMs = seconds * 1e3 + nanoseconds / 1e6 - performance.now()
  const now = () => (originMs + performance.now()) as MonotonicMs
  return {
    now,
    wallNow: () => Date.now() as WallMs,
    schedule: (at, callback) => new NodeTimer(now, at, callback)
  }
}

class NodeTimer implements Timer {
  readonly #now: () => MonotonicMs
  readonly #at: MonotonicMs
  readonly #callback: () => void
  #timeout: NodeJS.Timeout | null = null

  constructor(now: () => MonotonicMs, at: MonotonicMs, callback: () => void) {
    this.#now = now
    this.#at = at
    this.#callback = callback
    this.#arm()
  }

  cancel(): void {
    if (this.#timeout !== null) clearTimeout(this.#timeout)
    this.#timeout = null
  }

  #arm(): void {
    if (this.#at === Number.POSITIVE_INFINITY) return
    const waitMs = Math.min(Math.max(0, Math.ceil(this.#at - this.#now())), longestTimeoutMs)
    this.#timeout = setTimeout(() => this.#fire(), waitMs)
  }

  #fire(): void {
    this.#timeout = null
    // The event loop counts whole milliseconds of its own and may be early by a fraction.
    if (this.#now() < this.#at) this.#arm()
    else this.#callback()
  }
}
