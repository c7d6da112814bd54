import t from 'tap'
import { controlCallsMax } from '../../../src/control/control-driver.js'
import { type AnySection, type ControlSection, plansSection } from '../../../src/control/index.js'
import { NEVER } from '../../../src/core/deadlines.js'
import { CONTROL_GROUP, type NodeId } from '../../../src/core/ids.js'
import { ControlCluster } from '../../support/control-cluster.js'
import { tallySection } from './tally.js'

const tally = tallySection()
const sections = [tally as AnySection]

async function started(options: ConstructorParameters<typeof ControlCluster>[0] = {}) {
  const cluster = new ControlCluster({ sections, ...options })
  await cluster.startAll()
  const change = (name: string, text: string, ms = 5_000, idempotencyKey?: string) =>
    cluster.control(name).change(
      tally,
      { text },
      {
        deadline: cluster.deadline(ms),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey })
      }
    )
  const settled = <T>(promise: Promise<T>) => cluster.clock.settle(promise)
  const read = (name: string) => settled(cluster.control(name).read(tally, cluster.deadline()))
  return { cluster, change, settled, read }
}

t.test('a change is made at the leader, from wherever it is asked', async (t) => {
  const { cluster, change, settled, read } = await started()
  await cluster.start('outside')
  const names = [cluster.leader() as string, cluster.follower(), 'outside']
  for (const [i, name] of names.entries()) {
    t.same(await settled(change(name, name)), { count: i + 1, last: name })
  }
  for (const name of names) t.same(await read(name), { count: 3, last: 'outside' })
  t.equal(cluster.control('outside').local(tally), null, 'no replica, nothing local')
  t.equal(cluster.control('outside').leader(), cluster.leader())
  t.same(cluster.control(cluster.leader() as string).local(tally), { count: 3, last: 'outside' })
  t.equal(cluster.control(cluster.follower()).leader(), cluster.leader())
})

t.test('who leads is told, and every replica hears of every change in order', async (t) => {
  const cluster = new ControlCluster({ sections })
  const heard = new Map<string, string[]>()
  const leads: string[] = []
  for (const name of ['a', 'b', 'c']) {
    const { control } = await cluster.start(name)
    control.onLeadership((is, term) => leads.push(`${name} ${is} ${term > 0}`))
    control.onApplied(tally, (state, change, answer) => {
      const told = heard.get(name) ?? []
      heard.set(name, [...told, `${change.text} ${state.count} ${answer.count}`])
    })
    control.onApplied(tally, () => {
      throw new Error('a subscriber that fails')
    })
  }
  const leader = await cluster.untilLeader()
  t.same(leads, [`${leader} true true`])
  for (const text of ['x', 'y']) {
    const options = { deadline: cluster.deadline() }
    await cluster.clock.settle(cluster.control(leader).change(tally, { text }, options))
  }
  await cluster.clock.until(() => [...heard.values()].every((told) => told.length === 2))
  t.same(
    [...heard.values()],
    [0, 1, 2].map(() => ['x 1 1', 'y 2 2'])
  )
})

t.test('a leader that dies with the change under way: executed once, answered', async (t) => {
  const { cluster, change, settled, read } = await started()
  const follower = cluster.follower()
  await settled(change(follower, 'first'))
  for (let round = 0; round < 6; round++) {
    const leader = await cluster.untilLeader()
    const asked = cluster.follower()
    const pending = change(asked, `round ${round}`, 20_000)
    await cluster.clock.advance(round * 0.8)
    cluster.node(leader).kill()
    const { last } = await settled(pending)
    t.equal(last, `round ${round}`)
    await cluster.start(leader)
    await cluster.untilLeader()
    t.same(await read(asked), { count: round + 2, last: `round ${round}` })
  }
})

t.test('an answer that is lost: asked again, it is executed once', async (t) => {
  const { cluster, change, settled, read } = await started()
  await cluster.start('outside')
  await settled(change('outside', 'first'))
  const pending = change('outside', 'second', 20_000)
  await cluster.clock.advance(1.5)
  cluster.network.isolate('outside' as NodeId)
  await cluster.clock.advance(1_000)
  cluster.network.heal()
  t.same(await settled(pending), { count: 2, last: 'second' })
  t.same(await read('a'), { count: 2, last: 'second' })
})

