import fc from 'fast-check'
import t from 'tap'
import { InvariantError, pick, SplittableRandom, shuffle } from '../../../src/core/index.js'

const draws = (random: SplittableRandom, count = 8) =>
  Array.from({ length: count }, () => random.nextUint32())

t.test('one seed gives one sequence, another seed another', async (t) => {
  t.same(draws(SplittableRandom.fromSeed(42)), draws(SplittableRandom.fromSeed(42)))
  t.notSame(draws(SplittableRandom.fromSeed(42)), draws(SplittableRandom.fromSeed(43)))
  const beyond32Bits = draws(SplittableRandom.fromSeed(2 ** 32 + 42))
  t.notSame(draws(SplittableRandom.fromSeed(42)), beyond32Bits)
})

t.test('children depend on seed and purpose, not on earlier draws', async (t) => {
  const parent = SplittableRandom.fromSeed(1)
  const early = draws(parent.split('jitter'))
  draws(parent, 100)
  t.same(draws(parent.split('jitter')), early)
  t.notSame(draws(parent.split('jitter ')), early)
  t.notSame(draws(SplittableRandom.fromSeed(2).split('jitter')), early)
  t.notSame(draws(parent.split('a').split('b')), draws(parent.split('b').split('a')))
})

t.test('draws stay in their range', async (t) => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 2 ** 32 }), (seed, bound) => {
      const random = SplittableRandom.fromSeed(seed)
      const float = random.nextFloat()
      const int = random.nextInt(bound)
      return float >= 0 && float < 1 && Number.isInteger(int) && int >= 0 && int < bound
    })
  )
  t.pass('compared')
  for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) {
    t.throws(() => SplittableRandom.fromSeed(1).nextInt(bound), InvariantError)
  }
})

t.test('ten buckets fill evenly', async (t) => {
  const random = SplittableRandom.fromSeed(9)
  const buckets = Array.from({ length: 10 }, () => 0)
  for (let i = 0; i < 100_000; i++) {
    const bucket = random.nextInt(10)
    buckets[bucket] = (buckets[bucket] ?? 0) + 1
  }
  // Chi-square with 9 degrees of freedom exceeds 27.9 once in a thousand.
  const chiSquare = buckets.reduce((sum, n) => sum + (n - 10_000) ** 2 / 10_000, 0)
  t.ok(chiSquare < 27.9, `chi-square ${chiSquare}`)
})

t.test('pick takes each, shuffle keeps all', async (t) => {
  const random = SplittableRandom.fromSeed(3)
  const items = ['a', 'b', 'c']
  t.same([...new Set(Array.from({ length: 60 }, () => pick(random, items)))].sort(), items)
  t.throws(() => pick(random, []), InvariantError)
  const orders = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const shuffled = shuffle(random, [...items])
    t.same([...shuffled].sort(), items)
    orders.add(shuffled.join(''))
  }
  t.equal(orders.size, 6, 'every order comes up')
})
