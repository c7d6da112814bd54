/** What a write's own fault rests on: nothing that was not committed, and no state of the past. */
import t from 'tap'
import { TestCluster } from '../../support/consensus-cluster.js'
import { HeldPlans } from '../../support/held-plans.js'

function withHeldPlans() {
  const plans = new HeldPlans()
  const cluster = new TestCluster({ wrap: plans.wrap })
  return { cluster, plans }
}

async function ledBy(cluster: TestCluster): Promise<string> {
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k old')
  return leader
}

t.test('a write that fails by one before it is told when that is committed', async (t) => {
  const { cluster, plans } = withHeldPlans()
  const leader = await ledBy(cluster)
  plans.hold()
  const writes = [cluster.write(leader, 'set k new')]
  await cluster.clock.until(() => plans.heldCount === 1)
  writes.push(cluster.write(leader, 'expect k old'))
  const told: string[] = []
  for (const write of writes) {
    write.then(
      () => told.push('done'),
      ({ code }: { readonly code: string }) => told.push(code)
    )
  }
  plans.release()
  await cluster.clock.settle(Promise.allSettled(writes))
  t.same(told, ['done', 'ERR_SKEIN_SQL_CONSTRAINT'], 'in this order')
})

t.test('a write that fails by one that is lost is not told of it', async (t) => {
  const { cluster, plans } = withHeldPlans()
  const leader = await ledBy(cluster)
  plans.hold()
  const lost = cluster.write(leader, 'set k new')
  await cluster.clock.until(() => plans.heldCount === 1)
  const failing = cluster.write(leader, 'expect k old')
  cluster.network.isolate(cluster.node(leader).id)
  plans.release()
  const answers = Promise.all([
    t.rejects(lost, { code: 'ERR_SKEIN_INDETERMINATE' }),
    t.rejects(failing, { code: 'ERR_SKEIN_NOT_LEADER' }, 'nothing was done, and nothing was seen')
  ])
  await cluster.clock.settle(answers)
  await cluster.clock.until(() => cluster.leader() !== leader && cluster.leader() !== null)
  const next = await cluster.untilLeader()
  t.equal(await cluster.read(next, 'k'), 'old')
})

t.test('who leads no more does not tell that a write fails', async (t) => {
  const { cluster, plans } = withHeldPlans()
  const leader = await ledBy(cluster)
  plans.hold()
  const failing = cluster.write(leader, 'expect k new')
  await cluster.clock.until(() => plans.heldCount === 1)
  cluster.network.isolate(cluster.node(leader).id)
  await cluster.clock.until(() => cluster.leader() !== leader && cluster.leader() !== null)
  const next = await cluster.untilLeader()
  plans.release()
  await cluster.written(next, 'set k new')
  await cluster.clock.settle(t.rejects(failing, { code: 'ERR_SKEIN_NOT_LEADER' }))
})

t.test('a leader that is cut off tells of no fault before its deadline has passed', async (t) => {
  const { cluster } = withHeldPlans()
  const leader = await ledBy(cluster)
  cluster.network.isolate(cluster.node(leader).id)
  const failing = cluster.write(leader, 'expect k new', null, 30)
  await cluster.clock.settle(t.rejects(failing, { code: 'ERR_SKEIN_TIMEOUT' }))
})

t.test('a fault alone is told after a round of the leader, and nothing is logged', async (t) => {
  const { cluster } = withHeldPlans()
  const leader = await ledBy(cluster)
  const { lastIndex } = cluster.group(leader).status()
  const faults = Array.from({ length: 3 }, () =>
    t.rejects(cluster.write(leader, 'expect k new'), { code: 'ERR_SKEIN_SQL_CONSTRAINT' })
  )
  await cluster.clock.settle(Promise.all(faults))
  t.equal(cluster.group(leader).status().lastIndex, lastIndex)
})

t.test('whose fault waits to be confirmed counts among those that wait', async (t) => {
  const cluster = new TestCluster({ consensus: { proposalQueueLengthMax: 10 } })
  const leader = await ledBy(cluster)
  cluster.network.isolate(cluster.node(leader).id)
  const waiting = Array.from({ length: 10 }, () => cluster.write(leader, 'expect k new', null, 60))
  const told = Promise.allSettled(waiting)
  await cluster.clock.advance(10)
  await t.rejects(cluster.write(leader, 'expect k new'), { code: 'ERR_SKEIN_BACKPRESSURE' })
  for (const outcome of await cluster.clock.settle(told)) {
    t.match(outcome, { status: 'rejected', reason: { code: 'ERR_SKEIN_TIMEOUT' } })
  }
})
