import t, { type Test } from 'tap'
import {
  after,
  BackpressureError,
  type ClientTag,
  type ErrorCode,
  IndeterminateError,
  type NodeId,
  NoLeaderError,
  NoQuorumError,
  Priorities,
  SqlConstraintError
} from '../../../src/core/index.js'
import { query } from '../../../src/routing/messages.js'
import { WriteEffects, writeEffectOf } from '../../../src/routing/write-effect.js'
import { someOf } from '../../support/thoroughness.js'
import {
  config,
  FakeCluster,
  FakeMessenger,
  memberOf,
  nodeIds,
  type Trouble
} from './fake-cluster.js'
import { fuzz } from './query-fuzz.js'

const abc = nodeIds('a', 'b', 'c')
const insert = "INSERT INTO t VALUES ('x')"

const rejectsWith = (t: Test, promise: Promise<unknown>, code: ErrorCode) =>
  t.rejects(promise, { code })

t.test('a write on a follower is forwarded to the leader, one hop, executed once', async (t) => {
  const cluster = new FakeCluster(abc)
  const result = await cluster.clock.settle(
    cluster.driver('b').execute(insert, { priority: Priorities.High })
  )
  t.match(result, { node: 'a', group: 0, index: 1, rowsAffected: 1 })
  t.same(cluster.executed, [insert])
  const queries = cluster.requests.filter(({ name }) => name === 'Query')
  t.same(queries, [{ from: 'b', to: 'a', name: 'Query', priority: Priorities.High }])
  t.match(cluster.driver('b').counters.snapshot(), { queries_routed: 1, queries_forwarded: 1 })
  t.equal(cluster.driver('a').counters.get('queries_served'), 1)
  t.equal(cluster.pendingTimers, 0, 'no timer is left')
})

t.test('R-M16 a removed node answers no read from the replica that it had', async (t) => {
  const [a, b, c] = abc as [NodeId, NodeId, NodeId]
  // The entry that removes it may have arrived or not.
  for (const heard of [abc, [b, c]]) {
    for (const consistency of ['linearizable', 'local'] as const) {
      const cluster = new FakeCluster(abc)
      cluster.leader = b
      cluster.voters = [b, c]
      cluster.beliefs.set(a, null)
      cluster.votersHeard.set(a, heard)
      // Nobody confirms it.
      cluster.readIndexMs.set(a, 1e9)
      const driver = cluster.driver('a')
      if (consistency === 'local') await cluster.clock.settle(driver.execute(insert))
      const read = driver.execute('SELECT 1', { consistency, timeoutMs: 1_000 })
      const { node } = await cluster.clock.settle(read)
      t.not(node, a, `${consistency}, it heard of ${heard}`)
    }
  }
})

t.test('a new voter that hears of its leader is believed, whatever was told before', async (t) => {
  const [a, b, c] = abc as [NodeId, NodeId, NodeId]
  const cluster = new FakeCluster(abc)
  cluster.leader = b
  cluster.beliefs.set(a, null)
  cluster.voters = [b, c]
  await cluster.clock.settle(cluster.driver('a').execute(insert))
  cluster.beliefs.delete(a)
  cluster.voters = abc
  const read = cluster.driver('a').execute('SELECT 1', { consistency: 'local' })
  t.match(await cluster.clock.settle(read), { node: a })
})

t.test('R-Q09 a replica that is too stale leaves a local read to another one', async (t) => {
  const cluster = new FakeCluster(abc)
  const [a, b, c] = abc as [NodeId, NodeId, NodeId]
  const read = (maxStalenessMs?: number) => {
    const bound = maxStalenessMs === undefined ? {} : { maxStalenessMs }
    const choices = { consistency: 'local', timeoutMs: 2_000, ...bound } as const
    return cluster.clock.settle(cluster.driver('b').execute('SELECT 1', choices))
  }
  cluster.stalenessMs.set(b, 90.5)
  t.match(await read(), { node: b, stalenessMs: 91 }, 'it may be as old as it is')
  t.match(await read(100), { node: b, stalenessMs: 91 })
  const elsewhere = await read(50)
  t.not(elsewhere.node, b)
  t.equal(elsewhere.stalenessMs, 0)
  for (const node of [a, c]) cluster.stalenessMs.set(node, 70)
  await rejectsWith(t, read(50), 'ERR_SKEIN_TOO_STALE')
  const linearizable = await cluster.clock.settle(cluster.driver('b').execute('SELECT 1'))
  t.notOk('stalenessMs' in linearizable)
  for (const [maxStalenessMs, consistency] of [
    [0, 'local'],
    [1.5, 'local'],
    [3_600_001, 'local'],
    [50, 'leader']
  ] as const) {
    const refused = cluster.driver('b').execute('SELECT 1', { maxStalenessMs, consistency })
    await rejectsWith(t, refused, 'ERR_SKEIN_INVALID_ARGUMENT')
  }
})

