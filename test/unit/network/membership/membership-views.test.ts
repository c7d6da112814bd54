import t from 'tap'
import { type NodeId, silentLogger } from '../../../../src/core/index.js'
import { NodeDisk } from '../../../../src/runtime/index.js'
import { type DriverNode, DriverWorld } from './driver-world.js'
import { membershipConfig } from './swim-world.js'

const id = (name: string): NodeId => name as NodeId

t.test('metadata of a real node spreads, and outlives a restart of its owner', async (t) => {
  const world = new DriverWorld(t)
  const disk = new NodeDisk(t.testdir())
  const first = await world.start('n0', { disk })
  const other = await world.start('n1')
  await world.join(other, [first])
  first.driver.metadata.set('role', 'gateway')
  first.driver.metadata.set('gone', 'soon')
  t.ok(first.driver.metadata.delete('gone'))
  const seen = (): string | undefined => other.driver.metadata.get('role', id('n0'))
  await world.clock.until(() => seen() === 'gateway', 5_000)
  const [before] = other.driver.metadata.of(id('n0'))
  await world.kill(first)
  const again = await world.start('n0', { disk })
  t.match(again.driver.metadata.entries(), [{ key: 'role', value: 'gateway' }])
  await world.join(again, [other])
  const version = (): number => other.driver.metadata.of(id('n0'))[0]?.version ?? 0
  await world.clock.until(() => version() > (before?.version ?? 0), 30_000)
  again.driver.metadata.set('role', 'analytics')
  await world.clock.until(() => seen() === 'analytics', 5_000)
  t.same(
    other.events.flatMap((event) => (event.type === 'MetadataChanged' ? [event.value] : [])),
    ['gateway', 'analytics'],
    'the same value said again is no change'
  )
  t.throws(() => again.driver.metadata.set('', 'x'), /^key: /)
})

t.test('a joiner knows the pairs of all at once', async (t) => {
  const world = new DriverWorld(t)
  const nodes = await world.cluster(3)
  for (const { driver, name } of nodes) driver.metadata.set('name', name)
  await world.clock.advance(3_000)
  const joiner = await world.start('n9')
  await world.join(joiner, [nodes[1] as DriverNode])
  const known = (): string[] =>
    nodes.map(({ name }) => joiner.driver.metadata.get('name', id(name)) ?? '')
  await world.clock.until(() => known().join() === 'n0,n1,n2', 1_000)
})

t.test('S-19: settings that must agree refuse a join by name; warn lets it pass', async (t) => {
  const settings = (value: string) => ({
    mustAgree: [
      { name: 'consensus.electionTimeoutMinMs', value },
      { name: 'membership.probeIntervalMs', value }
    ],
    mayDiffer: [{ name: 'routing.strategy', value }]
  })
  const world = new DriverWorld(t)
  const warnings: object[] = []
  const seed = await world.start('n0', { settings: settings('500') })
  const joiner = await world.start('n1', { settings: settings('700') })
  const refused = await world.join(joiner, [seed], 400).catch((error) => error)
  t.equal(refused.code, 'ERR_SKEIN_JOIN_FAILED')
  t.match(refused.details.seeds, [
    /consensus.electionTimeoutMinMs: 500 here, 700 there; membership.probeIntervalMs: 500 here/
  ])
  t.equal(seed.driver.aliveMembers().length, 1)
  const config = membershipConfig({ joinCheck: 'warn' })
  const tolerant = await world.start('n2', {
    settings: settings('500'),
    config,
    logger: { ...silentLogger, warn: (facts: object) => warnings.push(facts) }
  })
  t.equal(await world.join(joiner, [tolerant]), 1)
  t.match(warnings, [{ differences: { length: 3 } }])
  t.equal(tolerant.driver.counters.joins_differing, 1)
})

t.test('S-19: nodes without a gossip key in common do not join', async (t) => {
  const world = new DriverWorld(t)
  const key = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)
  const seed = await world.start('n0', { gossipKeys: [key(1), key(2)] })
  const stranger = await world.start('n1', { gossipKeys: [key(3)] })
  const refused = await world.join(stranger, [seed], 400).catch((error) => error)
  t.match(refused.details.seeds, [/gossip keys: [0-9a-f]{8} [0-9a-f]{8} here, [0-9a-f]{8} there/])
  const rotating = await world.start('n2', { gossipKeys: [key(3), key(2)] })
  t.equal(await world.join(rotating, [seed]), 1)
})

t.test('capacity and tags are told, and may change', async (t) => {
  const world = new DriverWorld(t)
  const [n0, n1] = (await world.cluster(3, { tags: ['b'] })) as [DriverNode, DriverNode]
  t.same(n1.driver.member(id('n0'))?.tags, ['b'])
  const { incarnation } = n0.driver.self()
  n0.driver.describe({ capacity: { cpus: 1.5, memoryBytes: 2 ** 34 }, tags: ['z', 'a', 'z'] })
  await world.clock.until(() => n1.driver.member(id('n0'))?.tags.length === 2, 2_000)
  t.same(n1.driver.member(id('n0'))?.tags, ['a', 'z'])
  t.same(n1.driver.member(id('n0'))?.capacity, {
    cpus: 1.5,
    memoryBytes: 2 ** 34,
    connections: 0,
    weight: 100
  })
  t.equal(n1.driver.member(id('n0'))?.incarnation, incarnation + 1)
  n0.driver.describe({ tags: ['a', 'z'] })
  t.equal(n0.driver.self().incarnation, incarnation + 1, 'nothing new was said')
  for (const [change, field] of [
    [{ capacity: { weight: -1 } }, 'capacity.weight'],
    [{ capacity: { connections: 1.5 } }, 'capacity.connections'],
    [{ capacity: { cpus: Number.NaN } }, 'capacity.cpus'],
    [{ tags: ['Upper'] }, 'tags'],
    [{ tags: Array.from({ length: 17 }, (_, i) => `t${i}`) }, 'tags']
  ] as const) {
    t.throws(() => n0.driver.describe(change), new RegExp(`${field}: `))
  }
})

t.test('a death is explained: accusers, probes, timers, and this node itself', async (t) => {
  const world = new DriverWorld(t)
  const nodes = await world.cluster(5)
  const [n0, victim] = nodes as [DriverNode, DriverNode]
  t.equal(n0.driver.view.explainDeath(id('n1')), null)
  await world.kill(victim)
  await world.clock.until(() => n0.driver.member(id('n1'))?.liveness === 'dead', 30_000)
  const told = nodes.filter((node) => node !== victim).map(({ driver }) => driver.view)
  const records = told.map((view) => view.explainDeath(id('n1')))
  const own = records.find((record) => record?.verdictBy === 'ownTimer')
  t.match(own, { nodeId: 'n1', localHealthMultiplier: Number, lastLate: null, refutations: [] })
  t.ok((own?.suspicion?.minMs ?? 0) >= 3_000)
  t.ok((own?.at ?? 0) >= (own?.suspicion?.verdictAt ?? Number.POSITIVE_INFINITY))
  const probed = records.flatMap((record) => record?.probes ?? [])
  t.ok(probed.some(({ outcome, roundTripMs }) => outcome === 'straight' && roundTripMs === 2))
  t.ok(probed.some(({ outcome }) => outcome === 'unanswered'))
  t.ok(records.every((record) => (record?.probes.length ?? 0) <= 8))
})
