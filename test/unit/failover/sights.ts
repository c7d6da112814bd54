/** Clusters as values, for tests of decisions. */
import type { GroupId, LogIndex, NodeId, Term } from '../../../src/core/ids.js'
import { Lifecycles } from '../../../src/core/member.js'
import type {
  ClusterSight,
  GroupView,
  NodeStatus,
  NodeView,
  ReplicaStatus
} from '../../../src/failover/rolling-restart/cluster-view.js'

export interface SightNode {
  readonly domain?: string
  /** Groups that it leads. */
  readonly leads?: readonly number[]
  readonly alive?: boolean
  readonly verdict?: NodeView['verdict']
  /** Null: it does not answer. */
  readonly status?: Partial<NodeStatus> | null
}

export const node = (name: string): NodeId => name as NodeId

/** Every node votes in each group; `behind` names those that do not keep up. */
export function sightOf(
  nodes: Readonly<Record<string, SightNode>>,
  { behind = {} }: { behind?: Readonly<Record<number, readonly string[]>> } = {}
): ClusterSight {
  const names = Object.keys(nodes).sort().map(node)
  const groups = [...new Set(Object.values(nodes).flatMap(({ leads = [] }) => leads))].sort()
  return {
    nodes: names.map((name) => nodeView(name, nodes[name] ?? {}, groups, names)),
    groups: groups.map((group): GroupView => {
      const leader = names.find((name) => nodes[name]?.leads?.includes(group)) ?? null
      return {
        group: group as GroupId,
        voters: names,
        votersOutgoing: [],
        commitIndex: 100 as LogIndex,
        term: 1 as Term,
        leader,
        behind: (behind[group] ?? []).map(node)
      }
    }),
    serviceLevel: { errorRate: null, p99Ms: null }
  }
}

function nodeView(
  name: NodeId,
  given: SightNode,
  groups: readonly number[],
  voters: readonly NodeId[]
): NodeView {
  const { domain = '', leads = [], alive = true, verdict = 'healthy', status } = given
  const own = status === null ? null : statusOf(name, leads, { groups, voters, given: status })
  return {
    node: name,
    domain,
    alive,
    lifecycle: own?.lifecycle ?? Lifecycles.Up,
    verdict,
    status: own
  }
}

function statusOf(
  name: NodeId,
  leads: readonly number[],
  parts: {
    groups: readonly number[]
    voters: readonly NodeId[]
    given: Partial<NodeStatus> | undefined
  }
): NodeStatus {
  return {
    boot: `boot-${name}`,
    lifecycle: Lifecycles.Up,
    ready: true,
    canRestart: true,
    isRestarting: false,
    draining: [],
    sessions: 0,
    sessionsMoved: 0,
    sessionsRefused: 0,
    inFlight: 0,
    queries: 0,
    failures: 0,
    groups: parts.groups.map(
      (group): ReplicaStatus => ({
        group: group as GroupId,
        role: leads.includes(group) ? 'leader' : 'follower',
        term: 1 as Term,
        leader: null,
        voters: parts.voters,
        votersOutgoing: [],
        commitIndex: 100 as LogIndex,
        appliedIndex: 100 as LogIndex,
        failed: false,
        active: parts.voters
      })
    ),
    ...parts.given
  }
}
