import t from 'tap'
import { SplittableRandom } from '../../../src/core/index.js'
import { nemesisKinds, planStrikes, skippedKinds } from '../../torture/nemesis.js'

const plan = (seed: number, kinds = nemesisKinds, durationMs = 300_000) =>
  planStrikes(SplittableRandom.fromSeed(seed), kinds, durationMs)

t.test(
  'what strikes when is the seed’s alone, and each kind comes before any comes again',
  async (t) => {
    t.same(plan(7), plan(7))
    t.notSame(plan(7), plan(8))
    for (let seed = 0; seed < 50; seed++) {
      const first = plan(seed).slice(0, nemesisKinds.length)
      t.equal(new Set(first.map(({ kind }) => kind)).size, nemesisKinds.length)
    }
  }
)

t.test('a strike is healed before the next one is due', async (t) => {
  const strikes = plan(3)
  t.equal(strikes.length, 60)
  for (const [i, { atMs, holdMs }] of strikes.entries()) {
    const next = strikes[i + 1]
    if (next !== undefined) t.ok(atMs + holdMs < next.atMs)
  }
})

t.test('what the machine or the cluster cannot do is named', async (t) => {
  const ground = { hasHosts: true, changesMembers: true, nodes: 5 }
  t.same(skippedKinds(ground), {})
  t.match(skippedKinds({ ...ground, nodes: 3 }), { partition_ring: /5 nodes/ })
  t.same(Object.keys(skippedKinds({ ...ground, changesMembers: false })), ['member_change'])
  const skipped = Object.keys(skippedKinds({ ...ground, hasHosts: false }))
  t.ok(skipped.length === 5 && skipped.includes('one_way'), skipped.join(' '))
})