t.test('a list is one command with one result each', async (t) => {
  const cluster = new FakeCluster(abc)
  const results = await cluster.clock.settle(
    cluster.driver('c').execute([{ sql: insert }, { sql: 'SELECT 1' }])
  )
  t.equal(results.length, 2)
  t.same(cluster.executed, [insert, 'SELECT 1'], 'a list with a write goes to the leader whole')
})

t.test('what was forwarded is never forwarded again', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.beliefs.set(abc[1] as NodeId, abc[2] as NodeId)
  const result = await cluster.clock.settle(cluster.driver('b').execute(insert))
  t.equal(result.node, 'a', 'the origin followed the hint of c')
  const queries = cluster.requests.filter(({ name }) => name === 'Query')
  t.ok(queries.every(({ from }) => from === 'b'))
  t.same(cluster.executed, [insert])
})

t.test('R-C: the leader changes in the middle and the write goes on, exactly once', async (t) => {
  for (const when of ['before', 'after'] as const) {
    const cluster = new FakeCluster(abc)
    await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
    cluster.onWrite = () => {
      cluster.onWrite = null
      cluster.elect('c')
    }
    cluster.nextWrite = [{ when, error: new IndeterminateError('leadership was lost') }]
    const result = await cluster.clock.settle(cluster.driver('b').execute(insert))
    t.equal(result.node, 'c')
    t.same(cluster.executed, ['INSERT 0', insert], `executed ${when} the loss`)
  }
})

t.test('an answer lost on the way is asked for again under the same serial', async (t) => {
  const cluster = new FakeCluster(abc)
  await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
  cluster.trouble('a', 'answerLost', 'answerLost')
  const result = await cluster.clock.settle(cluster.driver('b').execute(insert))
  t.equal(result.index, 2)
  t.same(cluster.executed, ['INSERT 0', insert])
  t.equal(cluster.driver('b').counters.get('query_retries'), 2)
})

t.test('a silent leader is given up when another one is elected', async (t) => {
  const cluster = new FakeCluster(abc)
  await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
  cluster.trouble('a', 'silence')
  const begun = cluster.clock.now()
  const writing = cluster.driver('b').execute(insert, { timeoutMs: 60_000 })
  await cluster.clock.advance(300)
  cluster.elect('c')
  t.equal((await cluster.clock.settle(writing)).node, 'c')
  t.ok(cluster.clock.now() - begun < 1_000, 'long before the deadline')
})

t.test('all that a lost leader had taken goes on, however few retries may be made', async (t) => {
  const cluster = new FakeCluster(abc, [], { retryBudgetRatio: 0, retryBudgetMinPerSecond: 0 })
  await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
  const count = 50
  cluster.trouble('a', ...Array<Trouble>(count).fill('silence'))
  const writes = Array.from({ length: count }, (_, i) =>
    cluster.driver('b').execute(`INSERT INTO t VALUES (${i})`, { timeoutMs: 60_000 })
  )
  await cluster.clock.advance(300)
  cluster.elect('c')
  await cluster.clock.settle(Promise.all(writes))
  t.equal(new Set(cluster.executed).size, count + 1)
  t.equal(cluster.executed.length, count + 1, 'each once')
})

t.test('what was given up and cannot go on is in doubt, not cancelled by its caller', async (t) => {
  const cluster = new FakeCluster(abc, [], { retryBudgetRatio: 0, retryBudgetMinPerSecond: 0 })
  await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
  cluster.trouble('a', 'silence')
  const writing = cluster.driver('b').execute(insert, { timeoutMs: 60_000 })
  await cluster.clock.advance(300)
  // Where the group lives is asked first.
  cluster.trouble('c', 'silence', 'silence')
  cluster.elect('c')
  await cluster.clock.advance(10_000)
  cluster.elect('a')
  await rejectsWith(t, cluster.clock.settle(writing), 'ERR_SKEIN_INDETERMINATE')
})

