import t from 'tap'
import {
  type GroupId,
  type MonotonicMs,
  must,
  type NodeId,
  type RouteExplanation,
  SplittableRandom,
  type StrategyContext,
  type Term,
  type WallMs
} from '../../../src/core/index.js'
import { type NodeLoad, NodeObservations } from '../../../src/routing/node-observations.js'
import { NodeStandings } from '../../../src/routing/node-standings.js'
import { type RouteQuestion, Router } from '../../../src/routing/router.js'
import {
  AdaptiveStrategy,
  alikeScoreSpan,
  scoredNodesMax,
  triesEvery,
  unheardMsMax
} from '../../../src/routing/strategies/adaptive.js'
import { scoreAll } from '../../../src/routing/strategies/adaptive-scores.js'
import { someOf } from '../../support/thoroughness.js'
import { config, memberOf } from './fake-cluster.js'

const sizes = [1, 3, 10, 30, 64, 65, 100, 300]
const nameOf = (i: number): NodeId => `n${1_000 + i}` as NodeId

function loadsOf(observations: NodeObservations, size: number): NodeLoad[] {
  return Array.from({ length: size }, (_, i) => observations.of(nameOf(i)))
}

function change(loads: readonly NodeLoad[], random: SplittableRandom, now: number): void {
  const load = loads[random.nextInt(loads.length)] as NodeLoad
  if (random.nextInt(20) === 0) load.place(random.nextInt(5) / 4, 1)
  else if (random.nextInt(3) === 0) load.begin()
  else {
    const latencyMs = random.nextInt(9) === 0 ? Number.NaN : 5 + random.nextInt(8) ** 2
    const utilisation = random.nextInt(9) === 0 ? Number.NaN : random.nextFloat()
    load.end({ latencyMs, utilisation, queueDepth: 1 }, now)
  }
}

/** The same choice from the scores that explanations show, with as many draws. */
class NaiveTwin {
  #sinceTry = 0

  choose(loads: readonly NodeLoad[], { now, random }: StrategyContext): number {
    const start = loads.length > scoredNodesMax ? random.nextInt(loads.length) : 0
    const order = loads.map((_, i) => (start + i) % loads.length).slice(0, scoredNodesMax)
    const at = (i: number) => loads[i] as NodeLoad
    if (++this.#sinceTry >= triesEvery) {
      const heardAt = (i: number) => at(i).answeredAt || Number.NEGATIVE_INFINITY
      const unheard = order.filter((i) => at(i).inFlight === 0 && heardAt(i) < now - unheardMsMax)
      const [longest] = unheard.sort((one, other) => heardAt(one) - heardAt(other) || 0)
      this.#sinceTry = longest === undefined ? triesEvery - 10 : 0
      if (longest !== undefined) return longest
    }
    const scores = scoreAll(order.map(at), now)
    let chosen = -1
    let best = -1
    let alike = 0
    for (const [i, { score }] of scores.entries()) {
      const own = must(score, 'a score')
      if (own < best - alikeScoreSpan) continue
      alike = own > best + alikeScoreSpan ? 1 : alike + 1
      best = Math.max(best, own)
      if (alike === 1 || random.nextInt(alike) === 0) chosen = order[i] as number
    }
    return chosen
  }
}

t.test('adaptive chooses what its naive twin does, draw for draw', async (t) => {
  for (const size of sizes) {
    const loads = loadsOf(new NodeObservations(), size)
    const random = SplittableRandom.fromSeed(size)
    const [strategy, twin] = [new AdaptiveStrategy(), new NaiveTwin()]
    const context = (seed: number) => ({
      now: 0,
      random: SplittableRandom.fromSeed(seed),
      replicasNear: [0, size, 0] as const
    })
    const [own, twins] = [context(7), context(7)]
    const chosenNodes = new Set<number>()
    let now = 10_000
    for (let step = 0; step < 400; step++) {
      now += (random.nextInt(40) ** 2) >> 2
      for (let n = random.nextInt(8); n > 0; n--) change(loads, random, now)
      own.now = now
      twins.now = now
      const chosen = strategy.choose(loads, own)
      if (chosen !== twin.choose(loads, twins)) return t.fail(`${size} nodes, step ${step}`)
      chosenNodes.add(chosen)
      if (random.nextInt(4) > 0) loads[chosen]?.begin()
    }
    t.ok(chosenNodes.size > Math.min(size, 10) / 2, `${size} nodes: ${chosenNodes.size} chosen`)
  }
})

