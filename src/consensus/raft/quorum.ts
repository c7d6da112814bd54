/**
 * Arithmetic of majorities. Nobody but the voters of a configuration counts, whoever answers; a
 * joint configuration takes a majority of its voters and one of its outgoing voters.
 */
import type { ReplicaId } from '../../core/ids.js'
import type { Configuration } from '../configuration.js'

export type VoteTally = 'won' | 'lost' | 'pending'
export type Electorate = Pick<Configuration, 'voters' | 'votersOutgoing'>

export const quorumSize = (voterCount: number): number => Math.floor(voterCount / 2) + 1

/** The highest value that a quorum has reached; 0 without voters. */
export function quorumValue(
  { voters, votersOutgoing }: Electorate,
  reachedBy: (voter: ReplicaId) => number
): number {
  const value = majorityValue(voters, reachedBy)
  if (votersOutgoing.length === 0) return value
  return Math.min(value, majorityValue(votersOutgoing, reachedBy))
}

/** What is known of a ballot; absent voters have not answered. */
export function tallyVotes(
  { voters, votersOutgoing }: Electorate,
  granted: ReadonlyMap<ReplicaId, boolean>
): VoteTally {
  const tally = tallyMajority(voters, granted)
  if (votersOutgoing.length === 0 || tally === 'lost') return tally
  const outgoing = tallyMajority(votersOutgoing, granted)
  return outgoing === 'won' ? tally : outgoing
}

function majorityValue(
  voters: readonly ReplicaId[],
  reachedBy: (voter: ReplicaId) => number
): number {
  const values = voters.map(reachedBy).sort((a, b) => b - a)
  return values[quorumSize(voters.length) - 1] ?? 0
}

function tallyMajority(
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
