import t from 'tap'
import type { ClientId, LogIndex, NodeId, Serial } from '../../../src/core/ids.js'
import type { ClientTag, WriteAnswer } from '../../../src/core/ports/replicated-group.js'
import { TestCluster } from '../../support/consensus-cluster.js'

const tag = (serial: number, answeredBelow = 1): ClientTag => ({
  clientId: 'client-1' as ClientId,
  serial: serial as Serial,
  answeredBelow: answeredBelow as Serial
})

const others = (cluster: TestCluster, name: string): string[] =>
  [...cluster.nodes.keys()].filter((other) => other !== name)

t.test('founders found one cluster, write, read everywhere and agree', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const ids = new Set([...cluster.nodes.values()].map(({ driver }) => driver.clusterId()))
  t.equal(ids.size, 1)
  t.match([...ids][0], /^[0-9a-f]{32}$/)
  for (let i = 0; i < 20; i++) await cluster.written(leader, `set k${i} v${i}`)
  for (const name of cluster.nodes.keys()) {
    t.equal(await cluster.read(name, 'k19'), 'v19', `read on ${name}`)
    t.equal(cluster.node(name).driver.leaderOf(cluster.group(name).group), leader)
  }
  await cluster.untilCaughtUp()
  t.equal(new Set(await cluster.hashes()).size, 1)
  const status = cluster.group(leader).status()
  t.same(status.voters, ['a', 'b', 'c'])
  t.equal(status.progress.length, 3)
  t.ok(status.progress.every(({ active }) => active))
})

t.test('the founding waits for every founder, and only for its first time', async (t) => {
  const cluster = new TestCluster()
  await cluster.start('a')
  await cluster.start('b')
  await cluster.clock.advance(5_000)
  t.equal(cluster.node('a').driver.clusterId(), null)
  t.equal(cluster.node('a').driver.group(0 as never), null)
  await cluster.start('c')
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k v')
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  await cluster.start('a')
  await cluster.start('c')
  const next = await cluster.untilLeader()
  t.equal(await cluster.read(next, 'k'), 'v')
})

t.test('a crash in the middle of the founding changes nothing about it', async (t) => {
  for (let seed = 0; seed < 25; seed++) {
    const cluster = new TestCluster({ seed, syncLatencyMs: 4 })
    await cluster.startAll()
    await cluster.clock.advance(cluster.random.nextInt(40))
    const victim = ['a', 'b', 'c'][cluster.random.nextInt(3)] as string
    cluster.crash(victim)
    await cluster.clock.advance(cluster.random.nextInt(400))
    await cluster.start(victim)
    const leader = await cluster.untilLeader()
    await cluster.written(leader, 'set k v')
    await cluster.untilCaughtUp()
    const ids = new Set([...cluster.nodes.values()].map(({ driver }) => driver.clusterId()))
    t.equal(ids.size, 1, `seed ${seed}`)
  }
})

t.test('R-P08 a founder whose directory was emptied neither votes nor founds', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k v')
  const victim = others(cluster, leader)[0] as string
  cluster.crash(victim)
  cluster.node(victim).disk.wipe()
  cluster.node(victim).engineDisk.wipe()
  await cluster.start(victim)
  await cluster.clock.advance(3_000)
  t.equal(cluster.node(victim).driver.clusterId(), null)
  t.equal(cluster.node(victim).driver.groups().length, 0)
  await cluster.written(leader, 'set k w')
  cluster.crash(others(cluster, leader)[1] as string)
  await t.rejects(cluster.written(leader, 'set k x'), { code: 'ERR_SKEIN_INDETERMINATE' })
})