function routerOf(size: number, explainedDecisionsMax: number) {
  const observations = new NodeObservations()
  const random = SplittableRandom.fromSeed(size)
  const standings = new NodeStandings({ random }, config.routing)
  standings.start(0)
  const options = { ...config.routing, nodeId: nameOf(0), datacenter: 'd', rack: 'r' }
  const router = new Router(
    { observations, standings, random, strategy: new AdaptiveStrategy() },
    { ...options, explainedDecisionsMax }
  )
  const members = Array.from({ length: size }, (_, i) => memberOf(nameOf(i), { datacenter: 'd' }))
  const question = (now: number): RouteQuestion => ({
    group: 0 as GroupId,
    kind: 'read',
    consistency: 'linearizable',
    members,
    placement: {
      group: 0 as GroupId,
      term: 1 as Term,
      leader: nameOf(0),
      voters: members.map(({ nodeId }) => nodeId)
    },
    hasReplica: true,
    avoid: new Set(),
    now: now as MonotonicMs,
    wallNow: now as WallMs
  })
  return { observations, router, question }
}

t.test('each kept decision is told later as it was told at once', async (t) => {
  for (const size of sizes) {
    const { observations, router, question } = routerOf(size, 16)
    const loads = loadsOf(observations, size)
    const random = SplittableRandom.fromSeed(size)
    const atOnce: RouteExplanation[] = []
    let now = 10_000
    for (let step = 0; step < someOf(90, 2); step++) {
      now += random.nextInt(500)
      for (let n = random.nextInt(6); n > 0; n--) change(loads, random, now)
      atOnce.push(router.decide(question(now)))
      const chosen = must(atOnce.at(-1)?.decision, 'a decision').node
      if (random.nextInt(4) > 0) observations.of(chosen).begin()
    }
    t.same(router.lastDecisions(), atOnce.slice(-16), `${size} nodes`)
    const some = must(atOnce.at(-9), 'one of them')
    t.same(router.decisionOf(some.id), some)
  }
})

t.test('of many nodes, the explanation compares those that were looked at', async (t) => {
  const size = 4 * scoredNodesMax
  const { observations, router, question } = routerOf(size, 8)
  const loads = loadsOf(observations, size)
  const now = 10_000
  for (const [i, load] of loads.entries()) {
    load.begin()
    load.end({ latencyMs: 5 + ((i * 37) % size), utilisation: 0.1, queueDepth: 0 }, now - 1)
  }
  for (let i = 0; i < 40; i++) {
    const { decision, candidates } = router.decide(question(now))
    const scored = candidates.filter(({ score }) => score !== null)
    t.equal(scored.length, scoredNodesMax)
    const best = Math.max(...scored.map(({ score }) => score ?? 0))
    const winner = must(
      candidates.find(({ node }) => node === decision?.node),
      'winner'
    )
    t.ok((winner.score ?? 0) >= best - 2 * alikeScoreSpan, `${decision?.reason}`)
    t.match(decision?.reason, /score.* of 64 looked at/)
    const other = must(
      candidates.find(({ score }) => score === null),
      'not looked at'
    )
    t.match(other.factors, [{ normalized: null }, { normalized: null }, {}, {}])
    t.type(other.factors[0]?.raw, 'number')
  }
})

t.test('a node that is only tried is said to be', async (t) => {
  const { observations, router, question } = routerOf(3, 8)
  const [here, , there] = loadsOf(observations, 3) as [NodeLoad, NodeLoad, NodeLoad]
  for (const [load, at] of [
    [here, 9_999],
    [there, 4_000]
  ] as const) {
    load.begin()
    load.end({ latencyMs: 3, utilisation: 0.1, queueDepth: 0 }, at)
  }
  const reasons: (string | undefined)[] = []
  for (let i = 0; i < 2 * triesEvery; i++) {
    reasons.push(router.decide(question(10_000)).decision?.reason)
  }
  const tried = reasons.filter((reason) => reason?.includes('tried: not heard of'))
  t.equal(tried.length, 2)
  t.match(tried[0], /^n1001: /, 'never heard of goes before long ago')
})
