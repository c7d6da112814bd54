import type { Counters } from '../core/counters.js'
import type { NodeId, Term } from '../core/ids.js'
import type { Member } from '../core/member.js'
import { StatementKinds } from '../core/ports/engine-provider.js'
import { Consistencies } from '../core/queries.js'
import { tracedNow } from '../core/traced-driver.js'
import { isForLeader } from './eligibility.js'
import type { Placement } from './placement-table.js'
import type { QueryCounterName } from './query-counters.js'
import type { QueryPlan } from './query-plan.js'
import type { QueryComponents, QueryDriverOptions, QueryTools } from './query-tools-driver.js'
import type { RouteQuestion } from './router.js'
import type { Chosen, RunComponents } from './run-driver.js'

const nobody: ReadonlySet<NodeId> = new Set()

type Choice = Parameters<RunComponents['choose']>[0]

/**
 * Which node is asked for one attempt: makes the question that the router decides, from what is
 * known now, and counts where the attempt goes.
 */
export class NodeChooser {
  readonly #parts: Pick<QueryComponents, 'clock' | 'members' | 'tracer'>
  readonly #tools: QueryTools
  readonly #options: QueryDriverOptions
  readonly #counters: Counters<QueryCounterName>
  /** Of the list of members that it was made of. */
  #near: { readonly members: readonly Member[]; readonly nodes: ReadonlySet<NodeId> } | null = null

  constructor(
    components: {
      readonly parts: Pick<QueryComponents, 'clock' | 'members' | 'tracer'>
      readonly tools: QueryTools
      readonly counters: Counters<QueryCounterName>
    },
    options: QueryDriverOptions
  ) {
    this.#parts = components.parts
    this.#tools = components.tools
    this.#counters = components.counters
    this.#options = options
  }

  /** Null: no node can take it now. */
  choose(choice: Choice): Chosen | null {
    const { tracer } = this.#parts
    if (tracer == null) return this.#choose(choice)
    const options = { kind: 'internal' as const, attributes: attributesOf(choice.plan) }
    return tracedNow(tracer, 'route', options, (span) => {
      const chosen = this.#choose(choice)
      span?.setAttributes({ 'skein.node': chosen?.node ?? 'none' })
      return chosen
    })
  }

  #choose(choice: Choice): Chosen | null {
    const { plan, avoid, leaderHint, atLeastIndex } = choice
    const { node, term } = this.#decide(plan, avoid, leaderHint, atLeastIndex)
    const mayForward = this.#options.isClient && isForLeader(plan.kind, plan.consistency)
    if (mayForward && (node === null || avoid.has(node))) {
      const forwarder = this.#forwarder(plan, avoid)
      if (forwarder !== null) return { node: forwarder, term: null, forwards: true }
    }
    if (node === null) return null
    this.#count(node)
    // Who gave the hint did not say in which term it holds.
    return { node, term: leaderHint === null ? term : null, forwards: false }
  }

  /** Whoever would be asked to read its own state can also pass it on to the leader. */
  #forwarder(plan: QueryPlan, avoid: ReadonlySet<NodeId>): NodeId | null {
    const { Read } = StatementKinds
    const asRead: QueryPlan = { ...plan, kind: Read, consistency: Consistencies.Linearizable }
    const node = this.#decide(asRead, avoid, null).node
    if (node !== null) this.#count(node)
    return node
  }

  #count(node: NodeId): void {
    if (node === this.#options.nodeId) {
      this.#counters.add('locality_hits')
      return
    }
    this.#counters.add('queries_forwarded')
    this.#counters.add(this.#nearNodes().has(node) ? 'locality_hits' : 'cross_dc_queries')
  }

  /** Members of this node's datacenter. */
  #nearNodes(): ReadonlySet<NodeId> {
    const members = this.#parts.members()
    if (this.#near?.members === members) return this.#near.nodes
    const { datacenter } = this.#options
    const near = members.filter((member) => member.datacenter === datacenter)
    const nodes = new Set(near.map(({ nodeId }) => nodeId))
    this.#near = { members, nodes }
    return nodes
  }

  #decide(
    plan: QueryPlan,
    avoid: ReadonlySet<NodeId>,
    hint: NodeId | null,
    atLeastIndex = 0
  ): { node: NodeId | null; term: Term | null } {
    const question = this.questionOf(plan, avoid, hint, atLeastIndex)
    const node = this.#tools.choice.choose(question)
    const term = question.placement?.term ?? null
    if (node !== null) this.noteAffinity(plan, node, term)
    return { node, term }
  }

  /** The session prefers the node from now on. */
  noteAffinity(
    { session, kind, consistency, key }: QueryPlan,
    node: NodeId,
    term: Term | null
  ): void {
    if (session === null || isForLeader(kind, consistency) || this.#tools.hotspots.spreads(key))
      return
    this.#tools.affinities.note(session, node, term, this.#parts.clock.now())
  }

  questionOf(
    plan: QueryPlan,
    avoid: ReadonlySet<NodeId> = nobody,
    leaderHint: NodeId | null = null,
    atLeastIndex = 0
  ): RouteQuestion {
    const { clock } = this.#parts
    const known = this.#tools.placements.of(plan.group)
    const placed = known !== null && leaderHint !== null ? { ...known, leader: leaderHint } : known
    return {
      group: plan.group,
      kind: plan.kind,
      consistency: plan.consistency,
      key: plan.key,
      isSpread: plan.kind === StatementKinds.Read && this.#tools.hotspots.spreads(plan.key),
      preferred: this.#preferredBy(plan.session, placed),
      members: this.#parts.members(),
      placement: placed,
      hasReplica: this.#tools.placements.votes(plan.group, placed),
      avoid,
      atLeastIndex,
      now: clock.now(),
      wallNow: clock.wallNow()
    }
  }

  #preferredBy(session: string | null, placed: Placement | null): NodeId | null {
    if (session === null) return null
    return this.#tools.affinities.nodeOf(session, placed?.term ?? null, this.#parts.clock.now())
  }
}

export const attributesOf = ({ group, kind }: QueryPlan) => ({
  'skein.group': group,
  'skein.query.kind': kind
})
