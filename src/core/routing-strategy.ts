/**
 * How routing chooses among the nodes that may take a query. The strategies of this house and those
 * of embedders implement the same interface.
 */

import type { NodeId } from './ids.js'
import type { Random } from './ports/random.js'
import type { RouteFactor } from './route-views.js'

/**
 * What is known of a node. Numbers that are not known are NaN. The objects are routing's own and
 * live: read them in `choose`, keep none.
 */
export interface EligibleNode {
  readonly node: NodeId
  /** Queries given to it by this node and not answered. */
  readonly inFlight: number
  /** Average over its newest answers, older ones weighing less and less; NaN before the first. */
  readonly latencyMs: number
  /** A moving average that rises with a slow answer at once and falls slowly; NaN before it. */
  readonly peakLatencyMs: number
  /** When the newest answer came, monotonic; NaN before it. */
  readonly answeredAt: number
  /** 0 idle … 1 at its own bound, as it told with its last answer; NaN before that. */
  readonly utilisation: number
  /** Queries being executed or waiting there, anybody's, as it told; NaN before that. */
  readonly queueDepth: number
  /** When it told its utilisation, monotonic; NaN before that. */
  readonly reportedAt: number
  /** 1 this node, 0.75 its rack, 0.5 its datacenter, 0 elsewhere. */
  readonly locality: number
  /** Its share of the work beside the others', by configuration or its own word. */
  readonly weight: number
}

/** Reused from one choice to the next: keep it no longer than the call. */
export interface StrategyContext {
  /** Monotonic. */
  readonly now: number
  readonly random: Random
  /** Replicas in this rack, elsewhere in this datacenter, and in others; eligible or not. */
  readonly replicasNear: readonly [rack: number, datacenter: number, elsewhere: number]
  /** The strategy's own: what `choose` leaves here, `explain` finds again; 0 before a choice. */
  memo?: number
}

export interface NodeScore {
  readonly node: NodeId
  /** 0 worst … 1 best; null when the strategy does not score, or did not look at this node. */
  readonly score: number | null
  readonly factors: readonly RouteFactor[]
}

export interface StrategyExplanation {
  /** Half a sentence: "the fewest queries in flight (2)". */
  readonly reason: string
  /** In the order of `eligible`. */
  readonly scores: readonly NodeScore[]
}

export interface RoutingStrategy {
  readonly name: string
  /**
   * The index of the node to take. `eligible` is not empty and sorted by node id. Runs for every
   * read, so it should allocate nothing; what it throws ends the query.
   */
  choose(eligible: readonly EligibleNode[], context: StrategyContext): number
  /** Why `chosen` was taken, from the same inputs, later; must not change the next choice. */
  explain?(
    eligible: readonly EligibleNode[],
    chosen: number,
    context: StrategyContext
  ): StrategyExplanation
}

export type StrategyFactory = () => RoutingStrategy

export const StrategyNames = {
  RoundRobin: 'round-robin',
  Random: 'random',
  LeastConnections: 'least-connections',
  WeightedRoundRobin: 'weighted-round-robin',
  LocalityAware: 'locality-aware',
  Adaptive: 'adaptive',
  TwoChoices: 'two-choices',
  PeakEwma: 'peak-ewma'
} as const
export type StrategyName = (typeof StrategyNames)[keyof typeof StrategyNames]

/** Of the strategy `adaptive`; only their ratios count. */
export interface AdaptiveWeights {
  readonly load: number
  readonly latency: number
  readonly utilisation: number
  readonly locality: number
}