t.test('the leader is killed: no acknowledged write is lost, the node comes back', async (t) => {
  for (let seed = 0; seed < 10; seed++) {
    const cluster = new TestCluster({ seed, syncLatencyMs: 2 })
    await cluster.startAll()
    const first = await cluster.untilLeader()
    const acknowledged: string[] = []
    const pending = Array.from({ length: 60 }, (_, i) =>
      cluster.write(first, `set k${i} v${i}`).then(
        () => acknowledged.push(`k${i}`),
        () => {}
      )
    )
    await cluster.clock.advance(cluster.random.nextInt(12))
    cluster.crash(first)
    const second = await cluster.untilLeader()
    t.not(second, first)
    for (const key of acknowledged) {
      t.equal(await cluster.read(second, key), `v${key.slice(1)}`, `seed ${seed}`)
    }
    await cluster.written(second, 'set after 1')
    await cluster.start(first)
    await cluster.untilCaughtUp()
    t.equal(new Set(await cluster.hashes()).size, 1)
    t.ok(pending.length === 60)
  }
})

t.test(
  'R-P15 all lose power at once, again and again: every acknowledged write is there',
  async (t) => {
    const cluster = new TestCluster({ seed: 5, syncLatencyMs: 3 })
    await cluster.startAll()
    let sum = 0
    let unknown = 0
    for (let round = 0; round < 12; round++) {
      const leader = await cluster.untilLeader()
      for (let i = 0; i < 10; i++) {
        cluster.write(leader, 'add sum 1').then(
          () => sum++,
          () => {}
        )
        unknown++
        await cluster.clock.advance(cluster.random.nextInt(4))
      }
      for (const name of ['a', 'b', 'c']) cluster.crash(name)
      await cluster.startAll()
    }
    const leader = await cluster.untilLeader()
    const found = Number(await cluster.read(leader, 'sum'))
    t.ok(found >= sum && found <= unknown, `${sum} acknowledged, ${found} found, ${unknown} sent`)
    t.ok(sum > 20)
    await cluster.untilCaughtUp()
    t.equal(new Set(await cluster.hashes()).size, 1)
  }
)

t.test('R-X01 a retry is executed once, over leaders and restarts', async (t) => {
  for (let seed = 0; seed < 15; seed++) {
    const cluster = new TestCluster({ seed, syncLatencyMs: 2 })
    await cluster.startAll()
    let leader = await cluster.untilLeader()
    await cluster.clock.settle(
      cluster.group(leader).registerClient('client-1' as ClientId, cluster.deadline())
    )
    let answered: WriteAnswer | null = null
    for (let serial = 1; serial <= 12; serial++) {
      for (;;) {
        const attempt = cluster.write(leader, 'add sum 1', tag(serial, serial))
        attempt.catch(() => {})
        if (cluster.random.nextInt(4) === 0) {
          await cluster.clock.advance(cluster.random.nextInt(8))
          cluster.crash(leader)
          await cluster.start(leader)
        }
        leader = await cluster.untilLeader()
        answered = await cluster.clock
          .settle<WriteAnswer>(cluster.write(leader, 'add sum 1', tag(serial, serial)))
          .catch(() => null)
        if (answered !== null) break
      }
    }
    t.equal(await cluster.read(leader, 'sum'), '12', `seed ${seed}`)
    const again = await cluster.written(leader, 'add sum 1', tag(12, 12))
    t.match(again, { repeated: true, index: answered?.index })
    await t.rejects(cluster.written(leader, 'add sum 1', tag(3, 3)), {
      code: 'ERR_SKEIN_SERIAL_FORGOTTEN'
    })
  }
})

t.test('R-X05 kept answers survive the power failure of all, from engine and log', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const registered = cluster.group(leader).registerClient(tag(1).clientId, cluster.deadline())
  await cluster.clock.settle(registered)
  const answers: WriteAnswer[] = []
  for (let serial = 1; serial <= 30; serial++) {
    answers.push(await cluster.written(leader, 'add sum 1', tag(serial)))
  }
  for (const name of ['a', 'b', 'c']) cluster.crash(name)
  await cluster.startAll()
  for (const name of ['a', 'b', 'c']) {
    t.ok(cluster.group(name).status().appliedIndex > 20, `${name} goes on from its engine's disk`)
  }
  const next = await cluster.untilLeader()
  for (const [i, answer] of answers.entries()) {
    const again = await cluster.written(next, 'add sum 1', tag(i + 1))
    t.same(again, { ...answer, repeated: true })
  }
  t.equal(await cluster.read(next, 'sum'), '30')
})

