import t from 'tap'
import type { Incarnation, NodeId } from '../../../../src/core/index.js'
import { SplittableRandom } from '../../../../src/core/index.js'
import { BroadcastQueue } from '../../../../src/network/membership/broadcast-queue.js'
import type { Rumour } from '../../../../src/network/membership/messages.js'

const rumour = (about: string, incarnation = 1): Rumour => ({
  kind: 'suspect',
  nodeId: about as NodeId,
  incarnation: incarnation as Incarnation,
  accuser: 'x' as NodeId
})

const push = (queue: BroadcastQueue, about: string, sizeBytes = 20, incarnation = 1): void =>
  queue.push(about as NodeId, rumour(about, incarnation), sizeBytes)

const names = (rumours: readonly Rumour[]): string[] =>
  rumours.map((taken) => ('nodeId' in taken ? taken.nodeId : ''))

t.test('S-21: fewest transmits first, newest first among equals', async (t) => {
  const queue = new BroadcastQueue(10)
  push(queue, 'a')
  push(queue, 'b')
  t.same(names(queue.take(20, 9, 5)), ['b'])
  push(queue, 'c')
  t.same(names(queue.take(40, 9, 5)), ['c', 'a'])
  t.same(names(queue.take(60, 9, 5)), ['c', 'a', 'b'])
})

t.test('S-21: a rumour leaves after its last transmit', async (t) => {
  const queue = new BroadcastQueue(10)
  push(queue, 'a')
  for (let transmits = 0; transmits < 3; transmits++) t.equal(queue.take(100, 9, 3).length, 1)
  t.equal(queue.length, 0)
  t.same(queue.take(100, 9, 3), [])
})

t.test('S-21: newer news supersedes, and begins anew', async (t) => {
  const queue = new BroadcastQueue(10)
  push(queue, 'a', 20, 1)
  queue.take(100, 9, 3)
  push(queue, 'a', 20, 2)
  t.equal(queue.length, 1)
  t.same(queue.take(100, 9, 3), [rumour('a', 2)])
})

t.test('S-21: at the bound the most transmitted goes', async (t) => {
  const queue = new BroadcastQueue(3)
  push(queue, 'a')
  push(queue, 'b')
  queue.take(40, 2, 9)
  push(queue, 'c')
  push(queue, 'd')
  t.equal(queue.length, 3)
  t.equal(queue.dropped, 1)
  t.same(names(queue.take(100, 9, 9)), ['d', 'c', 'b'])
})

t.test('what does not fit is passed over for what does', async (t) => {
  const queue = new BroadcastQueue(10)
  push(queue, 'small', 20)
  push(queue, 'large', 90)
  t.same(names(queue.take(50, 9, 9)), ['small'])
  t.same(names(queue.take(200, 1, 9)), ['large'], 'no more than asked for')
})

t.test('S-20: no selection exceeds its budget, and every rumour gets its transmits', async (t) => {
  const random = SplittableRandom.fromSeed(21)
  for (let run = 0; run < 50; run++) {
    const queue = new BroadcastQueue(64)
    const sizes = new Map<string, number>()
    const sent = new Map<string, number>()
    for (let i = 0; i < 40; i++) {
      const sizeBytes = 20 + random.nextInt(200)
      sizes.set(`n${i}`, sizeBytes)
      push(queue, `n${i}`, sizeBytes)
    }
    for (let rounds = 0; queue.length > 0; rounds++) {
      if (rounds > 5_000) t.fail('a rumour never left')
      const budget = 220 + random.nextInt(600)
      const taken = names(queue.take(budget, 255, 4))
      const total = taken.reduce((sum, name) => sum + (sizes.get(name) as number), 0)
      if (total > budget || new Set(taken).size !== taken.length) t.fail(`${total} of ${budget}`)
      for (const name of taken) sent.set(name, (sent.get(name) ?? 0) + 1)
    }
    if ([...sizes.keys()].some((name) => sent.get(name) !== 4)) t.fail('a rumour was short-changed')
  }
  t.pass('50 runs')
})
