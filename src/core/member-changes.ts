/** Nodes come into the groups of a running cluster, and leave them. */
import type { GroupId, NodeId } from './ids.js'

export const MemberChangeKinds = { Add: 'add', Remove: 'remove' } as const
export type MemberChangeKind = (typeof MemberChangeKinds)[keyof typeof MemberChangeKinds]

/** A node by its name, or anything that has one. */
export type NodeReference = NodeId | { readonly nodeId: NodeId }

export interface MemberChangeOptions {
  /** For all groups together. Default: 60,000. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
  /** Changes nothing: tells what would be. */
  readonly dryRun?: boolean
}

/** What a change of members makes of one group. */
export interface GroupMemberChange {
  readonly group: GroupId
  /** `planned`: a dry run, and something would change. */
  readonly outcome: 'planned' | 'changed' | 'unchanged'
  readonly votersBefore: readonly NodeId[]
  /** Afterwards. */
  readonly voters: readonly NodeId[]
  /** Voters that may fail at once. */
  readonly failuresToleratedBefore: number
  readonly failuresTolerated: number
  /** Of the voters afterwards a majority answers; without it the change is refused. */
  readonly quorumSurvives: boolean
  /** What an operator should know before, or do next. */
  readonly warnings: readonly string[]
}

export interface MemberChangeReport {
  readonly nodeId: NodeId
  readonly change: MemberChangeKind
  readonly dryRun: boolean
  /** Every group of the cluster, by its number. */
  readonly groups: readonly GroupMemberChange[]
}
