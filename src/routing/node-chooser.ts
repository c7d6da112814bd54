import type { Counters } from '../core/counters.js'
import type { LogIndex, NodeId, Term } from '../core/ids.js'
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
import type { QueryHome } from './sessions/sql-session.js'

const nobody: ReadonlySet<NodeId> = new Set()
const noIndex = 0 as LogIndex

type Choice = Parameters<RunComponents['choose']>[0]
type ChooserParts = Pick<QueryComponents, 'clock' | 'members' | 'tracer' | 'messenger' | 'connect'>

/**
 * Which node is asked for one attempt: makes the question that the router decides, from what is
 * known now, and counts where the attempt goes.
 *
 * No query of a client waits for a connection to be made while another node that may serve it, or
 * pass it on, is connected. Many clients connect anew at the same time when a node ends; with their
 * queries waiting for that, the handshakes would decide how long the pause is.
 */
export class NodeChooser {
  readonly #parts: ChooserParts
  readonly #tools: QueryTools
  readonly #options: QueryDriverOptions
  readonly #counters: Counters<QueryCounterName>
  /** Of the list of members that it was made of. */
  #near: { readonly members: readonly Member[]; readonly nodes: ReadonlySet<NodeId> } | null = null

  constructor(
    components: {
      readonly parts: ChooserParts
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
    const { plan, avoid, leaderHint } = choice
    if (plan.home !== undefined) return this.#chooseHome(plan.home)
    const { node, term } = this.#decide(choice)
    const isMissing = node === null || avoid.has(node)
    const detour = this.#detour(choice, isMissing ? null : node)
    if (detour !== null) return detour
    if (node === null) return null
    this.#count(node)
    // Who gave the hint did not say in which term it holds.
    return { node, term: leaderHint === null ? term : null, forwards: false }
  }

  /** Another node than this one, of a client; null: it can be asked itself, or none is better. */
  #detour(choice: Choice, wanted: NodeId | null): Chosen | null {
    if (!this.#options.isClient) return null
    const { plan } = choice
    const forwards = isForLeader(plan.kind, plan.consistency)
    const unconnected = wanted === null ? undefined : this.#unconnected(wanted)
    if (wanted === null ? !forwards : unconnected === undefined) return null
    const asked = forwards ? { ...choice, plan: asRead(plan), atLeastIndex: noIndex } : choice
    const { node, term } = this.#decide({ ...asked, leaderHint: null }, unconnected)
    const isWorse = node !== null && (choice.avoid.has(node) || unconnected?.has(node))
    if (node === null || (wanted !== null && isWorse)) return null
    this.#count(node)
    return { node, term: forwards ? null : term, forwards }
  }

  /** Absent: that one is connected. Otherwise it will be, if it can. */
  #unconnected(wanted: NodeId): ReadonlySet<NodeId> | undefined {
    const { connect, messenger, members } = this.#parts
    if (connect === undefined || messenger.isConnected(wanted)) return undefined
    connect(wanted)
    const unconnected = new Set([wanted])
    for (const { nodeId } of members()) {
      if (!messenger.isConnected(nodeId)) unconnected.add(nodeId)
    }
    return unconnected
  }

  #chooseHome(home: QueryHome): Chosen | null {
    const node = home.node()
    if (node === null) return null
    this.#count(node)
    return { node, term: null, forwards: true }
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
    { plan, avoid, leaderHint, atLeastIndex }: Choice,
    unconnected?: ReadonlySet<NodeId>
  ): { node: NodeId | null; term: Term | null } {
    const known = this.questionOf(plan, avoid, leaderHint, atLeastIndex)
    const question = unconnected === undefined ? known : { ...known, unconnected }
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

/** Whoever would be asked to read its own state can also pass it on to the leader. */
const asRead = (plan: QueryPlan): QueryPlan => ({
  ...plan,
  kind: StatementKinds.Read,
  consistency: Consistencies.Linearizable
})

export const attributesOf = ({ group, kind }: QueryPlan) => ({
  'skein.group': group,
  'skein.query.kind': kind
})
