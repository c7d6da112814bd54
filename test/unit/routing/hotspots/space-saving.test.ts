import t from 'tap'
import { SplittableRandom } from '../../../../src/core/index.js'
import { SpaceSaving } from '../../../../src/routing/hotspots/space-saving.js'
import { zipf } from './zipf.js'

t.test('bounds hold against exact counts, on random and on skewed keys', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const capacity = 1 + random.nextInt(20)
    const sketch = new SpaceSaving(capacity)
    const exact = new Map<string, number>()
    const draw = zipf(random, 5 + random.nextInt(100), seed % 2 === 0 ? 1.2 : 0)
    const total = 1 + random.nextInt(3_000)
    for (let i = 0; i < total; i++) {
      const key = `k${draw()}`
      sketch.add(key)
      exact.set(key, (exact.get(key) ?? 0) + 1)
    }
    const counted = [...sketch.entries()]
    const wrong = counted.filter(({ key, count, error }) => {
      const truth = exact.get(key) ?? 0
      return count < truth || count - error > truth || error > total / capacity
    })
    const missed = [...exact].filter(
      ([key, count]) => count > total / capacity && !counted.some((one) => one.key === key)
    )
    t.same([wrong, missed, counted.length <= capacity], [[], [], true], `seed ${seed}`)
    t.equal(
      counted.reduce((sum, { count }) => sum + count, 0),
      total,
      'the counters add up'
    )
    sketch.clear()
    t.same([[...sketch.entries()], sketch.total], [[], 0])
  }
})
