import { assert } from '../core/assert.js'
import type { Random } from '../core/ports/random.js'
import { pick } from '../core/splittable-random.js'
import {
  type EligibleNode,
  type RoutingStrategy,
  type StrategyChoice,
  StrategyNames
} from './strategy.js'

/** The node with the fewest queries of ours in flight; one of them at random when several have. */
export class LeastConnectionsStrategy implements RoutingStrategy {
  readonly name = StrategyNames.LeastConnections

  choose(eligible: readonly EligibleNode[], random: Random): StrategyChoice {
    assert(eligible.length > 0, 'nothing to choose from')
    const fewest = Math.min(...eligible.map(({ inFlight }) => inFlight))
    const chosen = pick(
      random,
      eligible.filter(({ inFlight }) => inFlight === fewest)
    )
    const scores = eligible.map(({ node, inFlight }) => {
      const normalized = (fewest + 1) / (inFlight + 1)
      const factor = { name: 'load (queries in flight)', raw: inFlight, normalized, weight: 1 }
      return { node, score: normalized, factors: [factor] }
    })
    return { node: chosen.node, reason: `the fewest queries in flight (${fewest})`, scores }
  }
}
