import fc from 'fast-check'
import t from 'tap'
import {
  type EligibleNode,
  InvalidArgumentError,
  must,
  type NodeId,
  type RoutingStrategy,
  SplittableRandom,
  StrategyNames
} from '../../../src/core/index.js'
import {
  AdaptiveStrategy,
  alikeScoreSpan,
  scoredNodesMax,
  triesEvery,
  unheardMsMax
} from '../../../src/routing/strategies/adaptive.js'
import {
  latencyFadeMs,
  latencyNoiseMs,
  scoreAll
} from '../../../src/routing/strategies/adaptive-scores.js'
import { StrategyRegistry } from '../../../src/routing/strategies/registry.js'
import { config } from './fake-cluster.js'

const registry = new StrategyRegistry(config.routing)
const now = 10_000

const node = (name: string, changes: Partial<EligibleNode> = {}): EligibleNode => ({
  node: name as NodeId,
  inFlight: 0,
  latencyMs: Number.NaN,
  peakLatencyMs: changes.latencyMs ?? Number.NaN,
  answeredAt: changes.latencyMs === undefined ? Number.NaN : now,
  utilisation: Number.NaN,
  queueDepth: Number.NaN,
  reportedAt: changes.utilisation === undefined ? Number.NaN : now,
  locality: 0.5,
  weight: 1,
  ...changes
})

type Near = [number, number, number]

/** How often each is chosen. */
function counts(
  strategy: RoutingStrategy,
  eligible: readonly EligibleNode[],
  draws: number,
  replicasNear: Near = [0, eligible.length, 0]
): Record<string, number> {
  const counted: Record<string, number> = {}
  const context = { now, random: SplittableRandom.fromSeed(5), replicasNear }
  for (let i = 0; i < draws; i++) {
    const chosen = must(eligible[strategy.choose(eligible, context)], 'a valid index').node
    counted[chosen] = (counted[chosen] ?? 0) + 1
  }
  return counted
}

const alike = (...names: string[]) => names.map((name) => node(name))

t.test('round robin takes turns, and goes on when nodes come and go', async (t) => {
  const strategy = registry.create('round-robin')
  const context = { now, random: SplittableRandom.fromSeed(5), replicasNear: [0, 0, 0] as Near }
  const turn = (...names: string[]) => {
    const eligible = alike(...names)
    return eligible[strategy.choose(eligible, context)]?.node
  }
  t.same([turn('a', 'b', 'c'), turn('a', 'b', 'c'), turn('a', 'b', 'c')], ['a', 'b', 'c'])
  t.equal(turn('a', 'b', 'c'), 'a')
  t.equal(turn('a', 'c'), 'c', 'b went away')
  t.equal(turn('a', 'b', 'c', 'd'), 'd')
  t.equal(turn('b'), 'b')
})

t.test('random is even', async (t) => {
  const counted = counts(registry.create('random'), alike('a', 'b', 'c', 'd'), 4_000)
  for (const count of Object.values(counted)) t.ok(count > 850 && count < 1_150, `${count}`)
  t.equal(Object.keys(counted).length, 4)
})

t.test('least connections takes one of the least busy, by weight', async (t) => {
  const busy = [node('a', { inFlight: 3 }), node('b', { inFlight: 1 }), node('c', { inFlight: 1 })]
  const counted = counts(registry.create('least-connections'), busy, 400)
  t.same(Object.keys(counted).sort(), ['b', 'c'])
  for (const count of Object.values(counted)) t.ok(count > 150, `${count} of 400`)
  const heavy = [node('a', { inFlight: 3, weight: 4 }), node('b', { inFlight: 1 })]
  t.same(counts(registry.create('least-connections'), heavy, 10), { a: 10 })
})

t.test('two choices: the worst is never taken, others by what they bear', async (t) => {
  const strategy = registry.create('two-choices')
  const nodes = [0, 1, 2, 3].map((inFlight) => node(`n${inFlight}`, { inFlight }))
  const counted = counts(strategy, nodes, 6_000)
  t.equal(counted.n3, undefined)
  // Of the six pairs n0 wins three, n1 two, n2 one.
  for (const [name, share] of [
    ['n0', 3],
    ['n1', 2],
    ['n2', 1]
  ] as const) {
    t.ok(Math.abs((counted[name] ?? 0) / 1_000 - share) < 0.2, `${name}: ${counted[name]}`)
  }
  t.same(counts(strategy, alike('only'), 3), { only: 3 })
})

