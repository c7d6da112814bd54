import type { MatrixRow } from '../core/health-views.js'
/**
 * What every node measured to every other: a row per node, which only that node writes. Rows travel
 * by gossip; the higher version wins, so they may arrive late, twice and in any order.
 *
 * Invariants:
 * 1. a row is taken only when its version is above the one that is held;
 * 2. a cell older than `ttlMs` is not shown and not passed on;
 * 3. at most `rowsMax` rows; a further node's is not taken, and counted.
 */
import { compareText, type MonotonicMs, type NodeId } from '../core/ids.js'

export interface MatrixOptions {
  readonly rowsMax: number
  readonly ttlMs: number
}

interface Held {
  readonly row: MatrixRow
  readonly takenAt: MonotonicMs
}

export class LatencyMatrix {
  readonly #options: MatrixOptions
  readonly #rows = new Map<NodeId, Held>()
  #refused = 0

  constructor(options: MatrixOptions) {
    this.#options = options
  }

  /** Whether it was news. */
  handleRow(row: MatrixRow, now: MonotonicMs): boolean {
    const held = this.#rows.get(row.origin)
    if (held !== undefined && row.version <= held.row.version) return false
    if (held === undefined && this.#rows.size >= this.#options.rowsMax) {
      this.#refused++
      return false
    }
    this.#rows.set(row.origin, { row, takenAt: now })
    return true
  }

  /** Rows that there was no room for. */
  get refused(): number {
    return this.#refused
  }

  get size(): number {
    return this.#rows.size
  }

  /** Every node's row as of now, in the order of the names, without cells that are too old. */
  rows(now: MonotonicMs): MatrixRow[] {
    return [...this.#rows.values()]
      .map((held) => this.#aged(held, now))
      .filter(({ cells }) => cells.length > 0)
      .sort((a, b) => compareText(a.origin, b.origin))
  }

  /** The `count` rows taken last, without `except`'s: what is worth passing on. */
  newest(count: number, except: NodeId, now: MonotonicMs): MatrixRow[] {
    return [...this.#rows.values()]
      .filter(({ row }) => row.origin !== except)
      .sort((a, b) => b.takenAt - a.takenAt || compareText(a.row.origin, b.row.origin))
      .slice(0, count)
      .map((held) => this.#aged(held, now))
      .filter(({ cells }) => cells.length > 0)
  }

  forget(nodeId: NodeId): void {
    this.#rows.delete(nodeId)
  }

  #aged({ row, takenAt }: Held, now: MonotonicMs): MatrixRow {
    const cells = row.cells
      .map((cell) => ({ ...cell, ageMs: cell.ageMs + (now - takenAt) }))
      .filter(({ ageMs }) => ageMs <= this.#options.ttlMs)
    return { ...row, cells }
  }
}
