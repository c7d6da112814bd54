/**
 * What a node remembers of those who ask it to drain and to restart, so that an order that was
 * overtaken is not carried out: by plan, epoch and revision, as the plan's changes are fenced. It
 * is forgotten with the process; so each order names the process that it is for.
 */
import type { Term } from '../../core/ids.js'

export interface PlanFence {
  readonly plan: string
  readonly epoch: Term
  readonly revision: number
  /** Of the process that is meant. */
  readonly boot: string
}

export class FenceGate {
  readonly #boot: string
  #latest: PlanFence | null = null

  constructor(boot: string) {
    this.#boot = boot
  }

  /** Null: it may be done. Operators ask without a fence, and are not held back by one. */
  admit(fence: PlanFence | null): string | null {
    if (fence === null) return null
    if (fence.boot !== this.#boot) return 'it was for another process'
    const latest = this.#latest
    if (latest !== null && isOlder(fence, latest)) {
      return `asked in epoch ${fence.epoch}, epoch ${latest.epoch} has been heard of`
    }
    this.#latest = fence
    return null
  }
}

/** Within an epoch one owner moves one plan at a time, by rising revisions. */
function isOlder(fence: PlanFence, latest: PlanFence): boolean {
  if (fence.epoch !== latest.epoch) return fence.epoch < latest.epoch
  return fence.plan === latest.plan && fence.revision < latest.revision
}
