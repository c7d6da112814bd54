import t from 'tap'
import {
  type NodeId,
  SplittableRandom,
  silentLogger,
  type Workers
} from '../../../src/core/index.js'
import { healthWorker } from '../../../src/health/health-worker.js'
import { costTableOf, searchRelays } from '../../../src/health/route-search.js'
import { createSampleRing, SampleWriter } from '../../../src/health/sample-ring.js'
import { InlineWorkers, NodeWorkers } from '../../../src/runtime/index.js'

for (const [name, make] of [
  ['in place', () => new InlineWorkers()],
  ['in a thread', () => new NodeWorkers({ logger: silentLogger })]
] as const) {
  const open = (t: { teardown(handler: () => unknown): void }) => {
    const workers: Workers = make()
    t.teardown(() => workers.close())
    const ring = createSampleRing(65_536)
    return { runner: workers.open(healthWorker), ring, writer: new SampleWriter(ring) }
  }

  t.test(`${name}: distributions beside sorted samples`, async (t) => {
    const { runner, ring, writer } = open(t)
    const random = SplittableRandom.fromSeed(31)
    const all = new Map<number, number[]>([1, 2, 3].map((tag) => [tag, []]))
    for (let i = 0; i < 20_000; i++) {
      const tag = 1 + random.nextInt(3)
      const ms = 0.1 + random.nextFloat() ** 3 * 200 * tag
      writer.write(tag, ms)
      all.get(tag)?.push(ms)
    }
    writer.publish()
    const collected = await runner.run('collect', { ring, nowMs: 1_000, windowMs: 500_000 })
    t.same(collected, { samples: 20_000, lost: 0 })
    const distributions = await runner.run('distributions', { nowMs: 1_000 })
    for (const [tag, samples] of all) {
      const sorted = samples.sort((a, b) => a - b)
      const at = (quantile: number) => sorted[Math.ceil(quantile * sorted.length) - 1] as number
      const distribution = distributions.get(tag)
      t.match(distribution, { count: sorted.length, tail: { basis: 'p99', count: sorted.length } })
      const near = (actual: number | undefined, expected: number, what: string) =>
        t.ok(Math.abs((actual ?? 0) / expected - 1) < 0.02, `${what}: ${actual} near ${expected}`)
      near(distribution?.p50Ms, at(0.5), 'p50')
      near(distribution?.p90Ms, at(0.9), 'p90')
      near(distribution?.tail.ms, at(0.99), 'p99')
      near(distribution?.maxMs, at(1), 'max')
      near(distribution?.averageMs, sorted.reduce((a, b) => a + b, 0) / sorted.length, 'average')
    }
  })

  t.test(
    `${name}: what is older than the window is gone, and so is who is forgotten`,
    async (t) => {
      const { runner, ring, writer } = open(t)
      const collect = async (tag: number, ms: number, nowMs: number) => {
        writer.write(tag, ms)
        writer.publish()
        await runner.run('collect', { ring, nowMs, windowMs: 5_000 })
      }
      const counts = async (nowMs: number) =>
        [...(await runner.run('distributions', { nowMs }))].map(([tag, { count }]) => [tag, count])
      await collect(1, 10, 0)
      await collect(1, 20, 4_000)
      await collect(2, 30, 4_500)
      t.same(await counts(4_900), [
        [1, 2],
        [2, 1]
      ])
      t.same(await counts(5_100), [
        [1, 1],
        [2, 1]
      ])
      await runner.run('forget', { tags: [2] })
      t.same(await counts(5_100), [[1, 1]])
      t.same(await counts(60_000), [])
      await collect(1, 99_000_000, 60_000)
      t.same(await counts(60_000), [[1, 1]], 'out of range counts as the longest')
    }
  )

  t.test(`${name}: the search answers as it does here`, async (t) => {
    const { runner } = open(t)
    const nodes = ['a', 'b', 'c'] as NodeId[]
    const cell = (to: number, rttMs: number | null) => ({
      to: nodes[to] as NodeId,
      rttMs,
      lossRate: null,
      ageMs: 0
    })
    const table = costTableOf(
      [
        { origin: nodes[0] as NodeId, version: 1, cells: [cell(1, null), cell(2, 4)] },
        { origin: nodes[2] as NodeId, version: 1, cells: [cell(1, 6)] }
      ],
      nodes
    )
    const self = nodes[0] as NodeId
    const proposals = await runner.run('searchRoutes', { table, self })
    t.same(proposals, searchRelays(table, self))
    t.same(proposals, [{ target: 'b', relay: 'c', viaMs: 10 }])
  })
}