t.test('when the deadline passes with an unknown outcome it is indeterminate', async (t) => {
  const cluster = new FakeCluster(abc)
  await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
  cluster.trouble('a', 'silence')
  const begun = cluster.clock.now()
  const writing = cluster.driver('b').execute(insert, { timeoutMs: 700 })
  await rejectsWith(t, cluster.clock.settle(writing), 'ERR_SKEIN_INDETERMINATE')
  t.equal(cluster.clock.now() - begun, 700)
  t.equal(cluster.driver('b').counters.get('queries_indeterminate'), 1)
  t.equal(cluster.pendingTimers, 0)
})

t.test('a doubt is never resolved by a later error of the statement', async (t) => {
  const cluster = new FakeCluster(abc)
  await cluster.clock.settle(cluster.driver('a').execute('INSERT 0'))
  cluster.nextWrite = [
    { when: 'before', error: new IndeterminateError('unknown') },
    { when: 'before', error: new SqlConstraintError('UNIQUE') }
  ]
  const writing = cluster.driver('a').execute(insert)
  await rejectsWith(t, cluster.clock.settle(writing), 'ERR_SKEIN_INDETERMINATE')
})

t.test('the statement’s own error is the answer, at once', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.nextWrite = [{ when: 'before', error: new SqlConstraintError('UNIQUE') }]
  const writing = cluster.driver('b').execute(insert)
  await rejectsWith(t, cluster.clock.settle(writing), 'ERR_SKEIN_SQL_CONSTRAINT')
  t.equal(cluster.driver('b').counters.get('routing_failures'), 0)
})

t.test('without a leader a write waits, and ends when one is elected', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.elect(null)
  const writing = cluster.driver('b').execute(insert)
  await cluster.clock.advance(2_000)
  t.ok(cluster.driver('b').counters.get('queries_waiting') >= 0)
  t.same(cluster.executed, [])
  cluster.elect('b')
  const elected = cluster.clock.now()
  await cluster.clock.settle(writing)
  t.ok(cluster.clock.now() - elected < 100, 'it was woken')
  t.same(cluster.executed, [insert])
})

t.test('without a leader for want of a quorum, the error names who is missing', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.elect(null)
  const [a, b, c] = abc as [NodeId, NodeId, NodeId]
  cluster.quorumFault = new NoQuorumError('a and c are missing', {
    details: { needed: 2, present: [b], missing: [a, c] }
  })
  const writing = cluster.driver('b').execute(insert, { timeoutMs: 1_500 })
  await t.rejects(cluster.clock.settle(writing), {
    code: 'ERR_SKEIN_NO_QUORUM',
    retryable: true,
    details: { needed: 2, present: [b], missing: [a, c] }
  })
  t.same(cluster.executed, [])
  cluster.elect('a')
  await cluster.clock.settle(cluster.driver('b').execute(insert))
  t.same(cluster.executed, [insert], 'the guard holds up nothing that has a leader')
})

t.test('without a leader until the deadline nothing is proposed, and that is said', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.elect(null)
  const begun = cluster.clock.now()
  const writing = cluster.driver('b').execute(insert, { timeoutMs: 1_500 })
  await rejectsWith(t, cluster.clock.settle(writing), 'ERR_SKEIN_NO_LEADER')
  t.equal(cluster.clock.now() - begun, 1_500)
  t.same(cluster.executed, [])
})

t.test('back-pressure is answered by a pause and another attempt, within a bound', async (t) => {
  const cluster = new FakeCluster(abc)
  await cluster.clock.settle(cluster.driver('a').execute('INSERT 0'))
  const refuse = { when: 'before', error: new BackpressureError('full') } as const
  cluster.nextWrite = [refuse, refuse]
  const begun = cluster.clock.now()
  await cluster.clock.settle(cluster.driver('a').execute(insert))
  t.ok(cluster.clock.now() - begun >= config.routing.retryBackoffMs, 'it paused')
  t.same(cluster.executed, ['INSERT 0', insert])
  cluster.nextWrite = Array(50).fill(refuse)
  await rejectsWith(
    t,
    cluster.clock.settle(cluster.driver('a').execute(insert)),
    'ERR_SKEIN_BACKPRESSURE'
  )
  t.equal(50 - cluster.nextWrite.length, config.routing.retriesMax + 1)
})

