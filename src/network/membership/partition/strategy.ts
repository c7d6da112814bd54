/**
 * Which side of a split goes on. A strategy acts on membership, services and the operation guard;
 * who writes, Raft alone decides, and its configuration is never touched by any of this.
 *
 * A strategy sees one side and must answer for it so that, in a clean split into two, at most one
 * side stays.
 */
import type { NodeId, WallMs } from '../../../core/ids.js'

export interface SplitMember {
  readonly nodeId: NodeId
  /** When this life of it began, as it says itself: the same on both sides. */
  readonly bornAt: WallMs
  readonly isReachable: boolean
}

export interface SplitView {
  /** Who counts: the last committed voters, or all members where no voters are known. By id. */
  readonly electorate: readonly SplitMember[]
}

export const SplitDecisions = { Stay: 'stay', Yield: 'yield' } as const
export type SplitDecision = (typeof SplitDecisions)[keyof typeof SplitDecisions]

export interface SplitVerdict {
  readonly decision: SplitDecision
  readonly reason: string
}

export interface SplitStrategy {
  readonly name: string
  decide(view: SplitView): SplitVerdict
}

export const stay = (reason: string): SplitVerdict => ({ decision: SplitDecisions.Stay, reason })
export const yieldTo = (reason: string): SplitVerdict => ({
  decision: SplitDecisions.Yield,
  reason
})

export const reachableOf = ({ electorate }: SplitView): readonly SplitMember[] =>
  electorate.filter(({ isReachable }) => isReachable)
