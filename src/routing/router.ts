/**
 * The route decision: values in, one decision out, no effects. Given who is a member, where the
 * group lives and what was observed of each node, it says which node executes a query and why,
 * and keeps a bounded record of what it decided.
 *
 * 1. A query that needs the leader goes to the leader that Raft names, or nowhere.
 * 2. Nodes are looked at in the order of their ids, so equal inputs give equal decisions.
 */
import { must } from '../core/assert.js'
import type {
  Consistency,
  RouteCandidate,
  RouteDecision,
  RouteExplanation
} from '../core/cluster-manager.js'
import type { GroupId, NodeId, WallMs } from '../core/ids.js'
import type { Member } from '../core/member.js'
import type { StatementKind } from '../core/ports/engine-provider.js'
import type { Random } from '../core/ports/random.js'
import { RingBuffer } from '../core/ring-buffer.js'
import { isForLeader, type Judged, judge } from './eligibility.js'
import type { NodeObservations } from './node-observations.js'
import type { Placement } from './placement-table.js'
import { RoundRobinStrategy } from './round-robin.js'
import { createStrategy } from './strategies.js'
import type {
  EligibleNode,
  NodeScore,
  RoutingStrategy,
  StrategyChoice,
  StrategyName
} from './strategy.js'

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
  readonly wallNow: WallMs
}

export interface RouterOptions {
  readonly nodeId: NodeId
  readonly datacenter: string
  readonly rack: string
  readonly strategy: StrategyName
  readonly explainedDecisionsMax: number
}

export class Router {
  readonly #observations: NodeObservations
  readonly #random: Random
  readonly #options: RouterOptions
  readonly #record: RingBuffer<RouteExplanation>
  readonly #spreading = new RoundRobinStrategy()
  #strategy: RoutingStrategy

  constructor(
    components: { readonly observations: NodeObservations; readonly random: Random },
    options: RouterOptions
  ) {
    this.#observations = components.observations
    this.#random = components.random
    this.#options = options
    this.#record = new RingBuffer(options.explainedDecisionsMax)
    this.#strategy = createStrategy(options.strategy)
  }

  get strategy(): StrategyName {
    return this.#strategy.name
  }

  setStrategy(name: StrategyName): void {
    if (name !== this.#strategy.name) this.#strategy = createStrategy(name)
  }

  /** The newest decisions, oldest first. */
  lastDecisions(): readonly RouteExplanation[] {
    return this.#record.toArray()
  }

  /** Decides and keeps the decision with what went into it. */
  decide(question: RouteQuestion): RouteExplanation {
    const explanation = this.#leaderAtOnce(question) ?? this.#consider(question)
    this.#record.push(explanation)
    return explanation
  }

  /** Decides and says of every node why it was or was not eligible. */
  explain(question: RouteQuestion): RouteExplanation {
    const explanation = this.#consider(question)
    this.#record.push(explanation)
    return explanation
  }

  /** The common case, without a look at every member; null when it is not that plain. */
  #leaderAtOnce(question: RouteQuestion): RouteExplanation | null {
    const leader = question.placement?.leader ?? null
    if (leader === null || !isForLeader(question.kind, question.consistency)) return null
    const isSelf = leader === this.#options.nodeId
    if (!isSelf && !question.members.some(({ nodeId }) => nodeId === leader)) return null
    return this.#explanationOf(question, [{ node: leader, exclusion: null }], leaderChoice(leader))
  }

  #consider(question: RouteQuestion): RouteExplanation {
    const judged = judge({ ...question, self: this.#options.nodeId })
    const eligible = judged.filter(({ exclusion }) => exclusion === null)
    if (eligible.length === 0) return this.#refuse(question, judged)
    const choice = isForLeader(question.kind, question.consistency)
      ? leaderChoice(must(eligible[0], 'leader').node)
      : this.#chooseAmong(
          eligible.map((entry) => this.#observe(entry)),
          question
        )
    return this.#explanationOf(question, judged, choice)
  }

  #chooseAmong(eligible: readonly EligibleNode[], question: RouteQuestion): StrategyChoice {
    const { key, isSpread, preferred } = question
    if (isSpread) {
      const choice = this.#spreading.choose(eligible)
      return { ...choice, reason: `the key ${key ?? ''} is hot: ${choice.reason}` }
    }
    const known = eligible.find(({ node }) => node === preferred)
    if (known === undefined) return this.#strategy.choose(eligible, this.#random)
    const scores = [{ node: known.node, score: null, factors: [] }]
    return { node: known.node, reason: 'where its session went before', scores }
  }

  #refuse(question: RouteQuestion, judged: readonly Judged[]): RouteExplanation {
    const refusal =
      isForLeader(question.kind, question.consistency) && question.placement?.leader == null
        ? `no leader of group ${question.group} is known`
        : `no node can serve group ${question.group}: ${reasonsOf(judged)}`
    return {
      decision: null,
      refusal,
      candidates: judged.map((entry) => candidateOf(entry, undefined)),
      decidedAt: question.wallNow
    }
  }

  #explanationOf(
    question: RouteQuestion,
    judged: readonly Verdict[],
    choice: StrategyChoice
  ): RouteExplanation {
    const decision: RouteDecision = {
      node: choice.node,
      group: question.group,
      kind: question.kind,
      consistency: question.consistency,
      term: question.placement?.term ?? null,
      key: question.key ?? null,
      strategy: this.#strategy.name,
      reason: `${choice.node}: ${choice.reason}`
    }
    const scores = new Map(choice.scores.map((score) => [score.node, score]))
    const candidates = judged.map((entry) => candidateOf(entry, scores.get(entry.node)))
    return { decision, refusal: null, candidates, decidedAt: question.wallNow }
  }

  #observe({ node, member }: Judged): EligibleNode {
    const { inFlight, latencyMs, utilisation } = this.#observations.of(node)
    return { node, inFlight, latencyMs, utilisation, locality: this.#localityOf(node, member) }
  }

  #localityOf(node: NodeId, member: Member | null): number {
    const { nodeId, datacenter, rack } = this.#options
    if (node === nodeId) return 1
    if (member === null || member.datacenter !== datacenter) return 0
    return member.rack === rack ? 0.75 : 0.5
  }
}

type Verdict = Pick<Judged, 'node' | 'exclusion'>

const leaderChoice = (node: NodeId): StrategyChoice => ({
  node,
  reason: 'the leader of the group',
  scores: [{ node, score: null, factors: [] }]
})

const candidateOf = (entry: Verdict, score: NodeScore | undefined): RouteCandidate => ({
  node: entry.node,
  eligible: entry.exclusion === null,
  exclusion: entry.exclusion,
  score: score?.score ?? null,
  factors: score?.factors ?? []
})

const reasonsOf = (judged: readonly Judged[]): string =>
  judged.map(({ node, exclusion }) => `${node} ${exclusion ?? 'eligible'}`).join(', ')
