/** Drains, switchovers and a rolling restart of whole simulated nodes, under writes. */
import t from 'tap'
import { CONTROL_GROUP, DEFAULT_GROUP, must, type NodeId } from '../../../src/core/index.js'
import { ProcessExits } from '../../../src/simulation/virtual-clock.js'
import { calmCluster } from './calm-cluster.js'

async function founded(size: number) {
  const replaced: string[] = []
  const restart = { restart: async (node: NodeId) => replace(node) }
  const world = calmCluster(5, size, {}, { restart })
  const { cluster, run, time } = world
  const nodeOf = (id: NodeId) =>
    must(
      cluster.startedNodes().find(({ process }) => process.name === id),
      id
    )
  /** As a supervisor does: it stops the process, and starts another one. */
  const replace = (id: NodeId) => {
    replaced.push(id)
    const node = nodeOf(id)
    const { manager, process } = node
    time.post(time.now + 20, 'replace', process, () => {
      void manager.stop({ drain: true }).then(() => {
        node.isStarted = false
        cluster.crash(process.host, ProcessExits.Killed)
        cluster.restart(process.host)
      })
    })
  }
  cluster.start()
  await run(10_000)
  const leaderOf = (group: number) =>
    must(
      cluster
        .startedNodes()
        .find(({ manager }) =>
          manager
            .getClusterView()
            .groups.some((one) => one.group === group && one.role === 'leader')
        ),
      'leader'
    )
  return { ...world, nodeOf, leaderOf, replaced }
}

t.test('a drained node leads nothing, and leads again when it may', async (t) => {
  const { settle, leaderOf, cluster } = await founded(3)
  const leader = leaderOf(DEFAULT_GROUP)
  const other = must(
    cluster.startedNodes().find((node) => node !== leader),
    'other'
  )
  const id = leader.manager.nodeId
  const report = await settle(other.manager.drain(id), 60_000)
  t.match(report, { node: id, complete: true })
  t.not(leaderOf(DEFAULT_GROUP).manager.nodeId, id)
  t.not(leaderOf(CONTROL_GROUP).manager.nodeId, id)
  t.equal(leader.manager.healthCheck().ready, false)
  await settle(other.manager.undrain(id), 10_000)
  t.equal(leader.manager.healthCheck().ready, true)
  const group = DEFAULT_GROUP
  const back = await settle(other.manager.switchover({ group, target: id }), 20_000)
  t.match(back, { group, to: id })
  t.equal(leaderOf(DEFAULT_GROUP).manager.nodeId, id)
})

t.test('L-07 five nodes are restarted one after the other, and no write fails', async (t) => {
  const { settle, leaderOf, cluster, run, replaced, time } = await founded(5)
  const first = leaderOf(CONTROL_GROUP)
  const preview = await settle(first.manager.restarts.preview(), 10_000)
  t.ok(preview.ok, JSON.stringify(preview))
  const started = first.manager.rollingRestart({ delayMs: 500, canaryDelayMs: 500 })
  const { id } = await settle(started, 10_000)
  const failures: string[] = []
  let writes = 0
  let fewest = 5
  let status = ''
  for (let i = 0; i < 3_000 && status !== 'finished'; i++) {
    const ready = cluster.startedNodes().filter(({ manager }) => manager.healthCheck().ready)
    const node = must(ready[i % ready.length], 'ready')
    time.post(time.now, 'write', node.process, () => {
      node.manager.executeQuery(`set k${i % 50} ${i}`).then(
        () => writes++,
        (error: unknown) => failures.push(`${time.now}: ${error}`)
      )
    })
    await run(25)
    fewest = Math.min(fewest, cluster.startedNodes().length)
    if (i % 80 > 0) continue
    const plan = await settle(node.manager.restarts.plan(id), 20_000).catch(() => null)
    if (plan === null) continue
    status = plan.status
    if (status === 'halted') t.fail(plan.reason)
  }
  t.equal(status, 'finished')
  t.equal(replaced.length, 5)
  t.equal(new Set(replaced).size, 5)
  t.equal(replaced.at(-1), first.process.name)
  t.same(failures, [])
  t.equal(fewest, 4, 'one at a time')
  t.ok(writes > 100, `${writes} writes`)
})
