import type { MatrixCell, MatrixRow } from '../core/health-views.js'
import type { MonotonicMs, NodeId } from '../core/ids.js'
import type { Random } from '../core/ports/random.js'
import { shuffle } from '../core/splittable-random.js'
import type { LatencyMatrix } from './latency-matrix.js'
import { matrixCellsMax, matrixRowsPerMessageMax } from './messages.js'

/** What one node tells of the matrix, and to whom. */
export class MatrixGossip {
  readonly #self: NodeId
  readonly #matrix: LatencyMatrix
  #version = 0

  constructor(self: NodeId, matrix: LatencyMatrix) {
    this.#self = self
    this.#matrix = matrix
  }

  /** This node's own row, anew. Versions rise across restarts, because the wall clock does. */
  handleMeasured(cells: readonly MatrixCell[], now: MonotonicMs, wallMs: number): void {
    this.#version = Math.max(this.#version + 1, Math.floor(wallMs))
    const row = {
      origin: this.#self,
      version: this.#version,
      cells: cells.slice(0, matrixCellsMax)
    }
    this.#matrix.handleRow(row, now)
  }

  /** Rows of a peer's message. @returns how many were news */
  handleRows(rows: readonly MatrixRow[], now: MonotonicMs): number {
    return rows.filter(
      (row) => row.origin !== this.#self && isSound(row) && this.#matrix.handleRow(row, now)
    ).length
  }

  /** The own row first, then the newest of others. */
  rowsToTell(now: MonotonicMs): MatrixRow[] {
    const own = this.#matrix.rows(now).filter(({ origin }) => origin === this.#self)
    const others = this.#matrix.newest(matrixRowsPerMessageMax - own.length, this.#self, now)
    return [...own, ...others].map(({ cells, ...row }) => ({
      ...row,
      cells: cells.map((cell) => ({ ...cell, ageMs: Math.round(cell.ageMs) }))
    }))
  }

  targets(peers: readonly NodeId[], count: number, random: Random): NodeId[] {
    return shuffle(random, [...peers]).slice(0, count)
  }
}

const isSound = ({ cells }: MatrixRow): boolean =>
  cells.every(
    ({ rttMs, lossRate }) =>
      (rttMs === null || (Number.isFinite(rttMs) && rttMs >= 0)) &&
      (lossRate === null || (lossRate >= 0 && lossRate <= 1))
  )
