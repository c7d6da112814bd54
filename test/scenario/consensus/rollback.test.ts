/** R-P14: one node's directory is put back to an older copy while the others have gone on. */
import t from 'tap'
import { DEFAULT_GROUP, type NodeId } from '../../../src/core/ids.js'
import { hasCode } from '../../../src/core/remote-error.js'
import type { DiskCopy } from '../../../src/simulation/simulated-disk.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const rolledBack = 'ERR_SKEIN_ROLLED_BACK'

interface NodeCopy {
  readonly log: DiskCopy
  readonly engine: DiskCopy
}

function copyOf(cluster: TestCluster, name: string): NodeCopy {
  const { disk, engineDisk } = cluster.node(name)
  return { log: disk.copy(), engine: engineDisk.copy() }
}

/** Of a node that is down. */
function putBack(cluster: TestCluster, name: string, copy: NodeCopy): void {
  cluster.node(name).disk.putBack(copy.log)
  cluster.node(name).engineDisk.putBack(copy.engine)
}

/** The message with which the node is stopped, at its start or soon after. */
async function refusal(cluster: TestCluster, name: string): Promise<string> {
  try {
    await cluster.start(name)
  } catch (error) {
    if (hasCode(error, rolledBack)) return error.message
    throw error
  }
  const failures = () =>
    cluster.node(name).events.flatMap((e) => (e.type === 'ReplicaFailed' ? [e] : []))
  await cluster.clock.until(() => failures().length > 0)
  const [first] = failures()
  if (first?.code !== rolledBack) throw new Error(`${name} failed otherwise: ${first?.message}`)
  return first.message
}

async function founded(seed: number) {
  const cluster = new TestCluster({ seed })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const [victim = '', other = ''] = ['a', 'b', 'c'].filter((name) => name !== leader)
  await cluster.written(leader, 'set before yes')
  await cluster.untilCaughtUp()
  return { cluster, leader, victim, other }
}

async function comesBackEmpty(cluster: TestCluster, leader: string, victim: string) {
  cluster.crash(victim)
  cluster.node(victim).disk.wipe()
  cluster.node(victim).engineDisk.wipe()
  await cluster.start(victim)
  const { driver } = cluster.node(leader)
  await cluster.clock.settle(
    driver.addNode(DEFAULT_GROUP, victim as NodeId, cluster.deadline(10_000))
  )
  await cluster.untilCaughtUp()
}

t.test('R-P14 a live copy is proven by the leader, and the node comes back empty', async (t) => {
  for (let seed = 1; seed <= 3; seed++) {
    const { cluster, leader, victim } = await founded(seed)
    const copy = copyOf(cluster, victim)
    for (let i = 0; i < 20; i++) await cluster.written(leader, `set k${i} v${i}`)
    await cluster.untilCaughtUp()
    cluster.crash(victim)
    putBack(cluster, victim, copy)
    const message = await refusal(cluster, victim)
    t.match(message, /has acknowledged entry \d+ of group 0 to \w, .*skein members add/)
    t.equal(cluster.group(victim).status().failed, rolledBack)
    await t.rejects(cluster.read(victim, 'before'), { code: rolledBack })
    await cluster.written(leader, 'set meanwhile yes')
    await cluster.clock.settle(cluster.node(victim).driver.stop())
    await comesBackEmpty(cluster, leader, victim)
    t.equal(await cluster.read(victim, 'k19'), 'v19')
    t.equal(await cluster.read(victim, 'meanwhile'), 'yes')
    t.equal(new Set(await cluster.hashes()).size, 1)
  }
})

t.test('R-P14 a copy from before a start elects nobody who lacks what it forgot', async (t) => {
  for (let seed = 1; seed <= 6; seed++) {
    const { cluster, leader, victim, other } = await founded(seed)
    cluster.crash(victim)
    const copy = copyOf(cluster, victim)
    await cluster.start(victim)
    await cluster.untilCaughtUp()
    await cluster.clock.advance(1_000)
    const led = await cluster.untilLeader()
    const [kept = ''] = [leader, other].filter((name) => name !== led)
    if (led === victim) continue
    cluster.network.isolate(kept as NodeId)
    await cluster.written(led, 'set acknowledged yes')
    cluster.crash(victim)
    cluster.crash(led)
    putBack(cluster, victim, copy)
    cluster.network.heal()
    const message = await refusal(cluster, victim)
    t.match(message, /has heard of start 2 of it, this is another one under that number/)
    await cluster.clock.advance(5_000)
    t.equal(cluster.leader(), null, `seed ${seed}: ${kept} lacks the write, and leads nobody`)
    await cluster.start(led)
    const next = await cluster.untilLeader()
    t.equal(await cluster.read(next, 'acknowledged'), 'yes', `seed ${seed}`)
    await comesBackEmpty(cluster, next, victim)
    t.equal(await cluster.read(victim, 'acknowledged'), 'yes')
  }
})

t.test('R-P14 a directory from before it was invited is refused, and not invited', async (t) => {
  const { cluster, leader } = await founded(1)
  const add = () => {
    const { driver } = cluster.node(leader)
    return cluster.clock.settle(
      driver.addNode(DEFAULT_GROUP, 'd' as NodeId, cluster.deadline(2_000))
    )
  }
  await cluster.start('d')
  await cluster.clock.advance(1_000)
  cluster.crash('d')
  const copy = copyOf(cluster, 'd')
  await cluster.start('d')
  await add()
  cluster.crash('d')
  putBack(cluster, 'd', copy)
  t.match(await refusal(cluster, 'd'), /has heard of start 2 of it/)
  t.equal(cluster.node('d').driver.groups().length, 0)
  await t.rejects(add(), { code: rolledBack })
})

t.test('R-P14 nobody is accused who starts anew again and again on its own disk', async (t) => {
  const { cluster } = await founded(3)
  for (let round = 0; round < 12; round++) {
    const names = ['a', 'b', 'c'].filter(() => cluster.random.nextInt(2) === 0)
    for (const name of names) cluster.crash(name)
    await cluster.clock.advance(cluster.random.nextInt(300))
    for (const name of names) await cluster.start(name)
    await cluster.clock.advance(1_000)
    await cluster.written(await cluster.untilLeader(), `set k${round} yes`)
  }
  await cluster.untilCaughtUp()
  for (const [name, { driver }] of cluster.nodes) {
    t.equal(cluster.group(name).status().failed, null)
    t.equal(driver.counters.get('replicas_failed'), 0)
  }
})
