import { unreachable } from '../core/assert.js'
import { AdaptiveStrategy } from './adaptive.js'
import { LeastConnectionsStrategy } from './least-connections.js'
import { RoundRobinStrategy } from './round-robin.js'
import { type RoutingStrategy, type StrategyName, StrategyNames } from './strategy.js'

/** A fresh one: strategies may remember what they chose. */
export function createStrategy(name: StrategyName): RoutingStrategy {
  switch (name) {
    case StrategyNames.RoundRobin:
      return new RoundRobinStrategy()
    case StrategyNames.LeastConnections:
      return new LeastConnectionsStrategy()
    case StrategyNames.Adaptive:
      return new AdaptiveStrategy()
    default:
      return unreachable(name)
  }
}
