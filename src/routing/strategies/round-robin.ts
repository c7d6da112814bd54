import type { NodeId } from '../../core/ids.js'
import {
  type EligibleNode,
  type RoutingStrategy,
  StrategyNames
} from '../../core/routing-strategy.js'
import { unscored } from './unscored.js'

/** One after the other, by node id; nodes that come and go do not disturb the order of the rest. */
export class RoundRobinStrategy implements RoutingStrategy {
  readonly name = StrategyNames.RoundRobin
  #last: NodeId | null = null

  choose(eligible: readonly EligibleNode[]): number {
    const last = this.#last
    let chosen = 0
    if (last !== null) {
      for (let i = 0; i < eligible.length; i++) {
        if ((eligible[i] as EligibleNode).node > last) {
          chosen = i
          break
        }
      }
    }
    this.#last = (eligible[chosen] as EligibleNode).node
    return chosen
  }

  explain(eligible: readonly EligibleNode[]) {
    return unscored(eligible, 'its turn')
  }
}
