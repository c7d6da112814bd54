import {
  type EligibleNode,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'
import { loadPerWeight, scoresByLoad } from './load-per-weight.js'

/**
 * Two are drawn, the less busy one is taken: nearly as even as asking all, and routers that see
 * the same numbers do not all run to the same node (Mitzenmacher 1996).
 */
export class TwoChoicesStrategy implements RoutingStrategy {
  readonly name = StrategyNames.TwoChoices

  choose(eligible: readonly EligibleNode[], { random }: StrategyContext): number {
    const count = eligible.length
    const first = random.nextInt(count)
    if (count === 1) return first
    const second = (first + 1 + random.nextInt(count - 1)) % count
    const one = loadPerWeight(eligible[first] as EligibleNode)
    return loadPerWeight(eligible[second] as EligibleNode) < one ? second : first
  }

  explain(eligible: readonly EligibleNode[]) {
    const reason = `the less busy of two drawn from ${eligible.length}`
    return { reason, scores: scoresByLoad(eligible) }
  }
}
