import t from 'tap'
import type { Logger, MonotonicMs, NodeId } from '../../../../src/core/index.js'
import { SplittableRandom, silentLogger } from '../../../../src/core/index.js'
import type { MembershipDriver } from '../../../../src/network/membership/membership-driver.js'
import {
  joinRequest,
  leave,
  PacketWriter,
  pushPull
} from '../../../../src/network/membership/messages.js'
import { DatagramSealer } from '../../../../src/network/security/datagram-sealer.js'
import { nodeCrypto } from '../../../../src/runtime/node-crypto.js'
import { NodeDisk } from '../../../../src/runtime/node-disk.js'
import { clusterIdOf, type DriverNode, DriverWorld, groupKey, viewOf } from './driver-world.js'

const id = (name: string): NodeId => name as NodeId

const refusals = (driver: MembershipDriver): Record<string, number> =>
  Object.fromEntries(Object.entries(driver.refusals).filter(([, count]) => count > 0))

const eventsOf = (node: DriverNode, about: string): string[] =>
  node.events.flatMap((event) =>
    'member' in event && event.member.nodeId === about ? [event.type] : []
  )

for (const gossipKeys of [[groupKey], null]) {
  const mode = gossipKeys === null ? 'insecure' : 'encrypted'
  t.test(`${mode}: five nodes join, one is killed, one leaves, both come back`, async (t) => {
    const world = new DriverWorld(t)
    const [n0, n1, n2, n3, n4] = (await world.cluster(5, { gossipKeys })) as [
      DriverNode,
      DriverNode,
      DriverNode,
      DriverNode,
      DriverNode
    ]
    t.equal(n4.driver.members().length, 5)
    t.match(n0.driver.member(id('n4')), {
      liveness: 'alive',
      lifecycle: 'up',
      datacenter: 'dc',
      rack: 'r',
      metadata: { name: 'n4' },
      address: n4.address
    })
    t.equal(n0.driver.addressOf(id('n4')), n4.address)
    t.equal(n0.driver.addressOf(id('nobody')), undefined)

    await world.kill(n3)
    const survivors = [n0, n1, n2, n4]
    const isDead = (node: DriverNode) => eventsOf(node, 'n3').includes('MemberDied')
    await world.clock.until(() => survivors.every(isDead), 20_000)
    for (const node of survivors) {
      t.same(eventsOf(node, 'n3'), ['MemberSuspected', 'MemberDied'], node.name)
      t.equal(node.driver.explainDeath(id('n3'))?.nodeId, 'n3')
    }
    t.ok(n0.driver.counters.topology_changes >= 5)

    await world.clock.settle(n2.driver.leave(world.deadline(5_000)))
    await world.kill(n2)
    const others = [n0, n1, n4]
    await world.clock.until(
      () => others.every((node) => node.driver.member(id('n2'))?.lifecycle === 'left'),
      2_000
    )
    await world.clock.advance(15_000)
    for (const node of others) t.same(eventsOf(node, 'n2'), ['MemberLeft'], node.name)

    for (const name of ['n3', 'n2']) {
      const again = await world.start(name, { gossipKeys })
      t.equal(await world.join(again, [n0]), 1)
    }
    await world.clock.until(() => world.isConverged(), 20_000)
    t.ok(eventsOf(n1, 'n3').includes('MemberJoined'))
    t.same(refusals(n0.driver), {}, 'no datagram was refused in all this')
  })
}