t.test('a client of its own numbering is executed once under its serial', async (t) => {
  const cluster = new FakeCluster(abc)
  const client = { clientId: 'me', serial: 1, answeredBelow: 1 } as unknown as ClientTag
  const unknown = cluster.driver('b').execute(insert, { client })
  await rejectsWith(t, cluster.clock.settle(unknown), 'ERR_SKEIN_CLIENT_EXPIRED')
  await cluster.clock.settle(cluster.driver('b').registerClient(client.clientId))
  const first = await cluster.clock.settle(cluster.driver('b').execute(insert, { client }))
  const again = await cluster.clock.settle(cluster.driver('c').execute(insert, { client }))
  t.equal(again.index, first.index)
  t.same(cluster.executed, [insert])
})

t.test('when its own client expired it makes another, if nothing is in doubt', async (t) => {
  const cluster = new FakeCluster(abc)
  await cluster.clock.settle(cluster.driver('b').execute('INSERT 0'))
  cluster.clients.clear()
  await cluster.clock.settle(cluster.driver('b').execute(insert))
  t.same(cluster.executed, ['INSERT 0', insert])
  cluster.nextWrite = [{ when: 'after', error: new IndeterminateError('unknown') }]
  cluster.onWrite = () => {
    if (cluster.nextWrite.length === 0) cluster.clients.clear()
  }
  const writing = cluster.driver('b').execute('INSERT 2')
  await rejectsWith(t, cluster.clock.settle(writing), 'ERR_SKEIN_INDETERMINATE')
  t.same(cluster.executed, ['INSERT 0', insert, 'INSERT 2'], 'and not a second time')
})

t.test('numbers of its own writes rise, and the low-water mark follows the answers', async (t) => {
  const cluster = new FakeCluster(abc)
  const writes = Array.from({ length: 40 }, (_, i) => cluster.driver('b').execute(`INSERT ${i}`))
  await cluster.clock.settle(Promise.all(writes))
  t.equal(new Set(cluster.executed).size, 40)
  t.equal(cluster.executed.length, 40)
  t.equal(cluster.clients.size, 1, 'one registration, shared')
  await cluster.clock.settle(cluster.driver('b').execute(insert))
  t.same([...cluster.answeredBelow.values()], [41])
})

t.test(
  'a linearizable read runs at a replica, behind an index that a quorum confirmed',
  async (t) => {
    const cluster = new FakeCluster(abc)
    await cluster.clock.settle(cluster.driver('a').execute(insert))
    const result = await cluster.clock.settle(cluster.driver('b').execute('SELECT n FROM t'))
    t.equal(result.node, 'b', 'its own replica is the nearest')
    t.same(cluster.reads, [{ node: 'b', atLeastIndex: 1 }])
    t.same(result.rows, [[1]])
  }
)

t.test(
  'leader reads run on the leader, local ones here, and both keep to the session',
  async (t) => {
    const cluster = new FakeCluster(abc)
    const driver = cluster.driver('b')
    await cluster.clock.settle(driver.execute('SELECT 1', { consistency: 'leader' }))
    await cluster.clock.settle(
      driver.execute('SELECT 1', { consistency: 'local', atLeastIndex: 5 as never })
    )
    t.same(cluster.reads, [
      { node: 'a', atLeastIndex: 0 },
      { node: 'b', atLeastIndex: 5 }
    ])
  }
)

t.test('a read that fails on one node is tried on another', async (t) => {
  const cluster = new FakeCluster(nodeIds('a', 'b'), nodeIds('x'))
  await cluster.clock.settle(cluster.driver('x').execute(insert))
  cluster.trouble('a', 'answerLost', 'answerLost')
  cluster.trouble('b', 'notSent')
  const result = await cluster.clock.settle(cluster.driver('x').execute('SELECT 1'))
  t.same(result.rows, [[1]])
})

