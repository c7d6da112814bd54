import t from 'tap'
import { EventHub } from '../../../src/core/event-hub.js'
import type { ClusterEventBody } from '../../../src/core/events.js'
import { toNodeId, type WallMs } from '../../../src/core/ids.js'

const wall = 1_000 as WallMs
const event = (id: string): ClusterEventBody => ({ type: 'NodeStarted', nodeId: toNodeId(id) })

t.test('a subscriber gets every event in order, numbered and dated', async (t) => {
  const hub = new EventHub({ eventQueueLengthMax: 8, eventSubscribersMax: 2 })
  const subscription = hub.subscribe()
  for (const id of ['a', 'b', 'c']) hub.publish(event(id), wall)
  hub.close()
  const seen: unknown[] = []
  for await (const { sequence, wallTime, type } of subscription) {
    seen.push([sequence, wallTime, type])
  }
  t.same(seen, [
    [1, 1000, 'NodeStarted'],
    [2, 1000, 'NodeStarted'],
    [3, 1000, 'NodeStarted']
  ])
})

t.test('a slow subscriber loses its oldest events and is told how many', async (t) => {
  const hub = new EventHub({ eventQueueLengthMax: 2, eventSubscribersMax: 2 })
  const slow = hub.subscribe()
  for (const id of ['a', 'b', 'c', 'd', 'e']) hub.publish(event(id), wall)
  t.equal(slow.dropped, 3)
  hub.close()
  const sequences: number[] = []
  for await (const { sequence } of slow) sequences.push(sequence)
  t.same(sequences, [4, 5])
})

t.test('a waiting subscriber is woken by the next event, and by the end', async (t) => {
  const hub = new EventHub({ eventQueueLengthMax: 2, eventSubscribersMax: 2 })
  const iterator = hub.subscribe()[Symbol.asyncIterator]()
  const next = iterator.next()
  hub.publish(event('a'), wall)
  t.equal((await next).value.sequence, 1)
  const last = iterator.next()
  hub.close()
  t.equal((await last).done, true)
})

t.test('leaving the loop ends the subscription; the bound on subscribers holds', async (t) => {
  const hub = new EventHub({ eventQueueLengthMax: 2, eventSubscribersMax: 1 })
  const subscription = hub.subscribe()
  t.throws(() => hub.subscribe(), { code: 'ERR_SKEIN_BACKPRESSURE' })
  hub.publish(event('a'), wall)
  for await (const _ of subscription) break
  t.equal(hub.subscriberCount, 0)
  t.doesNotThrow(() => hub.subscribe())
})
