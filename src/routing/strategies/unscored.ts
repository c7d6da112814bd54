import type { EligibleNode, StrategyExplanation } from '../../core/routing-strategy.js'

/** The explanation of strategies that compare nothing. */
export const unscored = (
  eligible: readonly EligibleNode[],
  reason: string
): StrategyExplanation => ({
  reason,
  scores: eligible.map(({ node }) => ({ node, score: null, factors: [] }))
})