t.test('smooth weighted round robin spreads the turns of heavy nodes', async (t) => {
  const strategy = registry.create('weighted-round-robin')
  const context = { now, random: SplittableRandom.fromSeed(5), replicasNear: [0, 0, 0] as Near }
  const nodes = [node('a', { weight: 5 }), node('b'), node('c')]
  const turns = Array.from({ length: 7 }, () => nodes[strategy.choose(nodes, context)]?.node)
  t.equal(turns.join(''), 'aabacaa')
  const rest = [nodes[0] as EligibleNode, nodes[2] as EligibleNode]
  const later = Array.from({ length: 6 }, () => rest[strategy.choose(rest, context)]?.node)
  t.equal(later.filter((one) => one === 'c').length, 1, 'b went away')
})

t.test('weighted round robin keeps to the weights within one turn', async (t) => {
  const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 })
  fc.assert(
    fc.property(weights, fc.integer({ min: 1, max: 300 }), (given, draws) => {
      const nodes = given.map((weight, i) => node(`n${i}`, { weight }))
      const counted = counts(registry.create('weighted-round-robin'), nodes, draws)
      const total = given.reduce((sum, weight) => sum + weight, 0)
      return given.every((weight, i) => {
        return Math.abs((counted[`n${i}`] ?? 0) - (draws * weight) / total) <= given.length / 2 + 1
      })
    })
  )
  t.pass('compared')
})

t.test('locality: the rack keeps all while enough of it is eligible, then spills', async (t) => {
  const strategy = registry.create('locality-aware')
  const rack = ['a', 'b', 'c', 'd'].map((name) => node(name, { locality: 0.75 }))
  const rest = [node('x', { locality: 0.5 }), node('y', { locality: 0 })]
  const shareOfRack = (eligible: readonly EligibleNode[], near: Near) => {
    const counted = counts(strategy, [...eligible, ...rest], 4_000, near)
    return ['a', 'b', 'c', 'd'].reduce((sum, name) => sum + (counted[name] ?? 0), 0) / 4_000
  }
  t.equal(shareOfRack(rack, [4, 1, 1]), 1)
  t.equal(shareOfRack(rack.slice(1), [4, 1, 1]), 1, 'three of four, times 1.4')
  const half = shareOfRack(rack.slice(2), [4, 1, 1])
  t.ok(Math.abs(half - 0.7) < 0.03, `half of it: ${half}`)
  const far = counts(strategy, rest, 1_000, [4, 1, 1])
  t.same(far, { x: 1_000 }, 'none left: the datacenter before the others')
  t.same(counts(strategy, rest.slice(1), 10, [4, 1, 1]), { y: 10 })
  const few = [node('a', { locality: 0.75 }), node('x', { locality: 0.5 })]
  const scarce = counts(strategy, few, 4_000, [4, 4, 0])
  t.ok(Math.abs((scarce.a ?? 0) / 4_000 - 0.5) < 0.03, 'all levels short: by what they have')
})

t.test('peak EWMA prefers the cheaper of two, and forgets what is not used', async (t) => {
  const strategy = registry.create('peak-ewma')
  const slow = node('slow', { latencyMs: 50, answeredAt: now })
  const fast = node('fast', { latencyMs: 10, answeredAt: now, inFlight: 1 })
  t.same(counts(strategy, [fast, slow], 50), { fast: 50 })
  const unused = node('slow', { latencyMs: 50, answeredAt: now - 5_000 })
  t.same(counts(strategy, [fast, unused], 50), { slow: 50 })
  const busy = node('slow', { latencyMs: 50, answeredAt: now - 5_000, inFlight: 1 })
  t.same(counts(strategy, [fast, busy], 50), { fast: 50 }, 'it waits for the answer of that one')
  t.same(counts(strategy, [fast, node('new')], 50), { new: 50 })
  t.same(counts(strategy, [fast, node('new', { inFlight: 1 })], 50), { fast: 50 })
})

const unknownOr = (arbitrary: fc.Arbitrary<number>) =>
  fc.oneof({ weight: 4, arbitrary }, { weight: 1, arbitrary: fc.constant(Number.NaN) })