t.test('one key is one change, whoever proposes it and however often', async (t) => {
  const { cluster, change, settled, read } = await started()
  await cluster.start('outside')
  const first = await settled(change('a', 'x', 5_000, 'plan 1, step 2'.replaceAll(' ', '-')))
  const again = await settled(change('outside', 'x', 5_000, 'plan-1,-step-2'))
  const third = await settled(change('b', 'x', 5_000, 'plan-1,-step-2'))
  t.same(
    [first, again, third],
    [1, 1, 1].map((count) => ({ count, last: 'x' }))
  )
  await settled(change('b', 'y', 5_000, 'plan-1,-step-3'))
  t.equal((await read('a')).count, 2)
  for (const bad of ['', 'a b', 'x'.repeat(49)]) {
    await t.rejects(change('a', 'x', 5_000, bad), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  }
})

t.test('without a leader nothing is proposed; when there is one again, it is', async (t) => {
  const { cluster, change, settled } = await started()
  await settled(change('a', 'x'))
  const others = ['a', 'b', 'c'].filter((name) => name !== cluster.leader())
  const [rest = '', gone = ''] = others
  const leader = cluster.leader() as string
  cluster.node(leader).kill()
  cluster.node(gone).kill()
  await cluster.clock.until(() => cluster.control(rest).leader() === null)
  const refused = settled(change(rest, 'late', 1_000))
  await t.rejects(refused, { code: 'ERR_SKEIN_NO_LEADER' })
  await t.rejects(settled(cluster.control(rest).read(tally, cluster.deadline(1_000))))
  const patient = change(rest, 'patient', 30_000)
  await cluster.clock.advance(2_000)
  await cluster.start(gone)
  t.same(await settled(patient), { count: 2, last: 'patient' })
  const control = cluster.control(rest)
  t.equal(control.counters.get('changes_refused'), 1)
  t.ok(control.counters.get('changes_retried') > 0)
})

t.test('R-M13 a node whose replica was taken out asks the others', async (t) => {
  const { cluster, change, settled, read } = await started()
  await settled(change('a', 'x'))
  const [leader, removed] = [cluster.leader() as string, cluster.follower()]
  cluster.network.isolate(removed as NodeId)
  const group = cluster.node(leader).consensus?.group(CONTROL_GROUP)
  await settled(group?.removeNode(removed as NodeId, cluster.deadline()) ?? Promise.reject())
  cluster.network.heal()
  await cluster.clock.advance(2_000)
  const next = ['a', 'b', 'c'].find((name) => name !== leader && name !== removed) as string
  await settled(group?.transferLeadership(next as NodeId, cluster.deadline()) ?? Promise.reject())
  await cluster.clock.advance(2_000)
  t.same(await read(removed), { count: 1, last: 'x' })
  t.same(await settled(change(removed, 'from outside')), { count: 2, last: 'from outside' })
  t.same(await read(removed), { count: 2, last: 'from outside' })
})

t.test('a change whose fate nobody can tell is indeterminate, and never a time-out', async (t) => {
  const { cluster, change, settled } = await started()
  const leader = cluster.leader() as string
  await settled(change(leader, 'x'))
  for (const name of ['a', 'b', 'c']) if (name !== leader) cluster.network.isolate(name as NodeId)
  await t.rejects(settled(change(leader, 'stuck', 300)), { code: 'ERR_SKEIN_INDETERMINATE' })
})

t.test(
  'SQL finds nothing here, and unknown sections are refused before anything is sent',
  async (t) => {
    const { cluster } = await started()
    const unknown = { ...tally, name: 'unknown' } as ControlSection<unknown, unknown, unknown>
    const control = cluster.control('a')
    const options = { deadline: NEVER }
    await t.rejects(control.change(unknown, { text: 'x' }, options), {
      code: 'ERR_SKEIN_INVALID_ARGUMENT'
    })
    await t.rejects(control.read(unknown, NEVER), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
    t.throws(() => control.local(unknown), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
    t.throws(() => control.onApplied(unknown, () => {}), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  }
)

t.test('a section that the leader does not know, or not yet, is refused there', async (t) => {
  const newer = tallySection(2)
  const { cluster, settled } = await started({ sections: [newer as AnySection] })
  const control = cluster.control(cluster.follower())
  const late = control.change(newer, { text: '2' }, { deadline: cluster.deadline() })
  await t.rejects(settled(late), { code: 'ERR_SKEIN_SQL_REFUSED', message: /cluster version 2/ })
  const early = control.change(newer, { text: '1' }, { deadline: cluster.deadline() })
  t.match(await settled(early), { count: 1 })
})

t.test('calls under way are bounded, and a node that stops lets go of them', async (t) => {
  const { cluster, change, settled } = await started()
  await settled(change('a', 'x'))
  for (const name of ['b', 'c']) cluster.node(name).kill()
  await cluster.clock.until(() => cluster.control('a').leader() === null)
  const waiting = Array.from({ length: controlCallsMax }, () =>
    change('a', 'waits', 600_000).catch((error: { code: string }) => error.code)
  )
  await t.rejects(change('a', 'one more'), { code: 'ERR_SKEIN_BACKPRESSURE' })
  const told: [string, number, number][] = []
  cluster.control('a').tellQueues((name, length, max) => told.push([name, length, max]))
  t.same(told, [['controlCallsMax', controlCallsMax, controlCallsMax]])
  cluster.control('a').stop()
  const codes = new Set(await settled(Promise.all(waiting)))
  t.same([...codes], ['ERR_SKEIN_NO_LEADER'])
  await t.rejects(change('a', 'late'), { code: 'ERR_SKEIN_STOPPED' })
})

t.test('after a restart of everybody the state is there, by the log alone', async (t) => {
  const { cluster, change, settled, read } = await started()
  for (let i = 0; i < 20; i++) await settled(change('a', `n${i}`))
  const plan = { kind: 'restart', id: 'r1', body: new Uint8Array(10_000).fill(7) }
  const options = { deadline: cluster.deadline() }
  await settled(cluster.control('b').change(plansSection, { kind: 'begin', plan }, options))
  for (const name of ['a', 'b', 'c']) cluster.node(name).kill()
  for (const name of ['a', 'b', 'c']) await cluster.start(name)
  await cluster.untilLeader()
  t.same(await read('b'), { count: 20, last: 'n19' })
  const { active } = await settled(cluster.control('c').read(plansSection, cluster.deadline()))
  t.match(active, [{ id: 'r1', body: plan.body }])
})