t.test('a read that failed everywhere goes round, whichever node looks the best', async (t) => {
  const cluster = new FakeCluster(abc)
  for (const slow of abc.slice(1)) cluster.readIndexMs.set(slow, 50)
  for (const health of ['degraded', 'healthy'] as const) {
    cluster.members.set('b' as NodeId, memberOf('b' as NodeId, { health }))
    for (let i = 0; i < 120; i++) {
      await cluster.clock.settle(cluster.driver('b').execute('SELECT 1'))
    }
  }
  const best = cluster.driver('b').route('SELECT 1').node
  t.equal(best, 'a', 'the quickest so far, which is gone now')
  cluster.trouble('a', ...Array(1_000).fill('notSent'))
  for (const node of abc.slice(1)) cluster.nextRead.set(node, [new NoLeaderError('none yet')])
  const begun = cluster.clock.now()
  const reading = cluster.driver('b').execute('SELECT 1', { timeoutMs: 60_000 })
  t.not((await cluster.clock.settle(reading)).node, 'a')
  t.ok(cluster.clock.now() - begun < 1_000, 'long before the deadline')
})

t.test('a node without a replica learns where the group lives', async (t) => {
  const cluster = new FakeCluster(abc, nodeIds('x'))
  const driver = cluster.driver('x')
  t.throws(() => driver.route(insert), { code: 'ERR_SKEIN_NO_ELIGIBLE_NODE' })
  t.equal((await cluster.clock.settle(driver.execute(insert))).node, 'a')
  t.equal(driver.route(insert).node, 'a')
  t.ok(cluster.requests.some(({ from, name }) => from === 'x' && name === 'Placement'))
  cluster.elect('c')
  cluster.trouble('a', 'notSent', 'notSent', 'notSent', 'notSent')
  t.equal((await cluster.clock.settle(driver.execute('INSERT 2'))).node, 'c')
  t.same(cluster.executed, [insert, 'INSERT 2'])
})

t.test('queries in flight are bounded', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.elect(null)
  const driver = cluster.driver('a')
  const max = config.routing.queriesInFlightMax
  const priority = Priorities.Critical
  const ask = () => driver.execute(insert, { timeoutMs: 50, priority })
  const waiting = Array.from({ length: max }, ask)
  const all = Promise.allSettled(waiting)
  await rejectsWith(t, ask(), 'ERR_SKEIN_BACKPRESSURE')
  await cluster.clock.settle(all)
  t.equal(driver.counters.get('queries_in_flight'), 0)
  t.equal(driver.counters.get('queries_refused'), 1)
})

t.test('limits that change at run time hold for what begins afterwards', async (t) => {
  const cluster = new FakeCluster(abc)
  const driver = cluster.driver('a')
  await cluster.clock.settle(driver.execute(insert))
  const changed = { ...config.routing, queriesInFlightMax: 2, queryTimeoutMs: 40, retriesMax: 1 }
  driver.reconfigure({ ...changed, retryBackoffMs: 400, strategy: 'random' })
  t.equal(driver.view.strategy, 'random')
  const refuse = { when: 'before', error: new BackpressureError('full') } as const
  cluster.nextWrite = Array(9).fill(refuse)
  const begun = cluster.clock.now()
  const paused = cluster.clock.settle(driver.execute(insert, { timeoutMs: 60_000 }))
  await rejectsWith(t, paused, 'ERR_SKEIN_BACKPRESSURE')
  t.equal(9 - cluster.nextWrite.length, 2, 'one retry')
  t.ok(cluster.clock.now() - begun >= 200, 'after the longer pause')
  cluster.nextWrite = []
  cluster.elect(null)
  const asked = cluster.clock.now()
  const priority = Priorities.Critical
  const waiting = Promise.allSettled([1, 2].map(() => driver.execute(insert, { priority })))
  await rejectsWith(t, driver.execute(insert, { priority }), 'ERR_SKEIN_BACKPRESSURE')
  await cluster.clock.settle(waiting)
  t.ok(cluster.clock.now() - asked < 400, 'the shorter deadline')
  t.throws(() => driver.reconfigure({ ...changed, strategy: 'magic' }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT'
  })
})

