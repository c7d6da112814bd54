/**
 * This rack, then this datacenter, then the rest. A level keeps all queries as long as enough of
 * its replicas are eligible, and spills the rest to the next: with a factor of 1.4, a level of
 * which more than 71 % are eligible keeps everything, one with half keeps 70 % (Envoy's priority
 * levels). Within a level, the less busy of two drawn.
 */
import {
  type EligibleNode,
  type NodeScore,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'
import { loadPerWeight } from './load-per-weight.js'

export const overprovisioningFactor = 1.4

const levelNames = ['its rack', 'its datacenter', 'other datacenters'] as const
const levels: number = levelNames.length

export class LocalityAwareStrategy implements RoutingStrategy {
  readonly name = StrategyNames.LocalityAware
  readonly #shares = new Float64Array(levels)

  choose(eligible: readonly EligibleNode[], context: StrategyContext): number {
    shareOut(eligible, context, this.#shares)
    const { random } = context
    let drawn = random.nextFloat()
    let level = 0
    while (level < levels - 1 && drawn >= (this.#shares[level] as number)) {
      drawn -= this.#shares[level] as number
      level++
    }
    return lessBusyOfTwo(eligible, nearestAtOrBeyond(eligible, level), context)
  }

  explain(eligible: readonly EligibleNode[], chosen: number, context: StrategyContext) {
    const shares = new Float64Array(levels)
    shareOut(eligible, context, shares)
    const scores = eligible.map((node): NodeScore => {
      const { locality } = node
      const share = shares[levelOf(node)] as number
      const factors = [
        { name: 'locality', raw: locality, normalized: locality, weight: 1, ageMs: null },
        { name: 'share of its level', raw: share, normalized: share, weight: 0, ageMs: null }
      ]
      return { node: node.node, score: locality, factors }
    })
    const level = levelOf(eligible[chosen] as EligibleNode)
    const share = Math.round(100 * (shares[level] as number))
    return { reason: `in ${levelNames[level]}, which takes ${share} %`, scores }
  }
}

const levelOf = ({ locality }: EligibleNode): number =>
  locality >= 0.75 ? 0 : locality >= 0.5 ? 1 : 2

/** Nearer levels first; when all together cannot take everything, each gets its part of it. */
function shareOut(
  eligible: readonly EligibleNode[],
  { replicasNear }: StrategyContext,
  shares: Float64Array
): void {
  shares.fill(0)
  for (let i = 0; i < eligible.length; i++) {
    const level = levelOf(eligible[i] as EligibleNode)
    shares[level] = (shares[level] as number) + 1
  }
  let left = 1
  for (let level = 0; level < levels; level++) {
    const count = shares[level] as number
    const all = Math.max(count, replicasNear[level] as number)
    const able = count === 0 ? 0 : (overprovisioningFactor * count) / all
    shares[level] = Math.min(left, able)
    left -= shares[level] as number
  }
  if (left <= 0) return
  for (let level = 0; level < levels; level++) {
    shares[level] = (shares[level] as number) / (1 - left)
  }
}

/** The level itself; rounding may have left it without a node. */
function nearestAtOrBeyond(eligible: readonly EligibleNode[], wanted: number): number {
  let nearest = levels
  let farthest = 0
  for (let i = 0; i < eligible.length; i++) {
    const level = levelOf(eligible[i] as EligibleNode)
    if (level >= wanted && level < nearest) nearest = level
    if (level > farthest) farthest = level
  }
  return nearest === levels ? farthest : nearest
}

function lessBusyOfTwo(
  eligible: readonly EligibleNode[],
  level: number,
  { random }: StrategyContext
): number {
  let count = 0
  for (let i = 0; i < eligible.length; i++) {
    if (levelOf(eligible[i] as EligibleNode) === level) count++
  }
  const first = random.nextInt(count)
  const one = indexOfNth(eligible, level, first)
  if (count === 1) return one
  const second = (first + 1 + random.nextInt(count - 1)) % count
  const other = indexOfNth(eligible, level, second)
  const isOtherBetter =
    loadPerWeight(eligible[other] as EligibleNode) < loadPerWeight(eligible[one] as EligibleNode)
  return isOtherBetter ? other : one
}

function indexOfNth(eligible: readonly EligibleNode[], level: number, nth: number): number {
  let left = nth
  for (let i = 0; i < eligible.length; i++) {
    if (levelOf(eligible[i] as EligibleNode) !== level) continue
    if (left === 0) return i
    left--
  }
  return 0
}
