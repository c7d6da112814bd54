import t from 'tap'
import { AuditRecorder, auditQueueLengthMax } from '../../../src/control/audit-recorder-driver.js'
import { ClusterControlDriver } from '../../../src/control/cluster-control-driver.js'
import {
  auditSection,
  clusterVersionSection,
  type KeyRingChange,
  keyRingSection,
  placementSection
} from '../../../src/control/index.js'
import { UpkeepDriver, upkeepIntervalMs } from '../../../src/control/upkeep-driver.js'
import type { GroupId, NodeId } from '../../../src/core/ids.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import { ControlCluster } from '../../support/control-cluster.js'

const id = (name: string) => name as NodeId
const longRuntime = 'Node.js 25.0.0-nightly2025111512345678'

async function started() {
  const cluster = new ControlCluster()
  await cluster.startAll()
  const rings = new Map<string, KeyRingChange>()
  const voters = ['c', 'a', 'b'].map(id)
  const hosted = { groups: [10, 0, 3], onAsked: () => {} }
  const upkeepOf = (name: string, max = 1) => {
    const { control } = cluster.node(name)
    const upkeep = new UpkeepDriver(
      {
        clock: cluster.clock,
        logger: silentLogger,
        control,
        hostedGroups() {
          const found = hosted.groups.map((group) => ({ group: group as GroupId, voters }))
          hosted.onAsked()
          return found
        },
        keyRing: () => rings.get(name) ?? null
      },
      { nodeId: id(name), software: `0.${max}.0`, runtime: longRuntime, versions: { min: 1, max } }
    )
    t.teardown(() => upkeep.stop())
    return upkeep
  }
  const viewOf = (name: string) => {
    const { control } = cluster.node(name)
    const { clock } = cluster
    const recorder = new AuditRecorder(
      { clock, control, logger: silentLogger },
      { nodeId: id(name) }
    )
    const view = new ClusterControlDriver({
      clock,
      control,
      recorder,
      members: () => [...cluster.nodes.keys()].map(id)
    })
    return { view, recorder }
  }
  const settled = <T>(promise: Promise<T>) => cluster.clock.settle(promise)
  return { cluster, rings, hosted, upkeepOf, viewOf, settled }
}

t.test(
  'every node says what it speaks, once; the leader says which groups there are',
  async (t) => {
    const { cluster, upkeepOf, settled } = await started()
    await cluster.start('outside')
    for (const name of ['a', 'b', 'c', 'outside']) upkeepOf(name).start()
    await cluster.clock.advance(2_000)
    const control = cluster.control('a')
    const { nodes } = await settled(control.read(clusterVersionSection, cluster.deadline()))
    t.same(
      nodes.map(({ node, max, software }) => `${node} ${max} ${software}`),
      ['a', 'b', 'c', 'outside'].map((name) => `${name} 1 0.1.0`)
    )
    const placement = await settled(control.read(placementSection, cluster.deadline()))
    t.same(
      placement.groups.map(({ group, voters }) => `${group} ${voters.join('')}`),
      ['0 abc', '3 abc', '10 abc']
    )
    const applied = control.counters.get('changes_applied')
    await cluster.clock.advance(3 * upkeepIntervalMs)
    t.equal(control.counters.get('changes_applied'), applied, 'nothing is written twice')
  }
)

t.test('what comes while it looks is looked for right afterwards', async (t) => {
  const { cluster, hosted, upkeepOf, settled } = await started()
  const leader = await cluster.untilLeader()
  const upkeep = upkeepOf(leader)
  const control = cluster.control(leader)
  hosted.onAsked = () => {
    if (hosted.groups.length === 3) hosted.groups.push(7)
    upkeep.lookSoon()
    hosted.onAsked = () => {}
  }
  upkeep.start()
  const placed = async () =>
    (await settled(control.read(placementSection, cluster.deadline()))).groups.length
  await cluster.clock.advance(1_000)
  t.equal(await placed(), 4)
})

t.test(
  'a ring of keys that has changed is recorded, and so is a new leader’s newer one',
  async (t) => {
    const { cluster, rings, upkeepOf, settled } = await started()
    const ring = (version: number) => ({
      version,
      writer: 'a',
      primary: '0badcafe',
      keys: ['0badcafe']
    })
    const upkeeps = new Map(['a', 'b', 'c'].map((name) => [name, upkeepOf(name)]))
    for (const upkeep of upkeeps.values()) upkeep.start()
    await cluster.clock.advance(1_000)
    for (const name of ['a', 'b', 'c']) rings.set(name, ring(2))
    for (const upkeep of upkeeps.values()) upkeep.lookSoon()
    await cluster.clock.advance(1_000)
    const recorded = async (name: string) =>
      (await settled(cluster.control(name).read(keyRingSection, cluster.deadline()))).ring?.version
    t.equal(await recorded('b'), 2)
    const leader = cluster.leader() as string
    const heir = cluster.follower()
    for (const name of ['a', 'b', 'c']) rings.set(name, ring(3))
    upkeeps.get(leader)?.stop()
    cluster.node(leader).kill()
    await cluster.untilLeader()
    await cluster.clock.advance(2_000)
    t.equal(await recorded(heir), 3)
  }
)

