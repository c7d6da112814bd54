import t from 'tap'
import { CONTROL_GROUP, type GroupId, type NodeId } from '../../../src/core/ids.js'
import type { GroupMemberChange } from '../../../src/core/member-changes.js'
import { TestCluster, type TestClusterOptions } from '../../support/consensus-cluster.js'

const groups = [0, 1, 2, CONTROL_GROUP] as GroupId[]
/** Leaders stay where they are elected, and nobody sleeps, unless a test is about that. */
const restless = { quiesceAfterMs: 0, leaderBalanceIntervalMs: 0 }

async function founded(options: TestClusterOptions = {}): Promise<TestCluster> {
  const consensus = { ...restless, ...options.consensus }
  const cluster = new TestCluster({ groups, ...options, consensus })
  await cluster.startAll()
  for (const group of options.groups ?? groups) await cluster.untilLeader(group)
  return cluster
}

async function write(cluster: TestCluster, group: GroupId, key: string): Promise<void> {
  const leader = await cluster.untilLeader(group)
  const statements = [{ sql: `set ${key} ${group}` }]
  const request = { statements, client: null, deadline: cluster.deadline() }
  await cluster.clock.settle(cluster.group(leader, group).write(request))
}

async function read(cluster: TestCluster, name: string, group: GroupId, key: string) {
  const replica = cluster.group(name, group)
  const atLeastIndex = await cluster.clock.settle(replica.readIndex(cluster.deadline()))
  const request = {
    statements: [{ sql: `get ${key}` }],
    atLeastIndex,
    deadline: cluster.deadline()
  }
  const { results } = await cluster.clock.settle(replica.read(request))
  return results[0]?.rows[0]?.[0] ?? null
}

const change = (
  cluster: TestCluster,
  at: string,
  kind: 'add' | 'remove',
  node: string,
  options = {}
) =>
  cluster.clock.settle(
    cluster.node(at).driver.changeMembers(kind, node as NodeId, { timeoutMs: 5_000, ...options })
  )

const namesIn = (cluster: TestCluster, name: string): GroupId[] =>
  cluster
    .node(name)
    .driver.groups()
    .map(({ group }) => group)

t.test('all groups are founded in one step, and each is a log of its own', async (t) => {
  const cluster = new TestCluster({ groups, consensus: restless })
  await cluster.startAll()
  await cluster.clock.until(() => cluster.node('a').driver.groups().length === groups.length)
  for (const group of groups) await write(cluster, group, 'k')
  for (const group of groups) {
    t.equal(await read(cluster, 'b', group, 'k'), String(group))
    for (const name of ['a', 'b', 'c']) t.same(namesIn(cluster, name), groups)
  }
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  for (const name of ['a', 'b', 'c']) await cluster.start(name)
  for (const group of groups) {
    await cluster.untilLeader(group)
    t.equal(await read(cluster, 'c', group, 'k'), String(group))
  }
})

t.test('who votes is told once, and not with every event of every group', async (t) => {
  const many = Array.from({ length: 64 }, (_, i) => i as GroupId)
  const cluster = new TestCluster({ groups: many, consensus: restless })
  const told: (readonly NodeId[])[] = []
  await cluster.start('a')
  cluster.node('a').driver.onVotersChanged((voters) => told.push(voters))
  await cluster.start('b')
  await cluster.start('c')
  for (const group of many) await cluster.untilLeader(group)
  t.same(told, [['a', 'b', 'c']])
  for (const name of ['b', 'c']) cluster.crash(name)
  await cluster.clock.advance(1_000)
  t.equal(told.length, 1, 'leaders come and go, voters stay')
})

t.test('writes of all groups at the same time share the syncs of the log', async (t) => {
  const cluster = await founded({ syncLatencyMs: 4, groups: groups.slice(0, 3) })
  const leaders = await Promise.all([0, 1, 2].map((group) => cluster.leader(group as GroupId)))
  const before = cluster.node('a').driver.counters.snapshot().log_syncs ?? 0
  const rounds = 20
  for (let round = 0; round < rounds; round++) {
    const writes = leaders.map((leader, group) =>
      cluster.group(leader ?? '', group as GroupId).write({
        statements: [{ sql: `set k${round} v` }],
        client: null,
        deadline: cluster.deadline()
      })
    )
    await cluster.clock.settle(Promise.all(writes))
  }
  const syncs = (cluster.node('a').driver.counters.snapshot().log_syncs ?? 0) - before
  t.ok(syncs < 2.5 * rounds, `${syncs} syncs for ${3 * rounds} entries`)
})

