import t from 'tap'
import { freshnessTimeoutMs } from '../../../src/consensus/group/group-reads-driver.js'
import type { LogIndex, NodeId } from '../../../src/core/ids.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const read = (cluster: TestCluster, name: string, maxMs: number | null) =>
  cluster.clock.settle(
    cluster.group(name).read({
      statements: [{ sql: 'get k' }],
      atLeastIndex: 0 as LogIndex,
      deadline: cluster.deadline(),
      staleness: { maxMs }
    })
  )

async function started() {
  const cluster = new TestCluster({ seed: 2 })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const follower = [...cluster.nodes.keys()].find((name) => name !== leader) as string
  await cluster.written(leader, 'set k 1')
  await cluster.untilCaughtUp()
  const rounds = () => cluster.node(follower).driver.counters.get('read_rounds')
  return { cluster, leader, follower, rounds }
}

t.test('R-Q09 a replica asks once for what it cannot prove, and then proves it', async (t) => {
  const { cluster, leader, follower, rounds } = await started()
  const unbounded = await read(cluster, follower, null)
  t.notOk('stalenessMs' in unbounded, 'nothing is known, and nothing is said')
  t.equal(rounds(), 0)
  const first = await read(cluster, follower, 100)
  t.ok((first.stalenessMs ?? Number.NaN) <= 100)
  t.equal(rounds(), 1)
  await cluster.clock.advance(50)
  const second = await read(cluster, follower, 100)
  t.ok((second.stalenessMs ?? 0) >= 50, 'it has grown older')
  t.equal(rounds(), 1, 'and nobody was asked')
  await cluster.clock.advance(100)
  await cluster.written(leader, 'set k 2')
  const third = await read(cluster, follower, 100)
  t.equal(third.results[0]?.rows[0]?.[0], '2', 'a write older than the bound is seen')
  t.equal(rounds(), 2)
  t.ok((await read(cluster, leader, 10)).stalenessMs !== undefined, 'a leader has to prove it too')
})

t.test('R-Q09 who cannot prove it refuses, and names what it can prove', async (t) => {
  const { cluster, leader, follower } = await started()
  const refused = { code: 'ERR_SKEIN_TOO_STALE', retryable: true }
  cluster.network.isolate(follower as NodeId)
  const begun = cluster.clock.now()
  await t.rejects(read(cluster, follower, 100), {
    ...refused,
    details: { maxStalenessMs: 100, stalenessMs: undefined },
    message: /nothing is proved/
  })
  t.ok(cluster.clock.now() - begun <= freshnessTimeoutMs + 50, 'it does not wait for long')
  cluster.network.heal()
  await cluster.clock.until(() => cluster.group(follower).status().leader === leader)
  await read(cluster, follower, 100)

  // The former leader is cut off and does not know it: its word proves nothing.
  cluster.network.isolate(leader as NodeId)
  await cluster.clock.until(() =>
    [...cluster.nodes.keys()].some((name) => name !== leader && cluster.group(name).isLeader)
  )
  const next = await cluster.untilLeader()
  t.not(next, leader)
  await cluster.written(next, 'set k 3')
  const old = await read(cluster, leader, null)
  t.equal(old.results[0]?.rows[0]?.[0], '1', 'without a bound it may be as old as it is')
  await t.rejects(read(cluster, leader, 60), refused)
  t.equal(cluster.node(leader).driver.counters.get('reads_too_stale'), 1)
  const young = await read(cluster, next, 60)
  t.equal(young.results[0]?.rows[0]?.[0], '3')
})
