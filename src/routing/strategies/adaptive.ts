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
 * 5. Of more than `scoredNodesMax` nodes, so many neighbours are scored, from a random one on; best
 *    means the best of those. The explanation scores the same ones.
 */
import {
  type AdaptiveWeights,
  type EligibleNode,
  type RoutingStrategy,
  type StrategyContext,
  StrategyNames
} from '../../core/routing-strategy.js'
import {
  latencyFadeMs,
  latencyNoiseMs,
  reportAgeMsMax,
  scoreAll,
  seedWeights
} from './adaptive-scores.js'

export const scoredNodesMax = 64
/** Then, and before its first answer, a node is tried with one query. */
export const unheardMsMax = 5_000
/** At most one of so many queries goes to a node for that reason. */
export const triesEvery = 50
/** When there was no such node, one of so many queries looks for one again. */
const looksEvery = 10
/** Scores that far below the best count as alike. */
export const alikeScoreSpan = 0.005

export class AdaptiveStrategy implements RoutingStrategy {
  readonly name = StrategyNames.Adaptive
  readonly #weights: AdaptiveWeights
  /**
   * Load, latency, utilisation, locality, and their sum. From a typed array they are plain numbers;
   * from an object the compiler unpacks each anew for each node.
   */
  readonly #weighed: Float64Array
  /** Scratch, reused by each choice: latency (-1 where unknown) and work of each that is scored. */
  readonly #latencies = new Float64Array(scoredNodesMax)
  readonly #works = new Float64Array(scoredNodesMax)
  #sinceTry = 0

  constructor(weights: AdaptiveWeights = seedWeights) {
    this.#weights = weights
    const { load, latency, utilisation, locality } = weights
    const sum = load + locality + latency + utilisation
    this.#weighed = Float64Array.of(load, latency, utilisation, locality, sum)
  }

  /** Leaves where scoring began, counted from 1; negative when the chosen one is but tried. */
  choose(eligible: readonly EligibleNode[], context: StrategyContext): number {
    const { now, random } = context
    const nodes = eligible.length
    const count = Math.min(nodes, scoredNodesMax)
    const start = nodes > scoredNodesMax ? random.nextInt(nodes) : 0
    context.memo = start + 1
    if (++this.#sinceTry >= triesEvery) {
      const unheard = unheardOf(eligible, start, count, now)
      this.#sinceTry = unheard >= 0 ? 0 : triesEvery - looksEvery
      if (unheard >= 0) {
        context.memo = -start - 1
        return unheard
      }
    }
    const bestLatency = bestLatencyOf(eligible, start, count)
    const bestWork = this.#measure(eligible, start, count, bestLatency, now)
    return this.#bestOf(eligible, start, count, bestLatency, bestWork, context)
  }

  explain(eligible: readonly EligibleNode[], chosen: number, { now, memo = 0 }: StrategyContext) {
    const start = Math.max(0, Math.abs(memo) - 1)
    const count = memo === 0 ? eligible.length : Math.min(eligible.length, scoredNodesMax)
    const isCompared = (i: number) => (i - start + eligible.length) % eligible.length < count
    const scores = scoreAll(eligible, now, this.#weights, isCompared)
    const compared = scores.map(({ score }) => score ?? 0)
    const least = Math.max(...compared) - alikeScoreSpan
    const alike = compared.filter((score) => score >= least).length
    const among = count < eligible.length ? ` of ${count} looked at` : ''
    const shown = (compared[chosen] ?? 0).toFixed(3)
    if (memo < 0) return { reason: `tried: not heard of for a while (${shown})`, scores }
    const reason =
      alike > 1
        ? `drawn from ${alike} that score alike${among} (${shown})`
        : `the best score${among} (${shown})`
    return { reason, scores }
  }

  /** Fills in the scratch, and answers the least work. */
  #measure(
    eligible: readonly EligibleNode[],
    start: number,
    count: number,
    bestLatency: number,
    now: number
  ): number {
    // Of another module's constants the compiler takes copies once, not for each node.
    const fadeMs = latencyFadeMs
    const latencies = this.#latencies
    const works = this.#works
    const nodes = eligible.length
    let bestWork = Number.POSITIVE_INFINITY
    for (let i = 0, at = start; i < count; i++, at++) {
      if (at === nodes) at = 0
      const node = eligible[at] as EligibleNode
      const queries = node.inFlight
      let latency = node.latencyMs >= 0 ? node.latencyMs : -1
      if (queries === 0 && latency > bestLatency) {
        const unused = (now - node.answeredAt) / fadeMs
        latency = bestLatency + (latency - bestLatency) / (1 + unused * unused)
      }
      const work = (queries + 1) * (latency >= 0 ? latency : bestLatency)
      latencies[i] = latency
      works[i] = work
      if (work < bestWork) bestWork = work
    }
    return bestWork
  }

  /** One of those that score best, by what was measured. */
  #bestOf(
    eligible: readonly EligibleNode[],
    start: number,
    count: number,
    bestLatency: number,
    bestWork: number,
    { now, random }: StrategyContext
  ): number {
    const weighed = this.#weighed
    const load = weighed[0] as number
    const latency = weighed[1] as number
    const utilisation = weighed[2] as number
    const locality = weighed[3] as number
    const all = weighed[4] as number
    const noiseMs = latencyNoiseMs
    const toldSince = now - reportAgeMsMax
    const perWork = load * (bestWork + noiseMs)
    const perLatency = latency * (bestLatency + noiseMs)
    const latencies = this.#latencies
    const works = this.#works
    const nodes = eligible.length
    let best = -1
    let chosen = start
    let alike = 0
    for (let i = 0, at = start; i < count; i++, at++) {
      if (at === nodes) at = 0
      const node = eligible[at] as EligibleNode
      const ownLatency = latencies[i] as number
      let known = all
      let sum = perWork / ((works[i] as number) + noiseMs) + locality * node.locality
      if (ownLatency >= 0) sum += perLatency / (ownLatency + noiseMs)
      else known -= latency
      const used = node.utilisation
      if (used >= 0 && node.reportedAt >= toldSince) {
        const squared = used * used
        sum += utilisation * (1 - squared * squared)
      } else known -= utilisation
      const score = sum / known
      if (score < best - alikeScoreSpan) continue
      alike = score > best + alikeScoreSpan ? 1 : alike + 1
      if (score > best) best = score
      if (alike === 1 || random.nextInt(alike) === 0) chosen = at
    }
    return chosen
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
