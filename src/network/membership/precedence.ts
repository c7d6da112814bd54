/**
 * Which of two pieces of news about a member stands. News is ordered by incarnation, then by rank;
 * the greater one stands, so members that heard the same set agree whatever the order.
 */
import type { Incarnation } from '../../core/ids.js'
import { type Lifecycle, Lifecycles, type Liveness, Livenesses } from '../../core/member.js'

/** At one incarnation: an accusation beats the statement, a goodbye beats the accusations. */
export const Ranks = { Alive: 0, Suspect: 1, Dead: 2, Left: 3 } as const
export type Rank = (typeof Ranks)[keyof typeof Ranks]

export interface Standing {
  readonly incarnation: Incarnation
  readonly rank: Rank
}

/** Positive when `a` stands against `b`; zero when they say the same. */
export const compareStanding = (a: Standing, b: Standing): number =>
  a.incarnation - b.incarnation || a.rank - b.rank

export const rankOfStatement = (lifecycle: Lifecycle): Rank =>
  lifecycle === Lifecycles.Left ? Ranks.Left : Ranks.Alive

export function livenessOf(rank: Rank): Liveness {
  if (rank === Ranks.Suspect) return Livenesses.Suspect
  return rank === Ranks.Dead ? Livenesses.Dead : Livenesses.Alive
}
