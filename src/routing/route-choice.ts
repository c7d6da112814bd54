import type { ClusterRouting, NodeEjection } from '../core/cluster-routing.js'
import type { RoutingEvent } from '../core/events.js'
import type { NodeId } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Random } from '../core/ports/random.js'
import type { RouteExplanation } from '../core/route-views.js'
import type { RoutingStrategy } from '../core/routing-strategy.js'
import { NodeObservations } from './node-observations.js'
import { NodeStandings, type NodeStandingsOptions } from './node-standings.js'
import { type RouteQuestion, Router, type RouterOptions } from './router.js'
import { type StrategyOptions, StrategyRegistry } from './strategies/registry.js'

export interface RouteChoiceOptions extends NodeStandingsOptions, RouterOptions, StrategyOptions {
  readonly strategy: string
}

/**
 * All that goes into choosing a node: what was observed, what is held against whom, the strategy in
 * use, the router and its record. It is `manager.routing`.
 */
export class RouteChoice implements ClusterRouting {
  readonly observations = new NodeObservations()
  readonly standings: NodeStandings
  readonly #clock: Clock
  readonly #registry: StrategyRegistry
  readonly #router: Router
  readonly #listeners: ((event: RoutingEvent) => void)[] = []

  constructor(
    { clock, random }: { readonly clock: Clock; readonly random: Random },
    options: RouteChoiceOptions
  ) {
    this.#clock = clock
    this.standings = new NodeStandings({ random: random.split('ejection') }, options)
    this.#registry = new StrategyRegistry(options)
    this.#router = new Router(
      {
        observations: this.observations,
        standings: this.standings,
        random: random.split('choice'),
        strategy: this.#registry.create(options.strategy)
      },
      options
    )
  }

  get strategy(): string {
    return this.#router.strategy.name
  }

  get strategies(): readonly string[] {
    return this.#registry.names
  }

  start(): void {
    this.standings.start(this.#clock.now())
  }

  onEvent(listener: (event: RoutingEvent) => void): void {
    this.#listeners.push(listener)
  }

  /** @throws InvalidArgumentError */
  setStrategy(wanted: string | RoutingStrategy): void {
    const previous = this.strategy
    if (wanted === previous) return
    const strategy = this.#registry.create(wanted)
    this.#router.setStrategy(strategy)
    this.#emit({ type: 'RoutingStrategyChanged', strategy: strategy.name, previous })
  }

  /** Null: none can take it. */
  choose(question: RouteQuestion): NodeId | null {
    const node = this.#router.choose(question)
    this.#drain()
    return node
  }

  /** As `choose`, with the words. */
  decide(question: RouteQuestion): RouteExplanation {
    const explanation = this.#router.decide(question)
    this.#drain()
    return explanation
  }

  explain(question: RouteQuestion): RouteExplanation {
    return this.#router.explain(question)
  }

  /** @param isMember of those that are left */
  handleMemberGone(node: NodeId, isMember: (node: NodeId) => boolean): void {
    this.standings.handleMemberGone(node)
    this.observations.retain(isMember)
  }

  handleMemberJoined(node: NodeId): void {
    this.standings.handleMemberJoined(node, this.#clock.now())
  }

  lastDecisions(): readonly RouteExplanation[] {
    return this.#router.lastDecisions()
  }

  decision(id: number): RouteExplanation | null {
    return this.#router.decisionOf(id)
  }

  ejections(): readonly NodeEjection[] {
    const now = this.#clock.now()
    return this.standings.ejections(now).map(({ node, reason, until, times }) => ({
      nodeId: node,
      reason,
      forMs: until - now,
      times
    }))
  }

  #drain(): void {
    for (const event of this.standings.takeEvents()) this.#emit(event)
  }

  #emit(event: RoutingEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