t.test('a caller that cancels hears so at once, wherever its query is', async (t) => {
  const cluster = new FakeCluster(abc)
  const here = new AbortController()
  cluster.trouble('a', 'silence')
  const reading = cluster
    .driver('c')
    .execute('SELECT 1', { signal: here.signal, consistency: 'leader' })
  await cluster.clock.advance(10)
  here.abort()
  await rejectsWith(t, cluster.clock.settle(reading), 'ERR_SKEIN_CANCELLED')
  cluster.elect(null)
  const there = new AbortController()
  const writing = cluster.driver('c').execute(insert, { signal: there.signal })
  await cluster.clock.advance(10)
  there.abort()
  await rejectsWith(t, cluster.clock.settle(writing), 'ERR_SKEIN_CANCELLED')
  const before = cluster.driver('c').execute(insert, { signal: AbortSignal.abort() })
  await rejectsWith(t, cluster.clock.settle(before), 'ERR_SKEIN_CANCELLED')
})

t.test('a result that is too large is refused by its code, also after the hop', async (t) => {
  const cluster = new FakeCluster(abc)
  const rows = Array(1000).fill(['y'.repeat(1000)])
  const huge = { columns: ['a'], rows, rowsAffected: 0, lastInsertRowid: null }
  cluster.readAnswer = { results: [huge], index: 1 as never }
  for (const options of [{ consistency: 'local' }, { consistency: 'leader' }] as const) {
    const reading = cluster.driver('b').execute('SELECT 1', options)
    await rejectsWith(t, cluster.clock.settle(reading), 'ERR_SKEIN_RESULT_TOO_LARGE')
  }
})

t.test('a write that was executed and whose result is too large says so', async (t) => {
  const cluster = new FakeCluster(abc)
  const rows = Array(1000).fill(['y'.repeat(1000)])
  cluster.writeResult = { columns: ['a'], rows, rowsAffected: 1, lastInsertRowid: null }
  for (const node of ['a', 'b']) {
    const writing = cluster.driver(node).execute(insert)
    const error = await cluster.clock.settle(writing.catch((thrown: unknown) => thrown))
    t.match(error, { code: 'ERR_SKEIN_RESULT_TOO_LARGE', details: { executed: true } })
    t.equal(writeEffectOf(error), WriteEffects.Done)
  }
  t.same(cluster.executed, [insert, insert])
})

t.test('what another node forwards is executed here or refused with the leader', async (t) => {
  const cluster = new FakeCluster(abc)
  const ask = (identity: ConstructorParameters<typeof FakeMessenger>[1]) =>
    new FakeMessenger(cluster, identity).request(
      'b' as NodeId,
      query,
      {
        group: 0 as never,
        kind: 'write',
        consistency: 'linearizable',
        atLeastIndex: 0 as never,
        statements: [{ sql: insert }],
        client: null
      },
      { deadline: after(cluster.clock.now(), 500) }
    )
  const forwarded = ask({ kind: 'node', nodeId: 'c' as NodeId, clusterName: 'c' })
  await t.rejects(cluster.clock.settle(forwarded), {
    code: 'ERR_SKEIN_NOT_LEADER',
    leaderHint: 'a'
  })
  t.same(cluster.executed, [])
  const answer = await cluster.clock.settle(ask({ kind: 'client', name: 'app', clusterName: 'c' }))
  t.equal(answer.node, 'a', 'a client’s query is routed')
  t.same(cluster.executed, [insert])
})

t.test('stopping ends what waits and refuses what comes', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.elect(null)
  const driver = cluster.driver('a')
  const waiting = driver.execute(insert)
  await cluster.clock.advance(5)
  const stopping = driver.stop(after(cluster.clock.now(), 1_000))
  await rejectsWith(t, cluster.clock.settle(waiting), 'ERR_SKEIN_STOPPED')
  await cluster.clock.settle(stopping)
  await rejectsWith(t, driver.execute(insert), 'ERR_SKEIN_STOPPED')
})

