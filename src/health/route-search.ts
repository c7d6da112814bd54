import type { MatrixRow } from '../core/health-views.js'
/**
 * The best path by way of at most one other node. One relay is enough: in RON (Andersen et al.,
 * SOSP 2001) it went round most outages, and full link state is affordable up to some fifty nodes.
 *
 * The cost of an edge is its round trip plus what its loss costs in waiting for retransmissions:
 *
 *   cost = rtt + retransmitMs · loss / (1 − loss)
 *
 * and of a path the sum of its edges. No answer costs infinity, what was never measured is NaN: it
 * is neither taken nor called out.
 */

import type { NodeId } from '../core/ids.js'

/** What a lost packet costs: a TCP retransmission timer at its usual minimum. */
export const retransmitMs = 200

/** Cloneable, so that the search may run in a worker. */
export interface CostTable {
  readonly nodes: readonly NodeId[]
  /** Row after row, from × to; Infinity: no answer; NaN: not measured. */
  readonly costs: Float64Array
}

export interface RelayProposal {
  readonly target: NodeId
  readonly relay: NodeId
  readonly viaMs: number
}

export function edgeCost(rttMs: number | null, lossRate: number | null): number {
  if (rttMs === null || lossRate === 1) return Number.POSITIVE_INFINITY
  const loss = lossRate ?? 0
  return rttMs + (retransmitMs * loss) / (1 - loss)
}

export function costTableOf(rows: readonly MatrixRow[], nodes: readonly NodeId[]): CostTable {
  const size = nodes.length
  const indexOf = new Map(nodes.map((node, i) => [node, i]))
  const costs = new Float64Array(size * size).fill(Number.NaN)
  for (const row of rows) {
    const from = indexOf.get(row.origin)
    if (from === undefined) continue
    for (const cell of row.cells) {
      const to = indexOf.get(cell.to)
      if (to !== undefined) costs[from * size + to] = edgeCost(cell.rttMs, cell.lossRate)
    }
  }
  return { nodes, costs }
}

/** For each target that some relay reaches, the cheapest; of equals the first by name. */
export function searchRelays(table: CostTable, self: NodeId): RelayProposal[] {
  const { nodes, costs } = table
  const size = nodes.length
  const from = nodes.indexOf(self)
  if (from < 0) return []
  const proposals: RelayProposal[] = []
  for (let to = 0; to < size; to++) {
    if (to === from) continue
    let best = -1
    let viaMs = Number.POSITIVE_INFINITY
    for (let relay = 0; relay < size; relay++) {
      if (relay === from || relay === to) continue
      const cost = (costs[from * size + relay] as number) + (costs[relay * size + to] as number)
      if (cost < viaMs) {
        best = relay
        viaMs = cost
      }
    }
    if (best < 0) continue
    proposals.push({ target: nodes[to] as NodeId, relay: nodes[best] as NodeId, viaMs })
  }
  return proposals
}

/** Of the direct path, or by way of `relay`; NaN: not measured. */
export function pathCost(table: CostTable, from: NodeId, to: NodeId, relay?: NodeId): number {
  if (relay !== undefined) return pathCost(table, from, relay) + pathCost(table, relay, to)
  const row = table.nodes.indexOf(from)
  const column = table.nodes.indexOf(to)
  if (row < 0 || column < 0) return Number.NaN
  return table.costs[row * table.nodes.length + column] as number
}
