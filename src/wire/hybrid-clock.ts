/**
 * The hybrid logical clock: wall time that never runs backwards and passes on what was heard.
 *
 * Source: Kulkarni et al., "Logical Physical Clocks" (2014), with both parts in one integer:
 * physical milliseconds · 2^10 + counter, exact as a JavaScript number until the year 2248.
 *
 * Invariants: 1. `tick` answers more than every earlier answer and every accepted remote time.
 * 2. A remote time more than `offsetMaxMs` ahead of this node's wall clock changes nothing.
 */
import type { WallMs } from '../core/ids.js'

const countersPerMs = 1_024

export class HybridClock {
  readonly #offsetMaxMs: number
  #last = 0
  #rejected = 0

  constructor(offsetMaxMs: number) {
    this.#offsetMaxMs = offsetMaxMs
  }

  /** Remote times that were too far ahead. */
  get rejected(): number {
    return this.#rejected
  }

  /** A new time, for something that happens here. */
  tick(wallNow: WallMs): number {
    this.#last = Math.max(this.#last + 1, fromWall(wallNow))
    return this.#last
  }

  /** Takes over what another node said; false when it lies too far ahead. */
  observe(remote: number, wallNow: WallMs): boolean {
    if (remote <= this.#last) return true
    if (remote > fromWall(wallNow) + this.#offsetMaxMs * countersPerMs) {
      this.#rejected++
      return false
    }
    this.#last = remote
    return true
  }
}

/** The wall-clock part, for display. */
export const hybridToWall = (time: number): WallMs => Math.floor(time / countersPerMs) as WallMs

const fromWall = (wall: WallMs): number => Math.max(0, Math.floor(wall)) * countersPerMs
