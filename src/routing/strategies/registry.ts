import { type ConfigFault, InvalidArgumentError } from '../../core/errors.js'
import {
  type AdaptiveWeights,
  type RoutingStrategy,
  type StrategyFactory,
  StrategyNames
} from '../../core/routing-strategy.js'
import { AdaptiveStrategy } from './adaptive.js'
import { LeastConnectionsStrategy } from './least-connections.js'
import { LocalityAwareStrategy } from './locality-aware.js'
import { PeakEwmaStrategy } from './peak-ewma.js'
import { RandomStrategy } from './random.js'
import { RoundRobinStrategy } from './round-robin.js'
import { TwoChoicesStrategy } from './two-choices.js'
import { WeightedRoundRobinStrategy } from './weighted-round-robin.js'

export interface StrategyOptions {
  readonly adaptiveWeights: AdaptiveWeights
  /** By name; one with the name of a strategy of the house takes its place. */
  readonly strategies?: Readonly<Record<string, StrategyFactory>>
}

/** The strategies by name, those of the house and the embedder's. */
export class StrategyRegistry {
  readonly #factories: ReadonlyMap<string, StrategyFactory>

  constructor({ adaptiveWeights, strategies }: StrategyOptions) {
    this.#factories = new Map<string, StrategyFactory>([
      [StrategyNames.RoundRobin, () => new RoundRobinStrategy()],
      [StrategyNames.Random, () => new RandomStrategy()],
      [StrategyNames.LeastConnections, () => new LeastConnectionsStrategy()],
      [StrategyNames.WeightedRoundRobin, () => new WeightedRoundRobinStrategy()],
      [StrategyNames.LocalityAware, () => new LocalityAwareStrategy()],
      [StrategyNames.Adaptive, () => new AdaptiveStrategy(adaptiveWeights)],
      [StrategyNames.TwoChoices, () => new TwoChoicesStrategy()],
      [StrategyNames.PeakEwma, () => new PeakEwmaStrategy()],
      ...Object.entries(strategies ?? {})
    ])
  }

  get names(): readonly string[] {
    return [...this.#factories.keys()]
  }

  /**
   * A fresh one, for a strategy may remember what it chose; a strategy given as it is, is taken.
   * @throws InvalidArgumentError
   */
  create(wanted: string | RoutingStrategy): RoutingStrategy {
    if (typeof wanted === 'string') {
      const factory = this.#factories.get(wanted)
      if (factory !== undefined) return factory()
      throw new InvalidArgumentError('strategy', `must be one of ${this.names.join(', ')}`)
    }
    if (typeof wanted?.name !== 'string' || typeof wanted.choose !== 'function') {
      throw new InvalidArgumentError('strategy', 'must be a name, or have a name and choose()')
    }
    return wanted
  }
}

/** That the configured strategy is not among the known ones. */
export function strategyFaults(
  { strategy, adaptiveWeights }: { strategy: string; adaptiveWeights: AdaptiveWeights },
  strategies: StrategyOptions['strategies'] = {}
): ConfigFault[] {
  const { names } = new StrategyRegistry({ adaptiveWeights, strategies })
  if (names.includes(strategy)) return []
  return [{ path: 'routing.strategy', message: `must be one of ${names.join(', ')}` }]
}