t.test('R-X01 what a client has given up is not executed behind what came after it', async (t) => {
  const cluster = new TestCluster({ syncLatencyMs: 2 })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const registered = cluster.group(leader).registerClient(tag(1).clientId, cluster.deadline())
  await cluster.clock.settle(registered)
  const onItsWay = cluster.write(leader, 'add sum 1')
  await cluster.clock.advance(1)
  const [later, late] = [tag(2, 2), tag(1, 1)].map((one) =>
    cluster.write(leader, 'add sum 1', one)
  ) as [Promise<WriteAnswer>, Promise<WriteAnswer>]
  const refused = t.rejects(late, { code: 'ERR_SKEIN_SERIAL_FORGOTTEN' })
  await cluster.clock.settle(Promise.all([onItsWay, later, refused]))
  await cluster.written(leader, 'add sum 1', tag(3, 3))
  t.equal(await cluster.read(leader, 'sum'), '3')
  await cluster.untilCaughtUp()
})

t.test('R-X01 a retry that meets its original uncommitted is not executed again', async (t) => {
  let met = 0
  for (let seed = 0; seed < 12; seed++) {
    const cluster = new TestCluster({ seed, syncLatencyMs: 10 })
    await cluster.startAll()
    const first = await cluster.untilLeader()
    const registered = cluster.group(first).registerClient(tag(1).clientId, cluster.deadline())
    await cluster.clock.settle(registered)
    await cluster.untilCaughtUp()
    cluster.write(first, 'add sum 1', tag(1)).catch(() => {})
    await cluster.clock.advance(3)
    cluster.crash(first)
    await cluster.clock.until(() => ![first, null].includes(cluster.leader()))
    const next = cluster.leader() as string
    const { commitIndex, lastIndex } = cluster.group(next).status()
    if (lastIndex > commitIndex + 1) met++
    await cluster.written(next, 'add sum 1', tag(1))
    t.equal(await cluster.read(next, 'sum'), '1', `seed ${seed}`)
  }
  t.ok(met > 5, `${met} times`)
})

t.test('what was planned in vain is forgotten before the node leads again', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const first = await cluster.untilLeader()
  await cluster.untilCaughtUp()
  cluster.network.isolate(first as never)
  const lost = cluster.write(first, 'add n 1')
  lost.catch(() => {})
  await cluster.clock.until(() => ![first, null].includes(cluster.leader()))
  cluster.network.heal()
  await cluster.untilCaughtUp()
  await t.rejects(lost, { code: 'ERR_SKEIN_INDETERMINATE' })
  const group = cluster.group(cluster.leader() as string)
  await cluster.clock.settle(group.transferLeadership(first as never, cluster.deadline()))
  t.equal(await cluster.untilLeader(), first)
  await cluster.written(first, 'add n 1')
  t.equal(await cluster.read(first, 'n'), '1')
})

t.test('R-X02 a client that leaves its answers is refused at the bound, exactly', async (t) => {
  const cluster = new TestCluster({ seed: 11, consensus: { clientAnswersMax: 4 } })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.clock.settle(
    cluster.group(leader).registerClient('client-1' as ClientId, cluster.deadline())
  )
  // All in one batch, so that none of them can see another's answer in the table.
  const attempts = [1, 2, 3, 4, 5, 6].map((serial) =>
    cluster.write(leader, 'add sum 1', tag(serial))
  )
  const outcomes = await cluster.clock.settle(Promise.allSettled(attempts))
  t.same(
    outcomes.map((one) => (one.status === 'fulfilled' ? 'done' : one.reason.code)),
    [...Array(4).fill('done'), ...Array(2).fill('ERR_SKEIN_BACKPRESSURE')]
  )
  t.equal(await cluster.read(leader, 'sum'), '4', 'what was refused was not executed')
  t.match(await cluster.written(leader, 'add sum 1', tag(4)), { repeated: true }, 'answers stay')
  await cluster.written(leader, 'add sum 1', tag(5, 2))
  await t.rejects(cluster.written(leader, 'add sum 1', tag(6, 2)), {
    code: 'ERR_SKEIN_BACKPRESSURE'
  })
  t.match(await cluster.written(leader, 'add sum 1', tag(6, 6)), { repeated: false })
})