const anyNode = fc.record({
  inFlight: fc.nat(500),
  latencyMs: unknownOr(fc.double({ min: 0, max: 1e4, noNaN: true })),
  ageMs: fc.nat(20_000),
  utilisation: unknownOr(fc.double({ min: 0, max: 1, noNaN: true })),
  locality: fc.constantFrom(0, 0.5, 0.75, 1)
})
const anyNodes = fc.array(anyNode, { minLength: 1, maxLength: 9 }).map((nodes) =>
  nodes.map(({ ageMs, ...one }, i) => {
    const answeredAt = Number.isNaN(one.latencyMs) ? Number.NaN : now - ageMs
    const reportedAt = Number.isNaN(one.utilisation) ? Number.NaN : now - ageMs
    return node(`n${i}`, { ...one, answeredAt, reportedAt })
  })
)

/** The same formula, written down naively. */
function twinScore(nodes: readonly EligibleNode[], of: EligibleNode): number {
  const known = nodes.map(({ latencyMs }) => latencyMs).filter((value) => !Number.isNaN(value))
  const best = known.length === 0 ? 1 : Math.min(...known)
  const latency = ({ latencyMs, inFlight, answeredAt }: EligibleNode) =>
    inFlight > 0 || !(latencyMs > best)
      ? latencyMs
      : best + (latencyMs - best) / (1 + ((now - answeredAt) / latencyFadeMs) ** 2)
  const work = (one: EligibleNode) =>
    (one.inFlight + 1) * (Number.isNaN(one.latencyMs) ? best : latency(one))
  const ratio = (least: number, own: number) => (least + latencyNoiseMs) / (own + latencyNoiseMs)
  const parts: [weight: number, value: number][] = [
    [0.3, ratio(Math.min(...nodes.map(work)), work(of))],
    [0.2, of.locality]
  ]
  if (!Number.isNaN(of.latencyMs)) parts.push([0.3, ratio(best, latency(of))])
  if (now - of.reportedAt <= 5_000) parts.push([0.2, 1 - of.utilisation ** 4])
  const total = parts.reduce((sum, [weight]) => sum + weight, 0)
  return parts.reduce((sum, [weight, value]) => sum + (weight / total) * value, 0)
}

t.test('adaptive: scores are those of the naive twin, and lie between 0 and 1', async (t) => {
  fc.assert(
    fc.property(anyNodes, (nodes) =>
      scoreAll(nodes, now).every(({ score }, i) => {
        const expected = twinScore(nodes, nodes[i] as EligibleNode)
        return (
          score !== null && Math.abs(score - expected) < 1e-9 && score >= 0 && score <= 1 + 1e-9
        )
      })
    )
  )
  t.pass('compared')
})

t.test('adaptive: what is chosen scores best, or like the best', async (t) => {
  const random = SplittableRandom.fromSeed(5)
  const strategy = new AdaptiveStrategy()
  fc.assert(
    fc.property(anyNodes, (nodes) => {
      const chosen = strategy.choose(nodes, { now, random, replicasNear: [0, 0, 0] })
      const scores = scoreAll(nodes, now).map(({ score }) => score ?? 0)
      const { inFlight, answeredAt } = nodes[chosen] as EligibleNode
      const isTried = inFlight === 0 && !(answeredAt >= now - unheardMsMax)
      return isTried || (scores[chosen] ?? 0) >= Math.max(...scores) - 2 * alikeScoreSpan - 1e-9
    })
  )
  const counted = counts(strategy, alike('a', 'b', 'c', 'd'), 4_000)
  t.equal(Object.keys(counted).length, 4)
  for (const count of Object.values(counted)) t.ok(count > 800 && count < 1_200, `${count} of 4000`)
})

t.test('adaptive: more work never raises a score', async (t) => {
  fc.assert(
    fc.property(anyNodes, fc.nat(100), (nodes, more) => {
      const [first, ...rest] = nodes as [EligibleNode, ...EligibleNode[]]
      const busier = { ...first, inFlight: first.inFlight + more }
      if (rest.length === 0 || first.inFlight === 0) return true
      const before = scoreAll([first, ...rest], now)[0]?.score ?? 0
      const after = scoreAll([busier, ...rest], now)[0]?.score ?? 0
      return after <= before + 1e-9
    })
  )
  t.pass('compared')
})

