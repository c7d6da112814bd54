/**
 * How far replicas are behind, as their own answers tell.
 *
 * 1. The lag is taken when an answer comes: the newest index known then, less the one that the
 *    answer was read at. Comparing an old answer with a new index would make every quiet node
 *    look behind.
 * 2. In time: how long ago the index of the answer was the newest one known.
 * 3. What was told counts for `lagAgeMsMax`; then the node is as good as any until it tells again.
 */
import type { LogIndex, NodeId } from '../core/ids.js'

export const lagAgeMsMax = 5_000
/** A replica that had not applied an index is held to be without it for so long. */
export const behindAgeMsMax = 500
/** Indexes whose time is remembered. */
export const indexMarksMax = 64
/** Indexes within this time share a mark. */
const markIntervalMs = 50

export interface Lag {
  readonly entries: number
  readonly ms: number
}

interface Told {
  index: number
  entries: number
  ms: number
  at: number
}

interface Mark {
  readonly index: number
  readonly at: number
}

/** Of one group. */
export class ReplicaLag {
  readonly #told = new Map<NodeId, Told>()
  /** Rising. */
  readonly #marks: Mark[] = []
  #newest = 0

  get newest(): LogIndex {
    return this.#newest as LogIndex
  }

  /** An index that exists, from whomever. */
  learnNewest(index: number, now: number): void {
    if (index <= this.#newest) return
    this.#newest = index
    const last = this.#marks.at(-1)
    if (last !== undefined && now - last.at < markIntervalMs) return
    this.#marks.push({ index, at: now })
    if (this.#marks.length > indexMarksMax) this.#marks.shift()
  }

  /** `node` answered from a state at `index`. */
  learn(node: NodeId, index: number, now: number): void {
    this.learnNewest(index, now)
    const entries = this.#newest - index
    const ms = entries === 0 ? 0 : this.#sincePassed(index, now)
    const told = this.#told.get(node)
    if (told === undefined) {
      this.#told.set(node, { index, entries, ms, at: now })
      return
    }
    told.index = index
    told.entries = entries
    told.ms = ms
    told.at = now
  }

  /** When the next thing told that is still believed counts no more; infinite: there is none. */
  nextForgotten(now: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const { at, entries } of this.#told.values()) {
      if (entries === 0) continue
      const last = at + lagAgeMsMax
      if (last >= now && last < next) next = last
    }
    return next
  }

  /** Null: not known, or too long ago. */
  lagOf(node: NodeId, now: number): Lag | null {
    const told = this.#told.get(node)
    return told === undefined || now - told.at > lagAgeMsMax ? null : told
  }

  /** What it had applied a moment ago; null when not known. */
  appliedBy(node: NodeId, now: number): number | null {
    const told = this.#told.get(node)
    return told === undefined || now - told.at > behindAgeMsMax ? null : told.index
  }

  forget(node: NodeId): void {
    this.#told.delete(node)
  }

  /** Since the first mark beyond `index`: at least so long it has been behind. */
  #sincePassed(index: number, now: number): number {
    for (const mark of this.#marks) if (mark.index > index) return now - mark.at
    return 0
  }
}
