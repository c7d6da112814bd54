import {
  type EligibleNode,
  type NodeScore,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'

/** An estimate that nobody confirms loses two thirds of itself in this time. */
export const peakFadeMs = 1_000

/**
 * Two are drawn, the cheaper one is taken; the price is the peak-sensitive latency times the
 * queries in flight and this one (Finagle's p2cPeakEwma). The latency of a node that has nothing
 * in flight fades while it is not used: else one that was slow once would be left alone for ever.
 */
export class PeakEwmaStrategy implements RoutingStrategy {
  readonly name = StrategyNames.PeakEwma

  choose(eligible: readonly EligibleNode[], { random, now }: StrategyContext): number {
    const count = eligible.length
    const first = random.nextInt(count)
    if (count === 1) return first
    const second = (first + 1 + random.nextInt(count - 1)) % count
    const one = priceOf(eligible[first] as EligibleNode, now)
    return priceOf(eligible[second] as EligibleNode, now) < one ? second : first
  }

  explain(eligible: readonly EligibleNode[], _chosen: number, { now }: StrategyContext) {
    const prices = eligible.map((node) => priceOf(node, now))
    const least = Math.min(...prices)
    const scores = eligible.map((node, i): NodeScore => {
      const price = prices[i] as number
      const normalized = price === 0 ? 1 : least / price
      const name = 'price (peak latency in ms × queries)'
      const ageMs = Number.isNaN(node.answeredAt) ? null : now - node.answeredAt
      const factors = [{ name, raw: price, normalized, weight: 1, ageMs }]
      return { node: node.node, score: normalized, factors }
    })
    return { reason: `the cheaper of two drawn from ${eligible.length}`, scores }
  }
}

/** A node never heard of costs nothing until it has queries in flight, and then much. */
const unknownMs = 10_000

function priceOf(node: EligibleNode, now: number): number {
  const { inFlight, peakLatencyMs, weight } = node
  if (Number.isNaN(peakLatencyMs)) return inFlight * unknownMs
  const unusedMs = inFlight > 0 ? 0 : now - node.answeredAt
  return (peakLatencyMs * Math.exp(-unusedMs / peakFadeMs) * (inFlight + 1)) / weight
}
