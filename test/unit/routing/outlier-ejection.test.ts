import t from 'tap'
import { type NodeId, SplittableRandom } from '../../../src/core/index.js'
import {
  comparedNodesMin,
  jitterShare,
  OutlierEjection,
  type OutlierEjectionOptions
} from '../../../src/routing/outlier-ejection.js'

const options: OutlierEjectionOptions = {
  consecutiveErrorsMax: 5,
  sweepIntervalMs: 10_000,
  baseMs: 1_000,
  maxMs: 4_000,
  shareMax: 0.4,
  requestsMin: 20,
  successDeviations: 1.9
}
const [a, b, c, d, e] = ['a', 'b', 'c', 'd', 'e'] as NodeId[] as [
  NodeId,
  NodeId,
  NodeId,
  NodeId,
  NodeId
]

const coreOf = (changes: Partial<OutlierEjectionOptions> = {}) =>
  new OutlierEjection({ random: SplittableRandom.fromSeed(3) }, { ...options, ...changes })

/** `faults` results in a row. @returns the ejection that the last one led to */
function fail(core: OutlierEjection, node: NodeId, now: number, faults = 5, nodes = 5) {
  let last = null
  for (let i = 0; i < faults; i++) last = core.handleResult(node, true, nodes, now)
  return last
}

t.test('so many errors in a row, and not one less, eject a node', async (t) => {
  const core = coreOf()
  t.equal(fail(core, a, 0, 4), null)
  core.handleResult(a, false, 5, 0)
  t.equal(fail(core, a, 0, 4), null, 'a success begins the count anew')
  t.match(core.handleResult(a, true, 5, 0), { node: 'a', reason: '5 errors in a row', times: 1 })
  t.equal(core.ejectionOf(b, 0), null)
  t.equal(core.total, 1)
  t.equal(fail(coreOf({ consecutiveErrorsMax: 0 }), a, 0, 100), null, 'zero: never')
})

t.test('ejections grow, are capped, jittered, and forgiven', async (t) => {
  const core = coreOf()
  let now = 0
  for (const expected of [1_000, 2_000, 3_000, 4_000, 4_000]) {
    const ejection = fail(core, a, now)
    const lasts = (ejection?.until ?? 0) - now
    t.ok(lasts >= expected && lasts <= expected * (1 + jitterShare), `${lasts} for ${expected}`)
    t.ok(core.ejectionOf(a, now + expected - 1))
    now = ejection?.until ?? 0
    t.equal(core.ejectionOf(a, now), null)
    t.same(core.takeReturned(), ['a'])
    t.same(core.takeReturned(), [])
  }
  core.sweep(5, now)
  for (let i = 1; i <= 5; i++) core.sweep(5, now + i * 10_000)
  now += 50_000
  t.match(fail(core, a, now), { times: 1 }, 'quiet intervals are forgotten one by one')
})

t.test('no more than a share is out at a time, but one always may be', async (t) => {
  const core = coreOf()
  t.ok(fail(core, a, 0))
  t.ok(fail(core, b, 0), 'two of five')
  t.equal(fail(core, c, 0), null)
  t.equal(core.refused, 1)
  t.same(
    core.ejections(0).map(({ node }) => node),
    ['a', 'b']
  )
  t.ok(core.handleResult(c, true, 5, 3_000), 'there is room again when those are over')
  const small = coreOf({ shareMax: 0 })
  t.ok(fail(small, a, 0, 5, 2))
  t.equal(fail(small, b, 0, 5, 2), null)
})

/** So many good of a hundred. */
function answer(core: OutlierEjection, node: NodeId, good: number, now: number): void {
  let faults = 0
  for (let i = 1; i <= 100; i++) {
    const isFault = faults < (i * (100 - good)) / 100 - 1e-9
    if (isFault) faults++
    core.handleResult(node, isFault, 5, now)
  }
}

t.test('whose share of successes is odd is ejected, when it is time to compare', async (t) => {
  const core = coreOf()
  core.sweep(5, 0)
  for (const [node, good] of [
    [a, 99],
    [b, 98],
    [c, 60],
    [d, 100],
    [e, 99]
  ] as const) {
    answer(core, node, good, 1_000)
  }
  t.same(core.sweep(5, 9_999), [])
  const [ejected, ...others] = core.sweep(5, 10_000)
  t.same(others, [])
  t.match(ejected, { node: 'c', reason: '60 % of its answers good, 91 % on average' })
  t.same(core.sweep(5, 20_000), [], 'counts begin anew')
})

t.test('nodes that are alike, few, or seldom asked are not compared', async (t) => {
  const alike = coreOf()
  alike.sweep(5, 0)
  for (const [node, good] of [
    [a, 99],
    [b, 100],
    [c, 97],
    [d, 100],
    [e, 100]
  ] as const) {
    answer(alike, node, good, 1)
  }
  t.same(alike.sweep(5, 10_000), [], 'three of a hundred is no difference')
  const two = coreOf()
  two.sweep(5, 0)
  answer(two, a, 100, 1)
  answer(two, b, 30, 1)
  t.equal(comparedNodesMin, 3)
  t.same(two.sweep(5, 10_000), [], 'of two nobody can say which one is odd')
  const seldom = coreOf({ requestsMin: 101 })
  seldom.sweep(5, 0)
  for (const [node, good] of [
    [a, 99],
    [b, 99],
    [c, 30],
    [d, 99]
  ] as const) {
    answer(seldom, node, good, 1)
  }
  t.same(seldom.sweep(5, 10_000), [])
})

t.test('who left is forgotten, ejected or not', async (t) => {
  const core = coreOf()
  fail(core, a, 0)
  core.handleResult(b, false, 5, 0)
  t.equal(core.size, 2)
  core.forget(a)
  core.forget(b)
  core.forget(c)
  t.equal(core.size, 0)
  t.same(core.ejections(0), [])
  t.ok(fail(core, c, 0) && fail(core, d, 0), 'its place is free')
})
