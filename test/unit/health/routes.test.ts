import t from 'tap'
import type { MatrixCell } from '../../../src/core/health-views.js'
import {
  compareText,
  type MonotonicMs,
  NEVER,
  type NodeId,
  SplittableRandom
} from '../../../src/core/index.js'
import { LatencyMatrix } from '../../../src/health/latency-matrix.js'
import { neighboursOf } from '../../../src/health/neighbours.js'
import {
  type CostTable,
  costTableOf,
  edgeCost,
  pathCost,
  searchRelays
} from '../../../src/health/route-search.js'
import { RouteTable } from '../../../src/health/route-table.js'

const node = (name: string) => name as NodeId
const at = (ms: number) => ms as MonotonicMs
const cell = (to: string, rttMs: number | null, ageMs = 0): MatrixCell => ({
  to: node(to),
  rttMs,
  lossRate: null,
  ageMs
})
const row = (origin: string, version: number, ...cells: MatrixCell[]) => ({
  origin: node(origin),
  version,
  cells
})

t.test('matrix: the higher version wins, in any order', async (t) => {
  const matrix = new LatencyMatrix({ rowsMax: 2, ttlMs: 1_000 })
  t.equal(matrix.handleRow(row('a', 2, cell('z', 20)), at(0)), true)
  t.equal(matrix.handleRow(row('a', 1, cell('z', 10)), at(0)), false)
  t.equal(matrix.handleRow(row('a', 2, cell('z', 30)), at(0)), false)
  t.equal(matrix.rows(at(0))[0]?.cells[0]?.rttMs, 20)
  t.equal(matrix.handleRow(row('b', 1, cell('z', 5)), at(1)), true)
  t.equal(matrix.handleRow(row('c', 1, cell('z', 5)), at(1)), false)
  t.equal(matrix.refused, 1)
  const newest = matrix.newest(5, node('a'), at(1)).map(({ origin }) => origin)
  t.same(newest, ['b'])
  matrix.forget(node('b'))
  t.equal(matrix.handleRow(row('c', 1, cell('z', 5)), at(1)), true)
})

t.test('matrix: a cell grows old on the way and here, and is not shown too old', async (t) => {
  const matrix = new LatencyMatrix({ rowsMax: 8, ttlMs: 1_000 })
  matrix.handleRow(row('a', 1, cell('b', 1, 600), cell('c', 1)), at(0))
  const ages = (now: number) => matrix.rows(at(now))[0]?.cells.map(({ to, ageMs }) => [to, ageMs])
  t.same(ages(400), [
    ['b', 1_000],
    ['c', 400]
  ])
  t.same(ages(401), [['c', 401]])
  t.same(matrix.rows(at(1_001)), [])
})

t.test('search: beside every path there is, on random tables', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  for (let run = 0; run < 200; run++) {
    const nodes = Array.from({ length: 2 + random.nextInt(7) }, (_, i) => node(`n${i}`))
    const rows = nodes.map((origin) => ({
      origin,
      version: 1,
      cells: nodes
        .filter((to) => to !== origin && random.nextInt(4) > 0)
        .map((to) => ({
          to,
          rttMs: random.nextInt(5) === 0 ? null : random.nextFloat() * 100,
          lossRate: random.nextInt(3) === 0 ? random.nextFloat() : null,
          ageMs: 0
        }))
    }))
    const self = nodes[0] as NodeId
    const cost = (from: NodeId, to: NodeId): number => {
      const found = rows.find(({ origin }) => origin === from)?.cells.find((one) => one.to === to)
      return found === undefined ? Number.POSITIVE_INFINITY : edgeCost(found.rttMs, found.lossRate)
    }
    const expected = nodes.slice(1).flatMap((target) =>
      nodes
        .filter((relay) => relay !== self && relay !== target)
        .map((relay) => ({ target, relay, viaMs: cost(self, relay) + cost(relay, target) }))
        .filter(({ viaMs }) => viaMs < Number.POSITIVE_INFINITY)
        .sort((a, b) => a.viaMs - b.viaMs || compareText(a.relay, b.relay))
        .slice(0, 1)
    )
    t.same(searchRelays(costTableOf(rows, nodes), self), expected)
  }
})

t.test('search: loss costs what waiting for retransmissions costs', async (t) => {
  t.equal(edgeCost(10, null), 10)
  t.equal(edgeCost(10, 0.5), 210)
  t.equal(edgeCost(10, 1), Number.POSITIVE_INFINITY)
  t.equal(edgeCost(null, 0), Number.POSITIVE_INFINITY)
  t.ok(Number.isNaN(pathCost(world(1), node('a'), node('zz'))), 'nobody')
})

const limits = {
  confirmations: 2,
  severeFactor: 3,
  severeFloorMs: 20,
  keepFactor: 1.25,
  ttlMs: 180_000
}

