import t from 'tap'
import { replicaInvite } from '../../../src/consensus/group/group-messages.js'
import { memberChangesMax } from '../../../src/consensus/group/member-changes-driver.js'
import { must } from '../../../src/core/assert.js'
import { DEFAULT_GROUP, type NodeId, toReplicaId } from '../../../src/core/ids.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const logFile = 'log/0000000000000001.log'
/** Where a bit flips, and which: in the first header, in early records. */
const rotten = [
  [5, 1],
  [150, 3],
  [400, 7]
] as const

const idOf = (name: string): NodeId => name as NodeId

const addNode = (cluster: TestCluster, leader: string, name: string, ms = 5_000): Promise<void> =>
  cluster.node(leader).driver.addNode(DEFAULT_GROUP, idOf(name), cluster.deadline(ms))

const removeNode = (cluster: TestCluster, leader: string, name: string): Promise<void> =>
  cluster.group(leader).removeNode(idOf(name), cluster.deadline())

const votersOf = (cluster: TestCluster, name: string): string =>
  cluster.group(name).status().voters.join('')

async function founded(seed = 1): Promise<{ cluster: TestCluster; leader: string }> {
  const cluster = new TestCluster({ seed })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  for (let i = 0; i < 50; i++) await cluster.written(leader, `set k${i} v${i}`)
  return { cluster, leader }
}

t.test(
  'R-M05 R-M16 a node is added: it gets everything, votes, and stays over restarts',
  async (t) => {
    const { cluster, leader } = await founded()
    await cluster.start('d')
    t.equal(cluster.node('d').driver.group(DEFAULT_GROUP), null)
    await cluster.clock.settle(addNode(cluster, leader, 'd'))
    await cluster.clock.settle(addNode(cluster, leader, 'd'))
    await cluster.untilCaughtUp()
    t.equal(votersOf(cluster, 'd'), 'abcd')
    t.equal(await cluster.read('d', 'k49'), 'v49')
    t.equal(new Set(await cluster.hashes()).size, 1)
    const clusterIds = [...cluster.nodes.values()].map(({ driver }) => driver.clusterId())
    t.equal(new Set(clusterIds).size, 1)
    for (const name of ['a', 'b', 'c', 'd']) cluster.crash(name)
    for (const name of ['a', 'b', 'd']) await cluster.start(name)
    const next = await cluster.untilLeader()
    t.equal(votersOf(cluster, next), 'abcd', 'the log says who votes, not what was configured')
    await cluster.written(next, 'set after restart')
    t.equal(await cluster.read('d', 'after'), 'restart')
  }
)