t.test('adaptive: a slow node is left alone, tried again, one query at a time', async (t) => {
  const strategy = new AdaptiveStrategy()
  const fast = ['a', 'b', 'c'].map((name) => node(name, { latencyMs: 10, inFlight: 2 }))
  const slow = (changes: Partial<EligibleNode>) => [
    ...fast,
    node('z', { latencyMs: 50, ...changes })
  ]
  t.equal(counts(strategy, slow({}), 100).z, undefined)
  t.equal(counts(strategy, slow({ answeredAt: now - 2_000 }), 100).z, 100)
  t.equal(counts(strategy, slow({ answeredAt: now - 2_000, inFlight: 1 }), 100).z, undefined)
})

t.test('adaptive: who was not heard of is tried, with one of many queries', async (t) => {
  const strategy = new AdaptiveStrategy()
  const nodes = [
    node('here', { latencyMs: 50, locality: 1 }),
    node('new', { locality: 0 }),
    node('old', { latencyMs: 900, answeredAt: now - unheardMsMax - 1 }),
    node('busy', { latencyMs: 900, answeredAt: now - unheardMsMax - 9, inFlight: 1 })
  ]
  t.same(counts(strategy, nodes, 10 * triesEvery), { new: 10, here: 10 * triesEvery - 10 })
  const known = nodes.filter((one) => one.node !== 'new')
  t.same(counts(strategy, known, 10 * triesEvery), { old: 10, here: 10 * triesEvery - 10 })
})

t.test('adaptive: routers that share no load information do not herd', async (t) => {
  const strategy = new AdaptiveStrategy()
  const random = SplittableRandom.fromSeed(5)
  const names = ['a', 'b', 'c']
  const inFlight = [0, 0, 0]
  for (let i = 0; i < 300; i++) {
    const eligible = names.map((name, at) => node(name, { inFlight: inFlight[at] ?? 0 }))
    const chosen = strategy.choose(eligible, { now, random, replicasNear: [0, 3, 0] })
    inFlight[chosen] = (inFlight[chosen] ?? 0) + 1
  }
  for (const count of inFlight) t.ok(count >= 90 && count <= 110, `${count} of 300`)
})

t.test('adaptive: of many nodes a part is scored, and all have their turn', async (t) => {
  const many = Array.from({ length: 3 * scoredNodesMax }, (_, i) => node(`n${1_000 + i}`))
  const counted = counts(new AdaptiveStrategy(), many, 20_000)
  t.equal(Object.keys(counted).length, many.length)
})

t.test('adaptive: weights are configured, and only their ratios count', async (t) => {
  const near = node('near', { latencyMs: 9, locality: 1 })
  const quick = node('quick', { latencyMs: 1, locality: 0 })
  const of = (locality: number, latency: number) =>
    new AdaptiveStrategy({ load: 0, utilisation: 0, locality, latency })
  t.same(counts(of(1, 0), [near, quick], 10), { near: 10 })
  t.same(counts(of(0, 0.1), [near, quick], 10), { quick: 10 })
})

t.test('every strategy explains what it did, in the order given', async (t) => {
  const nodes = [node('a', { latencyMs: 3, utilisation: 0.2 }), node('b'), node('c')]
  const context = { now, random: SplittableRandom.fromSeed(5), replicasNear: [0, 3, 0] as Near }
  for (const name of Object.values(StrategyNames)) {
    const strategy = registry.create(name)
    t.equal(strategy.name, name)
    const chosen = strategy.choose(nodes, context)
    const told = must(strategy.explain?.(nodes, chosen, context), name)
    t.ok(told.reason.length > 3, told.reason)
    t.same(
      told.scores.map((score) => score.node),
      ['a', 'b', 'c']
    )
    for (const { score } of told.scores) t.ok(score === null || (score >= 0 && score <= 1))
  }
})

t.test('embedders add their own, by name or as it is', async (t) => {
  const last: RoutingStrategy = { name: 'last', choose: (eligible) => eligible.length - 1 }
  const own = new StrategyRegistry({ ...config.routing, strategies: { last: () => last } })
  t.equal(own.create('last'), last)
  t.equal(registry.create(last), last)
  t.ok(own.names.includes('adaptive') && own.names.includes('last'))
  t.throws(() => registry.create('last'), InvalidArgumentError)
  t.throws(() => registry.create({} as never), { message: /must be a name, or have a name/ })
})