t.test('R-P10 a founder whose crash came between first entries has all groups', async (t) => {
  for (let seed = 1; seed <= 25; seed++) {
    const cluster = new TestCluster({ groups, seed, syncLatencyMs: 2, consensus: restless })
    const names = ['a', 'b', 'c']
    for (const name of names) await cluster.start(name)
    await cluster.clock.advance(cluster.random.nextInt(40))
    cluster.crash('b')
    await cluster.start('b')
    for (const group of groups) await cluster.untilLeader(group)
    await cluster.clock.until(() => namesIn(cluster, 'b').length === groups.length)
    for (const group of groups) await write(cluster, group, 'k')
    t.same(namesIn(cluster, 'b'), groups, `seed ${seed}`)
  }
})

t.test('founders with different groups in mind found nothing until they agree', async (t) => {
  const cluster = new TestCluster({ groups: [0 as GroupId], consensus: restless })
  await cluster.start('a')
  await cluster.start('b')
  cluster.configureGroups(groups)
  await cluster.start('c')
  await cluster.clock.advance(2_000)
  for (const name of ['a', 'b', 'c']) t.equal(cluster.node(name).driver.clusterId(), null)
  for (const name of ['a', 'b']) {
    cluster.crash(name)
    await cluster.start(name)
  }
  for (const group of groups) await cluster.untilLeader(group)
  t.same(namesIn(cluster, 'a'), groups)
  t.pass('and found when they do')
})

t.test('a cluster founded without a control group gets one, and no other groups', async (t) => {
  const cluster = new TestCluster({ groups: [0 as GroupId], consensus: restless })
  await cluster.startAll()
  await write(cluster, 0 as GroupId, 'k')
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  cluster.configureGroups(groups)
  for (const name of ['a', 'b', 'c']) await cluster.start(name)
  for (const group of [0 as GroupId, CONTROL_GROUP]) await write(cluster, group, 'later')
  t.equal(await read(cluster, 'a', 0 as GroupId, 'k'), '0')
  t.same(namesIn(cluster, 'a'), [0, CONTROL_GROUP])
})

t.test('R-M16 a node comes into every group by one call, and leaves all by another', async (t) => {
  const cluster = await founded()
  for (const group of groups) await write(cluster, group, 'k')
  await cluster.start('d')
  const plan = await change(cluster, 'b', 'add', 'd', { dryRun: true })
  t.match(plan, { nodeId: 'd', change: 'add', dryRun: true })
  const planned = {
    outcome: 'planned',
    votersBefore: ['a', 'b', 'c'],
    voters: ['a', 'b', 'c', 'd']
  }
  for (const one of plan.groups) t.match(one, planned)
  t.same(namesIn(cluster, 'd'), [], 'it was asked who it is, and nothing else')
  const added = await change(cluster, 'b', 'add', 'd')
  t.same(groupsOf(added.groups), groups)
  for (const one of added.groups)
    t.match(one, { outcome: 'changed', voters: plan.groups[0]?.voters })
  for (const group of groups) t.equal(await read(cluster, 'd', group, 'k'), String(group))
  const again = await change(cluster, 'c', 'add', 'd')
  for (const one of again.groups) t.match(one, { outcome: 'unchanged', warnings: [] })
  const removed = await change(cluster, 'd', 'remove', 'a')
  for (const one of removed.groups) t.match(one, { voters: ['b', 'c', 'd'], failuresTolerated: 1 })
  for (const group of groups) t.not(await cluster.untilLeader(group), 'a')
  const gone = await change(cluster, 'd', 'remove', 'a')
  for (const one of gone.groups) t.match(one, { outcome: 'unchanged' })
  const told = cluster.node('c').events.filter(({ type }) => type === 'ConfigurationChanged')
  for (const group of groups) {
    const last = told.findLast((event) => event.group === group)
    t.match(last, { voters: ['b', 'c', 'd'], learners: [] })
  }
})

t.test('a node that has heard of one group alone changes the members of all', async (t) => {
  const heard = groups.slice(0, 1)
  const cluster: TestCluster = await founded({
    knowledge: {
      groups: () => heard,
      leaderOf: (group) => cluster.leader(group) as NodeId | null,
      refresh: () => null,
      isMember: (node) => node !== 'z',
      mayLead: () => true
    }
  })
  await cluster.start('d')
  await t.rejects(change(cluster, 'd', 'add', 'z'), {
    code: 'ERR_SKEIN_UNKNOWN_NODE',
    message: /start it with a seed/
  })
  const { groups: changed } = await change(cluster, 'd', 'add', 'd')
  t.same(groupsOf(changed), groups)
})

