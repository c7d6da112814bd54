import t from 'tap'
import {
  type MonotonicMs,
  Priorities,
  type Priority,
  SplittableRandom
} from '../../../../src/core/index.js'
import { PriorityQueue } from '../../../../src/routing/overload/priority-queue.js'
import { Shedder } from '../../../../src/routing/overload/shedder.js'

const at = (ms: number) => ms as MonotonicMs
const options = { queueDelayTargetMs: 50, queueDelayIntervalMs: 500 }
const none = () => 0
const all = Object.values(Priorities)

const taken = (shedder: Shedder, occupancy: number, oldestMs: number, now: number) =>
  all.filter((one) => shedder.refusalOf(one, occupancy, () => oldestMs, at(now)) === null)

t.test('the longer all wait, the more important a query must be', async (t) => {
  const { Critical, High, Normal } = Priorities
  for (const [delayMs, expected] of [
    [0, all],
    [49, all],
    [50, [Critical, High, Normal]],
    [99, [Critical, High, Normal]],
    [100, [Critical, High]],
    [200, [Critical]],
    [60_000, [Critical]]
  ] as const) {
    const shedder = new Shedder(options, at(0))
    for (let now = 0; now <= 500; now += 100) {
      shedder.noteStart(Priorities.Critical, delayMs + now / 10, none, at(now))
    }
    t.same(taken(shedder, 0, 0, 510), expected, `${delayMs} ms`)
  }
})

t.test('one query that did not wait shows that nothing stands', async (t) => {
  const shedder = new Shedder(options, at(0))
  for (let now = 0; now < 500; now += 10) {
    shedder.noteStart(Priorities.Low, now === 200 ? 0 : 900, none, at(now))
  }
  t.same(taken(shedder, 0, 0, 505), all)
})

t.test('the important overtake: their short waits say nothing of the others', async (t) => {
  const shedder = new Shedder(options, at(0))
  for (let now = 0; now < 500; now += 10) {
    shedder.noteStart(Priorities.Critical, 0, none, at(now))
    shedder.noteStart(Priorities.Low, 60, none, at(now))
  }
  const { Critical, High, Normal } = Priorities
  t.same(taken(shedder, 0, 0, 505), [Critical, High, Normal])
})

t.test('nothing begins although something waits: what waits longest tells', async (t) => {
  const shedder = new Shedder(options, at(0))
  t.same(taken(shedder, 0, 700, 700), [Priorities.Critical])
  t.same(taken(shedder, 0, 0, 800), [Priorities.Critical], 'until the interval is over')
  t.same(taken(shedder, 0, 0, 1_300), all)
})

t.test('shares of the bound', async (t) => {
  const shedder = new Shedder(options, at(0))
  for (const [occupancy, count] of [
    [0.69, 4],
    [0.7, 3],
    [0.85, 2],
    [0.95, 1],
    [0.999, 1],
    [1, 0]
  ] as const) {
    t.same(taken(shedder, occupancy, 0, 10), all.slice(0, count), `${occupancy}`)
  }
  t.match(
    shedder.refusalOf(Priorities.Low, 0.8, () => 0, at(10)),
    { retryAfterMs: 500, reason: /80 %/ }
  )
})

t.test('the queue is a sorted list', async (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = SplittableRandom.fromSeed(seed)
    const queue = new PriorityQueue<{ priority: Priority; order: number }>()
    let twin: { priority: Priority; order: number }[] = []
    for (let i = 0; i < 100; i++) {
      const item = { priority: random.nextInt(4) as Priority, order: random.nextInt(1_000) }
      const act = random.nextInt(4)
      if (act < 2) {
        queue.add(item)
        twin.push(item)
        twin.sort((one, other) => one.priority - other.priority || one.order - other.order)
      } else if (act === 2) {
        const first = queue.shift()
        t.same(first, twin[0] ?? null)
        twin = twin.slice(1)
      } else {
        const odd = (one: { order: number }) => one.order % 2 === 1
        const found = queue.first(odd)
        t.same(found, twin.find(odd) ?? null)
        if (found !== null) {
          queue.remove(found)
          twin = twin.filter((one) => one !== found)
        }
      }
      t.equal(queue.length, twin.length)
    }
    t.same([...queue], twin, `seed ${seed}`)
  }
})
