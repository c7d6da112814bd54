import type { RouteFactor } from '../core/cluster-manager.js'
import type { NodeId } from '../core/ids.js'
import type { Random } from '../core/ports/random.js'

/** What a strategy may look at. */
export interface EligibleNode {
  readonly node: NodeId
  /** Queries given to it by this node and not answered. */
  readonly inFlight: number
  /** Moving average of answered queries; null before the first. */
  readonly latencyMs: number | null
  /** 0 idle … 1 at its own bound, as it told with its last answer; null before the first. */
  readonly utilisation: number | null
  /** 1 this node, 0.75 its rack, 0.5 its datacenter, 0 elsewhere. */
  readonly locality: number
}

export interface NodeScore {
  readonly node: NodeId
  /** 0 worst … 1 best; null for strategies that do not score. */
  readonly score: number | null
  readonly factors: readonly RouteFactor[]
}

export interface StrategyChoice {
  readonly node: NodeId
  /** Half a sentence: "least in flight (2)". */
  readonly reason: string
  /** In the order of `eligible`. */
  readonly scores: readonly NodeScore[]
}

/** Chooses one of a set that is not empty and sorted by node id. */
export interface RoutingStrategy {
  readonly name: StrategyName
  choose(eligible: readonly EligibleNode[], random: Random): StrategyChoice
}

export const StrategyNames = {
  RoundRobin: 'round-robin',
  LeastConnections: 'least-connections',
  Adaptive: 'adaptive'
} as const
export type StrategyName = (typeof StrategyNames)[keyof typeof StrategyNames]
