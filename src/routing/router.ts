/**
 * The route decision: values in, one decision out, no effects. Given who is a member, where the
 * group lives and what was observed of each node, it says which node executes a query and why,
 * and keeps a bounded record of what it decided.
 *
 * 1. A query that needs the leader goes to the leader that Raft names, or nowhere.
 * 2. Nodes are looked at in the order of their ids, so equal inputs give equal decisions.
 * 3. A node in its slow start that is chosen gets its share; the rest is chosen anew among those
 *    that are warm, when there are any.
 */
import { must } from '../core/assert.js'
import type { GroupId, MonotonicMs, NodeId, WallMs } from '../core/ids.js'
import type { Member } from '../core/member.js'
import type { StatementKind } from '../core/ports/engine-provider.js'
import type { Random } from '../core/ports/random.js'
import type { Consistency } from '../core/queries.js'
import type { RouteExplanation } from '../core/route-views.js'
import type { EligibleNode, RoutingStrategy } from '../core/routing-strategy.js'
import { DecisionLog, type DecisionSlot } from './decision-log.js'
import { isForLeader, type Judge, type Judged, judge } from './eligibility.js'
import { explainSlot } from './explanation.js'
import type { NodeLoad, NodeObservations } from './node-observations.js'
import type { NodeStandings } from './node-standings.js'
import type { Placement } from './placement-table.js'
import { RoundRobinStrategy } from './strategies/round-robin.js'

export interface RouteQuestion {
  readonly group: GroupId
  readonly kind: StatementKind
  readonly consistency: Consistency
  /** What the query is about. */
  readonly key?: string | null
  /** Its key is hot: its reads go to all that may answer them, in turn. */
  readonly isSpread?: boolean
  /** Where its session went before; taken when it is eligible. */
  readonly preferred?: NodeId | null
  readonly members: readonly Member[]
  readonly placement: Placement | null
  /** This node has a replica of the group. */
  readonly hasReplica: boolean
  /** Nodes that failed this very query. */
  readonly avoid: ReadonlySet<NodeId>
  /** What the read must see; 0: nothing in particular. */
  readonly atLeastIndex?: number
  readonly now: MonotonicMs
  readonly wallNow: WallMs
}

export interface RouterOptions {
  readonly nodeId: NodeId
  readonly datacenter: string
  readonly rack: string
  readonly explainedDecisionsMax: number
  /** By node; what the member says of its capacity where absent. */
  readonly weights: Readonly<Record<string, number>>
  readonly panicShare: number
}

export class Router {
  readonly #observations: NodeObservations
  readonly #standings: NodeStandings
  readonly #random: Random
  readonly #options: RouterOptions
  readonly #judge: Judge
  readonly #log: DecisionLog
  readonly #eligible: NodeLoad[] = []
  readonly #warm: NodeLoad[] = []
  readonly #context: { now: number; random: Random; replicasNear: [number, number, number] }
  readonly #spreading = new RoundRobinStrategy()
  #strategy: RoutingStrategy

  constructor(
    components: {
      readonly observations: NodeObservations
      readonly standings: NodeStandings
      readonly random: Random
      readonly strategy: RoutingStrategy
    },
    options: RouterOptions
  ) {
    this.#observations = components.observations
    this.#standings = components.standings
    this.#random = components.random
    this.#strategy = components.strategy
    this.#options = options
    const { nodeId, panicShare } = options
    this.#judge = { self: nodeId, standings: components.standings, panicShare }
    this.#log = new DecisionLog(options.explainedDecisionsMax)
    this.#context = { now: 0, random: components.random, replicasNear: [0, 0, 0] }
  }

  get strategy(): RoutingStrategy {
    return this.#strategy
  }

  setStrategy(strategy: RoutingStrategy): void {
    this.#strategy = strategy
  }

  /** The newest decisions, oldest first. */
  lastDecisions(): readonly RouteExplanation[] {
    return this.#log.all().map((slot) => explainSlot(slot, this.#random))
  }

