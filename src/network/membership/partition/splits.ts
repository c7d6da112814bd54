/**
 * Whether members were lost together: not a crash, but a split of the cluster.
 *
 * 1. A split is called when, of the members known, two or more were declared dead within
 *    `togetherMs`, or half of all are dead.
 * 2. It is judged when no more have died for a while, and names the suspected ones too: they are
 *    most likely on the other side.
 * 3. It is healed when each of those named is in reach again, or has left, or is forgotten.
 */
import { after, NEVER } from '../../../core/deadlines.js'
import { compareText, type MonotonicMs, type NodeId } from '../../../core/ids.js'

export interface Split {
  readonly since: MonotonicMs
  /** Sorted. */
  readonly unreachable: readonly NodeId[]
}

/** A member that does not answer. */
export interface Lost {
  readonly nodeId: NodeId
  readonly isDead: boolean
  /** Since when it is held suspect, or dead. */
  readonly at: MonotonicMs
}

/** Without a further death for this share of `togetherMs`, a split is judged. */
const settledShare = 0.1

export class Splits {
  readonly #togetherMs: number
  #firstAt: MonotonicMs = NEVER
  #judgeAt: MonotonicMs = NEVER
  #split: Split | null = null

  constructor(options: { readonly togetherMs: number }) {
    this.#togetherMs = options.togetherMs
  }

  get current(): Split | null {
    return this.#split
  }

  /** The members that do not answer changed; the split that is healed by it. */
  review(lost: readonly Lost[], now: MonotonicMs): Split | null {
    if (lost.some(({ isDead, at }) => isDead && at === now)) this.#armJudgement(now)
    const split = this.#split
    if (split === null) return null
    const stillLost = new Set(lost.map(({ nodeId }) => nodeId))
    if (split.unreachable.some((nodeId) => stillLost.has(nodeId))) return null
    this.#split = null
    return split
  }

  /** When due: the split that is called now, if it is one. Later losses join it untold. */
  handleTimeout(lost: readonly Lost[], memberCount: number, now: MonotonicMs): Split | null {
    if (this.#judgeAt > now) return null
    this.#firstAt = NEVER
    this.#judgeAt = NEVER
    const dead = lost.filter(({ isDead }) => isDead)
    const together = dead.filter(({ at }) => at >= now - this.#togetherMs)
    const isHalf = dead.length > 0 && 2 * dead.length >= memberCount
    if (together.length < 2 && !isHalf) return null
    const named = [
      ...(this.#split?.unreachable ?? []),
      ...[...(isHalf ? dead : together), ...lost.filter(({ isDead }) => !isDead)].map(
        ({ nodeId }) => nodeId
      )
    ]
    const isNew = this.#split === null
    this.#split = {
      since: this.#split?.since ?? now,
      unreachable: [...new Set(named)].sort(compareText)
    }
    return isNew ? this.#split : null
  }

  next(): MonotonicMs {
    return this.#judgeAt
  }

  #armJudgement(now: MonotonicMs): void {
    if (this.#firstAt === NEVER) this.#firstAt = now
    this.#judgeAt = Math.min(
      after(now, this.#togetherMs * settledShare),
      after(this.#firstAt, this.#togetherMs)
    ) as MonotonicMs
  }
}
