import { after } from '../core/deadlines.js'
import type { Clock } from '../core/ports/clock.js'
import type { Random } from '../core/ports/random.js'

/** Between attempts: from half of the time to all of it, so that not all clients come at once. */
export class Pause {
  readonly #clock: Clock
  readonly #random: Random
  #wake: () => void = () => {}
  #isOver = false

  constructor({ clock, random }: { readonly clock: Clock; readonly random: Random }) {
    this.#clock = clock
    this.#random = random
  }

  /** Resolves when the time is over, or with `wake`; at once after `end`. */
  wait(ms: number): Promise<void> {
    if (this.#isOver) return Promise.resolve()
    return new Promise((resolve) => {
      const at = after(this.#clock.now(), ms * (0.5 + this.#random.nextFloat() / 2))
      const timer = this.#clock.schedule(at, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }

  wake(): void {
    this.#wake()
  }

  /** Nobody waits any more. */
  end(): void {
    this.#isOver = true
    this.#wake()
  }
}