t.test('R-X02 duplicates within one batch are one command with one answer', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.clock.settle(
    cluster.group(leader).registerClient('client-1' as ClientId, cluster.deadline())
  )
  const answers = await cluster.clock.settle(
    Promise.all([1, 1, 2, 1].map((serial) => cluster.write(leader, 'add sum 1', tag(serial))))
  )
  t.same(
    answers.map(({ repeated }) => repeated),
    [false, true, false, true]
  )
  t.equal(await cluster.read(leader, 'sum'), '2')
})

t.test('R-X04 an unregistered client is told so', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await t.rejects(cluster.written(leader, 'set k v', tag(1)), {
    code: 'ERR_SKEIN_CLIENT_EXPIRED'
  })
})

t.test(
  'R-X06 M-04 a leader cut off answers indeterminate or not leader, and serves no reads',
  async (t) => {
    const cluster = new TestCluster()
    await cluster.startAll()
    const old = await cluster.untilLeader()
    await cluster.written(old, 'set k old')
    cluster.network.isolate(old as never)
    const inFlight = cluster.write(old, 'set k lost')
    const queued = cluster.write(old, 'set q lost')
    const read = cluster.group(old).readIndex(cluster.deadline())
    for (const promise of [inFlight, queued, read]) promise.catch(() => {})
    await cluster.clock.until(() => cluster.leader() !== old)
    const next = await cluster.untilLeader()
    await cluster.written(next, 'set k new')
    await t.rejects(cluster.clock.settle(inFlight), { code: 'ERR_SKEIN_INDETERMINATE' })
    await t.rejects(cluster.clock.settle(queued), { code: /NOT_LEADER|INDETERMINATE/ })
    await t.rejects(cluster.clock.settle(read), { code: /NOT_LEADER|NO_LEADER|TIMEOUT/ })
    cluster.network.heal()
    await cluster.untilCaughtUp()
    t.equal(await cluster.read(old, 'k'), 'new')
    t.equal(await cluster.read(old, 'q'), null)
    t.equal(new Set(await cluster.hashes()).size, 1)
  }
)

t.test("a plan's failure is its caller's alone", async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const [one, two, three] = ['set a 1', 'expect a 2', 'set b 3'].map((sql) =>
    cluster.write(leader, sql)
  )
  two?.catch(() => {})
  await cluster.clock.settle(Promise.all([one, three]))
  await t.rejects(two as Promise<unknown>, { code: 'ERR_SKEIN_SQL_CONSTRAINT' })
  t.equal(await cluster.read(leader, 'b'), '3')
})

t.test('writes on a follower are refused with a hint', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.untilCaughtUp()
  const follower = others(cluster, leader)[0] as string
  await t.rejects(cluster.written(follower, 'set k v'), {
    code: 'ERR_SKEIN_NOT_LEADER',
    leaderHint: leader
  })
})

t.test('group commit: many writers share entries and syncs', async (t) => {
  const cluster = new TestCluster({ syncLatencyMs: 2 })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const before = cluster.node(leader).driver.counters.snapshot()
  await cluster.clock.settle(
    Promise.all(Array.from({ length: 500 }, (_, i) => cluster.write(leader, `set k${i} v`)))
  )
  const now = cluster.node(leader).driver.counters.snapshot()
  t.ok(now.batches - before.batches <= 6, `${now.batches - before.batches} batches`)
  t.ok(now.log_syncs - before.log_syncs <= 8, `${now.log_syncs - before.log_syncs} syncs`)
  t.equal(now.batch_commands - before.batch_commands, 500)
})

