import type { MonotonicMs } from '../../src/core/ids.js'
import type { Clock } from '../../src/core/ports/clock.js'

/** The clock of one process: when it dies, nothing fires any more. */
export class ProcessClock implements Clock {
  readonly #clock: Clock
  isDead = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now() {
    return this.#clock.now()
  }

  wallNow() {
    return this.#clock.wallNow()
  }

  schedule(at: MonotonicMs, callback: () => void) {
    return this.#clock.schedule(at, () => {
      if (!this.isDead) callback()
    })
  }
}
