import type { MonotonicMs } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'

/** Pauses, each of which ends at its time or when all are woken. */
export class PausesDriver {
  readonly #clock: Clock
  readonly #open = new Set<() => void>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  until(at: MonotonicMs): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        timer.cancel()
        this.#open.delete(end)
        resolve()
      }
      const timer = this.#clock.schedule(at, end)
      this.#open.add(end)
    })
  }

  wakeAll(): void {
    for (const end of [...this.#open]) end()
  }
}
