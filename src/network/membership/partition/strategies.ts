import { unreachable } from '../../../core/assert.js'
import type { Config } from '../../../core/config/schema.js'
import { keepMajority } from './keep-majority.js'
import { keepOldest } from './keep-oldest.js'
import { staticQuorum } from './static-quorum.js'
import type { SplitStrategy } from './strategy.js'

/** Null: splits are told and nothing is done about them. */
export function splitStrategyOf(config: Config['membership']): SplitStrategy | null {
  const { splitStrategy } = config
  switch (splitStrategy) {
    case 'off':
      return null
    case 'keep-majority':
      return keepMajority
    case 'static-quorum':
      return staticQuorum(config.splitQuorumSize)
    case 'keep-oldest':
      return keepOldest
    default:
      return unreachable(splitStrategy)
  }
}
