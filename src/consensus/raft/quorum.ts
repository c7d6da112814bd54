/** Arithmetic of majorities. Nobody but the voters of a configuration counts, whoever answers. */
import type { ReplicaId } from '../../core/ids.js'

export type VoteTally = 'won' | 'lost' | 'pending'

export const quorumSize = (voterCount: number): number => Math.floor(voterCount / 2) + 1

/** The highest value that a majority of the voters has reached; 0 without voters. */
export function quorumValue(
  voters: readonly ReplicaId[],
  reachedBy: (voter: ReplicaId) => number
): number {
  const values = voters.map(reachedBy).sort((a, b) => b - a)
  return values[quorumSize(voters.length) - 1] ?? 0
}

/** What is known of a ballot; absent voters have not answered. */
export function tallyVotes(
  voters: readonly ReplicaId[],
  granted: ReadonlyMap<ReplicaId, boolean>
): VoteTally {
  const needed = quorumSize(voters.length)
  let grants = 0
  let refusals = 0
  for (const voter of voters) {
    const answer = granted.get(voter)
    if (answer === true) grants++
    else if (answer === false) refusals++
  }
  if (grants >= needed) return 'won'
  return voters.length - refusals < needed ? 'lost' : 'pending'
}
