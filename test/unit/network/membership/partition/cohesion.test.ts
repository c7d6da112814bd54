/** Splits, broken links and quorums as a cluster of cores sees them. */
import t from 'tap'
import { type NodeId, SplittableRandom } from '../../../../../src/core/index.js'
import { QuorumGuard } from '../../../../../src/network/membership/partition/quorum-guard.js'
import { type MembershipConfig, SwimWorld, type ToldPartition } from '../swim-world.js'

const id = (name: string): NodeId => name as NodeId
const ids = (...names: string[]): NodeId[] => names.map(id)

function clusterOf(count: number, seed: number, change: Partial<MembershipConfig> = {}): SwimWorld {
  const world = SwimWorld.settled(count, seed, change)
  const voters = [...world.nodes.keys()]
  for (const name of voters) world.do(name, (swim, now) => swim.setVoters(voters, now))
  world.partitions.length = 0
  return world
}

const toldBy = (world: SwimWorld, viewer: string, type: string): ToldPartition[] =>
  world.partitions.filter((told) => told.viewer === viewer && told.event.type === type)

t.test('a split is told once on each side, names the other, and heals by itself', async (t) => {
  for (const seed of [41, 42, 43]) {
    const world = clusterOf(5, seed)
    const left = ids('n0', 'n1', 'n2')
    const right = ids('n3', 'n4')
    world.partition(left)
    world.run(60_000)
    for (const viewer of left) {
      t.match(toldBy(world, viewer, 'PartitionDetected'), [
        { event: { kind: 'split', unreachable: right } }
      ])
      t.same(toldBy(world, viewer, 'QuorumLost'), [], 'three of five are a quorum')
    }
    for (const viewer of right) {
      const [told, ...more] = toldBy(world, viewer, 'PartitionDetected')
      t.match(told?.event, { kind: 'split', unreachable: left })
      t.same(more, [])
      t.match(toldBy(world, viewer, 'QuorumLost'), [
        { event: { needed: 3, present: right, missing: Array } }
      ])
      t.same(world.node(viewer).swim.quorum.missing, left)
    }
    world.heal()
    t.ok(world.runUntil(() => world.isConverged(), 60_000) < 60_000)
    world.run(1_000)
    for (const viewer of [...left, ...right]) {
      const healed = toldBy(world, viewer, 'PartitionHealed')
      t.equal(healed.length, 1)
      t.ok(world.node(viewer).swim.quorum.isPresent)
    }
    t.equal(toldBy(world, 'n4', 'QuorumRegained').length, 1)
  }
})

t.test('a crash is no split, nor are two crashes far apart', async (t) => {
  const world = clusterOf(6, 44)
  world.crash('n1')
  world.run(60_000)
  world.crash('n2')
  world.run(60_000)
  t.equal(world.told('MemberDied').length, 9)
  t.same(world.partitions, [])
})

t.test('who is cut off alone knows that it is, and that it has no quorum', async (t) => {
  const world = clusterOf(3, 45)
  world.partition(['n2'])
  world.run(60_000)
  t.match(toldBy(world, 'n2', 'PartitionDetected'), [
    { event: { kind: 'split', unreachable: ['n0', 'n1'] } }
  ])
  t.match(toldBy(world, 'n2', 'QuorumLost'), [{ event: { needed: 2, present: ['n2'] } }])
  t.same(toldBy(world, 'n0', 'QuorumLost'), [])
})

t.test(
  'after a stable while the strategy decides: the minority degrades, and recovers',
  async (t) => {
    const world = clusterOf(5, 46, { splitStableAfterMs: 10_000 })
    world.partition(['n0', 'n1'])
    const toldMs = world.runUntil(() => toldBy(world, 'n0', 'PartitionDetected').length > 0, 60_000)
    t.ok(toldMs < 30_000)
    t.same(toldBy(world, 'n0', 'SplitDecided'), [], 'not at once')
    world.run(30_000)
    for (const [viewer, decision] of Object.entries({ n0: 'yield', n1: 'yield', n3: 'stay' })) {
      t.match(toldBy(world, viewer, 'SplitDecided'), [
        { event: { strategy: 'keep-majority', decision } }
      ])
      t.equal(world.node(viewer).swim.hasYielded, decision === 'yield')
    }
    t.equal(world.node('n0').swim.self().health, 'degraded')
    t.equal(world.node('n3').swim.self().health, 'healthy')
    world.heal()
    t.ok(world.runUntil(() => world.isConverged(), 60_000) < 60_000)
    world.run(5_000)
    t.equal(world.node('n0').swim.self().health, 'healthy')
    t.notOk(world.node('n0').swim.hasYielded)
    t.ok(world.isConverged())
  }
)

