import t from 'tap'
import {
  type MonotonicMs,
  NEVER,
  NoQuorumError,
  Priorities,
  type Priority
} from '../../../src/core/index.js'
import { type Buffered, LeaderBuffer } from '../../../src/routing/leader-buffer.js'
import { FakeCluster, nodeIds } from './fake-cluster.js'

const at = (ms: number) => ms as MonotonicMs
const abc = nodeIds('a', 'b', 'c')

function itemOf(order: number, changes: Partial<Buffered> = {}): Buffered {
  return { order, priority: Priorities.Normal, sizeBytes: 10, readyAt: at(0), ...changes }
}

t.test('it holds so many and so much, and refuses the rest', async (t) => {
  const limits = { bufferedQueriesMax: 3, bufferedBytesMax: 100, bufferDrainMax: 2 }
  const buffer = new LeaderBuffer(limits)
  t.ok(buffer.enter(itemOf(1, { sizeBytes: 500 })), 'one alone may be larger')
  t.notOk(buffer.enter(itemOf(2)))
  const other = new LeaderBuffer(limits)
  const items = [1, 2, 3].map((order) => itemOf(order, { sizeBytes: 30 }))
  t.same(
    items.map((item) => other.enter(item)),
    [true, true, true]
  )
  t.notOk(other.enter(itemOf(4)), 'by count')
  other.leave(items[0] as Buffered)
  other.leave(items[0] as Buffered)
  t.same([other.length, other.bytes], [2, 60])
  t.notOk(other.enter(itemOf(5, { sizeBytes: 41 })), 'by bytes')
  t.ok(other.enter(itemOf(6, { sizeBytes: 40 })))
})

t.test('nobody goes on without a leader, then a few at a time, in order', async (t) => {
  const limits = { bufferedQueriesMax: 10, bufferedBytesMax: 1_000, bufferDrainMax: 2 }
  const buffer = new LeaderBuffer(limits)
  const low = itemOf(1, { priority: Priorities.Low })
  const [second, third] = [itemOf(2), itemOf(3, { readyAt: at(50) })]
  for (const item of [low, third, second]) buffer.enter(item)
  t.equal(buffer.next(false, at(0)), null)
  t.equal(buffer.next(true, at(0)), second)
  t.equal(buffer.next(true, at(0)), low, 'the third has not finished its pause')
  t.equal(buffer.nextReadyAt(), NEVER, 'all turns are taken')
  t.equal(buffer.next(true, at(60)), null)
  buffer.handleEnded()
  t.equal(buffer.nextReadyAt(), 50)
  t.equal(buffer.next(true, at(10)), null)
  buffer.handleLeaderChanged(at(10))
  t.equal(buffer.next(true, at(10)), third, 'a new leader ends pauses')
  buffer.handleEnded()
  buffer.handleEnded()
  t.throws(() => buffer.handleEnded(), /ended twice/)
})

const insert = (name: string) => `INSERT ${name}`

async function leaderless(routing: object = {}) {
  const cluster = new FakeCluster(abc, [], routing)
  await cluster.clock.settle(cluster.driver('b').execute(insert('first')))
  cluster.elect(null)
  return cluster
}

t.test('without a leader queries wait, and go on by priority when one is there', async (t) => {
  const cluster = await leaderless({ bufferDrainMax: 1 })
  const ask = (name: string, priority: Priority) =>
    cluster.driver('b').execute(insert(name), { priority })
  const { Critical, High, Normal, Low } = Priorities
  const all = [
    ask('l1', Low),
    ask('n1', Normal),
    ask('h1', High),
    ask('n2', Normal),
    ask('c1', Critical)
  ]
  await cluster.clock.advance(1_000)
  t.same(cluster.executed, ['INSERT first'])
  t.match(cluster.driver('b').counters.snapshot(), { queries_buffered_now: 5 })
  cluster.elect('c')
  await cluster.clock.settle(Promise.all(all))
  t.same(cluster.executed.slice(1), ['c1', 'h1', 'n1', 'n2', 'l1'].map(insert))
  t.match(cluster.driver('b').counters.snapshot(), {
    queries_buffered_now: 0,
    queries_buffer_released: 5,
    queries_buffer_expired: 0
  })
  t.equal(cluster.pendingTimers, 0)
})

