/**
 * Decisions of one coordinating group that wait while a backup looks at all groups. Nothing is
 * decided meanwhile, and what was decided before is at an end in every group soon: then each
 * transaction is whole in what is copied, or not there.
 *
 * 1. One holder at a time; what it holds ends by itself at `until`, whatever becomes of it.
 * 2. A change that decides is kept back while somebody holds, and goes in its order afterwards.
 */
import { NEVER } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Change } from './changes.js'

interface Held {
  readonly token: string
  readonly until: MonotonicMs
}

export class DecisionHold {
  #held: Held | null = null
  #kept: Change[] = []

  /** False: somebody else holds. The same one may hold for longer. */
  hold(token: string, until: MonotonicMs, now: MonotonicMs): boolean {
    if (this.isActive(now) && this.#held?.token !== token) return false
    this.#held = { token, until }
    return true
  }

  isActive(now: MonotonicMs): boolean {
    return this.#held !== null && now < this.#held.until
  }

  isHeldBy(token: string, now: MonotonicMs): boolean {
    return this.isActive(now) && this.#held?.token === token
  }

  /** Ends what `token` holds; another one's stays. */
  release(token: string): void {
    if (this.#held?.token === token) this.#held = null
  }

  /** What may be logged now; the rest is kept. */
  pass(changes: readonly Change[], now: MonotonicMs): readonly Change[] {
    if (!this.isActive(now)) {
      if (this.#kept.length === 0) return changes
      const all = [...this.#kept, ...changes]
      this.#kept = []
      return all
    }
    const passed = changes.filter((change) => change.kind !== 'decide')
    if (passed.length === changes.length) return changes
    this.#kept.push(...changes.filter((change) => change.kind === 'decide'))
    return passed
  }

  get keptCount(): number {
    return this.#kept.length
  }

  /** When what is kept may go at the latest. */
  nextDeadline(): MonotonicMs {
    return this.#held?.until ?? NEVER
  }
}