t.test('keep-oldest: the side with the member that came first stays', async (t) => {
  const world = clusterOf(5, 47, { splitStrategy: 'keep-oldest', splitStableAfterMs: 5_000 })
  world.partition(['n0', 'n1'])
  world.run(60_000)
  t.match(toldBy(world, 'n1', 'SplitDecided'), [{ event: { decision: 'stay' } }])
  t.match(toldBy(world, 'n4', 'SplitDecided'), [{ event: { decision: 'yield' } }])
})

t.test('with strategies off nothing is decided', async (t) => {
  const world = clusterOf(4, 48, { splitStrategy: 'off', splitStableAfterMs: 5_000 })
  world.partition(['n0'])
  world.run(60_000)
  t.ok(toldBy(world, 'n0', 'PartitionDetected').length > 0)
  t.same(toldBy(world, 'n0', 'SplitDecided'), [])
  t.equal(world.node('n0').swim.self().health, 'healthy')
})

t.test('a way that is cut one way is told by both ends, each as it sees it', async (t) => {
  const world = clusterOf(5, 49)
  world.datagramCuts.add('n0>n1')
  const isTold = (): boolean =>
    ['n0', 'n1'].every((name) => toldBy(world, name, 'PartitionDetected').length > 0)
  t.ok(world.runUntil(isTold, 60_000) < 15_000)
  t.match(toldBy(world, 'n0', 'PartitionDetected'), [
    { event: { kind: 'oneWay', unreachable: ['n1'] } }
  ])
  t.match(toldBy(world, 'n1', 'PartitionDetected'), [
    { event: { kind: 'indirect', unreachable: ['n0'] } }
  ])
  world.run(60_000)
  t.equal(world.partitions.length, 2, 'once each')
  t.same(world.told('MemberSuspected'), [])
  world.heal()
  world.run(30_000)
  t.match(toldBy(world, 'n0', 'PartitionHealed'), [
    { event: { kind: 'oneWay', unreachable: ['n1'], lastedMs: Number } }
  ])
  t.equal(toldBy(world, 'n1', 'PartitionHealed').length, 1)
})

t.test('a link that is cut both ways is indirect at both ends', async (t) => {
  const world = clusterOf(5, 50)
  for (const way of ['n0>n1', 'n1>n0']) world.cuts.add(way)
  world.run(60_000)
  t.match(toldBy(world, 'n0', 'PartitionDetected'), [
    { event: { kind: 'indirect', unreachable: ['n1'] } }
  ])
  t.match(toldBy(world, 'n1', 'PartitionDetected'), [
    { event: { kind: 'indirect', unreachable: ['n0'] } }
  ])
  t.equal(world.partitions.length, 2)
})

t.test('S-10: blocked datagrams are told of, though streams keep the node alive', async (t) => {
  const world = clusterOf(4, 51)
  for (let i = 1; i < 4; i++) {
    world.datagramCuts.add(`n0>n${i}`)
    world.datagramCuts.add(`n${i}>n0`)
  }
  world.run(60_000)
  t.equal(toldBy(world, 'n0', 'PartitionDetected').length, 3)
  t.same(world.told('MemberDied'), [])
})

t.test('loss is no broken link', async (t) => {
  const world = clusterOf(8, 52)
  world.datagramLoss = 0.1
  world.run(600_000)
  const told = world.partitions.filter(({ event }) => event.type === 'PartitionDetected').length
  t.ok(told <= 8, `${told} broken links in 80 minutes of members`)
})

t.test('the guard agrees with its dumb twin, and tells loss and return in turn', async (t) => {
  const random = SplittableRandom.fromSeed(53)
  for (let run = 0; run < 300; run++) {
    const guard = new QuorumGuard()
    const names = ids('a', 'b', 'c', 'd', 'e', 'f', 'g').slice(0, 1 + random.nextInt(7))
    guard.setVoters([...names].reverse())
    let last: string | null = null
    for (let step = 0; step < 20; step++) {
      const up = names.filter(() => random.nextInt(3) > 0)
      const change = guard.judge((nodeId) => up.includes(nodeId))
      const { isPresent, needed, present, missing } = guard.quorum
      t.same(present, up) || t.bailout('present')
      t.same([...present, ...missing].sort(), names) || t.bailout('missing')
      if (isPresent !== up.length > names.length - up.length)
        t.fail(`${up.length} of ${names.length}`)
      if (needed * 2 <= names.length || (needed - 1) * 2 > names.length) t.fail(`${needed} needed`)
      if (change !== null) {
        if (change === last || (last === null && change === 'regained')) t.fail(`${change} twice`)
        if ((change === 'regained') !== isPresent) t.fail(change)
        last = change
      }
    }
  }
  const unknown = new QuorumGuard()
  t.equal(
    unknown.judge(() => false),
    null
  )
  t.ok(unknown.quorum.isPresent, 'without voters nothing is held up')
})