t.test('the view: finalize goes up to what all speak, and says who is in the way', async (t) => {
  const { cluster, upkeepOf, viewOf, settled } = await started()
  const { view } = viewOf('a')
  for (const name of ['a', 'b']) upkeepOf(name, 2).start()
  await cluster.clock.advance(1_000)
  t.match(await settled(view.clusterVersion()), { clusterVersion: 1, silent: ['c'] })
  await t.rejects(settled(view.finalizeVersion()), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    details: { reason: 'olderMembers', nodes: ['c'] }
  })
  upkeepOf('c', 2).start()
  await cluster.clock.advance(1_000)
  await cluster.clock.advance(2 * upkeepIntervalMs)
  const runtimes = async () => {
    const { nodes } = await settled(view.clusterVersion())
    return nodes.map(({ runtime }) => runtime)
  }
  t.same(await runtimes(), [null, null, null], 'D-12 not before it may')
  t.match(await settled(view.finalizeVersion()), { clusterVersion: 2, minVersion: 1 })
  await cluster.clock.advance(2 * upkeepIntervalMs)
  const cut = longRuntime.slice(0, 32)
  t.same(await runtimes(), [cut, cut, cut], 'D-12 said as soon as it may be')
  await t.rejects(settled(view.finalizeVersion()), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    details: { reason: 'notAbove' }
  })
  await t.rejects(settled(view.finalizeVersion({ to: 0 })), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  await t.rejects(settled(view.forgetVersion(id('x'))), {
    code: 'ERR_SKEIN_CHANGE_REFUSED',
    details: { reason: 'unknownNode' }
  })
  t.match(await settled(view.forgetVersion(id('c'))), { silent: ['c'] })
  t.throws(() => view.placement({ timeoutMs: 0 }), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
})

t.test('actions are recorded in order, each once, however long there is no leader', async (t) => {
  const { cluster, viewOf, settled } = await started()
  const [asked = '', other = ''] = ['a', 'b', 'c'].filter((name) => name !== cluster.leader())
  const { view, recorder } = viewOf(asked)
  const act = (action: string) =>
    view.recordAction({ principal: 'ops', role: 'admin', address: '::1', action, status: 200 })
  act('POST /1')
  t.match(await settled(view.audit(10)), [{ action: 'POST /1', node: asked, sequence: 1 }])
  cluster.node(cluster.leader() as string).kill()
  cluster.node(other).kill()
  act('POST /2')
  act(`POST /${'é'.repeat(400)}`)
  await cluster.clock.advance(90_000)
  await t.rejects(settled(view.audit(10, { timeoutMs: 100 })), { code: 'ERR_SKEIN_TIMEOUT' })
  const told: string[] = []
  recorder.tellQueues((name, length) => told.push(`${name} ${length}`))
  t.same(told, ['auditQueueLengthMax 2'])
  await cluster.start(other)
  await cluster.untilLeader()
  const records = await settled(view.audit(10, { timeoutMs: 30_000 }))
  t.same(
    records.map(({ sequence }) => sequence),
    [3, 2, 1]
  )
  const cut = records[0]?.action ?? ''
  t.ok(cut.startsWith('POST /é') && cut.endsWith('é'), 'cut between characters')
  t.equal(recorder.dropped, 0)
  const { entries } = await settled(cluster.control(other).read(auditSection, cluster.deadline()))
  t.equal(entries.length, 3)
})

t.test('what finds no room in the queue is counted', async (t) => {
  const { cluster, viewOf } = await started()
  for (const name of ['b', 'c']) cluster.node(name).kill()
  await cluster.clock.until(() => cluster.control('a').leader() === null)
  const { view, recorder } = viewOf('a')
  for (let i = 0; i < auditQueueLengthMax + 3; i++) {
    view.recordAction({ principal: 'p', role: 'r', address: '', action: `${i}`, status: 200 })
  }
  t.equal(recorder.dropped, 3)
  cluster.control('a').stop()
  await cluster.clock.advance(1)
  t.equal(recorder.dropped, 3 + auditQueueLengthMax, 'a node that stops gives them up')
})