t.test('each is executed once, though the new leader falls too', async (t) => {
  const cluster = await leaderless({ bufferDrainMax: 2 })
  const names = Array.from({ length: 20 }, (_, i) => `w${i}`)
  const all = names.map((name) => cluster.driver('b').execute(insert(name), { timeoutMs: 9_000 }))
  await cluster.clock.advance(300)
  cluster.trouble('c', 'answerLost', 'silence')
  cluster.elect('c')
  await cluster.clock.advance(200)
  cluster.elect(null)
  await cluster.clock.advance(300)
  cluster.elect('a')
  await cluster.clock.settle(Promise.all(all))
  t.same([...cluster.executed.slice(1)].sort(), names.map(insert).sort(), 'none twice, none lost')
})

t.test('a full room refuses at once and says what to do', async (t) => {
  const cluster = await leaderless({ bufferedQueriesMax: 2 })
  const waiting = ['w1', 'w2'].map((name) => cluster.driver('b').execute(insert(name)))
  await cluster.clock.advance(10)
  const begun = cluster.clock.now()
  await t.rejects(cluster.clock.settle(cluster.driver('b').execute(insert('w3'))), {
    code: 'ERR_SKEIN_BUFFER_FULL',
    retryable: true,
    details: { waiting: 2, retryAfterMs: Number }
  })
  t.ok(cluster.clock.now() - begun < 5)
  cluster.elect('a')
  await cluster.clock.settle(Promise.all(waiting))
  t.equal(cluster.driver('b').counters.get('queries_buffer_refused'), 1)
})

t.test('the window ends a wait whose deadline is far; the deadline ends it sooner', async (t) => {
  const cluster = await leaderless({ bufferWindowMs: 2_000 })
  const begun = cluster.clock.now()
  await t.rejects(
    cluster.clock.settle(cluster.driver('b').execute(insert('w'), { timeoutMs: 60_000 })),
    { code: 'ERR_SKEIN_NO_LEADER', message: /waited 20\d\d ms|waited 19\d\d ms/ }
  )
  t.ok(cluster.clock.now() - begun < 2_200)
  await t.rejects(
    cluster.clock.settle(cluster.driver('b').execute(insert('w'), { timeoutMs: 500 })),
    { code: 'ERR_SKEIN_NO_LEADER' }
  )
  cluster.quorumFault = new NoQuorumError('too few', { details: { missing: ['c'] } })
  await t.rejects(
    cluster.clock.settle(cluster.driver('b').execute(insert('w'), { timeoutMs: 60_000 })),
    { code: 'ERR_SKEIN_NO_QUORUM' },
    'it names the cause where it is known'
  )
  t.equal(cluster.driver('b').counters.get('queries_buffer_expired'), 3)
  t.equal(cluster.pendingTimers, 0)
})

t.test('who is cancelled or stopped waits no more', async (t) => {
  const cluster = await leaderless()
  const controller = new AbortController()
  const { signal } = controller
  const cancelled = cluster.driver('b').execute(insert('w1'), { signal })
  const stopped = cluster.driver('b').execute(insert('w2'))
  await cluster.clock.advance(100)
  controller.abort()
  await t.rejects(cluster.clock.settle(cancelled), { code: 'ERR_SKEIN_CANCELLED' })
  const stopping = cluster.driver('b').stop(at(cluster.clock.now() + 1_000))
  await t.rejects(cluster.clock.settle(stopped), { code: 'ERR_SKEIN_STOPPED' })
  await cluster.clock.settle(stopping)
  t.equal(cluster.driver('b').counters.get('queries_buffered_now'), 0)
})

t.test('a node without a replica learns of the new leader by asking', async (t) => {
  const cluster = new FakeCluster(abc, nodeIds('r'))
  await cluster.clock.settle(cluster.driver('r').execute(insert('first')))
  cluster.leader = null
  cluster.term++
  const writing = cluster.driver('r').execute(insert('w'))
  await cluster.clock.advance(700)
  cluster.leader = abc[1] as never
  cluster.term++
  const begun = cluster.clock.now()
  t.equal((await cluster.clock.settle(writing)).node, 'b')
  t.ok(cluster.clock.now() - begun < 500)
})

t.test('a registration that waits for a dead leader is given up for the new one', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.trouble('a', 'silence')
  const begun = cluster.clock.now()
  const writing = cluster.driver('b').execute(insert('w'), { timeoutMs: 60_000 })
  await cluster.clock.advance(300)
  cluster.elect('c')
  t.equal((await cluster.clock.settle(writing)).node, 'c')
  t.ok(cluster.clock.now() - begun < 1_000, 'not at the end of its time')
  t.same(cluster.executed, [insert('w')])
})
