import type { MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'

/** One waiter, who goes on at a time or when it is woken; a wake while nobody waits is kept. */
export class Wake {
  readonly #clock: Clock
  #end: (() => void) | null = null
  #isDue = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  wake(): void {
    this.#isDue = true
    this.#end?.()
  }

  async wait(until: MonotonicMs): Promise<void> {
    if (!this.#isDue) {
      await new Promise<void>((resolve) => {
        const timer = this.#clock.schedule(until, () => this.#end?.())
        this.#end = () => {
          timer.cancel()
          this.#end = null
          resolve()
        }
      })
    }
    this.#isDue = false
  }
}