t.test('R-M07 R-M13 nodes are removed, the leader after it has handed over', async (t) => {
  const { cluster, leader } = await founded()
  const [gone = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
  cluster.crash(gone)
  await cluster.clock.settle(removeNode(cluster, leader, gone))
  t.notMatch(votersOf(cluster, leader), gone)
  await cluster.start(gone)
  await cluster.clock.advance(3_000)
  t.match(cluster.group(gone).status(), { role: 'learner' }, 'it was told')
  t.equal(cluster.leader(), leader)
  await t.rejects(cluster.clock.settle(removeNode(cluster, leader, gone)), {
    code: 'ERR_SKEIN_NOT_FOUND'
  })
  await t.rejects(cluster.clock.settle(removeNode(cluster, leader, leader)), {
    code: 'ERR_SKEIN_NOT_LEADER'
  })
  const next = await cluster.untilLeader()
  t.not(next, leader)
  await cluster.clock.settle(removeNode(cluster, next, leader))
  t.equal(votersOf(cluster, next), next)
  await t.rejects(cluster.clock.settle(removeNode(cluster, next, next)), {
    code: 'ERR_SKEIN_MEMBER_CHANGE_FAILED',
    details: { reason: 'noVoters' }
  })
  await cluster.written(next, 'set alone yes')
  t.equal(await cluster.read(next, 'alone'), 'yes')
})

t.test('R-M16 a replica that was removed is told so when it asks for a read index', async (t) => {
  const { cluster, leader } = await founded()
  const [gone = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
  await cluster.clock.settle(removeNode(cluster, leader, gone))
  await cluster.clock.until(() => cluster.group(gone).status().role === 'learner')
  t.equal(cluster.group(gone).status().leader, leader, 'it still hears who leads')
  await cluster.written(leader, 'set after removal')
  const begun = cluster.clock.now()
  await t.rejects(cluster.read(gone, 'after'), {
    code: 'ERR_SKEIN_NOT_LEADER',
    leaderHint: leader
  })
  t.ok(cluster.clock.now() - begun < 1_000, 'it does not wait for entries that do not come')
})

t.test('R-M15 removed with its storage it has no vote until it is added again', async (t) => {
  const { cluster, leader } = await founded()
  const [gone = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
  const replica = must(cluster.node(gone).driver.replicaId(), 'replica')
  await cluster.clock.settle(removeNode(cluster, leader, gone))
  cluster.crash(gone)
  await cluster.written(leader, 'set k0 later')
  await cluster.start(gone)
  await cluster.clock.advance(3_000)
  t.match(cluster.group(gone).status(), { role: 'learner' })
  t.equal(cluster.leader(), leader, 'it stands for no election')
  const added = addNode(cluster, leader, gone)
  const { core } = cluster.group(leader).raft
  await cluster.clock.until(() => core.configuration.learners.includes(replica))
  t.notMatch(votersOf(cluster, leader), gone, 'a learner first')
  await cluster.clock.settle(added)
  t.equal(votersOf(cluster, leader), 'abc')
  t.equal(cluster.node(gone).driver.replicaId(), replica, 'the same storage')
  t.equal(await cluster.read(gone, 'k0'), 'later')
  await cluster.untilCaughtUp()
  t.equal(new Set(await cluster.hashes()).size, 1)
})

t.test(
  'R-P08 a replica whose disk was replaced comes back as a new one, in one step',
  async (t) => {
    const { cluster, leader } = await founded()
    const [victim = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
    const before = cluster.node(victim).driver.replicaId()
    cluster.crash(victim)
    cluster.node(victim).disk.wipe()
    cluster.node(victim).engineDisk.wipe()
    await cluster.start(victim)
    await cluster.clock.advance(1_000)
    await cluster.clock.settle(addNode(cluster, leader, victim))
    await cluster.untilCaughtUp()
    t.equal(votersOf(cluster, victim), 'abc')
    t.not(cluster.node(victim).driver.replicaId(), before)
    t.equal(await cluster.read(victim, 'k0'), 'v0')
    t.equal(new Set(await cluster.hashes()).size, 1)
  }
)

t.test(
  'D-09 R-P09 a log that rots on a minority is refused, and the node made anew from the others',
  async (t) => {
    const { cluster, leader } = await founded()
    const [victim = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
    for (const [offset, bit] of rotten) {
      cluster.crash(victim)
      cluster.node(victim).disk.rotAt(logFile, offset, bit)
      await t.rejects(cluster.start(victim), { code: 'ERR_SKEIN_LOG_CORRUPTED' })
      cluster.crash(victim)
      cluster.node(victim).disk.rotAt(logFile, offset, bit)
    }
    const [offset, bit] = rotten[0]
    cluster.node(victim).disk.rotAt(logFile, offset, bit)
    await cluster.written(leader, 'set while away')
    cluster.node(victim).disk.wipe()
    cluster.node(victim).engineDisk.wipe()
    await cluster.start(victim)
    await cluster.clock.settle(addNode(cluster, leader, victim))
    await cluster.untilCaughtUp()
    t.equal(votersOf(cluster, victim), 'abc')
    for (const [key, value] of [...Array(50).keys()].map((i) => [`k${i}`, `v${i}`] as const)) {
      t.equal(await cluster.read(victim, key), value)
    }
    t.equal(await cluster.read(victim, 'while'), 'away')
    t.equal(new Set(await cluster.hashes()).size, 1)
  }
)

t.test('R-M05 a newcomer that dies is taken out again, and may come later', async (t) => {
  const { cluster, leader } = await founded()
  await cluster.start('d')
  await t.rejects(cluster.clock.settle(addNode(cluster, 'd', 'a')), {
    code: 'ERR_SKEIN_NOT_FOUND'
  })
  const added = addNode(cluster, leader, 'd', 1_000)
  const outcome = t.rejects(added, {
    code: 'ERR_SKEIN_MEMBER_CHANGE_FAILED',
    details: { reason: 'it did not catch up in time' }
  })
  await cluster.clock.until(
    () => cluster.group(leader).raft.core.configuration.learners.length === 1
  )
  cluster.crash('d')
  await cluster.clock.settle(outcome)
  await cluster.clock.advance(100)
  t.same(cluster.group(leader).raft.core.configuration.learners, [])
  t.equal(votersOf(cluster, leader), 'abc')
  await cluster.start('d')
  await cluster.clock.settle(addNode(cluster, leader, 'd'))
  t.equal(votersOf(cluster, leader), 'abcd')
})

t.test('at the bound no more calls wait, and those that do are told in time', async (t) => {
  const { cluster, leader } = await founded()
  const nobody = toReplicaId(`z/${'0'.repeat(16)}`)
  const calls = Array.from({ length: memberChangesMax + 3 }, () =>
    cluster.group(leader).addReplica(nobody, cluster.deadline(500))
  )
  const reasons = Promise.allSettled(calls).then((outcomes) =>
    outcomes.map((outcome) =>
      outcome.status === 'rejected' ? outcome.reason.details.reason : null
    )
  )
  let told = 0
  cluster.node(leader).driver.tellQueues((name, length) => {
    if (name === 'memberChangesMax') told = length
  })
  t.equal(told, memberChangesMax)
  const late = 'it did not catch up in time'
  const full = 'too many changes wait'
  const expected = calls.map((_, i) => (i < memberChangesMax ? late : full))
  t.same(await cluster.clock.settle(reasons), expected)
  await cluster.clock.advance(100)
  t.same(cluster.group(leader).raft.core.configuration.learners, [])
})

t.test('an invitation to another cluster, or of a founder, is refused', async (t) => {
  const { cluster, leader } = await founded()
  const lonely = new TestCluster({ nodes: ['x'], seed: 2 })
  await lonely.startAll()
  const founders = lonely.node('x').driver.replicaId()
  t.ok(founders)
  await cluster.start('d')
  await cluster.clock.settle(addNode(cluster, leader, 'd'))
  const messenger = cluster.network.join(idOf('stranger'))
  const invite = (clusterName: string, to: string) =>
    cluster.clock.settle(
      messenger.request(
        idOf(to),
        replicaInvite,
        { group: 1 as never, clusterName, founders: founders === null ? [] : [founders] },
        { deadline: cluster.deadline() }
      )
    )
  await t.rejects(invite('other', 'd'), { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
  await t.rejects(invite('test', 'd'), { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
  await t.rejects(invite('test', 'a'), { code: 'ERR_SKEIN_NOT_AUTHORIZED' })
})

t.test('R-M17 members change while nodes die: what was acknowledged is there', async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const { cluster } = await founded(seed)
    await cluster.start('d')
    const acknowledged: number[] = []
    const failures: string[] = []
    const tell = (error: { code?: string }) => failures.push(error.code ?? String(error))
    const pending: Promise<unknown>[] = []
    for (let i = 0; i < 60; i++) {
      const leader = cluster.leader()
      if (leader === null) {
        await cluster.clock.advance(50)
        continue
      }
      const write = cluster.write(leader, `set w${i} ${i}`, null, 2_000)
      pending.push(write.then(() => acknowledged.push(i), tell))
      if (i % 15 === 2) pending.push(addNode(cluster, leader, 'd', 2_000).catch(tell))
      if (i % 15 === 9) pending.push(removeNode(cluster, leader, 'd').catch(tell))
      await cluster.clock.advance(cluster.random.nextInt(40))
      if (cluster.random.nextInt(10) !== 0) continue
      const victims = ['a', 'b', 'c', 'd'].filter((name) => cluster.node(name).isUp)
      const victim = victims[cluster.random.nextInt(victims.length)] as string
      cluster.crash(victim)
      await cluster.clock.advance(cluster.random.nextInt(300))
      await cluster.start(victim)
    }
    await cluster.clock.advance(6_000)
    const leader = await cluster.untilLeader()
    for (const i of acknowledged) {
      if ((await cluster.read(leader, `w${i}`)) !== String(i)) t.fail(`seed ${seed} lost w${i}`)
    }
    t.ok(acknowledged.length > 20, `seed ${seed}: ${acknowledged.length} acknowledged`)
    const isKnown =
      /^ERR_SKEIN_(NOT_LEADER|NO_LEADER|INDETERMINATE|TIMEOUT|MEMBER|NOT_FOUND|CONN|BACKPRESSURE)/
    t.same(
      failures.filter((code) => !isKnown.test(code)),
      [],
      `seed ${seed}`
    )
  }
})
