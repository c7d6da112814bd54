/**
 * New and returned nodes are given work gradually: their caches are cold, and a node that failed
 * under load would fail again under all of it at once.
 *
 * 1. The share of the queries chosen for it that it really gets rises in a straight line from
 *    `shareMin` to 1 over `slowStartMs`; the others are chosen anew among the rest.
 * 2. Nodes that this router knew from its beginning start with everything: when all are new, none
 *    is.
 * 3. A node is never kept from a query that no other could take.
 *
 * The owner calls `begin` when a node comes (back), `shareOf` when one was chosen.
 */
import type { NodeId } from '../core/ids.js'

export const slowStartShareMin = 0.1

export class SlowStart {
  readonly #slowStartMs: number
  readonly #begunAt = new Map<NodeId, number>()

  constructor(options: { readonly slowStartMs: number }) {
    this.#slowStartMs = options.slowStartMs
  }

  get size(): number {
    return this.#begunAt.size
  }

  begin(node: NodeId, now: number): void {
    if (this.#slowStartMs > 0) this.#begunAt.set(node, now)
  }

  /** 0.1…1 */
  shareOf(node: NodeId, now: number): number {
    if (this.#begunAt.size === 0) return 1
    const begunAt = this.#begunAt.get(node)
    if (begunAt === undefined) return 1
    const passed = (now - begunAt) / this.#slowStartMs
    if (passed >= 1) {
      this.#begunAt.delete(node)
      return 1
    }
    return slowStartShareMin + (1 - slowStartShareMin) * Math.max(0, passed)
  }

  forget(node: NodeId): void {
    this.#begunAt.delete(node)
  }
}
