/**
 * The cluster as whoever carries a plan out sees it: what every node says of itself, and what this
 * one knows of the others, put together into values that decisions are made on.
 */

import type { RaftRole } from '../../core/events.js'
import type { VerdictStatus } from '../../core/health-verdict.js'
import type { GroupId, LogIndex, NodeId, Term } from '../../core/ids.js'
import { type Lifecycle, Livenesses, type Member } from '../../core/member.js'
import type { FailureDomain } from '../../core/rolling-restart.js'
import type { GroupVoters } from './quorum.js'

/** One replica, as its node tells it. */
export interface ReplicaStatus {
  readonly group: GroupId
  readonly role: RaftRole
  readonly term: Term
  readonly leader: NodeId | null
  readonly voters: readonly NodeId[]
  readonly votersOutgoing: readonly NodeId[]
  readonly commitIndex: LogIndex
  readonly appliedIndex: LogIndex
  readonly failed: boolean
  /** Leader only: voters that answered within an election timeout. */
  readonly active: readonly NodeId[]
}

/** A change of leaders that a node noticed and that no record has, as it tells it. */
export interface NoticedElection {
  readonly group: GroupId
  /** Of the leader that came. */
  readonly term: Term
  readonly to: NodeId
  /** Who led before, as far as the node knows, and in which term. */
  readonly from: NodeId | null
  readonly ledTerm: Term
  readonly agoMs: number
}

/** A node, as it tells itself. */
export interface NodeStatus {
  /** Drawn when its process began: another one is another process. */
  readonly boot: string
  readonly lifecycle: Lifecycle
  readonly ready: boolean
  /** Its embedder can replace the process when asked. */
  readonly canRestart: boolean
  /** And has been asked. */
  readonly isRestarting: boolean
  /** Members that it knows to be draining, itself included. */
  readonly draining: readonly NodeId[]
  readonly sessions: number
  /** Since it began to drain. */
  readonly sessionsMoved: number
  readonly sessionsRefused: number
  readonly inFlight: number
  /** Since its process began, and those of them that failed for no fault of the caller. */
  readonly queries: number
  readonly failures: number
  /** How long they took, as `LatencyCounts`; absent: an older node does not tell. */
  readonly latencies?: readonly number[] | undefined
  readonly groups: readonly ReplicaStatus[]
  /** Of those that it leads, which were handed over to it; absent: an older node does not tell. */
  readonly handedOver?: readonly GroupId[] | undefined
  /** Absent: it notices none, or is an older node, which does not tell. */
  readonly elections?: readonly NoticedElection[] | undefined
}

export interface NodeView {
  readonly node: NodeId
  readonly domain: string
  readonly alive: boolean
  /** As it says itself; what membership says while it does not answer. */
  readonly lifecycle: Lifecycle
  readonly verdict: VerdictStatus
  /** Null: it does not answer. */
  readonly status: NodeStatus | null
}

export interface GroupView extends GroupVoters {
  /** The highest that a replica has told. */
  readonly term: Term
  /** Who says that it leads, in that term. */
  readonly leader: NodeId | null
  readonly commitIndex: LogIndex
}

/** How queries fare in the cluster; null: not measured, or too few to say. */
export interface ServiceLevel {
  /** 0…1. */
  readonly errorRate: number | null
  readonly p99Ms: number | null
}

export interface ClusterSight {
  /** In the order of their names. */
  readonly nodes: readonly NodeView[]
  /** In the order of their ids. */
  readonly groups: readonly GroupView[]
  readonly serviceLevel: ServiceLevel
}

export interface SightInputs {
  readonly members: readonly Member[]
  readonly statusOf: (node: NodeId) => NodeStatus | null
  readonly verdictOn: (node: NodeId) => VerdictStatus
  readonly serviceLevel: ServiceLevel
  readonly failureDomain: FailureDomain
  readonly lagEntriesMax: number
}

export function clusterSight(inputs: SightInputs): ClusterSight {
  const nodes = inputs.members.map((member): NodeView => {
    const status = inputs.statusOf(member.nodeId)
    return {
      node: member.nodeId,
      domain: domainOf(member, inputs.failureDomain),
      alive: member.liveness === Livenesses.Alive,
      lifecycle: status?.lifecycle ?? member.lifecycle,
      verdict: inputs.verdictOn(member.nodeId),
      status
    }
  })
  return {
    nodes: nodes.sort((a, b) => (a.node < b.node ? -1 : 1)),
    groups: groupViews(nodes, inputs.lagEntriesMax),
    serviceLevel: inputs.serviceLevel
  }
}

export function domainOf(
  { datacenter, rack }: Pick<Member, 'datacenter' | 'rack'>,
  by: FailureDomain
): string {
  if (by === 'none') return ''
  return by === 'datacenter' ? datacenter : `${datacenter}/${rack}`
}

function groupViews(nodes: readonly NodeView[], lagEntriesMax: number): readonly GroupView[] {
  const replicas = new Map<GroupId, Map<NodeId, ReplicaStatus>>()
  for (const { node, status } of nodes) {
    for (const replica of status?.groups ?? []) {
      const known = replicas.get(replica.group) ?? new Map<NodeId, ReplicaStatus>()
      known.set(node, replica)
      replicas.set(replica.group, known)
    }
  }
  const ids = [...replicas.keys()].sort((a, b) => a - b)
  return ids.map((id) =>
    groupView(id, replicas.get(id) as Map<NodeId, ReplicaStatus>, lagEntriesMax)
  )
}

/** Who leads in the highest term knows best; without one, who has the highest term. */
function groupView(
  group: GroupId,
  replicas: ReadonlyMap<NodeId, ReplicaStatus>,
  lagEntriesMax: number
): GroupView {
  const known = [...replicas].sort(
    ([, a], [, b]) => rank(b) - rank(a) || b.commitIndex - a.commitIndex
  )
  const [node, best] = known[0] as [NodeId, ReplicaStatus]
  const { voters, votersOutgoing, commitIndex } = best
  const leads = best.role === 'leader'
  const isBehind = (voter: NodeId) => {
    const replica = replicas.get(voter)
    if (replica === undefined || replica.failed) return true
    if (leads && voter !== node && !best.active.includes(voter)) return true
    return commitIndex - replica.appliedIndex > lagEntriesMax
  }
  return {
    group,
    voters,
    votersOutgoing,
    commitIndex,
    term: best.term,
    leader: leads ? node : null,
    behind: [...new Set([...voters, ...votersOutgoing])].filter(isBehind)
  }
}

const rank = ({ role, term }: ReplicaStatus): number => 2 * term + (role === 'leader' ? 1 : 0)

export const nodeIn = (sight: ClusterSight, node: NodeId): NodeView | null =>
  sight.nodes.find((one) => one.node === node) ?? null

/** The groups that a node leads, by its own word. */
export const ledBy = (view: NodeView | null): readonly GroupId[] =>
  (view?.status?.groups ?? []).filter(({ role }) => role === 'leader').map(({ group }) => group)
