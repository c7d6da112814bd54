/**
 * Which node a session prefers: where its queries went before, so that they find warm caches and
 * read what they wrote without waiting for it. A preference: who may be asked is decided first.
 *
 * 1. A session's node is that of its last decision in the present term; a new term of the group
 *    voids it, for leaders and replicas may have changed places.
 * 2. A node that is drained, ejected, dead or gone is no session's node any more, though it come
 *    back: whoever finds the preferred node not eligible voids it. Nor is one that is at fault when
 *    the session asks it: others may be asked before it is ejected.
 * 3. Idle sessions are forgotten, and at the bound the one idle longest.
 */
import type { MonotonicMs, NodeId, Term } from '../core/ids.js'

export interface AffinityOptions {
  readonly affinityIdleMs: number
  readonly affinitiesMax: number
}

interface Entry {
  readonly node: NodeId
  readonly term: Term | null
  readonly usedAt: MonotonicMs
}

export class Affinities {
  readonly #options: AffinityOptions
  /** The one used longest ago first. */
  readonly #bySession = new Map<string, Entry>()
  #hits = 0
  #voided = 0

  constructor(options: AffinityOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#bySession.size
  }

  /** Decisions that followed a preference, and preferences that were given up. */
  get counts(): { readonly hits: number; readonly voided: number } {
    return { hits: this.#hits, voided: this.#voided }
  }

  /** Null: it has no preference, or none that still holds. */
  nodeOf(session: string, term: Term | null, now: MonotonicMs): NodeId | null {
    const entry = this.#bySession.get(session)
    if (entry === undefined) return null
    if (now - entry.usedAt < this.#options.affinityIdleMs && entry.term === term) return entry.node
    this.#void(session)
    return null
  }

  /** The session's query went to `node`. */
  note(session: string, node: NodeId, term: Term | null, now: MonotonicMs): void {
    const known = this.#bySession.get(session)
    if (known?.node === node && known.term === term) this.#hits++
    else if (known !== undefined) this.#voided++
    this.#bySession.delete(session)
    this.#forgetIdle(now)
    this.#bySession.set(session, { node, term, usedAt: now })
  }

  /** The session's query failed there, and that was the node's fault. */
  leave(session: string, node: NodeId): void {
    if (this.#bySession.get(session)?.node === node) this.#void(session)
  }

  voidNode(node: NodeId): void {
    for (const [session, entry] of this.#bySession) if (entry.node === node) this.#void(session)
  }

  #void(session: string): void {
    this.#bySession.delete(session)
    this.#voided++
  }

  /** Also makes room for one. */
  #forgetIdle(now: MonotonicMs): void {
    const { affinityIdleMs, affinitiesMax } = this.#options
    for (const [session, { usedAt }] of this.#bySession) {
      const isIdle = now - usedAt >= affinityIdleMs
      if (!isIdle && this.#bySession.size < affinitiesMax) return
      this.#bySession.delete(session)
    }
  }
}
