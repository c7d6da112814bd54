import t from 'tap'
import { followPlan, readSurvivor } from '../../../src/consensus/recovery/recovery-driver.js'
import { planRecovery } from '../../../src/consensus/recovery/recovery-plan.js'
import { DiskFailedError } from '../../../src/core/errors.js'
import { CONTROL_GROUP, DEFAULT_GROUP, type NodeId } from '../../../src/core/ids.js'
import type { Disk } from '../../../src/core/ports/disk.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const groups = [DEFAULT_GROUP, CONTROL_GROUP]
const nodes = ['a', 'b', 'c', 'd', 'e']

interface Lost {
  readonly cluster: TestCluster
  readonly survivors: readonly [string, string]
  readonly others: readonly string[]
}

/** Five nodes, of which two followers survive; the last write is on the leader and one of them. */
async function loseThree(seed: number): Promise<Lost> {
  const cluster = new TestCluster({ nodes, seed, groups })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k 1')
  await cluster.untilCaughtUp()
  const [ahead, behind, ...rest] = nodes.filter((name) => name !== leader)
  const survivors = [ahead, behind] as [string, string]
  for (const name of [behind as string, ...rest]) cluster.crash(name)
  const unanswered = cluster.write(leader, 'set k 2').catch((error: Error) => error)
  const end = cluster.group(ahead as string).status().lastIndex
  await cluster.clock.until(() => cluster.group(ahead as string).status().lastIndex > end)
  for (const name of [leader, ahead as string]) cluster.crash(name)
  void unanswered
  return { cluster, survivors, others: nodes.filter((name) => !survivors.includes(name)) }
}

const report = (cluster: TestCluster, name: string) =>
  cluster.clock.settle(readSurvivor(cluster.recovery(name)))

async function recover({ cluster, survivors, others }: Lost) {
  const reports = []
  for (const name of survivors) reports.push(await report(cluster, name))
  const { crypto } = cluster.recovery(survivors[0])
  return planRecovery(crypto, { reports, lost: others as NodeId[], force: false })
}

t.test('R-M19 two of five go on, and the old majority comes back to nobody', async (t) => {
  const lost = await loseThree(3)
  const { cluster, others } = lost
  const [ahead, behind] = lost.survivors
  const plan = await recover(lost)
  t.match(plan.groups[0], { group: DEFAULT_GROUP, from: ahead, hasQuorum: false })
  for (const name of lost.survivors) {
    const outcome = await cluster.clock.settle(followPlan(cluster.recovery(name), plan))
    t.equal(outcome, 'recovered')
    t.equal(await cluster.clock.settle(followPlan(cluster.recovery(name), plan)), 'unchanged')
  }
  await cluster.start(ahead)
  t.equal(await cluster.untilLeader(), ahead)
  t.equal(await cluster.read(ahead, 'k'), '2', 'the tail that it held is kept')
  await cluster.written(ahead, 'set k 3')

  await cluster.start(behind)
  await cluster.clock.until(
    () => cluster.group(behind).status().appliedIndex === cluster.group(ahead).status().commitIndex
  )
  t.equal(cluster.group(behind).status().role, 'learner')

  // Three of five are a majority of what they know; they lead one another, and nobody else.
  for (const name of others) await cluster.start(name)
  await cluster.clock.until(() => others.some((name) => cluster.group(name).isLeader))
  await cluster.written(ahead, 'set k 4')
  t.equal(cluster.leader(), ahead, 'the highest term is the recovered group’s')
  t.ok(cluster.group(ahead).isLeader)
  t.equal(cluster.group(behind).status().leader, ahead)
  const cut = others.map((name) => cluster.node(name).driver.clusterId())
  t.notOk(cut.includes(cluster.node(ahead).driver.clusterId()))

  for (const id of groups) {
    const leads = cluster.leader(id) as string
    for (const name of lost.survivors) {
      if (name === leads) continue
      const deadline = cluster.deadline()
      await cluster.clock.settle(cluster.node(leads).driver.addNode(id, name as NodeId, deadline))
    }
    t.same([...cluster.group(leads, id).status().voters].sort(), [...lost.survivors].sort())
  }
  await cluster.written(ahead, 'set k 5')
  t.equal(await cluster.read(ahead, 'k'), '5')
})

t.test(
  'R-M19 a plan is for what was reported, and a crash in its midst is made good',
  async (t) => {
    const lost = await loseThree(5)
    const { cluster } = lost
    const [ahead, behind] = lost.survivors
    const plan = await recover(lost)
    const stale = { ...plan, groups: plan.groups.map((one) => ({ ...one, lastIndex: 1 as never })) }
    const follow = (name: string, of = plan, disk?: Disk) =>
      cluster.clock.settle(followPlan(cluster.recovery(name, disk), of))
    await t.rejects(follow(ahead, stale), {
      code: 'ERR_SKEIN_RECOVERY_REFUSED',
      message: /ends with/
    })
    const foreign = plan.survivors.map((one) => ({ ...one, storageBefore: one.storageId }))
    const other = foreign.map((one) => ({ ...one, storageId: plan.survivors[0]?.storageBefore }))
    await t.rejects(follow(behind, { ...plan, survivors: other as never }), /not the one that/)
    await t.rejects(follow(ahead, { ...plan, survivors: [] }), /no part for/)

    const mount = cluster.node(ahead).disk.mount()
    const failing = new Proxy(mount, {
      get: (target, name) =>
        name === 'rename'
          ? () => Promise.reject(new DiskFailedError('no more'))
          : Reflect.get(target, name).bind(target)
    })
    await t.rejects(follow(ahead, plan, failing), { code: 'ERR_SKEIN_DISK_FAILED' })
    cluster.crash(ahead)
    t.equal(await follow(ahead), 'recovered')
    const [held] = (await report(cluster, ahead)).replicas
    t.equal(held?.lastIndex, (plan.groups[0]?.lastIndex ?? 0) + 1, 'written once')
    await cluster.start(ahead)
    t.equal(await cluster.untilLeader(), ahead)
    t.equal(await cluster.read(ahead, 'k'), '2')
  }
)