t.test(
  'X-28, X-29, X-30: bad datagrams change nothing, are counted and not answered',
  async (t) => {
    const world = new DriverWorld(t)
    const [n0, n1] = (await world.cluster(3)) as [DriverNode, DriverNode]
    const { datagrams } = world
    const before = viewOf(n0.driver)
    const genuine = datagrams.sent.findLast(
      ({ from, to }) => from === n1.address && to === n0.address
    )
    t.ok(genuine)
    const bytes = genuine?.bytes ?? new Uint8Array()
    const sentBefore = datagrams.sent.length
    const give = (given: Uint8Array) => datagrams.inject(n0.address, given, n1.address)

    give(bytes)
    t.same(refusals(n0.driver), { datagrams_refused_replayed: 1 })
    for (let at = 0; at < bytes.length; at++) {
      give(bytes.with(at, (bytes[at] as number) ^ 0x80))
      give(bytes.subarray(0, at))
    }
    give(new Uint8Array(1_500))
    give(new Uint8Array(65_507))
    const options = { nodeId: id('n1'), clusterName: 'test', gossipKeys: [groupKey] }
    const later = world.clock.wallNow() + 1_000_000
    const packet = new PacketWriter().write(null, [
      { kind: 'dead', nodeId: id('n2'), incarnation: 9 as never, accuser: id('n1') }
    ])
    const seal = (change: Partial<ConstructorParameters<typeof DatagramSealer>[1]>, boot = later) =>
      new DatagramSealer(nodeCrypto(), { ...options, ...change }, boot).seal(packet)
    give(seal({ gossipKeys: [new Uint8Array(32).fill(8)] }))
    give(seal({ gossipKeys: null }))
    give(seal({ clusterName: 'other' }))
    give(seal({ nodeId: id('n0') }))
    give(seal({}, 1))

    const told = refusals(n0.driver)
    const total = Object.values(told).reduce((sum, count) => sum + count, 0)
    t.equal(total, 1 + 2 * bytes.length + 2 + 5, 'each is counted')
    t.match(told, {
      datagrams_refused_oversized: 2,
      datagrams_refused_wrong_key: 2,
      datagrams_refused_reflected: 1
    })
    for (const reason of [
      'truncated',
      'forged',
      'old_boot',
      'foreign_cluster',
      'unknown_version'
    ]) {
      t.ok((told[`datagrams_refused_${reason}`] ?? 0) > 0, reason)
    }
    t.same(viewOf(n0.driver), before)
    t.equal(datagrams.sent.length, sentBefore, 'X-32: none was answered')
  }
)

t.test('X-32: a flood of strangers costs little, moves nobody, is not answered', async (t) => {
  const world = new DriverWorld(t)
  const [n0] = (await world.cluster(3)) as [DriverNode]
  const options = {
    nodeId: id('stranger'),
    clusterName: 'test',
    gossipKeys: [groupKey.map((b) => b ^ 1)]
  }
  const sealer = new DatagramSealer(nodeCrypto(), options, 1)
  const packet = new PacketWriter()
    .write(null, [
      { kind: 'dead', nodeId: id('n1'), incarnation: 99 as never, accuser: id('stranger') }
    ])
    .slice()
  const kinds = [sealer.seal(packet).slice(), new Uint8Array(1_400), new Uint8Array(9).fill(0xff)]
  const before = viewOf(n0.driver)
  const beforeTold = n0.events.length
  const floodLength = 100_000
  const sentBefore = world.datagrams.sent.filter(({ to }) => to === 'stranger:1').length
  const began = process.cpuUsage()
  for (let i = 0; i < floodLength; i++) {
    world.datagrams.inject(n0.address, kinds[i % kinds.length] as Uint8Array, 'stranger:1')
    if (i % 10_000 === 0) await world.clock.advance(100)
  }
  const { user, system } = process.cpuUsage(began)
  const told = refusals(n0.driver)
  t.equal(
    Object.values(told).reduce((sum, count) => sum + count, 0),
    floodLength,
    'each is counted'
  )
  await world.clock.advance(20_000)
  t.same(viewOf(n0.driver), before, 'the members are what they were')
  t.same(n0.events.slice(beforeTold), [], 'nothing was told')
  t.equal(
    world.datagrams.sent.filter(({ to }) => to === 'stranger:1').length - sentBefore,
    0,
    'no answer'
  )
  t.comment(`${(user + system) / floodLength} µs each, membership of three nodes at work included`)
  t.ok((user + system) / 1e6 < 5, '100,000 cost less than five seconds of one core, debug and all')
})

