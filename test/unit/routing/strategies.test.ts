import fc from 'fast-check'
import t from 'tap'
import { type NodeId, SplittableRandom } from '../../../src/core/index.js'
import { AdaptiveStrategy, closeScoreSpan, scoreAll } from '../../../src/routing/adaptive.js'
import { createStrategy } from '../../../src/routing/strategies.js'
import type { EligibleNode } from '../../../src/routing/strategy.js'

const node = (name: string, changes: Partial<EligibleNode> = {}): EligibleNode => ({
  node: name as NodeId,
  inFlight: 0,
  latencyMs: null,
  utilisation: null,
  locality: 0.5,
  ...changes
})

const random = () => SplittableRandom.fromSeed(5)

t.test('round robin takes turns, and goes on when nodes come and go', async (t) => {
  const strategy = createStrategy('round-robin')
  const turn = (...names: string[]) =>
    strategy.choose(
      names.map((n) => node(n)),
      random()
    ).node
  t.same([turn('a', 'b', 'c'), turn('a', 'b', 'c'), turn('a', 'b', 'c')], ['a', 'b', 'c'])
  t.equal(turn('a', 'b', 'c'), 'a')
  t.equal(turn('a', 'c'), 'c', 'b went away')
  t.equal(turn('a', 'b', 'c', 'd'), 'd')
  t.equal(turn('b'), 'b')
})

t.test('least connections takes one of the least busy', async (t) => {
  const strategy = createStrategy('least-connections')
  const draws = random()
  const chosen = new Set<string>()
  for (let i = 0; i < 50; i++) {
    const eligible = [
      node('a', { inFlight: 3 }),
      node('b', { inFlight: 1 }),
      node('c', { inFlight: 1 })
    ]
    chosen.add(strategy.choose(eligible, draws).node)
  }
  t.same([...chosen].sort(), ['b', 'c'])
})

const anyNode = fc.record({
  inFlight: fc.nat(500),
  latencyMs: fc.option(fc.double({ min: 0, max: 1e4, noNaN: true })),
  utilisation: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
  locality: fc.constantFrom(0, 0.5, 0.75, 1)
})
const anyNodes = fc
  .array(anyNode, { minLength: 1, maxLength: 9 })
  .map((nodes) => nodes.map((one, i) => node(`n${i}`, one)))

/** The same formula, written down naively. */
function twinScore(nodes: readonly EligibleNode[], of: EligibleNode): number {
  const parts: [weight: number, value: number][] = []
  const cost = (weight: number, noise: number, raw: (n: EligibleNode) => number | null) => {
    const own = raw(of)
    if (own === null) return
    const known = nodes.map(raw).filter((value) => value !== null)
    parts.push([weight, (Math.min(...known) + noise) / (own + noise)])
  }
  cost(0.3, 4, (n) => n.inFlight)
  cost(0.3, 0.5, (n) => n.latencyMs)
  cost(0.2, 0.1, (n) => n.utilisation)
  parts.push([0.2, of.locality])
  const total = parts.reduce((sum, [weight]) => sum + weight, 0)
  return parts.reduce((sum, [weight, value]) => sum + (weight / total) * value, 0)
}

t.test('scores are those of the naive twin, and lie between 0 and 1', async (t) => {
  fc.assert(
    fc.property(anyNodes, (nodes) =>
      scoreAll(nodes).every(({ score }, i) => {
        const expected = twinScore(nodes, nodes[i] as EligibleNode)
        return (
          score !== null && Math.abs(score - expected) < 1e-9 && score >= 0 && score <= 1 + 1e-9
        )
      })
    )
  )
  t.pass('compared')
})

t.test('a worse value never raises a score', async (t) => {
  fc.assert(
    fc.property(anyNodes, fc.nat(100), (nodes, more) => {
      const [first, ...rest] = nodes as [EligibleNode, ...EligibleNode[]]
      const slower = { ...first, inFlight: first.inFlight + more }
      const before = scoreAll([first, ...rest])[0]?.score ?? 0
      const after = scoreAll([slower, ...rest])[0]?.score ?? 0
      return rest.length === 0 || after <= before + 1e-9
    })
  )
  t.pass('compared')
})

t.test('only nodes close to the best are chosen, and of those more than one', async (t) => {
  const draws = random()
  fc.assert(
    fc.property(anyNodes, (nodes) => {
      const { node: chosen, scores } = new AdaptiveStrategy().choose(nodes, draws)
      const best = Math.max(...scores.map(({ score }) => score ?? 0))
      const own = scores.find(({ node }) => node === chosen)?.score ?? 0
      return own >= best - closeScoreSpan
    })
  )
  const counts = new Map<string, number>()
  const alike = ['a', 'b', 'c', 'd'].map((name) => node(name))
  for (let i = 0; i < 4_000; i++) {
    const { node: chosen } = new AdaptiveStrategy().choose(alike, draws)
    counts.set(chosen, (counts.get(chosen) ?? 0) + 1)
  }
  for (const count of counts.values()) t.ok(count > 800 && count < 1_200, `${count} of 4000`)
})

t.test('routers that share no load information do not herd', async (t) => {
  const strategy = new AdaptiveStrategy()
  const draws = random()
  const inFlight = new Map([
    ['a', 0],
    ['b', 0],
    ['c', 0]
  ])
  for (let i = 0; i < 300; i++) {
    const eligible = [...inFlight].map(([name, count]) => node(name, { inFlight: count }))
    const chosen = strategy.choose(eligible, draws).node
    inFlight.set(chosen, (inFlight.get(chosen) ?? 0) + 1)
  }
  for (const count of inFlight.values()) t.ok(count >= 90 && count <= 110, `${count} of 300`)
})
