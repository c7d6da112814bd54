/**
 * Four factors, each brought to 0…1 over the eligible nodes, weighed and added (30 % load, 30 %
 * latency, 20 % utilisation, 20 % locality unless configured otherwise); the best sum is taken.
 *
 * - load: the work ahead of one more query there, its own included: queries in flight + 1, times
 *   what one takes there. A slow node with little to do is no bargain.
 * - latency: the average of its newest answers.
 * - utilisation: 1 - u⁴ of what the node told with its last answer. Waiting begins when nearly all
 *   of a node is busy, not when half of it is.
 * - locality: 1 here, 0.75 in the rack, 0.5 in the datacenter, 0 elsewhere.
 *
 * 1. The weight of a factor that is not known for a node is shared out among its known ones: a new
 *    node is neither favoured nor shunned for it.
 * 2. A latency that nobody confirms fades towards the best one: a node left alone because it was
 *    slow is tried again, the sooner the less slow it was. One query at a time: what is in flight
 *    stops the fading and doubles the load.
 * 3. Routers that see the same do not all run to the same node: a router's own queries in flight
 *    count at once, and of nodes that score alike one is drawn.
 * 4. A node that was not heard of for `unheardMsMax`, or never, is tried whatever it scores: one of
 *    `triesEvery` queries. It may be better than the best that is known.
 * 5. Of more than `scoredNodesMax` nodes, so many neighbours are scored, from a random one on.
 */
