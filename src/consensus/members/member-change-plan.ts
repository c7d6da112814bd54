/**
 * What a change of members means for a group: who votes afterwards, how many failures that
 * tolerates, and whether a majority of it answers. Arithmetic alone; the change itself is Raft's.
 */
import { compareText, type GroupId, type NodeId } from '../../core/ids.js'
import {
  type GroupMemberChange,
  type MemberChangeKind,
  MemberChangeKinds
} from '../../core/member-changes.js'
import { quorumSize } from '../raft/quorum.js'

/** A group as its leader sees it. */
export interface MembersSeen {
  readonly group: GroupId
  readonly votersBefore: readonly NodeId[]
  readonly voters: readonly NodeId[]
  /** Voters, and a newcomer, that answer. */
  readonly active: readonly NodeId[]
  /** Something changed, or would. */
  readonly changed: boolean
}

/** Voters that may fail while the others still decide. */
export const failuresTolerated = (voters: number): number =>
  voters === 0 ? 0 : voters - quorumSize(voters)

/** Who votes after the change. */
export function votersAfter(
  change: MemberChangeKind,
  node: NodeId,
  voters: readonly NodeId[]
): readonly NodeId[] {
  const others = voters.filter((voter) => voter !== node)
  return change === MemberChangeKinds.Add ? [...others, node].sort(compareText) : others
}

export function describeChange(seen: MembersSeen, isDryRun: boolean): GroupMemberChange {
  const { group, votersBefore, voters, active, changed } = seen
  const answering = voters.filter((voter) => active.includes(voter))
  const quorumSurvives = answering.length >= quorumSize(voters.length)
  return {
    group,
    outcome: !changed ? 'unchanged' : isDryRun ? 'planned' : 'changed',
    votersBefore,
    voters,
    failuresToleratedBefore: failuresTolerated(votersBefore.length),
    failuresTolerated: failuresTolerated(voters.length),
    quorumSurvives,
    warnings: changed ? warningsOf(voters, answering, quorumSurvives) : []
  }
}

function warningsOf(
  voters: readonly NodeId[],
  answering: readonly NodeId[],
  quorumSurvives: boolean
): readonly string[] {
  const warnings: string[] = []
  const { length } = voters
  const silent = voters.filter((voter) => !answering.includes(voter))
  if (!quorumSurvives) {
    const needed = `${quorumSize(length)} of ${length} voters must answer`
    warnings.push(`no quorum: ${needed}; bring back first: ${silent.join(', ')}`)
  } else if (silent.length > 0) {
    warnings.push(`without an answer: ${silent.join(', ')}`)
  }
  if (length === 1) warnings.push('one voter tolerates no failure: add nodes')
  else if (length > 0 && length % 2 === 0) {
    warnings.push(
      `${length} voters tolerate no more failures than ${length - 1}: add or remove one more`
    )
  }
  return warnings
}