/** a → b costs `direct`, and by way of c or d what they say. */
function world(
  direct: number | null,
  viaC: number | null = 10,
  viaD: number | null = 30
): CostTable {
  const half = (via: number | null) => (via === null ? null : via / 2)
  return costTableOf(
    [
      row('a', 1, cell('b', direct), cell('c', half(viaC)), cell('d', half(viaD))),
      row('c', 1, cell('b', half(viaC))),
      row('d', 1, cell('b', half(viaD)))
    ],
    ['a', 'b', 'c', 'd'].map(node)
  )
}

const judge = (table: RouteTable, costs: CostTable, now: number) =>
  table
    .handleSearch(costs, searchRelays(costs, node('a')), at(now))
    .filter(({ target }) => target === 'b')
    .map(({ route }) => route?.relay ?? null)

t.test('route: an outage is gone round at once, the direct path comes back slowly', async (t) => {
  const table = new RouteTable(node('a'), limits)
  t.same(judge(table, world(10), 0), [])
  t.same(judge(table, world(null), 1_000), ['c'])
  t.match(table.routes(), [{ why: 'outage', expectedImprovement: 1, viaMs: 10 }])
  t.equal(table.relayFor(node('b'), at(1_000)), 'c')
  t.same(judge(table, world(10), 2_000), [])
  t.same(judge(table, world(10), 3_000), [null])
  t.equal(table.relayFor(node('b'), at(3_000)), null)
})

t.test('route: severe degradation is confirmed first; merely better is no reason', async (t) => {
  const table = new RouteTable(node('a'), limits)
  t.same(judge(table, world(25), 0), [], 'a factor of 2.5')
  t.same(judge(table, world(25), 1), [])
  t.same(judge(table, world(100), 2), [])
  t.same(judge(table, world(25), 3), [], 'not in a row')
  t.same(judge(table, world(100), 4), [])
  t.same(judge(table, world(100), 5), ['c'])
  t.match(table.routes(), [{ why: 'degraded', expectedImprovement: 0.9 }])
})

t.test('route: at the border it stays what it is', async (t) => {
  const random = SplittableRandom.fromSeed(12)
  const table = new RouteTable(node('a'), limits)
  let changes = 0
  for (let i = 0; i < 1_000; i++) {
    changes += judge(table, world(29 + random.nextFloat() * 2), i * 10).length
  }
  t.ok(changes <= 1, `${changes} changes`)
})

t.test(
  'route: a lost relay is exchanged at once, a slightly better one is not taken',
  async (t) => {
    const table = new RouteTable(node('a'), limits)
    judge(table, world(null), 0)
    t.same(judge(table, world(null, 10, 9), 1), [])
    t.same(judge(table, world(null, null, 30), 2), ['d'])
    t.same(judge(table, world(null, null, null), 3), [null], 'nobody reaches it')
  }
)

t.test('route: what is not confirmed expires', async (t) => {
  const table = new RouteTable(node('a'), limits)
  t.equal(table.nextDeadline(), NEVER)
  judge(table, world(null), 0)
  t.equal(table.nextDeadline(), 180_000)
  t.equal(table.relayFor(node('b'), at(180_000)), null)
  const expired = table.handleTimeout(at(180_000)).map(({ route }) => route)
  t.same(expired, [null])
  t.same(table.routes(), [])
})

t.test('route: a path that this node does not measure has no relay', async (t) => {
  const table = new RouteTable(node('a'), limits)
  const rows = [row('a', 1, cell('c', 5)), row('c', 1, cell('b', 5))]
  const costs = costTableOf(rows, ['a', 'b', 'c'].map(node))
  t.same(judge(table, costs, 0), [])
  judge(table, world(null), 1)
  t.same(judge(table, costs, 2), [null])
})

t.test('route: a target that is gone has none', async (t) => {
  const table = new RouteTable(node('a'), limits)
  judge(table, world(null), 0)
  const changes = table.handleSearch({ nodes: [node('a')], costs: new Float64Array(1) }, [], at(1))
  t.match(changes, [{ target: 'b', route: null }])
})

t.test('neighbours: everybody in a small cluster, k in a large one, mostly mutual', async (t) => {
  const small = Array.from({ length: 19 }, (_, i) => node(`n${i}`))
  const options = { allBelow: 20, count: 8 }
  t.equal(neighboursOf(node('n3'), small, options).length, 18)
  const large = Array.from({ length: 100 }, (_, i) => node(`n${i}`))
  const chosen = new Map(large.map((self) => [self, neighboursOf(self, large, options)]))
  let mutual = 0
  for (const [self, others] of chosen) {
    t.equal(others.length, 8)
    t.notOk(others.includes(self))
    mutual += others.filter((other) => chosen.get(other)?.includes(self)).length
  }
  t.ok(mutual > 400, `${mutual} of 800 are mutual`)
  const without = large.filter((one) => one !== 'n50')
  const moved = without
    .filter((self) => !chosen.get(self)?.includes(node('n50')))
    .filter((self) => String(neighboursOf(self, without, options)) !== String(chosen.get(self)))
  t.same(moved, [], 'only those who had chosen it choose anew')
})
