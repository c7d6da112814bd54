/**
 * The simulation of `bench/balancing`, small: properties that hold at any speed of the machine,
 * because its time is virtual and its seeds are fixed.
 */
import t from 'tap'
import { between, p99Of } from '../../../bench/balancing/measures.js'
import { type Balancer, simulateRoom } from '../../../bench/balancing/simulation.js'
import { StrategyRegistry } from '../../../src/routing/strategies/registry.js'
import { config } from './fake-cluster.js'

const registry = new StrategyRegistry(config.routing)
const by = (name: string): Balancer => ({ kind: 'strategy', make: () => registry.create(name) })
const room = { servers: 10, workers: 4, serviceMs: 10, load: 0.7, seconds: 12, seed: 1 }
const slow = { ...room, slowness: 5, slownessAt: () => 5 }

t.test('adaptive comes near the balancer that knows everything', async (t) => {
  for (const [routers, ratioMax] of [
    [1, 1.05],
    [8, 1.15]
  ] as const) {
    const p99 = (balancer: Balancer) =>
      p99Of(between(simulateRoom({ ...slow, routers }, balancer), 3_000, 12_000).tookMs)
    const ideal = p99({ kind: 'omniscient' })
    const ratio = p99(by('adaptive')) / ideal
    t.ok(ratio < ratioMax, `${ratio} times the ideal with ${routers} routers`)
    t.ok(ratio < p99(by('peak-ewma')) / ideal, 'better than two choices by peak EWMA')
  }
})

t.test('adaptive gives a server that recovered its share back', async (t) => {
  const change = { ...slow, load: 0.6, seconds: 14, slownessAt: (s: number) => (s < 6 ? 5 : 1) }
  for (const routers of [1, 8]) {
    const result = simulateRoom({ ...change, routers }, by('adaptive'))
    const before = between(result, 3_000, 6_000).share
    const after = between(result, 11_000, 14_000).share
    t.ok(before < 0.01, `${before} while it was slow`)
    t.ok(after > 0.08 && after < 0.12, `${after} five seconds after it was not`)
  }
})

t.test('round robin gives a slow server what it cannot bear', async (t) => {
  const result = simulateRoom({ ...slow, routers: 1 }, by('round-robin'))
  const { share, tookMs } = between(result, 3_000, 12_000)
  t.ok(Math.abs(share - 0.1) < 0.001)
  t.ok(p99Of(tookMs) > 1_000)
})
