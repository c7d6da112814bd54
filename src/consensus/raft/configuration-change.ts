/**
 * From one configuration to the next. Source: Raft dissertation, chapter 4.
 *
 * Invariant: the next configuration shares a replica with the last one in every pair of their
 * quorums. So where at most one voter differs the change is made in one step, otherwise by way of
 * a joint configuration, which is left when it is committed.
 */
import { compareText, type ReplicaId } from '../../core/ids.js'
import {
  type Configuration,
  configurationMembersMax,
  configurationOf,
  isJoint,
  membersOf
} from '../configuration.js'

/** What a replica is to be. */
export interface MemberChange {
  readonly replica: ReplicaId
  readonly role: MemberRole
}
export type MemberRole = 'voter' | 'learner' | 'none'

export type ChangeRefusal =
  /** The last change is under way. */
  | 'changePending'
  | 'noVoters'
  | 'namedTwice'
  /** It is to leave and is no member. */
  | 'unknownReplica'
  | 'tooManyMembers'

export type ConfigurationChange =
  | { readonly kind: 'changed'; readonly configuration: Configuration }
  /** Everybody is already what they are to be. */
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'refused'; readonly reason: ChangeRefusal }

export function changeConfiguration(
  configuration: Configuration,
  changes: readonly MemberChange[]
): ConfigurationChange {
  if (isJoint(configuration)) return { kind: 'refused', reason: 'changePending' }
  const members = membersOf(configuration)
  if (new Set(changes.map(({ replica }) => replica)).size < changes.length) {
    return { kind: 'refused', reason: 'namedTwice' }
  }
  if (changes.some(({ replica, role }) => role === 'none' && !members.includes(replica))) {
    return { kind: 'refused', reason: 'unknownReplica' }
  }
  const voters = changed(configuration.voters, changes, 'voter')
  const learners = changed(configuration.learners, changes, 'learner')
  if (voters.length === 0) return { kind: 'refused', reason: 'noVoters' }
  if (Math.max(voters.length, learners.length) > configurationMembersMax) {
    return { kind: 'refused', reason: 'tooManyMembers' }
  }
  const differing = countMissing(configuration.voters, voters)
  if (differing === 0 && countMissing(configuration.learners, learners) === 0) {
    return { kind: 'unchanged' }
  }
  const next = configurationOf(voters, learners)
  return {
    kind: 'changed',
    configuration: differing > 1 ? joint(configuration.voters, next) : next
  }
}

/** What follows a joint configuration. */
export function leaveJoint({ voters, learners, learnersNext }: Configuration): Configuration {
  return configurationOf(voters, [...learners, ...learnersNext])
}

/** Of `next`, those who vote still are learners only when that is over. */
function joint(votersOutgoing: readonly ReplicaId[], next: Configuration): Configuration {
  const { voters, learners } = next
  const isOutgoing = (replica: ReplicaId) => votersOutgoing.includes(replica)
  return {
    voters,
    votersOutgoing,
    learners: learners.filter((replica) => !isOutgoing(replica)),
    learnersNext: learners.filter(isOutgoing)
  }
}

/** Those of `role` after the changes, sorted. */
function changed(
  before: readonly ReplicaId[],
  changes: readonly MemberChange[],
  role: MemberRole
): readonly ReplicaId[] {
  const after = new Set(before)
  for (const change of changes) {
    if (change.role === role) after.add(change.replica)
    else after.delete(change.replica)
  }
  return [...after].sort(compareText)
}

/** How many are in one list alone. */
function countMissing(a: readonly ReplicaId[], b: readonly ReplicaId[]): number {
  const inBoth = a.filter((replica) => b.includes(replica)).length
  return a.length + b.length - 2 * inBoth
}
