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
import type { RoutingStrategy, StrategyContext } from '../core/routing-strategy.js'
import { DecisionLog, type DecisionSlot } from './decision-log.js'
import { exclusionAt, isForLeader, type Judged } from './eligibility.js'
import { explainSlot } from './explanation.js'
import { type Candidates, Judgements, type JudgementsOptions } from './judgements.js'
import { type LoadHistory, LoadReader } from './load-history.js'
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
  /** To which a connection would have to be made first; absent: that does not count. */
  readonly unconnected?: ReadonlySet<NodeId> | undefined
  /** What the read must see; 0: nothing in particular. */
  readonly atLeastIndex?: number
  readonly now: MonotonicMs
  readonly wallNow: WallMs
}

export interface RouterOptions extends JudgementsOptions {
  readonly explainedDecisionsMax: number
}

export class Router {
  readonly #history: LoadHistory
  readonly #standings: NodeStandings
  readonly #random: Random
  readonly #options: RouterOptions
  readonly #judgements: Judgements
  readonly #log: DecisionLog
  readonly #context: { -readonly [K in keyof StrategyContext]-?: StrategyContext[K] }
  /** What the plain way to the leader was last decided by. */
  #leader: { readonly members: readonly Member[]; readonly judged: readonly [Judged] } | null = null
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
    this.#history = components.observations.history
    this.#standings = components.standings
    this.#random = components.random
    this.#strategy = components.strategy
    this.#options = options
    this.#judgements = new Judgements(components, options)
    this.#log = new DecisionLog(this.#history, options.explainedDecisionsMax)
    this.#context = { now: 0, random: components.random, replicasNear: [0, 0, 0], memo: 0 }
  }

  get strategy(): RoutingStrategy {
    return this.#strategy
  }

  setStrategy(strategy: RoutingStrategy): void {
    this.#strategy = strategy
  }

  /** The newest decisions, oldest first. */
  lastDecisions(): readonly RouteExplanation[] {
    const reader = new LoadReader(this.#history)
    const newestFirst = this.#log.all().reverse()
    return newestFirst.map((slot) => explainSlot(slot, reader, this.#random)).reverse()
  }

  /** Null: forgotten, or never made. */
  decisionOf(id: number): RouteExplanation | null {
    const slot = this.#log.of(id)
    return slot === null ? null : this.#explain(slot)
  }

  /** The node, and keeps what went into the decision. Null: none can take it. */
  choose(question: RouteQuestion): NodeId | null {
    return this.#decide(question).node
  }

  /** As `choose`, with the words. */
  decide(question: RouteQuestion): RouteExplanation {
    return this.#explain(this.#decide(question))
  }

  /** Decides and says of every node why it was or was not eligible. */
  explain(question: RouteQuestion): RouteExplanation {
    const slot = this.#log.open(question, question.now)
    this.#chooseBy(slot, question, this.#judgements.make(question))
    return this.#explain(slot)
  }

  #explain(slot: DecisionSlot): RouteExplanation {
    return explainSlot(slot, new LoadReader(this.#history), this.#random)
  }

  #decide(question: RouteQuestion): DecisionSlot {
    const slot = this.#log.open(question, question.now)
    if (this.#leaderAtOnce(slot, question)) return slot
    this.#chooseBy(slot, question, this.#judgements.of(question))
    return slot
  }

  /** The common case, without a look at every member; false when it is not that plain. */
  #leaderAtOnce(slot: DecisionSlot, question: RouteQuestion): boolean {
    const leader = question.placement?.leader ?? null
    if (leader === null || !isForLeader(question.kind, question.consistency)) return false
    const { members } = question
    let known = this.#leader
    if (known === null || known.members !== members || known.judged[0].node !== leader) {
      const isSelf = leader === this.#options.nodeId
      if (!isSelf && !members.some(({ nodeId }) => nodeId === leader)) return false
      const own = { node: leader, member: null, isReplica: true, exclusion: null }
      known = { members, judged: [own] }
      this.#leader = known
    }
    slot.judged = known.judged
    this.#takeLeader(slot, question, leader)
    return true
  }

  #chooseBy(slot: DecisionSlot, question: RouteQuestion, candidates: Candidates): void {
    slot.judged = candidates.judged
    slot.notes = candidates.notes
    slot.replicasNear = candidates.replicasNear
    this.#context.replicasNear = candidates.replicasNear
    if (candidates.replicas > 0) this.#standings.noteReplicas(candidates.replicas)
    const first = candidates.eligible[0]
    if (first === undefined) slot.refusal = refusalOf(question, candidates)
    else if (isForLeader(question.kind, question.consistency)) {
      this.#takeLeader(slot, question, first.node)
    } else this.#chooseReplica(slot, question, candidates.eligible)
  }

  #takeLeader(slot: DecisionSlot, { placement }: RouteQuestion, leader: NodeId): void {
    slot.node = leader
    slot.term = placement?.term ?? null
    slot.reason = 'the leader of the group'
    slot.strategyName = this.#strategy.name
  }

  #chooseReplica(slot: DecisionSlot, question: RouteQuestion, eligible: readonly NodeLoad[]): void {
    this.#context.now = question.now
    const { isSpread, preferred } = question
    if (isSpread) {
      this.#take(slot, question, eligible, this.#spreading.choose(eligible))
      slot.reason = 'its key is hot: its turn'
      return
    }
    const known = preferred == null ? -1 : eligible.findIndex((one) => one.node === preferred)
    if (known >= 0) {
      this.#take(slot, question, eligible, known)
      slot.reason = 'where its session went before'
    } else this.#chooseByStrategy(slot, question, eligible)
  }

  #chooseByStrategy(
    slot: DecisionSlot,
    question: RouteQuestion,
    eligible: readonly NodeLoad[]
  ): void {
    this.#context.memo = 0
    const chosen = this.#strategy.choose(eligible, this.#context)
    const wanted = must(eligible[chosen], 'the index that the strategy chose').node
    const warm = this.#insteadOf(wanted, eligible, question.now)
    if (warm === null) {
      this.#take(slot, question, eligible, chosen)
    } else {
      this.#context.memo = 0
      this.#take(slot, question, warm, this.#strategy.choose(warm, this.#context))
      slot.notes = [...slot.notes, `${wanted} was passed over: it starts slowly`]
    }
    slot.memo = this.#context.memo
  }

  #take(
    slot: DecisionSlot,
    { placement }: RouteQuestion,
    from: readonly NodeLoad[],
    chosen: number
  ): void {
    slot.node = must(from[chosen], 'the index that the strategy chose').node
    slot.chosen = chosen
    slot.eligible = from
    slot.mark = this.#history.mark()
    slot.term = placement?.term ?? null
    slot.strategy = this.#strategy
    slot.strategyName = this.#strategy.name
  }

  /** A node in its slow start gets its share; those that are warm when it has had that. */
  #insteadOf(node: NodeId, eligible: readonly NodeLoad[], now: number): NodeLoad[] | null {
    const share = this.#standings.shareOf(node, now)
    if (share === 1 || this.#random.nextFloat() < share) return null
    const warm = eligible.filter((load) => this.#standings.shareOf(load.node, now) === 1)
    return warm.length === 0 ? null : warm
  }
}

function refusalOf(question: RouteQuestion, { judged }: Candidates): string {
  return isForLeader(question.kind, question.consistency) && question.placement?.leader == null
    ? `no leader of group ${question.group} is known`
    : `no node can serve group ${question.group}: ${reasonsOf(judged, question.now)}`
}

const reasonsOf = (judged: readonly Judged[], now: number): string =>
  judged.map((one) => `${one.node} ${exclusionAt(one, now) ?? 'eligible'}`).join(', ')