  /** Null: forgotten, or never made. */
  decisionOf(id: number): RouteExplanation | null {
    const slot = this.#log.of(id)
    return slot === null ? null : explainSlot(slot, this.#random)
  }

  /** The node, and keeps what went into the decision. Null: none can take it. */
  choose(question: RouteQuestion): NodeId | null {
    return this.#decide(question).node
  }

  /** As `choose`, with the words. */
  decide(question: RouteQuestion): RouteExplanation {
    return explainSlot(this.#decide(question), this.#random)
  }

  /** Decides and says of every node why it was or was not eligible. */
  explain(question: RouteQuestion): RouteExplanation {
    const slot = this.#log.open(question, question.now)
    this.#consider(slot, question)
    return explainSlot(slot, this.#random)
  }

  #decide(question: RouteQuestion): DecisionSlot {
    const slot = this.#log.open(question, question.now)
    if (!this.#leaderAtOnce(slot, question)) this.#consider(slot, question)
    return slot
  }

  /** The common case, without a look at every member; false when it is not that plain. */
  #leaderAtOnce(slot: DecisionSlot, question: RouteQuestion): boolean {
    const leader = question.placement?.leader ?? null
    if (leader === null || !isForLeader(question.kind, question.consistency)) return false
    const isSelf = leader === this.#options.nodeId
    if (!isSelf && !question.members.some(({ nodeId }) => nodeId === leader)) return false
    slot.judged = [{ node: leader, member: null, isReplica: true, exclusion: null }]
    this.#takeLeader(slot, question, leader)
    return true
  }

  #consider(slot: DecisionSlot, question: RouteQuestion): void {
    const { judged, panic } = judge(question, this.#judge)
    slot.judged = judged
    if (panic !== null) slot.notes = [panic]
    this.#observe(judged)
    const first = this.#eligible[0]
    if (first === undefined) slot.refusal = refusalOf(question, judged)
    else if (isForLeader(question.kind, question.consistency)) {
      this.#takeLeader(slot, question, first.node)
    } else this.#chooseReplica(slot, question)
  }

  #takeLeader(slot: DecisionSlot, { placement }: RouteQuestion, leader: NodeId): void {
    slot.node = leader
    slot.term = placement?.term ?? null
    slot.reason = 'the leader of the group'
    slot.strategyName = this.#strategy.name
  }

  #chooseReplica(slot: DecisionSlot, question: RouteQuestion): void {
    this.#context.now = question.now
    const { isSpread, preferred, key } = question
    const known = preferred == null ? -1 : this.#eligible.findIndex((one) => one.node === preferred)
    if (isSpread) {
      const turn = this.#spreading.choose(this.#eligible)
      this.#take(slot, question, this.#eligible, turn)
      slot.reason = `the key ${key ?? ''} is hot: its turn`
    } else if (known >= 0) {
      this.#take(slot, question, this.#eligible, known)
      slot.reason = 'where its session went before'
    } else this.#chooseByStrategy(slot, question)
  }

  #chooseByStrategy(slot: DecisionSlot, question: RouteQuestion): void {
    let from: readonly EligibleNode[] = this.#eligible
    let chosen = this.#strategy.choose(from, this.#context)
    const wanted = must(from[chosen], 'the index that the strategy chose').node
    if (this.#mustWait(wanted, question.now)) {
      from = this.#warm
      chosen = this.#strategy.choose(from, this.#context)
      slot.notes = [...slot.notes, `${wanted} was passed over: it starts slowly`]
    }
    this.#take(slot, question, from, chosen)
  }

  #take(
    slot: DecisionSlot,
    { placement }: RouteQuestion,
    from: readonly EligibleNode[],
    chosen: number
  ): void {
    const { replicasNear } = this.#context
    slot.node = must(from[chosen], 'the index that the strategy chose').node
    slot.chosen = chosen
    slot.copyEligible(from)
    slot.replicasNear[0] = replicasNear[0]
    slot.replicasNear[1] = replicasNear[1]
    slot.replicasNear[2] = replicasNear[2]
    slot.term = placement?.term ?? null
    slot.strategy = this.#strategy
    slot.strategyName = this.#strategy.name
  }

  /** A node in its slow start gets its share; fills in who is warm when it has had that. */
  #mustWait(node: NodeId, now: number): boolean {
    const share = this.#standings.shareOf(node, now)
    if (share === 1 || this.#random.nextFloat() < share) return false
    this.#warm.length = 0
    for (const load of this.#eligible) {
      if (this.#standings.shareOf(load.node, now) === 1) this.#warm.push(load)
    }
    return this.#warm.length > 0
  }

  /** Fills in the eligible and how many replicas are how near. */
  #observe(judged: readonly Judged[]): void {
    const { replicasNear } = this.#context
    replicasNear.fill(0)
    this.#eligible.length = 0
    let replicas = 0
    for (const entry of judged) {
      if (!entry.isReplica) continue
      const locality = this.#localityOf(entry.node, entry.member)
      const level = locality >= 0.75 ? 0 : locality >= 0.5 ? 1 : 2
      replicasNear[level]++
      replicas++
      if (entry.exclusion !== null) continue
      const load = this.#observations.of(entry.node)
      load.locality = locality
      load.weight = this.#weightOf(entry.node, entry.member)
      this.#eligible.push(load)
    }
    if (replicas > 0) this.#standings.noteReplicas(replicas)
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

function refusalOf(question: RouteQuestion, judged: readonly Judged[]): string {
  return isForLeader(question.kind, question.consistency) && question.placement?.leader == null
    ? `no leader of group ${question.group} is known`
    : `no node can serve group ${question.group}: ${reasonsOf(judged)}`
}

const reasonsOf = (judged: readonly Judged[]): string =>
  judged.map(({ node, exclusion }) => `${node} ${exclusion ?? 'eligible'}`).join(', ')
