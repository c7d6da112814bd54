/**
 * Load 30 %, latency 30 %, utilisation 20 %, locality 20 %, each brought to 0…1 over the eligible
 * nodes. The weight of a factor that is unknown for a node is shared out among its known ones, so
 * that a new node is neither favoured nor shunned. Among the nodes that score close to the best,
 * two are drawn and the better one taken ("power of two choices", Mitzenmacher 1996): routers
 * that see the same numbers do not all run to the same node.
 */
import { assert, must } from '../core/assert.js'
import type { RouteFactor } from '../core/cluster-manager.js'
import type { Random } from '../core/ports/random.js'
import {
  type EligibleNode,
  type NodeScore,
  type RoutingStrategy,
  type StrategyChoice,
  StrategyNames
} from './strategy.js'

interface Factor {
  readonly name: string
  readonly weight: number
  /** Differences far below it mean nothing: it is added to both sides of the ratio. */
  readonly noise: number
  rawOf(node: EligibleNode): number | null
}

const costs: readonly Factor[] = [
  { name: 'load (queries in flight)', weight: 0.3, noise: 4, rawOf: ({ inFlight }) => inFlight },
  { name: 'latency (ms)', weight: 0.3, noise: 0.5, rawOf: ({ latencyMs }) => latencyMs },
  { name: 'utilisation (0 to 1)', weight: 0.2, noise: 0.1, rawOf: ({ utilisation }) => utilisation }
]
const localityWeight = 0.2

/** Scores that far below the best still take part in the draw. */
export const closeScoreSpan = 0.04

export class AdaptiveStrategy implements RoutingStrategy {
  readonly name = StrategyNames.Adaptive

  choose(eligible: readonly EligibleNode[], random: Random): StrategyChoice {
    assert(eligible.length > 0, 'nothing to choose from')
    const scores = scoreAll(eligible)
    const best = Math.max(...scores.map(scoreOf))
    const close = scores.filter((entry) => scoreOf(entry) >= best - closeScoreSpan)
    const chosen = betterOfTwo(close, random)
    const shown = scoreOf(chosen).toFixed(3)
    const reason =
      close.length === 1
        ? `the best score (${shown})`
        : `the better of two drawn from ${close.length} close scores (${shown})`
    return { node: chosen.node, reason, scores }
  }
}

/** Scores in the order given. */
export function scoreAll(eligible: readonly EligibleNode[]): NodeScore[] {
  const bests = costs.map((factor) => lowest(eligible.map(factor.rawOf)))
  return eligible.map((node) => {
    const factors: RouteFactor[] = costs.map((factor, i) => {
      const raw = factor.rawOf(node)
      const best = bests[i] ?? null
      const normalized =
        raw === null || best === null ? null : (best + factor.noise) / (raw + factor.noise)
      return { name: factor.name, raw, normalized, weight: factor.weight }
    })
    const { locality } = node
    factors.push({ name: 'locality', raw: locality, normalized: locality, weight: localityWeight })
    return { node: node.node, score: weigh(factors), factors }
  })
}

function weigh(factors: readonly RouteFactor[]): number {
  let sum = 0
  let known = 0
  for (const { normalized, weight } of factors) {
    if (normalized === null) continue
    sum += normalized * weight
    known += weight
  }
  return sum / known
}

function lowest(values: readonly (number | null)[]): number | null {
  let least: number | null = null
  for (const value of values) if (value !== null && (least === null || value < least)) least = value
  return least
}

function betterOfTwo(entries: readonly NodeScore[], random: Random): NodeScore {
  const first = random.nextInt(entries.length)
  const one = must(entries[first], 'first draw')
  if (entries.length === 1) return one
  const step = 1 + random.nextInt(entries.length - 1)
  const other = must(entries[(first + step) % entries.length], 'second draw')
  return scoreOf(other) > scoreOf(one) ? other : one
}

const scoreOf = ({ score }: NodeScore): number => must(score, 'score')
