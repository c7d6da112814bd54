import { NEVER } from './deadlines.js'
import type { MonotonicMs } from './ids.js'
import type { Clock, Timer } from './ports/clock.js'

/**
 * The one timer of a core's driver. The driver calls `arm(core.nextDeadline())` after each call
 * into the core; when the deadline passes, `onDue` runs with the current time.
 *
 * Most deadlines are put off before they pass, with every message that comes: a timer that runs
 * for an earlier one stays, and looks again when it fires.
 */
export class DeadlineTimer {
  readonly #clock: Clock
  readonly #onDue: (now: MonotonicMs) => void
  #timer: Timer | null = null
  /** When the timer fires: at the deadline or before. */
  #firesAt: MonotonicMs = NEVER
  #dueAt: MonotonicMs = NEVER
  #stopped = false

  constructor(clock: Clock, onDue: (now: MonotonicMs) => void) {
    this.#clock = clock
    this.#onDue = onDue
  }

  arm(at: MonotonicMs): void {
    if (this.#stopped || at === this.#dueAt) return
    this.#dueAt = at
    if (this.#timer !== null && this.#firesAt <= at && at !== NEVER) return
    this.#timer?.cancel()
    this.#timer = null
    if (at !== NEVER) this.#schedule()
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

  #schedule(): void {
    this.#firesAt = this.#dueAt
    this.#timer = this.#clock.schedule(this.#firesAt, this.#fire)
  }

  readonly #fire = (): void => {
    this.#timer = null
    if (this.#stopped) return
    const now = this.#clock.now()
    if (now < this.#dueAt) {
      this.#schedule()
      return
    }
    this.#dueAt = NEVER
    this.#onDue(now)
  }
}
