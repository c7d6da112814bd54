import { assert, must } from '../core/assert.js'
import type { NodeId } from '../core/ids.js'
import {
  type EligibleNode,
  type RoutingStrategy,
  type StrategyChoice,
  StrategyNames
} from './strategy.js'

/** One after the other, by node id; nodes that come and go do not disturb the order of the rest. */
export class RoundRobinStrategy implements RoutingStrategy {
  readonly name = StrategyNames.RoundRobin
  #last: NodeId | null = null

  choose(eligible: readonly EligibleNode[]): StrategyChoice {
    assert(eligible.length > 0, 'nothing to choose from')
    const last = this.#last
    const next = last === null ? undefined : eligible.find(({ node }) => node > last)
    const chosen = next ?? must(eligible[0], 'first node')
    const reason = last === null ? 'the first in turn' : `its turn after ${last}`
    this.#last = chosen.node
    const scores = eligible.map(({ node }) => ({ node, score: null, factors: [] }))
    return { node: chosen.node, reason, scores }
  }
}
