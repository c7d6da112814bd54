/**
 * Who votes and who only listens. A configuration is a log entry, and takes effect when it is
 * appended, committed or not. Source: Raft dissertation, chapter 4.
 *
 * Where two configurations may decide at the same time, they share a replica in every pair of
 * majorities: either one voter differs (4.1), or the first is followed by a joint one (4.3), in
 * which every decision takes a majority of the voters and one of the outgoing voters.
 *
 * Invariants, told by `configurationFault`:
 * 1. Each list is sorted and names nobody twice; there is a voter.
 * 2. Learners vote nowhere; `learnersNext` are outgoing voters that will be learners.
 * 3. Without outgoing voters there is nobody in `learnersNext`.
 */
import { compareText, type NodeId, nodeOf, type ReplicaId } from '../core/ids.js'

/** Replicas of each list of one configuration. */
export const configurationMembersMax = 64

export interface Configuration {
  readonly voters: readonly ReplicaId[]
  /** The voters before, while the configuration is joint; else nobody. */
  readonly votersOutgoing: readonly ReplicaId[]
  readonly learners: readonly ReplicaId[]
  /** They still vote among the outgoing, and listen when those have left. */
  readonly learnersNext: readonly ReplicaId[]
}

/** Of a log that has none: nobody votes. */
export const noConfiguration: Configuration = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  learnersNext: []
}

/** One that is not joint. */
export const configurationOf = (
  voters: readonly ReplicaId[],
  learners: readonly ReplicaId[] = []
): Configuration => ({
  voters: [...voters].sort(compareText),
  votersOutgoing: [],
  learners: [...learners].sort(compareText),
  learnersNext: []
})

export const isJoint = ({ votersOutgoing }: Configuration): boolean => votersOutgoing.length > 0

/** Whether a majority may need its vote. */
export const votesIn = (replica: ReplicaId, configuration: Configuration): boolean =>
  configuration.voters.includes(replica) || configuration.votersOutgoing.includes(replica)

/** Everybody who is fed, once each, sorted. */
export function membersOf(configuration: Configuration): readonly ReplicaId[] {
  const { voters, votersOutgoing, learners } = configuration
  return [...new Set([...voters, ...votersOutgoing, ...learners])].sort(compareText)
}

/** Whether a replica on this node is fed. */
export function hasMemberOn(node: NodeId, configuration: Configuration): boolean {
  const { voters, votersOutgoing, learners } = configuration
  const isThere = (replica: ReplicaId) => nodeOf(replica) === node
  return voters.some(isThere) || votersOutgoing.some(isThere) || learners.some(isThere)
}

/** Who votes in either half, once each, sorted. */
export function electorateOf({ voters, votersOutgoing }: Configuration): readonly ReplicaId[] {
  if (votersOutgoing.length === 0) return voters
  return [...new Set([...voters, ...votersOutgoing])].sort(compareText)
}

/** Null: the invariants hold. */
export function configurationFault(configuration: Configuration): string | null {
  const { voters, votersOutgoing, learners, learnersNext } = configuration
  if (voters.length === 0) return 'nobody votes'
  for (const list of [voters, votersOutgoing, learners, learnersNext]) {
    if (list.some((replica, i) => i > 0 && compareText(list[i - 1] as ReplicaId, replica) >= 0)) {
      return 'a list is not sorted, or names somebody twice'
    }
    if (list.length > configurationMembersMax) return 'too many members'
  }
  if (learners.some((replica) => votesIn(replica, configuration))) return 'a learner votes'
  const mayListen = (replica: ReplicaId) =>
    votersOutgoing.includes(replica) && !voters.includes(replica)
  return learnersNext.every(mayListen) ? null : 'a learner to be is no outgoing voter'
}
