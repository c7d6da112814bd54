/** Whether groups can decide without some nodes: majorities, of both halves of a joint group. */
import type { GroupId, NodeId } from '../../core/ids.js'

export interface GroupVoters {
  readonly group: GroupId
  readonly voters: readonly NodeId[]
  /** The voters before, while the configuration is joint; else nobody. */
  readonly votersOutgoing: readonly NodeId[]
  /** Voters whose replica of this group is not to be counted on: silent, or too far behind. */
  readonly behind: readonly NodeId[]
}

/** The groups that would have no majority. */
export const groupsAtRisk = (
  groups: readonly GroupVoters[],
  without: ReadonlySet<NodeId>
): readonly GroupId[] =>
  groups.filter((group) => !survives(group, without)).map(({ group }) => group)

export const quorumSurvives = (
  groups: readonly GroupVoters[],
  without: ReadonlySet<NodeId>
): boolean => groups.every((group) => survives(group, without))

function survives(
  { voters, votersOutgoing, behind }: GroupVoters,
  without: ReadonlySet<NodeId>
): boolean {
  const isThere = (node: NodeId) => !without.has(node) && !behind.includes(node)
  return (
    isMajority(voters, isThere) &&
    (votersOutgoing.length === 0 || isMajority(votersOutgoing, isThere))
  )
}

function isMajority(voters: readonly NodeId[], isThere: (node: NodeId) => boolean): boolean {
  return voters.filter(isThere).length > Math.floor(voters.length / 2)
}
