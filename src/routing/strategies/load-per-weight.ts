import type { EligibleNode, NodeScore } from '../../core/routing-strategy.js'

/** What one more query makes of its load: a node of weight 2 bears twice as many. */
export const loadPerWeight = ({ inFlight, weight }: EligibleNode): number => (inFlight + 1) / weight

/** Scores of the strategies that look at nothing but queries in flight. */
export function scoresByLoad(eligible: readonly EligibleNode[]): NodeScore[] {
  const least = Math.min(...eligible.map(loadPerWeight))
  return eligible.map((node) => {
    const normalized = least / loadPerWeight(node)
    const factor = {
      name: 'load (queries in flight)',
      raw: node.inFlight,
      normalized,
      weight: 1,
      ageMs: 0
    }
    return { node: node.node, score: normalized, factors: [factor] }
  })
}