t.test('commands of any size up to the bound go through, larger ones are refused', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const big = 'x'.repeat(500_000)
  const writes = Array.from({ length: 6 }, (_, i) => cluster.write(leader, `set big${i} ${big}`))
  const tooBig = cluster.write(leader, `set huge ${'x'.repeat(800_000)}`)
  const small = cluster.write(leader, 'set small 1')
  tooBig.catch(() => {})
  await cluster.clock.settle(Promise.all([...writes, small]))
  await t.rejects(tooBig, { code: 'ERR_SKEIN_COMMAND_TOO_LARGE' })
  await cluster.untilCaughtUp()
  t.equal(new Set(await cluster.hashes()).size, 1)
  t.equal((await cluster.read(others(cluster, leader)[0] as string, 'big5'))?.length, 500_000)
})

t.test(
  'R-T01 leadership is handed over before a stop, without an election by timeout',
  async (t) => {
    const cluster = new TestCluster()
    await cluster.startAll()
    const leader = await cluster.untilLeader()
    await cluster.written(leader, 'set k v')
    const { driver } = cluster.node(leader)
    await cluster.clock.settle(driver.handOver(cluster.deadline()))
    t.notOk(cluster.group(leader).isLeader)
    t.equal(cluster.group(leader).status().leader, null)
    await cluster.clock.settle(driver.untilLed(cluster.deadline()))
    const heardOf = cluster.group(leader).status().leader
    const next = await cluster.untilLeader()
    t.equal(heardOf, next, 'it has stayed until it heard of its successor')
    await cluster.clock.settle(driver.stop())
    cluster.node(leader).isUp = false
    cluster.network.leave(leader as never)
    await cluster.written(next, 'set k w')
    const restarted = await cluster.start(leader)
    t.ok(restarted.driver.group(0 as never))
    await cluster.untilCaughtUp()
    t.equal(await cluster.read(leader, 'k'), 'w')
  }
)

t.test('R-T01 who stops last, or with all others, waits for no successor', async (t) => {
  const atMs = async (stopping: readonly string[]) => {
    const gone = new Set<string>()
    const cluster = new TestCluster({
      knowledge: {
        groups: () => [],
        leaderOf: () => null,
        refresh: () => null,
        isMember: (node) => !gone.has(node),
        mayLead: (node) => !gone.has(node)
      }
    })
    await cluster.startAll()
    const leader = await cluster.untilLeader()
    await cluster.untilCaughtUp()
    for (const name of stopping) gone.add(name === 'leader' ? leader : name)
    for (const name of others(cluster, leader)) if (stopping.includes('others')) gone.add(name)
    const { driver } = cluster.node(leader)
    const begun = cluster.clock.now()
    await cluster.clock.settle(driver.handOver(cluster.deadline()))
    await cluster.clock.settle(driver.untilLed(cluster.deadline()))
    return cluster.clock.now() - begun
  }
  t.ok((await atMs(['leader'])) > 0, 'there is somebody to wait for')
  t.equal(await atMs(['leader', 'others']), 0)
})

t.test('R-T01 a successor that never takes over is not waited for to the end', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.untilCaughtUp()
  const { driver } = cluster.node(leader)
  await cluster.clock.settle(driver.handOver(cluster.deadline()))
  for (const name of others(cluster, leader)) cluster.network.leave(name as never)
  const begun = cluster.clock.now()
  await cluster.clock.settle(driver.untilLed(cluster.deadline()))
  const tookMs = cluster.clock.now() - begun
  t.ok(tookMs > 0 && tookMs <= 3_000, `${tookMs} ms`)
})