t.test('R-M05 what stands in the way of a change is told for each group', async (t) => {
  const cluster = await founded()
  const timeoutMs = 1_500
  await cluster.start('d')
  cluster.crash('d')
  await t.rejects(change(cluster, 'a', 'add', 'd', { timeoutMs }), {
    code: 'ERR_SKEIN_MEMBER_CHANGE_FAILED',
    message: /d does not answer .*start it/,
    details: { groupsDone: 0, groups: { length: groups.length } }
  })
  await t.rejects(change(cluster, 'a', 'add', 'd', { timeoutMs: 0 }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT'
  })
  cluster.crash('c')
  await cluster.clock.advance(1_000)
  for (const group of groups) await cluster.untilLeader(group)
  const plan = await change(cluster, 'a', 'remove', 'b', { dryRun: true })
  for (const one of plan.groups) t.match(one, { quorumSurvives: false, warnings: [/bring back/] })
  await t.rejects(change(cluster, 'a', 'remove', 'b', { timeoutMs }), {
    code: 'ERR_SKEIN_MEMBER_CHANGE_FAILED',
    message: /bring them back first/
  })
  const controller = new AbortController()
  const given = { signal: controller.signal, timeoutMs: 60_000 }
  cluster.crash('b')
  await cluster.clock.advance(1_000)
  const waiting = cluster.node('a').driver.changeMembers('remove', 'c' as NodeId, given)
  controller.abort()
  await t.rejects(cluster.clock.settle(waiting), { code: /CANCELLED/ })
})

t.test('idle groups sleep, and one message an interval stands for all of them', async (t) => {
  const cluster = await founded({ consensus: { quiesceAfterMs: 200 } })
  for (const group of groups) await write(cluster, group, 'k')
  const sleeping = (name: string) => cluster.node(name).driver.counters.snapshot().groups_asleep
  await cluster.clock.until(() => ['a', 'b', 'c'].every((name) => sleeping(name) === groups.length))
  const sent = () =>
    ['a', 'b', 'c'].map((name) => cluster.node(name).driver.counters.snapshot().messages_sent ?? 0)
  const leaders = groups.map((group) => cluster.leader(group))
  const before = sent()
  await cluster.clock.advance(2_000)
  // Each host that leads speaks to two others, 50 times a second, and is answered.
  const mostSent = 2 * 2 * 2 * 50 + groups.length
  for (const [i, count] of sent().entries()) {
    t.ok(count - (before[i] ?? 0) <= mostSent, `${count - (before[i] ?? 0)} of ${mostSent}`)
  }
  t.same(
    groups.map((group) => cluster.leader(group)),
    leaders,
    'nobody campaigned'
  )
  await cluster.clock.advance(40_000)
  t.same(
    groups.map((group) => cluster.leader(group)),
    leaders,
    'nor after a long time'
  )
  const [group = groups[0] as GroupId] = groups
  await write(cluster, group, 'awake')
  t.equal(await read(cluster, 'a', group, 'awake'), String(group))
  t.equal(await read(cluster, 'c', 2 as GroupId, 'k'), '2', 'a read wakes its group alone')
  t.ok((sleeping('b') ?? 0) >= groups.length - 2)
})

t.test(
  'R-E25 the groups of a dead host have leaders again as if they had been awake',
  async (t) => {
    for (const how of ['crash', 'silence'] as const) {
      const cluster = await founded({ consensus: { quiesceAfterMs: 200 } })
      const sleeping = (name: string) => cluster.node(name).driver.counters.snapshot().groups_asleep
      const names = ['a', 'b', 'c']
      await cluster.clock.until(() => names.every((name) => sleeping(name) === groups.length))
      const dead = cluster.leader() ?? ''
      const led = groups.filter((group) => cluster.leader(group) === dead)
      const others = names.filter((name) => name !== dead)
      const begin = cluster.clock.now()
      if (how === 'crash') cluster.crash(dead)
      else cluster.network.isolate(dead as NodeId)
      await cluster.clock.until(() =>
        led.every((group) => others.some((name) => cluster.group(name, group).isLeader))
      )
      t.ok(cluster.clock.now() - begin < 1_000, `${how}: ${cluster.clock.now() - begin} ms`)
      await cluster.clock.advance(1_000)
      if (how === 'silence') {
        for (const group of led) t.notOk(cluster.group(dead, group).isLeader, 'it has stepped down')
        cluster.network.heal()
      }
      for (const group of led) await write(cluster, group, 'k')
    }
  }
)

t.test('leaders spread over the nodes, one after the other', async (t) => {
  const many = Array.from({ length: 12 }, (_, group) => group as GroupId)
  const cluster = await founded({ groups: many, consensus: { leaderBalanceIntervalMs: 500 } })
  const led = () =>
    ['a', 'b', 'c'].map((name) => many.filter((group) => cluster.leader(group) === name).length)
  await cluster.clock.until(() => led().every((count) => count === 4))
  await cluster.clock.advance(5_000)
  t.same(led(), [4, 4, 4])
  cluster.crash('c')
  await cluster.clock.until(() => led().join() === '6,6,0')
  await cluster.start('c')
  await cluster.clock.until(() => led().every((count) => count === 4))
  const moved = ['a', 'b', 'c'].map(
    (name) => cluster.node(name).driver.counters.snapshot().leaders_moved ?? 0
  )
  t.ok(moved.reduce((sum, count) => sum + count, 0) >= 4)
})

const groupsOf = (changes: readonly GroupMemberChange[]): GroupId[] =>
  changes.map(({ group }) => group)
