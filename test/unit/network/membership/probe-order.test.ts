import t from 'tap'
import { type MonotonicMs, type NodeId, SplittableRandom } from '../../../../src/core/index.js'
import { ProbeOrder } from '../../../../src/network/membership/probe-order.js'

const id = (i: number): NodeId => `n${i}` as NodeId
const ms = (value: number): MonotonicMs => value as MonotonicMs
const roundMs = 1_000

const orderOf = (count: number, seed = 1, inRounds = false): ProbeOrder => {
  const order = new ProbeOrder(SplittableRandom.fromSeed(seed), { inRounds })
  for (let i = 0; i < count; i++) order.add(id(i))
  return order
}

t.test('in rounds each is asked once before any is asked twice', async (t) => {
  const order = orderOf(10, 1, true)
  const orders = new Set<string>()
  for (let round = 0; round < 50; round++) {
    const asked = Array.from({ length: 10 }, (_, i) => order.next(ms(round * 10 + i), roundMs))
    t.equal(new Set(asked).size, 10) || t.bailout('one was asked twice')
    orders.add(asked.join())
  }
  t.ok(orders.size > 45, 'in another order each')
})

t.test('everybody is asked about once in a round', async (t) => {
  const order = orderOf(10)
  const asked: NodeId[] = []
  for (let i = 0; i < 100; i++) asked.push(order.next(ms(i * 100), roundMs) as NodeId)
  for (let i = 0; i < 10; i++) {
    const turns = asked.flatMap((nodeId, turn) => (nodeId === id(i) ? [turn] : []))
    turns.slice(1).forEach((turn, k) => {
      const gap = turn - (turns[k] ?? 0)
      t.ok(gap >= 7 && gap <= 13, `asked again after ${gap} turns`) || t.bailout('order is lost')
    })
  }
})

t.test('two nodes with the same members ask in different orders', async (t) => {
  const askedBy = (seed: number) => {
    const order = orderOf(12, seed)
    return Array.from({ length: 12 }, (_, i) => order.next(ms(i), roundMs))
  }
  t.notSame(askedBy(1), askedBy(2))
  t.same(askedBy(3), askedBy(3))
})

t.test('who was heard meanwhile comes later; who is silent comes first', async (t) => {
  const order = orderOf(5)
  for (let now = 0; now < 5_000; now += 100) {
    for (const i of [0, 1, 2, 4]) order.onChecked(id(i), ms(now), roundMs)
    const asked = order.next(ms(now), roundMs)
    if (now > 3_000 && now % 1_000 === 0) t.equal(asked, id(3))
  }
})

t.test('members come and go; nobody that is gone is asked', async (t) => {
  const random = SplittableRandom.fromSeed(4)
  const order = orderOf(0)
  const present = new Set<NodeId>()
  for (let step = 0; step < 20_000; step++) {
    const nodeId = id(random.nextInt(40))
    const choice = random.nextInt(4)
    if (choice === 0) {
      order.add(nodeId)
      present.add(nodeId)
    } else if (choice === 1) {
      order.remove(nodeId)
      present.delete(nodeId)
    } else if (choice === 2) order.onChecked(nodeId, ms(step), roundMs)
    else {
      const asked = order.next(ms(step), roundMs)
      const isRight = asked === null ? present.size === 0 : present.has(asked)
      t.ok(isRight, `${asked}`) || t.bailout('wrong member')
    }
    t.equal(order.size, present.size) || t.bailout('wrong size')
  }
})