t.test('transfer to a named node, and to nobody who votes', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.untilCaughtUp()
  const target = others(cluster, leader)[1] as string
  const group = cluster.group(leader)
  await t.rejects(group.transferLeadership('nobody' as never, cluster.deadline()), {
    code: 'ERR_SKEIN_NOT_A_VOTER'
  })
  await cluster.clock.settle(group.transferLeadership(target as never, cluster.deadline()))
  t.equal(await cluster.untilLeader(), target)
  const taken = cluster.node(target)
  t.equal(cluster.group(target).status().handedOver, true)
  t.match(taken.driver.counters.snapshot(), { leaderships_transferred: 1, leader_elections: 0 })
  t.match(
    taken.events.findLast(({ type }) => type === 'RoleChanged'),
    { role: 'leader', reason: 'leadershipTransferred' }
  )
  t.equal(cluster.group(leader).status().handedOver, false)
  t.match(cluster.node(leader).driver.counters.snapshot(), { leader_elections: 1 })
})

t.test('R-T01 who takes over plans while its first entry is replicated', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k v')
  await cluster.untilCaughtUp()
  const group = cluster.group(leader)
  const transferred = group.transferLeadership(null, cluster.deadline())
  const held = cluster.write(leader, 'set k x').catch((error: unknown) => error)
  await cluster.clock.settle(transferred)
  await cluster.clock.until(() => cluster.leader() !== null && cluster.leader() !== leader)
  const next = cluster.leader() as string
  t.match(await held, { code: 'ERR_SKEIN_NOT_LEADER', leaderHint: next }, 'told before it is sure')
  const { lastIndex } = cluster.group(next).status()
  t.ok(cluster.group(next).status().commitIndex < lastIndex, 'it has only just won')
  const written = cluster.write(next, 'set k w')
  await cluster.clock.until(() => cluster.group(next).status().lastIndex > lastIndex)
  t.ok(cluster.group(next).status().commitIndex < lastIndex, 'the batch waits for nothing')
  t.equal((await cluster.clock.settle(written)).index, lastIndex + 1)
  t.equal(await cluster.read(leader, 'k'), 'w')
})

t.test('an engine gets ready for plans while its replica campaigns', async (t) => {
  const rehearsed: boolean[] = []
  const cluster = new TestCluster({
    wrap: (engine) =>
      Object.assign(engine, {
        rehearse: async () => void rehearsed.push(cluster.leader() !== null)
      })
  })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k v')
  await cluster.untilCaughtUp()
  rehearsed.length = 0
  const group = cluster.group(leader)
  await cluster.clock.settle(group.transferLeadership(null, cluster.deadline()))
  await cluster.untilLeader()
  t.same(rehearsed, [true], 'by the next one, while the former one led')
})

t.test('a replica that differs from the majority stops serving, the others go on', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k v')
  await cluster.untilCaughtUp()
  const victim = others(cluster, leader)[0] as string
  cluster.node(victim).engine?.corrupt('k', 'rotten')
  cluster.group(leader).check()
  await cluster.clock.until(() => cluster.group(victim).status().failed !== null)
  t.equal(cluster.group(victim).status().failed, 'ERR_SKEIN_DIVERGED')
  const told = cluster.node(leader).events.find(({ type }) => type === 'ReplicaDiverged')
  t.match(told, { nodes: [victim] })
  await t.rejects(cluster.read(victim, 'k'), { code: 'ERR_SKEIN_DIVERGED' })
  await cluster.written(leader, 'set k w')
  t.equal(await cluster.read(leader, 'k'), 'w')
})

t.test('a diverged leader steps down; without any majority the group halts', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k v')
  await cluster.untilCaughtUp()
  cluster.node(leader).engine?.corrupt('k', 'rotten')
  cluster.group(leader).check()
  await cluster.clock.until(() => cluster.leader() !== null && cluster.leader() !== leader)
  const next = await cluster.untilLeader()
  await cluster.written(next, 'set k w')

  const halted = new TestCluster()
  await halted.startAll()
  const first = await halted.untilLeader()
  await halted.written(first, 'set k v')
  await halted.untilCaughtUp()
  for (const [i, name] of ['a', 'b'].entries()) halted.node(name).engine?.corrupt('k', `rot${i}`)
  halted.group(first).check()
  await halted.clock.advance(500)
  await t.rejects(halted.written(await halted.untilLeader(), 'set k x'), {
    code: 'ERR_SKEIN_DIVERGED'
  })
})