t.test('S-22: what a member seals may be garbage; it is dropped whole', async (t) => {
  const world = new DriverWorld(t)
  const [n0] = (await world.cluster(2)) as [DriverNode]
  const before = viewOf(n0.driver)
  const random = SplittableRandom.fromSeed(22)
  const options = { nodeId: id('evil'), clusterName: 'test', gossipKeys: [groupKey] }
  const sealer = new DatagramSealer(nodeCrypto(), options, 1)
  const good = new PacketWriter()
    .write(null, [
      { kind: 'dead', nodeId: id('n1'), incarnation: 99_999_999 as never, accuser: id('evil') }
    ])
    .slice()
  const runs = 5_000
  for (let run = 0; run < runs; run++) {
    const payload =
      run % 3 === 0
        ? good.subarray(0, 1 + random.nextInt(good.length - 1))
        : new Uint8Array(random.nextInt(200))
    if (run % 3 !== 0) for (let i = 0; i < payload.length; i++) payload[i] = random.nextInt(256)
    world.datagrams.inject(n0.address, sealer.seal(payload), 'evil:1')
  }
  const { datagrams_refused_malformed: malformed } = n0.driver.refusals
  t.ok(malformed > runs * 0.9, `${malformed} of ${runs}`)
  t.same(viewOf(n0.driver), before)
})

