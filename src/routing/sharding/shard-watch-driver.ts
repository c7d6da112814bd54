import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Random } from '../../core/ports/random.js'

/** How often a node without a replica of the control group asks which tables are sharded. */
export const shardsAskIntervalMs = 5_000

interface ShardWatchComponents {
  readonly clock: Clock
  readonly random: Random
  /** A replica of the control group tells this node of each change as it applies it. */
  readonly isTold: () => boolean
  /** Asks members; null: that was done just now. Never rejects. */
  readonly ask: () => Promise<void> | null
}

/**
 * Keeps the map of sharded tables where no replica of the control group does: statements and
 * watching clients would otherwise go by an old one until somebody fails. What is lost is asked
 * again.
 */
export class ShardWatchDriver {
  readonly #parts: ShardWatchComponents
  readonly #timer: DeadlineTimer

  constructor(components: ShardWatchComponents) {
    this.#parts = components
    this.#timer = new DeadlineTimer(components.clock, () => this.#handleTimeout())
  }

  /** At first within an interval, so that nodes that start together do not ask together. */
  start(): void {
    this.#arm(this.#parts.random.nextFloat() * shardsAskIntervalMs)
  }

  stop(): void {
    this.#timer.stop()
  }

  #handleTimeout(): void {
    if (!this.#parts.isTold()) void this.#parts.ask()
    this.#arm(shardsAskIntervalMs)
  }

  #arm(inMs: number): void {
    this.#timer.arm(after(this.#parts.clock.now(), inMs))
  }
}
