import {
  type EligibleNode,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'
import { unscored } from './unscored.js'

/** Any of them, evenly. */
export class RandomStrategy implements RoutingStrategy {
  readonly name = StrategyNames.Random

  choose(eligible: readonly EligibleNode[], { random }: StrategyContext): number {
    return random.nextInt(eligible.length)
  }

  explain(eligible: readonly EligibleNode[]) {
    return unscored(eligible, `drawn from ${eligible.length}`)
  }
}