t.test('D-12 L-08 who speaks less than the cluster version is not taken in', async (t) => {
  const world = new DriverWorld(t)
  let clusterVersion: number | null = null
  const versions = { min: 1, max: 2 }
  const ours = await world.start('ours', { versions, clusterVersion: () => clusterVersion })
  const join = async (name: string, theirs: { min: number; max: number }) => {
    const { driver } = await world.start(name, { versions: theirs })
    const joining = driver.join([ours.address], world.deadline(1_000)).then(
      () => null,
      (error) => String(error.details.seeds[0])
    )
    return world.clock.settle(joining)
  }
  for (const [i, version] of [null, 1, 2].entries()) {
    clusterVersion = version
    t.equal(await join(`new-${i}`, versions), null)
    const told = await join(`old-${i}`, { min: 1, max: 1 })
    if (version !== 2) t.equal(told, null, 'not before it is raised')
    else t.match(told, /: cluster version: 2 here, 1 to 1 spoken there \(ERR_SKEIN_HANDSHAKE/)
  }
  t.match(await join('newest', { min: 3, max: 4 }), /: versions: 1 to 2 here, 3 to 4 there/)
})

t.test('S-19 R-M18: datagrams and joins of another cluster id are refused', async (t) => {
  const world = new DriverWorld(t)
  const ours = await world.start('ours', { clusterId: () => clusterIdOf('a') })
  const theirs = await world.start('theirs', { clusterId: () => clusterIdOf('b') })
  const joining = theirs.driver.join([ours.address], world.deadline(1_000))
  const error = await world.clock.settle(
    joining.then(
      () => null,
      (cause) => cause
    )
  )
  t.match(error, { code: 'ERR_SKEIN_JOIN_FAILED' })
  t.match(
    error.details.seeds[0],
    /^127\.0\.0\.1:\d+: cluster id: a+ here, b+ there \(ERR_SKEIN_HANDSHAKE/
  )
  t.ok(ours.driver.counters.joins_refused > 0)
  const sealer = new DatagramSealer(
    nodeCrypto(),
    { nodeId: id('theirs'), clusterName: 'test', gossipKeys: [groupKey] },
    1
  )
  const packet = new PacketWriter().write(clusterIdOf('b'), [
    { kind: 'ping', sequence: 1, target: id('ours') }
  ])
  world.datagrams.inject(ours.address, sealer.seal(packet), theirs.address)
  t.same(refusals(ours.driver), { datagrams_refused_foreign_cluster: 1 })
  t.equal(ours.driver.members().length, 1)
})

t.test('S-19: dead seeds are named, one that answers is enough, oneself is none', async (t) => {
  const world = new DriverWorld(t)
  const alone = await world.start('alone')
  const dead = ['127.0.0.1:1', '127.0.0.1:2']
  const error = await world.clock.settle(
    alone.driver.join(dead, world.deadline(3_000)).then(
      () => null,
      (cause) => cause
    )
  )
  t.equal(error.code, 'ERR_SKEIN_JOIN_FAILED')
  t.equal(error.details.seeds.length, 2)
  for (const seed of dead) t.ok(error.details.seeds.some((why: string) => why.startsWith(seed)))
  const seed = await world.start('seed')
  const joined = await world.clock.settle(
    alone.driver.join([...dead, seed.address, alone.address], world.deadline(10_000))
  )
  t.equal(joined, 1, 'partial success is counted')
  t.equal(await world.clock.settle(seed.driver.join([seed.address], world.deadline(100))), 0)
})

t.test('S-15: a killed node that comes back elsewhere is taken in once it is dead', async (t) => {
  const world = new DriverWorld(t)
  const [n0, n1, n2] = (await world.cluster(3)) as [DriverNode, DriverNode, DriverNode]
  await world.kill(n2)
  const again = await world.start('n2')
  t.not(again.address, n2.address)
  t.ok((await world.join(again, [n0, n1])) >= 1)
  t.ok(eventsOf(n0, 'n2').includes('MemberDied') || eventsOf(n1, 'n2').includes('MemberDied'))
  t.ok([n0, n1].some(({ events }) => events.some(({ type }) => type === 'MemberConflict')))
  await world.clock.until(() => world.isConverged(), 60_000)
  t.equal(n1.driver.addressOf(id('n2')), again.address)
})

t.test('a node whose wall clock went back is heard after its join', async (t) => {
  const world = new DriverWorld(t)
  const [n0, , n2] = (await world.cluster(3)) as [DriverNode, DriverNode, DriverNode]
  await world.kill(n2)
  const again = await world.start('n2', { wallOffsetMs: -86_400_000 })
  await world.join(again, [n0])
  await world.clock.until(() => world.isConverged(), 20_000)
  const before = { ...n0.driver.counters, ...n0.driver.refusals }
  await world.clock.advance(60_000)
  const after = { ...n0.driver.counters, ...n0.driver.refusals }
  t.equal(after.datagrams_refused_old_boot, before.datagrams_refused_old_boot)
  t.equal(after.stream_only_ack_count, before.stream_only_ack_count, 'datagrams alone do')
})

t.test('nobody joins or leaves in another name', async (t) => {
  const world = new DriverWorld(t)
  const [n0, n1, n2] = (await world.cluster(3)) as [DriverNode, DriverNode, DriverNode]
  const statement = {
    ...n2.driver.self(),
    incarnation: 50 as never,
    lifecycle: 'left' as const,
    bornAt: 0,
    versionMin: 1,
    versionMax: 1
  }
  n1.transport.send(id('n0'), leave, { statement })
  const asked = n1.transport.request(
    id('n0'),
    joinRequest,
    { clusterName: 'test', clusterId: null, statement, features: [] },
    { deadline: world.deadline(1_000) }
  )
  t.equal(await world.transports.outcome(asked), 'ERR_SKEIN_NOT_AUTHORIZED')
  const foreign = n1.transport.request(
    id('n0'),
    pushPull,
    { clusterId: null, members: [] },
    { deadline: world.deadline(1_000) }
  )
  t.match(await world.transports.outcome(foreign), { bootNumberSeen: Number })
  t.equal(n0.driver.member(id('n2'))?.lifecycle, 'up')
})

t.test('the guard names the voters that are missing, until they are back', async (t) => {
  const world = new DriverWorld(t)
  const [n0, n1, n2] = (await world.cluster(3)) as [DriverNode, DriverNode, DriverNode]
  n0.driver.assertQuorum()
  n0.driver.setVoters([id('n2'), id('n0'), id('n1')])
  n0.driver.assertQuorum()
  await world.kill(n1)
  await world.kill(n2)
  await world.clock.until(() => n0.events.some(({ type }) => type === 'QuorumLost'), 30_000)
  t.throws(() => n0.driver.assertQuorum(), {
    code: 'ERR_SKEIN_NO_QUORUM',
    message: /1 of 3 voters are in reach, 2 are needed; missing: n1, n2/,
    details: { needed: 2, present: ['n0'], missing: ['n1', 'n2'] }
  })
  const again = await world.start('n1')
  await world.join(again, [n0])
  await world.clock.until(() => n0.events.some(({ type }) => type === 'QuorumRegained'), 30_000)
  n0.driver.assertQuorum()
})

t.test('S-14: a node that comes back without seeds finds the peers it knew', async (t) => {
  const world = new DriverWorld(t)
  const disk = new NodeDisk(t.testdir())
  const kept = async (): Promise<number> => (await disk.readFile('membership/peers'))?.length ?? 0
  const n0 = await world.start('n0', { disk })
  const n1 = await world.start('n1')
  await world.join(n1, [n0])
  await world.clock.until(() => world.isConverged(), 10_000)
  await world.clock.advance(5_000)
  while ((await kept()) === 0) await world.clock.advance(100)
  await world.kill(n0)
  await world.start('n0', { disk })
  await world.clock.until(() => world.isConverged(), 30_000)
  t.ok(world.isConverged())
})

t.test('known peers that cannot be read are nobody', async (t) => {
  const world = new DriverWorld(t)
  const garbage = new Uint8Array(100).fill(7)
  for (const content of ['', 'x', String.fromCharCode(...garbage)]) {
    const disk = new NodeDisk(t.testdir({ membership: { peers: content } }))
    const node = await world.start('n0', { disk })
    t.equal(node.driver.aliveMembers().length, 1)
    await world.kill(node)
  }
})

t.test('a failing event handler is reported and does not stop the others', async (t) => {
  const world = new DriverWorld(t)
  const errors: object[] = []
  const logger: Logger = { ...silentLogger, error: (facts) => errors.push(facts) }
  const node = await world.start('node', { logger })
  const seen: string[] = []
  node.driver.onEvent(() => {
    throw new Error('not mine')
  })
  node.driver.onEvent((event) => {
    seen.push(event.type)
    if (seen.length === 1) node.driver.setHealth('degraded')
  })
  node.driver.setLifecycle('draining')
  t.same(seen, ['MemberUpdated', 'MemberUpdated'], 'a handler may call back')
  t.equal(errors.length, 2)
})

t.test('a driver has one life, and refuses work outside of it', async (t) => {
  const world = new DriverWorld(t)
  const node = await world.start('node')
  await t.rejects(node.driver.start(), { code: 'ERR_SKEIN_STOPPED' })
  await t.rejects(world.start('big', { metadata: { note: 'x'.repeat(600) } }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT'
  })
  await t.rejects(world.start('keyless', { gossipKeys: [] }), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT'
  })
  await node.driver.stop()
  await node.driver.stop()
  await t.rejects(node.driver.join([], 0 as MonotonicMs), { code: 'ERR_SKEIN_STOPPED' })
})

t.test('stopping ends a join that waits', async (t) => {
  const world = new DriverWorld(t)
  const node = await world.start('node')
  const joining = node.driver.join(['127.0.0.1:1'], world.deadline(60_000)).then(
    () => null,
    (cause) => cause
  )
  await world.clock.advance(10)
  await node.driver.stop()
  t.match(await world.clock.settle(joining), { code: 'ERR_SKEIN_STOPPED' })
})

t.test('gossip keys rotate while the cluster runs', async (t) => {
  const world = new DriverWorld(t)
  const nodes = await world.cluster(3)
  const fresh = new Uint8Array(32).fill(9)
  for (const keys of [[groupKey, fresh], [fresh, groupKey], [fresh]]) {
    for (const { driver } of nodes) driver.setGossipKeys(keys)
    await world.clock.advance(10_000)
  }
  for (const node of nodes) {
    t.same(node.events, [], node.name)
    t.same(refusals(node.driver), {})
  }
})

t.test('another room sends its own bytes by datagram; probes tell their round trips', async (t) => {
  const world = new DriverWorld(t)
  const [n0, n1] = (await world.cluster(2, { gossipKeys: [groupKey] })) as [DriverNode, DriverNode]
  const heard: { from: NodeId; bytes: number[] }[] = []
  n1.driver.onPayload((from, payload) => heard.push({ from, bytes: [...payload] }))
  const roundTrips: { nodeId: NodeId; ms: number }[] = []
  n0.driver.onRoundTrip((nodeId, ms) => roundTrips.push({ nodeId, ms }))
  t.equal(n0.driver.sendPayload(id('n1'), Uint8Array.of(1, 2, 3)), true)
  t.equal(n0.driver.sendPayload(id('nobody'), Uint8Array.of(1)), false)
  await world.clock.until(() => heard.length > 0 && roundTrips.length > 1, 10_000)
  t.same(heard, [{ from: 'n0', bytes: [1, 2, 3] }])
  for (const { nodeId, ms } of roundTrips) t.ok(nodeId === 'n1' && ms >= 0 && ms < 1_000)
  await n0.driver.stop()
  t.equal(n0.driver.sendPayload(id('n1'), Uint8Array.of(1)), false)
})
