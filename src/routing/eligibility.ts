/**
 * Who may be given a query, and the named reason of everyone who may not.
 *
 * 1. Who leads is Raft's to say: a leader is not excluded for what the failure detector, health
 *    checks or its own errors say of it.
 * 2. Other replicas must be alive and serving. Of those, the first choice is taken, or when there
 *    is none the next: replicas that lag; suspected and degraded ones; ejected ones; those that
 *    are not connected, where that counts; those that failed this very query. A dead one is none
 *    even then.
 * 3. Panic: when fewer than `panicShare` of the serving replicas would be left for reasons of
 *    health (degraded, ejected), those reasons are ignored: the few would break under what all
 *    bore, and more likely the judgement is wrong than most of the nodes. The explanation says so.
 * 4. A node that lags more than it may takes no local read. Others that wait for an index are
 *    correct on any replica, and only slower on one that has not applied it.
 */

import { compareText, isNodeId, type NodeId } from '../core/ids.js'
import {
  HealthStatuses,
  type Lifecycle,
  Lifecycles,
  Livenesses,
  type Member
} from '../core/member.js'
import { type StatementKind, StatementKinds } from '../core/ports/engine-provider.js'
import { Consistencies, type Consistency } from '../core/queries.js'
import type { Placement } from './placement-table.js'

/** Out until then; worded when somebody asks, for the words say how long it still is. */
export interface Expelled {
  readonly reason: string
  readonly until: number
}

/** What this node holds against another, as half a sentence; null: nothing. */
export interface Standings {
  /** A verdict of the health room. */
  degradedOf(node: NodeId): string | null
  ejectedOf(node: NodeId, now: number): Expelled | null
  /** `atLeastIndex` 0: no index is waited for. */
  behindOf(node: NodeId, atLeastIndex: number, now: number): string | null
  /** More behind than it may be for a read that does not wait. */
  laggingOf(node: NodeId, now: number): string | null
}

export interface EligibilityQuestion {
  readonly kind: StatementKind
  readonly consistency: Consistency
  /** This node has a replica of the group that votes. */
  readonly hasReplica: boolean
  readonly members: readonly Member[]
  readonly placement: Placement | null
  /** A local read may leave this node: its key is hot. */
  readonly isSpread?: boolean
  /** Nodes that failed this very query, in this round over all of them. */
  readonly avoid: ReadonlySet<NodeId>
  /** To which a connection would have to be made first; absent: that does not count. */
  readonly unconnected?: ReadonlySet<NodeId> | undefined
  /** What a read must see; 0 or absent: nothing in particular. */
  readonly atLeastIndex?: number
  readonly now: number
}

export interface Judge {
  readonly self: NodeId
  readonly standings: Standings
  /** 0: never. */
  readonly panicShare: number
}

export interface Judged {
  readonly node: NodeId
  readonly member: Member | null
  readonly isReplica: boolean
  /** Null: eligible. Worded by `exclusionAt`. */
  readonly exclusion: string | Expelled | null
}

export interface Judgement {
  /** Every node that is a member or a replica, sorted by id. */
  readonly judged: readonly Judged[]
  /** That health was ignored, and why; null: it was not. */
  readonly panic: string | null
}

/** Half a sentence; null: eligible. */
export function exclusionAt({ exclusion }: Judged, now: number): string | null {
  if (exclusion === null || typeof exclusion === 'string') return exclusion
  return `ejected for ${Math.ceil(exclusion.until - now)} ms more: ${exclusion.reason}`
}

export const isForLeader = (kind: StatementKind, consistency: Consistency): boolean =>
  kind === StatementKinds.Write || consistency === Consistencies.Leader

export function judge(question: EligibilityQuestion, by: Judge): Judgement {
  const ranked = rankAll(question, by)
  const panic = panicOf(by, ranked)
  let best: RankNumber = Ranks.Excluded
  for (const entry of ranked) {
    if (panic !== null && entry.isHealth && entry.rank < Ranks.Unconnected) {
      entry.rank = Ranks.First
    }
    if (entry.rank < best) best = entry.rank
  }
  for (const entry of ranked) {
    if (best !== Ranks.Excluded && entry.rank === best) entry.exclusion = null
    else entry.exclusion ??= 'a worse choice'
  }
  return { judged: ranked, panic }
}

const Ranks = {
  First: 0,
  Lagging: 1,
  Unwell: 2,
  Ejected: 3,
  Unconnected: 4,
  FailedThisQuery: 5,
  Excluded: 6
} as const
type RankNumber = (typeof Ranks)[keyof typeof Ranks]

interface Ranked extends Judged {
  rank: RankNumber
  exclusion: string | Expelled | null
  /** For reasons that panic ignores. */
  readonly isHealth: boolean
}

interface Rank {
  readonly rank: RankNumber
  readonly exclusion: string | Expelled | null
  readonly isHealth: boolean
}

const rank = (at: RankNumber, exclusion: Rank['exclusion'], isHealth = false): Rank => ({
  rank: at,
  exclusion,
  isHealth
})
const excluded = (exclusion: string): Rank => rank(Ranks.Excluded, exclusion)
const eligible = rank(Ranks.First, null)
const noReplica = excluded('no replica of the group')

