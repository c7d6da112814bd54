import {
  type EligibleNode,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'
import { loadPerWeight, scoresByLoad } from './load-per-weight.js'

/** The fewest queries of ours in flight, by weight; one of several such at random. */
export class LeastConnectionsStrategy implements RoutingStrategy {
  readonly name = StrategyNames.LeastConnections

  choose(eligible: readonly EligibleNode[], { random }: StrategyContext): number {
    let chosen = 0
    let least = Number.POSITIVE_INFINITY
    let ties = 0
    for (let i = 0; i < eligible.length; i++) {
      const load = loadPerWeight(eligible[i] as EligibleNode)
      if (load > least) continue
      ties = load < least ? 1 : ties + 1
      least = load
      // Each of several equals is kept with the same chance, in one pass.
      if (ties === 1 || random.nextInt(ties) === 0) chosen = i
    }
    return chosen
  }

  explain(eligible: readonly EligibleNode[], chosen: number) {
    const { inFlight } = eligible[chosen] as EligibleNode
    const reason = `the fewest queries in flight (${inFlight})`
    return { reason, scores: scoresByLoad(eligible) }
  }
}
