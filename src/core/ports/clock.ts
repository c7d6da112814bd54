import type { MonotonicMs, WallMs } from '../ids.js'

export interface Timer {
  cancel(): void
}

/**
 * Time as the drivers see it. Monotonic time is one clock per process, in milliseconds with
 * fractions; it does not jump, and alone decides deadlines. Wall time may jump in both directions.
 */
export interface Clock {
  now(): MonotonicMs
  wallNow(): WallMs
  /** Runs `callback` once, not before `at`, never synchronously. */
  schedule(at: MonotonicMs, callback: () => void): Timer
}
