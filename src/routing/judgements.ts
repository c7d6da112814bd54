/**
 * Judgements that are kept: who may be given a query is judged anew only when something changed
 * that goes into it, not for each query.
 *
 * 1. A kept judgement is used only for what it was made of: the same list of members, leader and
 *    voters, the same things held against nodes, and no moment in between at which time alone
 *    changes one of those. Otherwise `judge` answers, as it would have without this.
 * 2. Queries that failed somewhere, that keep to connected nodes, or that wait for an index which a
 *    replica is known not to have, are judged on their own: it holds for nobody else.
 * 3. What is handed out is never changed again: records of decisions keep it.
 *
 * The owner of the members gives a new list when one of them changed, and the same one otherwise.
 */

import type { NodeId } from '../core/ids.js'
import type { Member } from '../core/member.js'
import { Consistencies } from '../core/queries.js'
import {
  type EligibilityQuestion,
  isForLeader,
  type Judge,
  type Judged,
  judge
} from './eligibility.js'
import type { NodeLoad, NodeObservations } from './node-observations.js'
import type { NodeStandings } from './node-standings.js'

export interface JudgementsOptions {
  readonly nodeId: NodeId
  readonly datacenter: string
  readonly rack: string
  /** By node; what the member says of its capacity where absent. */
  readonly weights: Readonly<Record<string, number>>
  readonly panicShare: number
}

/** Never changed. */
export interface Candidates {
  readonly judged: readonly Judged[]
  readonly notes: readonly string[]
  /** Live records, with locality and weight filled in. */
  readonly eligible: readonly NodeLoad[]
  readonly replicas: number
  /** Here or in the rack, in the datacenter, elsewhere. */
  readonly replicasNear: [number, number, number]
}

interface Kept {
  readonly judgement: Candidates
  readonly leader: NodeId | null
  readonly voters: readonly NodeId[] | null
  readonly hasReplica: boolean
  readonly members: readonly Member[]
  readonly standings: number
  readonly observations: number
  /** Not from then on. */
  readonly before: number
}

export class Judgements {
  readonly #observations: NodeObservations
  readonly #standings: NodeStandings
  readonly #options: JudgementsOptions
  readonly #judge: Judge
  /** By kind of question. */
  readonly #kept: (Kept | null)[] = [null, null, null, null]

  constructor(
    components: { readonly observations: NodeObservations; readonly standings: NodeStandings },
    options: JudgementsOptions
  ) {
    this.#observations = components.observations
    this.#standings = components.standings
    this.#options = options
    const { nodeId, panicShare } = options
    this.#judge = { self: nodeId, standings: components.standings, panicShare }
  }

  of(question: EligibilityQuestion): Candidates {
    const { avoid, unconnected } = question
    if (avoid.size > 0 || unconnected !== undefined) return this.make(question)
    const at = kindOf(question)
    const kept = this.#kept[at] ?? null
    const holds = kept !== null && this.#isFor(kept, question)
    const { judgement } = holds ? kept : this.#keep(at, question)
    return this.#isWaitedFor(judgement, question) ? this.make(question) : judgement
  }

  /** From nothing. */
  make(question: EligibilityQuestion): Candidates {
    const { judged, panic } = judge(question, this.#judge)
    const replicasNear: [number, number, number] = [0, 0, 0]
    const eligible: NodeLoad[] = []
    let replicas = 0
    for (const entry of judged) {
      if (!entry.isReplica) continue
      const locality = this.#localityOf(entry.node, entry.member)
      replicasNear[locality >= 0.75 ? 0 : locality >= 0.5 ? 1 : 2]++
      replicas++
      if (entry.exclusion !== null) continue
      const load = this.#observations.of(entry.node)
      load.place(locality, this.#weightOf(entry.node, entry.member))
      eligible.push(load)
    }
    return { judged, notes: panic === null ? [] : [panic], eligible, replicas, replicasNear }
  }

  #keep(at: number, question: EligibilityQuestion): Kept {
    const { placement, hasReplica, members, now } = question
    // An index that is waited for is looked at apart.
    const judgement = this.make({ ...question, atLeastIndex: 0 })
    const kept: Kept = {
      judgement,
      leader: placement?.leader ?? null,
      voters: placement?.voters ?? null,
      hasReplica,
      members,
      standings: this.#standings.version,
      observations: this.#observations.version,
      before: this.#standings.nextChange(now)
    }
    this.#kept[at] = kept
    return kept
  }

  #isFor(kept: Kept, { placement, hasReplica, members, now }: EligibilityQuestion): boolean {
    return (
      kept.members === members &&
      kept.standings === this.#standings.version &&
      kept.observations === this.#observations.version &&
      now < kept.before &&
      kept.hasReplica === hasReplica &&
      kept.leader === (placement?.leader ?? null) &&
      isSame(kept.voters, placement?.voters ?? null)
    )
  }

  #isWaitedFor({ judged }: Candidates, { atLeastIndex = 0, now }: EligibilityQuestion): boolean {
    if (atLeastIndex === 0) return false
    return judged.some(({ node }) => this.#standings.isBehind(node, atLeastIndex, now))
  }

  #localityOf(node: NodeId, member: Member | null): number {
    const { nodeId, datacenter, rack } = this.#options
    if (node === nodeId) return 1
    if (member === null || member.datacenter !== datacenter) return 0
    return member.rack === rack ? 0.75 : 0.5
  }

  #weightOf(node: NodeId, member: Member | null): number {
    const configured = this.#options.weights[node]
    if (configured !== undefined) return configured
    const told = member?.capacity.weight ?? capacityWeightOne
    return Math.min(Math.max(told, 1) / capacityWeightOne, weightMax)
  }
}

/** The capacity's weight that every node has unless it says otherwise: a whole share. */
const capacityWeightOne = 100

/** A member's own word is not believed beyond this. */
export const weightMax = 1_000

/** Questions of one kind differ only in what `Kept` compares. */
function kindOf({ kind, consistency, isSpread = false }: EligibilityQuestion): number {
  if (isForLeader(kind, consistency)) return 0
  if (consistency !== Consistencies.Local) return 1
  return isSpread ? 2 : 3
}

function isSame(some: readonly NodeId[] | null, others: readonly NodeId[] | null): boolean {
  if (some === others) return true
  if (some === null || others === null || some.length !== others.length) return false
  for (let i = 0; i < some.length; i++) if (some[i] !== others[i]) return false
  return true
}
