/** What the strategy `adaptive` compares by, and of what: written for words, not for speed. */

import type { RouteFactor } from '../../core/route-views.js'
import type { AdaptiveWeights, EligibleNode, NodeScore } from '../../core/routing-strategy.js'

/** Left alone for so long, half of what a latency lies above the best one has faded. */
export const latencyFadeMs = 700
/** Differences far below it mean nothing: it is added to both sides of a ratio. */
export const latencyNoiseMs = 0.25
/** What a node told of its utilisation counts for so long. */
export const reportAgeMsMax = 5_000

export const seedWeights: AdaptiveWeights = {
  load: 0.3,
  latency: 0.3,
  utilisation: 0.2,
  locality: 0.2
}

/** Of those that are compared with one another. */
interface Bests {
  readonly latencyMs: number
  readonly work: number
}

/**
 * In the order given.
 * @param isCompared the others are told of without a score: nobody looked at them
 */
export function scoreAll(
  eligible: readonly EligibleNode[],
  now: number,
  weights: AdaptiveWeights = seedWeights,
  isCompared: (index: number) => boolean = () => true
): NodeScore[] {
  const bests = bestsOf(
    eligible.filter((_, i) => isCompared(i)),
    now
  )
  return eligible.map((node, i) => scoreOf(node, isCompared(i), bests, now, weights))
}

/** A latency of 1 when nobody's is known: then the load is that of the queries alone. */
function bestsOf(compared: readonly EligibleNode[], now: number): Bests {
  const known = compared.map(({ latencyMs }) => latencyMs).filter((ms) => !Number.isNaN(ms))
  const latencyMs = known.length === 0 ? 1 : Math.min(...known)
  return { latencyMs, work: Math.min(...compared.map((node) => workOf(node, latencyMs, now))) }
}

function fadedLatency(node: EligibleNode, best: number, now: number): number | null {
  const { latencyMs, inFlight, answeredAt } = node
  if (Number.isNaN(latencyMs)) return null
  if (inFlight > 0 || latencyMs <= best) return latencyMs
  const unused = (now - answeredAt) / latencyFadeMs
  return best + (latencyMs - best) / (1 + unused * unused)
}

const workOf = (node: EligibleNode, bestLatency: number, now: number): number =>
  (node.inFlight + 1) * (fadedLatency(node, bestLatency, now) ?? bestLatency)

function scoreOf(
  node: EligibleNode,
  isCompared: boolean,
  bests: Bests,
  now: number,
  weights: AdaptiveWeights
): NodeScore {
  const latency = fadedLatency(node, bests.latencyMs, now)
  const work = workOf(node, bests.latencyMs, now)
  const answerAgeMs = Number.isNaN(node.answeredAt) ? null : now - node.answeredAt
  const reportAgeMs = Number.isNaN(node.reportedAt) ? null : now - node.reportedAt
  const isTold = reportAgeMs !== null && reportAgeMs <= reportAgeMsMax && node.utilisation >= 0
  const ratio = (least: number, value: number) =>
    isCompared ? (least + latencyNoiseMs) / (value + latencyNoiseMs) : null
  const factors: RouteFactor[] = [
    {
      name: 'load (queries in flight + 1, × latency in ms)',
      raw: work,
      normalized: ratio(bests.work, work),
      weight: weights.load,
      ageMs: 0
    },
    {
      name: 'latency (ms)',
      raw: latency,
      normalized: latency === null ? null : ratio(bests.latencyMs, latency),
      weight: weights.latency,
      ageMs: answerAgeMs
    },
    {
      name: 'utilisation (0 to 1)',
      raw: isTold ? node.utilisation : null,
      normalized: isTold ? 1 - node.utilisation ** 4 : null,
      weight: weights.utilisation,
      ageMs: reportAgeMs
    },
    {
      name: 'locality',
      raw: node.locality,
      normalized: node.locality,
      weight: weights.locality,
      ageMs: null
    }
  ]
  return { node: node.node, score: isCompared ? weigh(factors) : null, factors }
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
