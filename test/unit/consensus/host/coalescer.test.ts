import t from 'tap'
import { Coalescer } from '../../../../src/consensus/host/coalescer.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'

t.test('each receiver gets its own items in their order, and all at once', async (t) => {
  const random = SplittableRandom.fromSeed(1)
  for (let round = 0; round < 50; round++) {
    const coalescer = new Coalescer<string, number>()
    t.ok(coalescer.isEmpty)
    // The dumb twin: a list of everything, looked through for each receiver.
    const all: (readonly [string, number])[] = []
    for (let i = random.nextInt(20); i > 0; i--) {
      const to = 'abc'.charAt(random.nextInt(3))
      all.push([to, i])
      coalescer.push(to, i)
    }
    t.equal(coalescer.length, all.length)
    const receivers = [...new Set(all.map(([to]) => to))]
    const expected = receivers.map((to) => [
      to,
      all.filter(([other]) => other === to).map(([, item]) => item)
    ])
    t.same([...coalescer.takeAll()], expected)
    t.ok(coalescer.isEmpty)
    t.equal(coalescer.length, 0)
  }
})

t.test('who must hear something hears it, if it is nothing', async (t) => {
  const coalescer = new Coalescer<string, number>()
  coalescer.ensure('a')
  coalescer.push('b', 1)
  coalescer.ensure('b')
  t.notOk(coalescer.isEmpty)
  t.same(
    [...coalescer.takeAll()],
    [
      ['a', []],
      ['b', [1]]
    ]
  )
})
