import t from 'tap'
import type { GroupId, NodeId, Term } from '../../../src/core/ids.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { switchoverKeptMs } from '../../../src/failover/drain/operations-driver.js'
import { RestartWorld } from '../../support/restart/restart-world.js'

const made = (nodes = 3) =>
  new RestartWorld({ nodes, groups: 2, random: SplittableRandom.fromSeed(1) })
const [n1, n2, n3] = ['n1', 'n2', 'n3'] as unknown as [NodeId, NodeId, NodeId]

t.test('a drained node leads nothing, and everybody knows that it drains', async (t) => {
  const world = made()
  const led = world.groups.filter(({ leader }) => leader === n1).length
  t.ok(led > 0)
  const report = await world.clock.settle(world.operations(n2).drain(n1))
  t.match(report, { node: 'n1', complete: true, report: { leadersMoved: led, inFlightLeft: 0 } })
  t.same(
    report.phases.map(({ phase }) => phase),
    ['routing', 'leaders', 'sessions', 'inFlight']
  )
  t.notOk(world.groups.some(({ leader }) => leader === n1))
  t.equal(world.host(n1).process?.lifecycle, 'draining')
  t.match(await world.clock.settle(world.operations(n3).drain(n1)), { complete: true })
  await world.clock.settle(world.operations(n2).undrain(n1))
  t.equal(world.host(n1).process?.lifecycle, 'up')
  world.stop()
})

t.test('a node drains itself', async (t) => {
  const world = made()
  t.match(await world.clock.settle(world.operations(n1).drain(n1)), { complete: true })
  await world.clock.settle(world.operations(n1).undrain(n1))
  t.equal(world.host(n1).process?.lifecycle, 'up')
  world.stop()
})

t.test('what does not end in its time is told, and the next phase begins', async (t) => {
  const world = made()
  world.inFlight = 2
  const timeouts = { inFlightTimeoutMs: 1_000 }
  const report = await world.clock.settle(world.operations(n2).drain(n3, timeouts))
  t.match(report, { complete: false, report: { inFlightLeft: 2 } })
  t.match(report.phases[3], { left: ['2 queries are under way on n3'] })
  world.stop()
})

t.test('a switchover moves one leadership, to a healthy voter that keeps up', async (t) => {
  const world = made()
  const [, group] = world.groups
  t.equal(group?.leader, n1)
  const id = group?.group as GroupId
  const done = await world.clock.settle(world.operations(n2).switchover({ group: id, target: n3 }))
  t.match(done, { group: id, from: n1, to: n3 })
  t.equal(group?.leader, n3)
  t.match(world.kept, [{ node: n3, group: id, forMs: switchoverKeptMs }], 'and stays there')
  const chosen = await world.clock.settle(world.operations(n3).switchover({ group: id }))
  t.equal(chosen.to, group?.leader)
  t.not(chosen.to, n3)
  const refused = { code: 'ERR_SKEIN_TRANSFER_FAILED' }
  const to = (target: string) =>
    world.clock.settle(world.operations(n1).switchover({ group: id, target: target as NodeId }))
  await t.rejects(to('n9'), { code: 'ERR_SKEIN_NOT_A_VOTER', retryable: false })
  world.degrade(n3, 60_000)
  await t.rejects(to('n3'), { ...refused, message: /degraded/ })
  world.kill(n3)
  await world.clock.advance(3_000)
  await t.rejects(to('n3'), { ...refused, message: /does not answer/ })
  const others = world.groups[1]?.voters.filter((node) => node !== n3 && node !== group?.leader)
  for (const node of others ?? []) world.degrade(node, 60_000)
  await t.rejects(world.clock.settle(world.operations(n1).switchover({ group: id })), {
    ...refused,
    message: /nobody can take group \d+ over: .*is degraded.*n3 does not answer/
  })
  const unknown = world.operations(n1).switchover({ group: 77 as GroupId })
  await t.rejects(world.clock.settle(unknown), { code: 'ERR_SKEIN_NOT_FOUND' })
  world.stop()
})

t.test('there must be such a node', async (t) => {
  const world = made()
  const unknown = { code: 'ERR_SKEIN_UNKNOWN_NODE' }
  const nobody = 'n9' as NodeId
  await t.rejects(world.clock.settle(world.operations(n1).drain(nobody)), unknown)
  await t.rejects(world.clock.settle(world.operations(n1).undrain(nobody)), unknown)
  world.stop()
})