t.test('wrong arguments are named', async (t) => {
  const driver = new FakeCluster(abc).driver('a')
  const refuse = (promise: Promise<unknown>, field: string) =>
    t.rejects(promise, {
      code: 'ERR_SKEIN_INVALID_ARGUMENT',
      details: { field }
    } as object as Error)
  await refuse(driver.execute([]), 'statements')
  await refuse(driver.execute('SELECT ?', { params: [true as never] }), 'statements[0].params[0]')
  await refuse(driver.execute('SELECT ?', { params: [2n ** 63n] }), 'statements[0].params[0]')
  await refuse(driver.execute('SELECT :a', { params: { a: Number.NaN } }), 'statements[0].params.a')
  await refuse(driver.execute('SELECT 1', { consistency: 'strong' as never }), 'consistency')
  await refuse(driver.execute('SELECT 1', { timeoutMs: 0 }), 'timeoutMs')
  t.throws(() => driver.setStrategy('fastest' as never), { message: /^strategy: must be/ })
})

t.test('random troubles never execute a write twice, and never hide one', async (t) => {
  for (let seed = 1; seed <= someOf(60); seed++) {
    const outcome = await fuzz(seed)
    t.same(outcome.twice, [], `seed ${seed}: nothing twice`)
    t.same(outcome.missing, [], `seed ${seed}: every acknowledged write is there`)
    t.same(outcome.denied, [], `seed ${seed}: nothing that was denied is there`)
  }
})

t.test('S1 load balancer metrics: what is routed, fails, stays near, and goes far', async (t) => {
  const cluster = new FakeCluster(abc)
  cluster.members.set('a' as NodeId, memberOf('a' as NodeId, { datacenter: 'far' }))
  const driver = cluster.driver('b')
  const counted = () => driver.counters.snapshot()
  await cluster.clock.settle(driver.execute('SELECT 1', { consistency: 'local' }))
  t.match(counted(), { queries_routed: 1, locality_hits: 1, cross_dc_queries: 0 })
  await cluster.clock.settle(driver.execute(insert))
  t.match(counted(), { queries_routed: 2, locality_hits: 1, cross_dc_queries: 1 })
  t.match(counted(), { queries_forwarded: 1, routing_failures: 0 })
  t.match(cluster.driver('a').counters.snapshot(), { queries_routed: 0, queries_served: 1 })
  cluster.trouble('a', 'answerLost')
  await cluster.clock.settle(driver.execute(insert))
  t.match(counted(), { queries_routed: 3, cross_dc_queries: 3, query_retries: 1 }, 'per attempt')
  cluster.elect(null)
  const late = driver.execute(insert, { timeoutMs: 50 })
  await t.rejects(cluster.clock.settle(late), { code: 'ERR_SKEIN_NO_LEADER' })
  t.match(counted(), { queries_routed: 4, routing_failures: 1 })
  t.throws(() => driver.route('SELEC 1'), { code: 'ERR_SKEIN_SQL' })
  t.match(counted(), { routing_failures: 1 }, 'the caller’s own error is an answer')
})

t.test('a strategy changes at run time, and is told', async (t) => {
  const cluster = new FakeCluster(abc)
  const driver = cluster.driver('b')
  const events: unknown[] = []
  driver.onEvent((event) => events.push(event))
  driver.setStrategy('round-robin')
  driver.setStrategy('round-robin')
  t.same(events, [
    { type: 'RoutingStrategyChanged', strategy: 'round-robin', previous: 'adaptive' }
  ])
  const nodes: string[] = []
  for (let i = 0; i < 3; i++) {
    nodes.push((await cluster.clock.settle(driver.execute('SELECT 1'))).node)
  }
  t.same(nodes, ['a', 'b', 'c'])
  t.equal(driver.view.strategy, 'round-robin')
  t.equal(driver.view.lastDecisions().at(-1)?.decision?.node, 'c')
})

t.test(
  'answers tell how busy a node is, and old nodes that tell less are understood',
  async (t) => {
    const cluster = new FakeCluster(abc)
    const driver = cluster.driver('b')
    driver.setStrategy({ name: 'first', choose: () => 0 })
    await cluster.clock.settle(driver.execute('SELECT 1'))
    driver.setStrategy('adaptive')
    const told = driver.explain('SELECT 1').candidates.find(({ node }) => node === 'a')
    const utilisation = told?.factors.find(({ name }) => name.startsWith('utilisation'))
    t.match(utilisation, { raw: 0 })
    t.not(utilisation?.ageMs, null)
    t.not(utilisation?.normalized, null)
  }
)
