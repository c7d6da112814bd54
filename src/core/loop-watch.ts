import { after } from './deadlines.js'
import type { MonotonicMs } from './ids.js'
import type { Clock, Timer } from './ports/clock.js'

/**
 * How late the main loop runs: a timer is set again and again, and its lateness remembered. The
 * answer is the worst of the last `windowLengthMax` rounds, and includes the round that is overdue
 * right now.
 */
export class LoopWatch {
  readonly #clock: Clock
  readonly #intervalMs: number
  readonly #windowLengthMax: number
  readonly #delays: number[] = []
  #next = 0
  #expectedAt: MonotonicMs | null = null
  #timer: Timer | null = null

  constructor(clock: Clock, options: { intervalMs: number; windowLengthMax: number }) {
    this.#clock = clock
    this.#intervalMs = options.intervalMs
    this.#windowLengthMax = options.windowLengthMax
  }

  start(): void {
    this.#schedule()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = null
    this.#expectedAt = null
  }

  delayMs(): number {
    const overdue = this.#expectedAt === null ? 0 : this.#clock.now() - this.#expectedAt
    return Math.max(0, overdue, ...this.#delays)
  }

  #schedule(): void {
    const at = after(this.#clock.now(), this.#intervalMs)
    this.#expectedAt = at
    this.#timer = this.#clock.schedule(at, () => {
      this.#delays[this.#next] = this.#clock.now() - at
      this.#next = (this.#next + 1) % this.#windowLengthMax
      this.#schedule()
    })
  }
}
