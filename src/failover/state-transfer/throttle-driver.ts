import { DeadlineTimer } from '../../core/deadline-timer.js'
import type { Clock } from '../../core/ports/clock.js'
import { TokenBucket } from './token-bucket.js'

interface Waiting {
  readonly bytes: number
  readonly go: () => void
}

/** Pieces that wait for their turn, first come first served, over one bucket for all. */
export class ThrottleDriver {
  readonly #clock: Clock
  readonly #bucket: TokenBucket
  readonly #timer: DeadlineTimer
  /** As many as chunks may be on the way: each transfer's window bounds its own. */
  readonly #waiting: Waiting[] = []

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bucket = new TokenBucket(bytesPerSecond, clock.now())
    this.#timer = new DeadlineTimer(clock, () => this.#pump())
  }

  setRate(bytesPerSecond: number): void {
    this.#bucket.setRate(bytesPerSecond, this.#clock.now())
    this.#pump()
  }

  /** Resolves when the piece may begin, or when `signal` is aborted. */
  turn(bytes: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const waiting: Waiting = { bytes, go: end }
      const leave = () => {
        const at = this.#waiting.indexOf(waiting)
        if (at >= 0) this.#waiting.splice(at, 1)
        end()
      }
      if (signal.aborted) return resolve()
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(waiting)
      this.#pump()
    })
  }

  stop(): void {
    this.#timer.stop()
    for (const { go } of this.#waiting.splice(0)) go()
  }

  #pump(): void {
    const now = this.#clock.now()
    for (;;) {
      const [first] = this.#waiting
      if (first === undefined) return
      const readyAt = this.#bucket.readyAt(now)
      if (readyAt > now) {
        this.#timer.arm(readyAt)
        return
      }
      this.#waiting.shift()
      this.#bucket.take(first.bytes, now)
      first.go()
    }
  }
}
