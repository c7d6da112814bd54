import { NEVER } from './deadlines.js'
import type { MonotonicMs } from './ids.js'
import type { Clock, Timer } from './ports/clock.js'

/**
 * The one timer of a core's driver. The driver calls `arm(core.nextDeadline())` after each call
 * into the core; when the deadline passes, `onDue` runs with the current time.
 */
export class DeadlineTimer {
  readonly #clock: Clock
  readonly #onDue: (now: MonotonicMs) => void
  #timer: Timer | null = null
  #armedAt: MonotonicMs = NEVER
  #stopped = false

  constructor(clock: Clock, onDue: (now: MonotonicMs) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  arm(at: MonotonicMs): void {
    if (this.#stopped || at === this.#armedAt) return
    this.#timer?.cancel()
    this.#timer = null
    this.#armedAt = at
    if (at === NEVER) return
    this.#timer = this.#clock.schedule(at, () => this.#fire())
  }

  get isArmed(): boolean {
    return this.#timer !== null
  }

  /** Nothing fires any more. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = null
  }

  #fire(): void {
    this.#timer = null
    this.#armedAt = NEVER
    if (!this.#stopped) this.#onDue(this.#clock.now())
  }
}
