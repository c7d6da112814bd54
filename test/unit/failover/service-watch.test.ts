import t from 'tap'
import type { MonotonicMs } from '../../../src/core/ids.js'
import { LatencyCounts } from '../../../src/core/latency-counts.js'
import type { NodeStatus } from '../../../src/failover/rolling-restart/cluster-view.js'
import { ServiceWatch } from '../../../src/failover/rolling-restart/service-watch.js'
import { node, sightOf } from './sights.js'

const base = sightOf({ a: {} }).nodes[0]?.status as NodeStatus
const of = (counts: Readonly<Record<string, readonly [string, number, number]>>) =>
  new Map(
    Object.entries(counts).map(([name, [boot, queries, failures]]) => [
      node(name),
      { ...base, boot, queries, failures }
    ])
  )

t.test('the share of failures is of the last ten seconds, and of enough queries', async (t) => {
  const watch = new ServiceWatch()
  const rate = (at: number, counts: Parameters<typeof of>[0]) =>
    watch.observe(of(counts), at as MonotonicMs).errorRate
  t.equal(rate(0, { a: ['1', 5_000, 4_000], b: ['1', 0, 0] }), null, 'what was is not looked at')
  t.equal(rate(1_000, { a: ['1', 5_050, 4_000], b: ['1', 49, 0] }), null, 'too few')
  t.equal(rate(2_000, { a: ['1', 5_150, 4_002], b: ['1', 50, 0] }), 0.01)
  t.equal(rate(3_000, { a: ['2', 900, 900], b: ['1', 50, 0] }), 0.01, 'another process')
  t.equal(rate(4_000, { b: ['1', 50, 0] }), 0.01, 'a silent one')
  t.equal(rate(9_000, { a: ['2', 1_100, 1_000], b: ['1', 50, 0] }), 102 / 400)
  t.equal(rate(20_000, { a: ['2', 1_300, 1_000], b: ['1', 50, 0] }), 0, 'forgotten')
})

t.test('the slowest hundredth is of the same window, and of nodes that tell', async (t) => {
  const watch = new ServiceWatch()
  const counts = new LatencyCounts()
  const p99 = (at: number, boot = '1') => {
    const status = { ...base, boot, queries: 0, failures: 0, latencies: counts.snapshot() }
    const older = { ...base, boot, queries: 5_000, failures: 0 }
    const told = new Map([
      [node('a'), status],
      [node('old'), older]
    ])
    return watch.observe(told, at as MonotonicMs).p99Ms
  }
  const record = (times: number, ms: number) => {
    for (let i = 0; i < times; i++) counts.record(ms)
  }
  record(1_000, 9_000)
  t.equal(p99(0), null, 'what was is not looked at')
  record(98, 2)
  t.equal(p99(1_000), null, 'too few')
  record(2, 500)
  const slow = p99(2_000) ?? Number.NaN
  t.ok(slow >= 500 && slow <= 600, `${slow}`)
  record(300, 2)
  const quick = p99(3_000) ?? Number.NaN
  t.ok(quick >= 2 && quick <= 2.4, `${quick}`)
  t.equal(p99(14_000), null, 'forgotten')
  record(500, 500)
  t.equal(p99(15_000, '2'), null, 'another process')
})