t.test('who waits is told when the node stops', async (t) => {
  const world = made()
  world.inFlight = 1
  const drain = world.operations(n2).drain(n3)
  const stopped = t.rejects(drain, { code: 'ERR_SKEIN_STOPPED' })
  await world.clock.advance(1_000)
  world.operations(n2).stop()
  await stopped
  world.stop()
})

t.test(
  'a node restarts only when it drains, leads nothing, and is the one that is meant',
  async (t) => {
    const world = made()
    const { process } = world.host(n1)
    if (process === null) throw new Error('n1 is down')
    const { drain, boot } = process
    const fence = { plan: 'p', epoch: 1 as Term, revision: 1, boot }
    await t.rejects(drain.restart(fence), { message: /does not drain/ })
    drain.drain(fence, 'routing', { moves: [], timeoutMs: 1_000 })
    await t.rejects(drain.restart(fence), { message: /leads group/ })
    await t.rejects(drain.restart({ ...fence, boot: 'former' }), { code: 'ERR_SKEIN_FENCED' })
    await t.rejects(drain.restart({ ...fence, revision: 0 }), { code: 'ERR_SKEIN_FENCED' })
    drain.drain(fence, 'leaders', { moves: [], timeoutMs: 1_000 })
    await world.clock.advance(1_000)
    await drain.restart(fence)
    t.equal(world.host(n1).hookCalls, 1)
    t.throws(() => drain.undrain(fence), { code: 'ERR_SKEIN_PLAN_REFUSED' })
    world.stop()
  }
)

t.test('a drained node campaigns where nobody else does', async (t) => {
  const world = made()
  await world.clock.settle(world.operations(n1).drain(n1))
  world.kill(n2, 60_000)
  world.kill(n3, 500)
  await world.clock.advance(600)
  for (const group of world.groups) group.setCandidacy(n3, false)
  await world.clock.advance(3_000)
  t.ok(
    world.groups.every(({ leader }) => leader === null),
    'n3 may not, n1 does not yet'
  )
  await world.clock.advance(10_000)
  t.ok(world.groups.every(({ leader }) => leader === n1))
  world.stop()
})

const failover = { degradedForMs: 3_000, stableForMs: 5_000, gapMs: 10_000 }

t.test('a degraded leader is relieved, by whoever leads the control group', async (t) => {
  const random = SplittableRandom.fromSeed(2)
  const world = new RestartWorld({ nodes: 5, groups: 1, random, failover })
  const coordinator = world.control.group.leader as NodeId
  await world.clock.settle(world.operations(n2).switchover({ group: 0 as GroupId, target: n3 }))
  await world.clock.advance(20_000)
  t.same(world.moved, [])
  world.degrade(n3, 60_000)
  await world.clock.advance(8_000)
  t.same(world.moved, [`0: n3→${world.groups[1]?.leader} (degraded)`])
  const { failover: driver } = world.host(coordinator).process ?? {}
  t.match(driver?.explain(0 as GroupId).at(-1), { from: 'n3', reason: 'degraded' })
  await world.clock.advance(60_000)
  t.equal(world.moved.length, 1, 'once')
  world.stop()
})

t.test(
  'too many leaderships on one node are spread, but not while a plan moves them',
  async (t) => {
    const random = SplittableRandom.fromSeed(3)
    const world = new RestartWorld({ nodes: 3, groups: 6, random, failover })
    await world.clock.advance(60_000)
    const counts = [n1, n2, n3].map((n) => world.groups.filter(({ leader }) => leader === n).length)
    t.ok(Math.max(...counts) - Math.min(...counts) <= 2, `${counts}`)
    const before = world.moved.length
    const leader = world.control.group.leader as NodeId
    const options = { delayMs: 500, canaryDelayMs: 500 }
    await world.clock.settle(world.restarts(leader).start(options))
    const isOver = () => world.control.state.plans.at(-1)?.status === 'finished'
    await world.clock.until(isOver, 300_000)
    t.same(world.violations, [])
    t.equal(world.moved.length, before, 'the plan alone moved leaderships')
    world.stop()
  }
)