import type { RouteFactor } from '../../core/route-views.js'
import {
  type AdaptiveWeights,
  type EligibleNode,
  type NodeScore,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'

export const scoredNodesMax = 64
/** Left alone for so long, half of what a latency lies above the best one has faded. */
export const latencyFadeMs = 700
/** Then, and before its first answer, a node is tried with one query. */
export const unheardMsMax = 5_000
/** At most one of so many queries goes to a node for that reason. */
export const triesEvery = 50
/** Differences far below it mean nothing: it is added to both sides of a ratio. */
export const latencyNoiseMs = 0.25
/** Scores that far below the best count as alike. */
export const alikeScoreSpan = 0.005
/** What a node told of its utilisation counts for so long. */
export const reportAgeMsMax = 5_000

export const seedWeights: AdaptiveWeights = {
  load: 0.3,
  latency: 0.3,
  utilisation: 0.2,
  locality: 0.2
}

export class AdaptiveStrategy implements RoutingStrategy {
  readonly name = StrategyNames.Adaptive
  readonly #weights: AdaptiveWeights
  /** Scratch, reused by each choice. */
  readonly #latencies = new Float64Array(scoredNodesMax)
  readonly #works = new Float64Array(scoredNodesMax)
  #sinceTry = 0

  constructor(weights: AdaptiveWeights = seedWeights) {
    this.#weights = weights
  }

  choose(eligible: readonly EligibleNode[], { now, random }: StrategyContext): number {
    const nodes = eligible.length
    const count = Math.min(nodes, scoredNodesMax)
    const start = nodes > scoredNodesMax ? random.nextInt(nodes) : 0
    if (++this.#sinceTry >= triesEvery) {
      const unheard = unheardOf(eligible, start, count, now)
      if (unheard >= 0) {
        this.#sinceTry = 0
        return unheard
      }
    }
    const bestLatency = bestLatencyOf(eligible, start, count)
    const bestWork = this.#measure(eligible, start, count, bestLatency, now)
    const { load, latency, utilisation, locality } = this.#weights
    let best = -1
    let chosen = start
    let alike = 0
    for (let i = 0, at = start; i < count; i++, at++) {
      if (at === nodes) at = 0
      const node = eligible[at] as EligibleNode
      const ownLatency = this.#latencies[i] as number
      const work = this.#works[i] as number
      let sum = (load * (bestWork + latencyNoiseMs)) / (work + latencyNoiseMs)
      sum += locality * node.locality
      let known = load + locality
      if (ownLatency >= 0) {
        sum += (latency * (bestLatency + latencyNoiseMs)) / (ownLatency + latencyNoiseMs)
        known += latency
      }
      if (now - node.reportedAt <= reportAgeMsMax && node.utilisation >= 0) {
        const squared = node.utilisation * node.utilisation
        sum += utilisation * (1 - squared * squared)
        known += utilisation
      }
      const score = sum / known
      if (score < best - alikeScoreSpan) continue
      alike = score > best + alikeScoreSpan ? 1 : alike + 1
      if (score > best) best = score
      if (alike === 1 || random.nextInt(alike) === 0) chosen = at
    }
    return chosen
  }

  explain(eligible: readonly EligibleNode[], chosen: number, { now }: StrategyContext) {
    const scores = scoreAll(eligible, now, this.#weights)
    const own = scores[chosen]?.score ?? 0
    const best = Math.max(...scores.map(({ score }) => score ?? 0))
    const alike = scores.filter(({ score }) => (score ?? 0) >= best - alikeScoreSpan).length
    const shown = own.toFixed(3)
    if (own < best - 2 * alikeScoreSpan) {
      return { reason: `tried: not heard of for a while (${shown})`, scores }
    }
    const reason =
      alike > 1 ? `drawn from ${alike} that score alike (${shown})` : `the best score (${shown})`
    return { reason, scores }
  }

  /** Fills in latency (-1 where unknown) and work of each, and answers the least work. */
  #measure(
    eligible: readonly EligibleNode[],
    start: number,
    count: number,
    bestLatency: number,
    now: number
  ): number {
    let bestWork = Number.POSITIVE_INFINITY
    for (let i = 0, at = start; i < count; i++, at++) {
      if (at === eligible.length) at = 0
      const node = eligible[at] as EligibleNode
      let latency = -1
      if (node.latencyMs >= 0) {
        latency = node.latencyMs
        if (node.inFlight === 0 && latency > bestLatency) {
          const unused = (now - node.answeredAt) / latencyFadeMs
          latency = bestLatency + (latency - bestLatency) / (1 + unused * unused)
        }
      }
      const work = (node.inFlight + 1) * (latency >= 0 ? latency : bestLatency)
      this.#latencies[i] = latency
      this.#works[i] = work
      if (work < bestWork) bestWork = work
    }
    return bestWork
  }
}

/** The one idle and unheard of for longest; -1: there is none. */
function unheardOf(
  eligible: readonly EligibleNode[],
  start: number,
  count: number,
  now: number
): number {
  let chosen = -1
  let earliest = now - unheardMsMax
  for (let i = 0, at = start; i < count; i++, at++) {
    if (at === eligible.length) at = 0
    const { answeredAt, inFlight } = eligible[at] as EligibleNode
    if (inFlight > 0 || answeredAt >= earliest) continue
    if (Number.isNaN(answeredAt)) return at
    earliest = answeredAt
    chosen = at
  }
  return chosen
}

/** 1 when nobody's is known: then the load is that of the queries alone. */
function bestLatencyOf(eligible: readonly EligibleNode[], start: number, count: number): number {
  let best = Number.POSITIVE_INFINITY
  for (let i = 0, at = start; i < count; i++, at++) {
    if (at === eligible.length) at = 0
    const { latencyMs } = eligible[at] as EligibleNode
    if (latencyMs < best) best = latencyMs
  }
  return best === Number.POSITIVE_INFINITY ? 1 : best
}

/** The scores by which `choose` compares, with what they are made of, in the order given. */
export function scoreAll(
  eligible: readonly EligibleNode[],
  now: number,
  weights: AdaptiveWeights = seedWeights
): NodeScore[] {
  const bestLatency = bestLatencyOf(eligible, 0, eligible.length)
  const latencies = eligible.map((node) => fadedLatency(node, bestLatency, now))
  const works = eligible.map(({ inFlight }, i) => (inFlight + 1) * (latencies[i] ?? bestLatency))
  const bestWork = Math.min(...works)
  const ratio = (least: number, value: number) =>
    (least + latencyNoiseMs) / (value + latencyNoiseMs)
  return eligible.map((node, i) => {
    const latency = latencies[i] ?? null
    const work = works[i] as number
    const answerAgeMs = Number.isNaN(node.answeredAt) ? null : now - node.answeredAt
    const reportAgeMs = Number.isNaN(node.reportedAt) ? null : now - node.reportedAt
    const isTold = reportAgeMs !== null && reportAgeMs <= reportAgeMsMax && node.utilisation >= 0
    const factors: RouteFactor[] = [
      {
        name: 'load (queries in flight + 1, × latency in ms)',
        raw: work,
        normalized: ratio(bestWork, work),
        weight: weights.load,
        ageMs: 0
      },
      {
        name: 'latency (ms)',
        raw: latency,
        normalized: latency === null ? null : ratio(bestLatency, latency),
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
    return { node: node.node, score: weigh(factors), factors }
  })
}

function fadedLatency(node: EligibleNode, best: number, now: number): number | null {
  const { latencyMs, inFlight, answeredAt } = node
  if (Number.isNaN(latencyMs)) return null
  if (inFlight > 0 || latencyMs <= best) return latencyMs
  const unused = (now - answeredAt) / latencyFadeMs
  return best + (latencyMs - best) / (1 + unused * unused)
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
