/**
 * Who may be given a query, and the named reason of everyone who may not.
 *
 * 1. Who leads is Raft's to say: a leader is not excluded for what the failure detector thinks of
 *    it.
 * 2. Other replicas must be alive and serving; suspected and degraded ones are a second choice,
 *    taken when there is no first.
 * 3. Nodes that already failed this query are a last choice; a dead one is none even then.
 */
import { Consistencies, type Consistency } from '../core/cluster-manager.js'
import { compareText, isNodeId, type NodeId } from '../core/ids.js'
import {
  HealthStatuses,
  type Lifecycle,
  Lifecycles,
  Livenesses,
  type Member
} from '../core/member.js'
import { type StatementKind, StatementKinds } from '../core/ports/engine-provider.js'
import type { Placement } from './placement-table.js'

export interface EligibilityQuestion {
  readonly kind: StatementKind
  readonly consistency: Consistency
  readonly self: NodeId
  /** This node has a replica of the group. */
  readonly hasReplica: boolean
  readonly members: readonly Member[]
  readonly placement: Placement | null
  /** A local read may leave this node: its key is hot. */
  readonly isSpread?: boolean
  /** Nodes that failed this very query, in this round over all of them. */
  readonly avoid: ReadonlySet<NodeId>
}

export interface Judged {
  readonly node: NodeId
  readonly member: Member | null
  /** Null: eligible. */
  readonly exclusion: string | null
}

export const isForLeader = (kind: StatementKind, consistency: Consistency): boolean =>
  kind === StatementKinds.Write || consistency === Consistencies.Leader

/** Every node that is a member or a replica, sorted by id, with its verdict. */
export function judge(question: EligibilityQuestion): Judged[] {
  const members = new Map(question.members.map((member) => [member.nodeId, member]))
  const voters = question.placement?.voters ?? []
  const nodes = new Set([...members.keys(), ...voters])
  // A client decides too, and is no node.
  if (isNodeId(question.self)) nodes.add(question.self)
  const judged = [...nodes].sort(compareText).map((node): Ranked => {
    const member = members.get(node) ?? null
    return { node, member, ...rankOf(node, member, question) }
  })
  const best = Math.min(...judged.map(({ rank }) => rank))
  return judged.map(({ node, member, rank, exclusion }) => ({
    node,
    member,
    exclusion: rank === best && rank !== Ranks.Excluded ? null : (exclusion ?? 'a worse choice')
  }))
}

const Ranks = { First: 0, Second: 1, Last: 2, Excluded: 3 } as const

interface Rank {
  readonly rank: number
  readonly exclusion: string | null
}
type Ranked = Rank & Pick<Judged, 'node' | 'member'>

const excluded = (exclusion: string): Rank => ({ rank: Ranks.Excluded, exclusion })
const eligible: Rank = { rank: Ranks.First, exclusion: null }

function rankOf(node: NodeId, member: Member | null, question: EligibilityQuestion): Rank {
  const { kind, consistency, placement, self } = question
  if (isForLeader(kind, consistency)) {
    const leader = placement?.leader ?? null
    if (leader === null) return excluded('no leader is known')
    if (leader !== node) return excluded(`not the leader (${leader} is)`)
    return member === null && node !== self ? excluded('not a member') : eligible
  }
  const isReplica = placement?.voters.includes(node) || (node === self && question.hasReplica)
  if (!isReplica) return excluded('no replica of the group')
  const rank = rankOfReplica(node === self, member)
  if (rank.rank === Ranks.Excluded) return rank
  if (question.avoid.has(node)) return { rank: Ranks.Last, exclusion: 'failed this query' }
  const staysHere = consistency === Consistencies.Local && question.hasReplica && !question.isSpread
  if (staysHere && node !== self) {
    return { rank: Ranks.Second, exclusion: 'a local read needs no other node' }
  }
  return rank
}

function rankOfReplica(isSelf: boolean, member: Member | null): Rank {
  if (member === null) return isSelf ? eligible : excluded('not a member')
  if (member.liveness === Livenesses.Dead && !isSelf) return excluded('dead')
  const away = notServing[member.lifecycle]
  if (away !== undefined) return excluded(away)
  if (member.health === HealthStatuses.ShuttingDown) return excluded('shutting down')
  if (member.liveness === Livenesses.Suspect && !isSelf) {
    return { rank: Ranks.Second, exclusion: 'suspected' }
  }
  if (member.health === HealthStatuses.Degraded) {
    return { rank: Ranks.Second, exclusion: 'degraded' }
  }
  return eligible
}

const notServing: Partial<Record<Lifecycle, string>> = {
  [Lifecycles.Joining]: 'still joining',
  [Lifecycles.Draining]: 'draining',
  [Lifecycles.Leaving]: 'leaving',
  [Lifecycles.Left]: 'left'
}
