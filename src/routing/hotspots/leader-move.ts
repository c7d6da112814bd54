/**
 * Whether a hot leader should hand over, and to whom.
 *
 * What only a leader can do moves with the leadership, the rest stays. A move is worth it when the
 * busier one of the two is then less busy than the hot node is now, by a margin; where nearly all
 * of the load is the leader's own, no move helps, and none is made.
 *
 * 1. Only voters that serve and are not hot themselves may be asked to lead.
 * 2. A leader has led for `gapMs` before it moves: two hot nodes do not throw it back and forth.
 */
import { compareText, type MonotonicMs, type NodeId } from '../../core/ids.js'
import type { LoadRow } from './load-table.js'

/** The busier of the two must fall below so much of what it is. */
export const worthwhileShare = 0.8

export interface LeaderMoveQuestion {
  readonly self: NodeId
  readonly rows: readonly LoadRow[]
  /** That serve. */
  readonly voters: readonly NodeId[]
  readonly isHot: (node: NodeId) => boolean
  readonly leaderSince: MonotonicMs
  readonly gapMs: number
  readonly now: MonotonicMs
}

export interface LeaderMove {
  readonly target: NodeId
  readonly reason: string
}

export function leaderMove(question: LeaderMoveQuestion): LeaderMove | null {
  const { self, rows, voters, isHot, leaderSince, gapMs, now } = question
  if (!isHot(self) || now - leaderSince < gapMs) return null
  const loads = new Map(rows.map((row) => [row.node, row]))
  const own = loads.get(self)
  if (own === undefined) return null
  const rateOf = (node: NodeId) => loads.get(node)?.burstPerSecond ?? 0
  const [target] = voters
    .filter((node) => node !== self && !isHot(node))
    .sort((one, other) => rateOf(one) - rateOf(other) || compareText(one, other))
  if (target === undefined) return null
  const moved = own.leaderPerSecond
  const busiest = Math.max(own.burstPerSecond - moved, rateOf(target) + moved)
  if (busiest > own.burstPerSecond * worthwhileShare) return null
  const figures = [own.burstPerSecond, moved, busiest].map((rate) => Math.round(rate))
  const reason =
    `${figures[0]} queries per second here, ${figures[1]} of them a leader's; ` +
    `led by ${target} the busier one has ${figures[2]}`
  return { target, reason }
}
