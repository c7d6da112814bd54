import fc from 'fast-check'
import t from 'tap'
import { BoundedQueue, InvariantError, RingBuffer } from '../../../src/core/index.js'

t.test('a bounded queue is a list that refuses what does not fit', async (t) => {
  const step = fc.oneof(
    fc.record({ act: fc.constant('push' as const), item: fc.nat() }),
    fc.record({ act: fc.constantFrom('shift' as const, 'takeAll' as const) })
  )
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200 }),
      fc.array(step, { maxLength: 500 }),
      (max, steps) => {
        const queue = new BoundedQueue<number>(max)
        const twin: number[] = []
        for (const one of steps) {
          if (one.act === 'push') {
            const fits = twin.length < max
            if (queue.push(one.item) !== fits) return false
            if (fits) twin.push(one.item)
          } else if (one.act === 'shift') {
            if (queue.peek() !== twin[0] || queue.shift() !== twin.shift()) return false
          } else if (queue.takeAll().join() !== twin.splice(0).join()) return false
          const isAlike = queue.length === twin.length && queue.isFull === twin.length >= max
          if (!isAlike || [...queue].join() !== twin.join()) return false
        }
        return true
      }
    )
  )
  t.pass('compared')
  t.throws(() => new BoundedQueue(0), InvariantError)
})

t.test('a ring keeps the newest and counts the others', async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.nat()), (max, items) => {
      const ring = new RingBuffer<number>(max)
      for (const item of items) ring.push(item)
      const kept = items.slice(-max)
      return (
        ring.toArray().join() === kept.join() &&
        ring.length === kept.length &&
        ring.overwritten === items.length - kept.length
      )
    })
  )
  t.pass('compared')
  t.throws(() => new RingBuffer(1.5), InvariantError)
})
