import type { ClusterEvent } from '../../core/index.js'

/**
 * Elections that were held because a leader fell silent, as the nodes tell of them: a candidate
 * that no former leader asked to take over. A forecast that was lost disturbs nobody, and is none.
 */
export class ElectionCount {
  #byTimeout = 0

  get byTimeout(): number {
    return this.#byTimeout
  }

  /** From here on. */
  reset(): void {
    this.#byTimeout = 0
  }

  onEvent(event: ClusterEvent): void {
    if (event.type !== 'RoleChanged' || event.role !== 'candidate') return
    if (event.reason !== 'leadershipTransferred') this.#byTimeout++
  }
}