function rankAll(question: EligibilityQuestion, by: Judge): Ranked[] {
  const { members, placement } = question
  const voters = new Set(placement?.voters)
  const ranked: Ranked[] = []
  let isSorted = true
  let last = ''
  for (const member of members) {
    if (member.nodeId < last) isSorted = false
    last = member.nodeId
    ranked.push(rankOne(member.nodeId, member, voters, question, by))
  }
  const strangers = strangersTo(members, voters, by)
  for (const node of strangers) ranked.push(rankOne(node, null, voters, question, by))
  if (isSorted && strangers.length === 0) return ranked
  return ranked.sort((one, other) => compareText(one.node, other.node))
}

/** Voters, and this node, that are no members (yet). */
function strangersTo(
  members: EligibilityQuestion['members'],
  voters: ReadonlySet<NodeId>,
  { self }: Judge
): NodeId[] {
  let isSelfMember = false
  let voting = 0
  for (const { nodeId } of members) {
    if (nodeId === self) isSelfMember = true
    if (voters.has(nodeId)) voting++
  }
  const strangers =
    voting === voters.size
      ? []
      : [...voters].filter((node) => !members.some(({ nodeId }) => nodeId === node))
  // A client decides too, and is no node.
  if (!isSelfMember && isNodeId(self) && !strangers.includes(self)) strangers.push(self)
  return strangers
}

function rankOne(
  node: NodeId,
  member: Member | null,
  voters: ReadonlySet<NodeId>,
  question: EligibilityQuestion,
  by: Judge
): Ranked {
  const { placement, hasReplica, kind, consistency } = question
  const isReplica =
    voters.has(node) || node === placement?.leader || (node === by.self && hasReplica)
  const own = isForLeader(kind, consistency)
    ? rankForLeader(node, member, question, by)
    : isReplica
      ? rankForReplica(node, member, question, by)
      : noReplica
  const { rank, exclusion, isHealth } = own
  return { node, member, isReplica, rank, exclusion, isHealth }
}

function panicOf({ panicShare }: Judge, ranked: readonly Ranked[]): string | null {
  let serving = 0
  let unwell = 0
  for (const { rank, isHealth } of ranked) {
    if (rank === Ranks.Excluded) continue
    serving++
    if (isHealth) unwell++
  }
  if (unwell === 0 || serving - unwell >= serving * panicShare) return null
  const limit = Math.round(100 * panicShare)
  return `health is ignored: ${unwell} of ${serving} are unwell, which leaves less than ${limit} %`
}

function rankForLeader(
  node: NodeId,
  member: Member | null,
  { placement }: EligibilityQuestion,
  { self }: Judge
): Rank {
  const leader = placement?.leader ?? null
  if (leader === null) return excluded('no leader is known')
  if (leader !== node) return excluded(`not the leader (${leader} is)`)
  return member === null && node !== self ? excluded('not a member') : eligible
}

function rankForReplica(
  node: NodeId,
  member: Member | null,
  question: EligibilityQuestion,
  { self, standings }: Judge
): Rank {
  const { consistency, hasReplica, avoid, now, atLeastIndex = 0 } = question
  const own = rankOfMember(node === self, member)
  if (own.rank === Ranks.Excluded) return own
  if (avoid.has(node)) return rank(Ranks.FailedThisQuery, 'failed this query')
  if (question.unconnected?.has(node)) return rank(Ranks.Unconnected, 'not connected yet')
  const ejected = standings.ejectedOf(node, now)
  if (ejected !== null) return rank(Ranks.Ejected, ejected, true)
  if (own.rank !== Ranks.First) return own
  const degraded = node === self ? null : standings.degradedOf(node)
  if (degraded !== null) return rank(Ranks.Unwell, degraded, true)
  const isLocal = consistency === Consistencies.Local
  const behind =
    (isLocal ? standings.laggingOf(node, now) : null) ??
    (atLeastIndex > 0 ? standings.behindOf(node, atLeastIndex, now) : null)
  if (behind !== null) return rank(Ranks.Lagging, behind)
  if (isLocal && hasReplica && !question.isSpread && node !== self) {
    return rank(Ranks.Lagging, 'a local read needs no other node')
  }
  return own
}

function rankOfMember(isSelf: boolean, member: Member | null): Rank {
  if (member === null) return isSelf ? eligible : excluded('not a member')
  if (member.liveness === Livenesses.Dead && !isSelf) return excluded('dead')
  const away = notServing[member.lifecycle]
  if (away !== undefined) return excluded(away)
  if (member.health === HealthStatuses.ShuttingDown) return excluded('shutting down')
  if (member.liveness === Livenesses.Suspect && !isSelf) return rank(Ranks.Unwell, 'suspected')
  if (member.health === HealthStatuses.Degraded) return rank(Ranks.Unwell, 'degraded', true)
  return eligible
}

const notServing: Partial<Record<Lifecycle, string>> = {
  [Lifecycles.Joining]: 'still joining',
  [Lifecycles.Draining]: 'draining',
  [Lifecycles.Leaving]: 'leaving',
  [Lifecycles.Left]: 'left'
}