t.test('an engine that fails while applying stops its replica, not the cluster', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  await cluster.written(leader, 'set k v')
  const engine = cluster.node(leader).engine
  if (engine === null) throw new Error('no engine')
  engine.apply = () => Promise.reject(new Error('disk on fire'))
  await t.rejects(cluster.written(leader, 'set k w'), { code: 'ERR_SKEIN_INDETERMINATE' })
  await cluster.clock.until(() => cluster.leader() !== null && cluster.leader() !== leader)
  const next = await cluster.untilLeader()
  t.equal(await cluster.read(next, 'k'), 'w', 'the entry was committed')
  await t.rejects(cluster.written(leader, 'set k x'), { code: 'ERR_SKEIN_REPLICA_FAILED' })
  t.ok(cluster.node(leader).events.some(({ type }) => type === 'ReplicaFailed'))
})

t.test('R-P11 a failed sync of the log stops the replica; the others elect', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  cluster.node(leader).disk.failSyncs(1)
  const write = cluster.write(leader, 'set k v')
  write.catch(() => {})
  await cluster.clock.until(() => cluster.group(leader).status().failed !== null)
  t.equal(cluster.group(leader).status().failed, 'ERR_SKEIN_DISK_FAILED')
  await t.rejects(cluster.clock.settle(write), { code: 'ERR_SKEIN_INDETERMINATE' })
  const next = await cluster.clock
    .until(() => others(cluster, leader).some((name) => cluster.group(name).isLeader))
    .then(() => others(cluster, leader).find((name) => cluster.group(name).isLeader) as string)
  await cluster.clock.advance(100)
  await cluster.written(next, 'set k w')
})

t.test('R-Q06 reads wait for their index, and not for ever', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  const follower = others(cluster, leader)[0] as string
  const statements = [{ sql: 'get k' }]
  const { lastIndex } = cluster.group(leader).status()
  const atLeastIndex = (lastIndex + 1) as LogIndex
  const deadline = cluster.deadline()
  const waiting = cluster.group(follower).read({ statements, atLeastIndex, deadline })
  const late = cluster.group(follower).read({
    statements,
    atLeastIndex: (lastIndex + 99) as LogIndex,
    deadline: cluster.deadline(300)
  })
  late.catch(() => {})
  await cluster.written(leader, 'set k v')
  const { results } = await cluster.clock.settle(waiting)
  t.same(results[0]?.rows, [['v']])
  await t.rejects(cluster.clock.settle(late), { code: 'ERR_SKEIN_TIMEOUT' })
})

t.test('a follower’s question to a silent leader goes to the next one', async (t) => {
  const cluster = new TestCluster()
  await cluster.startAll()
  const silent = await cluster.untilLeader()
  await cluster.written(silent, 'set k v')
  cluster.network.isolate(silent as NodeId)
  const begun = cluster.clock.now()
  const asked = others(cluster, silent).map((name) =>
    cluster.group(name).readIndex(cluster.deadline(60_000))
  )
  const indexes = await cluster.clock.settle(Promise.all(asked))
  t.ok(indexes.every((index) => index > 0))
  t.ok(cluster.clock.now() - begun < 5_000, 'an election later, long before the deadline')
})

t.test('a node alone founds, writes and comes back', async (t) => {
  const cluster = new TestCluster({ nodes: ['a'] })
  await cluster.startAll()
  const leader = await cluster.untilLeader()
  for (let i = 0; i < 30; i++) await cluster.written(leader, 'add n 1')
  cluster.crash('a')
  await cluster.start('a')
  await cluster.untilLeader()
  t.equal(await cluster.read('a', 'n'), '30')
})
