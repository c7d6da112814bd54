import t from 'tap'
import { BackpressureError } from '../../../src/core/errors.js'
import { must } from '../../../src/core/index.js'
import { TestCluster } from '../../support/consensus-cluster.js'

t.test('R-C09 a stuck engine is handed no more than the bound, and commits go on', async (t) => {
  const cluster = new TestCluster({ consensus: { unappliedBytesMax: 500 } })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k0 v')
  await cluster.untilCaughtUp()
  const slow = must(
    [...cluster.nodes.keys()].find((name) => name !== leader),
    'follower'
  )
  const engine = must(cluster.node(slow).engine, 'engine')
  const apply = engine.apply.bind(engine)
  let release = () => {}
  const stuck = new Promise<void>((resolve) => {
    release = resolve
  })
  engine.apply = async (commands, writes, index) => {
    await stuck
    return apply(commands, writes, index)
  }
  for (let i = 1; i <= 50; i++) await cluster.written(leader, `set k${i} ${'v'.repeat(100)}`)
  await cluster.clock.advance(100)
  const { commitIndex, emittedIndex } = cluster.group(slow).raft.status()
  const { appliedIndex } = cluster.group(slow).status()
  t.ok(commitIndex - appliedIndex >= 50, `${commitIndex} committed, ${appliedIndex} applied`)
  t.ok(emittedIndex - appliedIndex <= 5, `${emittedIndex} handed over`)
  release()
  await cluster.untilCaughtUp()
  t.equal(new Set(await cluster.hashes()).size, 1)
})

t.test('R-C09 a leader whose engine is slow refuses what its queue does not hold', async (t) => {
  const cluster = new TestCluster({
    engine: { latencyMs: 20 },
    consensus: { proposalQueueLengthMax: 10, batchCommandsMax: 4 }
  })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const writes = Array.from({ length: 40 }, (_, i) => cluster.write(leader, `set k${i} v`))
  const outcomes = await cluster.clock.settle(Promise.allSettled(writes))
  const refused = outcomes.filter(({ status }) => status === 'rejected')
  t.ok(refused.length >= 25, `${refused.length} refused`)
  t.ok(refused.every((one) => one.status === 'rejected' && one.reason instanceof BackpressureError))
  t.ok(outcomes.length - refused.length >= 10, 'what fitted was written')
  const { appliedIndex, commitIndex } = cluster.group(leader).status()
  t.equal(appliedIndex, commitIndex, 'a leader plans nothing before it has applied all')
})

t.test('the first batches of a leadership are small, so that nobody waits for all', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const writes = Array.from({ length: 60 }, (_, i) => cluster.write(leader, `set k${i} v`))
  const answers = await cluster.clock.settle(Promise.all(writes))
  const sizes = new Map<number, number>()
  for (const { index } of answers) sizes.set(index, (sizes.get(index) ?? 0) + 1)
  t.same([...sizes.values()], [8, 16, 32, 4])
})
