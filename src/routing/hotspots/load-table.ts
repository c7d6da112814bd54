/**
 * What each node executes, as its own word came here, perhaps by way of others.
 *
 * 1. A newer word of a node replaces an older one, never the reverse.
 * 2. A word is forgotten when it is old, however often it is passed on: its age travels with it.
 */
import { compareText, type MonotonicMs, type NodeId } from '../../core/ids.js'
import type { Load } from './load-window.js'

/** Nodes whose load is known; further ones are not taken. */
export const loadRowsMax = 1_024
/** Rows of one message. */
export const loadRowsToldMax = 64
/** Keys of one row. */
export const loadKeysMax = 8

export interface LoadRow extends Load {
  readonly node: NodeId
  /** Rises with each word of the node. */
  readonly sequence: number
  readonly ageMs: number
}

interface Kept {
  readonly row: LoadRow
  /** When the node said it. */
  readonly saidAt: number
}

export class LoadTable {
  readonly #ageMsMax: number
  readonly #rows = new Map<NodeId, Kept>()

  constructor(options: { readonly ageMsMax: number }) {
    this.#ageMsMax = options.ageMsMax
  }

  get size(): number {
    return this.#rows.size
  }

  learn(rows: readonly LoadRow[], now: MonotonicMs): void {
    for (const row of rows) {
      const known = this.#rows.get(row.node)
      if (known === undefined && this.#rows.size >= loadRowsMax) continue
      if (row.ageMs > this.#ageMsMax) continue
      if (known !== undefined && known.row.sequence >= row.sequence) continue
      this.#rows.set(row.node, { row, saidAt: now - row.ageMs })
    }
  }

  /** By node id, without what is too old or of nodes that are not asked for. */
  rows(now: MonotonicMs, isWanted: (node: NodeId) => boolean): LoadRow[] {
    const kept: LoadRow[] = []
    for (const [node, { row, saidAt }] of this.#rows) {
      const ageMs = Math.max(0, now - saidAt)
      if (ageMs > this.#ageMsMax || !isWanted(node)) this.#rows.delete(node)
      else kept.push({ ...row, ageMs })
    }
    return kept.sort((one, other) => compareText(one.node, other.node))
  }
}
