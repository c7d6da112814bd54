import t from 'tap'
import type { NodeId } from '../../../../src/core/index.js'
import { someOf } from '../../../support/thoroughness.js'
import { SwimWorld } from './swim-world.js'

const id = (name: string): NodeId => name as NodeId

t.test('five nodes find one another through one seed', async (t) => {
  const world = new SwimWorld(1)
  for (let i = 0; i < 5; i++) {
    world.add(`n${i}`)
    if (i > 0) world.join(`n${i}`, 'n0')
  }
  t.ok(world.runUntil(() => world.isConverged(), 5_000) < 5_000)
  t.equal(world.told('MemberJoined').length, 20, 'S-29: each told of each other once')
  t.same(world.told('MemberSuspected'), [])
})

t.test('a crash is noticed by all, within its bound, and explained (S-03)', async (t) => {
  const world = SwimWorld.settled(5, 2)
  world.crash('n3')
  const started = world.now
  const tookMs = world.runUntil(() => world.told('MemberDied').length === 4, 30_000)
  // Two probe periods at most to be probed by somebody, then a suspicion confirmed by the others.
  t.ok(tookMs < 12_000 + 4 * 500, `${tookMs} ms`)
  world.run(20_000)
  t.equal(world.told('MemberDied', 'n3').length, 4, 'S-29: once each')
  t.equal(world.told('MemberDied').length, 4, 'and nobody else')
  t.ok(world.isConverged())
  for (const { nodeId, swim } of world.running()) {
    const record = swim.explainDeath(id('n3'))
    t.ok(record !== null && record.at >= started, `${nodeId} can tell why`)
    t.equal(record?.nodeId, 'n3')
    t.equal(swim.member(id('n3'))?.liveness, 'dead')
  }
  const byTimer = world
    .running()
    .map(({ swim }) => swim.explainDeath(id('n3')))
    .find((record) => record?.verdictBy === 'ownTimer')
  t.ok(byTimer?.suspicion, 'the first verdict has its suspicion')
  t.equal(world.node('n0').swim.explainDeath(id('n1')), null)
})

t.test('S-17: who leaves is left, not dead, and gossip about it ends', async (t) => {
  const world = SwimWorld.settled(5, 3)
  world.do('n2', (swim, now) => swim.leave(now))
  t.ok(world.runUntil(() => world.node('n2').swim.isGoodbyeSpread, 5_000) < 2_000)
  world.crash('n2')
  world.run(20_000)
  t.equal(world.told('MemberLeft', 'n2').length, 4)
  t.same(world.told('MemberDied'), [])
  t.same(world.told('MemberSuspected'), [])
  for (const { swim } of world.running()) t.equal(swim.member(id('n2'))?.lifecycle, 'left')
  const sent = (): number =>
    world.running().reduce((sum, { swim }) => sum + swim.counters.get('gossip_messages_sent'), 0)
  const before = sent()
  world.run(60_000)
  t.equal(sent(), before, 'no rumour goes round for ever')
})

t.test('S-16: a quick restart comes in above its earlier incarnation', async (t) => {
  const world = SwimWorld.settled(5, 4)
  const before = world.node('n1').swim.self().incarnation
  world.do('n1', (swim, now) => swim.setHealth('degraded', now))
  world.run(2_000)
  world.add('n1')
  t.ok(world.join('n1', 'n4'))
  t.ok(world.runUntil(() => world.isConverged(), 5_000) <= 2_000)
  t.ok(world.node('n1').swim.self().incarnation > before + 1)
  t.same(world.told('MemberDied'), [])
})

t.test('S-16: a node restarted after its death, or after its goodbye, comes back', async (t) => {
  const world = SwimWorld.settled(5, 5)
  world.crash('n1')
  world.do('n2', (swim, now) => swim.leave(now))
  world.run(1_000)
  world.crash('n2')
  world.run(20_000)
  t.equal(world.told('MemberDied', 'n1').length, 3)
  for (const name of ['n1', 'n2']) {
    world.add(name)
    t.ok(world.join(name, 'n0'))
  }
  t.ok(world.runUntil(() => world.isConverged(), 10_000) <= 2_000)
  t.equal(world.told('MemberJoined', 'n1').length, 4, 'three old ones and n2')
})

t.test('S-15: a name that is alive keeps its address; a dead one gives it up', async (t) => {
  const world = SwimWorld.settled(4, 6)
  const old = world.node('n1')
  world.add('n1', 'elsewhere:1')
  t.notOk(world.join('n1', 'n0'), 'refused while alive')
  t.notOk(world.join('n1', 'n0'))
  t.equal(world.told('MemberConflict', 'n1').length, 1, 'told once')
  t.equal(world.node('n0').swim.member(id('n1'))?.address, old.address)
  const diedMs = world.runUntil(() => world.told('MemberDied', 'n1').length >= 1, 30_000)
  t.ok(diedMs < 20_000, 'the old one does not answer any more')
  world.run(2_000)
  t.ok(world.join('n1', 'n0'), 'taken in once it is dead')
  t.ok(world.runUntil(() => world.isConverged(), 10_000) < 10_000)
  t.equal(world.node('n3').swim.member(id('n1'))?.address, 'elsewhere:1')
})

t.test('S-15: a dead name is kept for the reclaim time', async (t) => {
  const world = SwimWorld.settled(3, 7, { deadReclaimMs: 60_000 })
  world.crash('n1')
  world.run(20_000)
  world.add('n1', 'elsewhere:1')
  t.notOk(world.join('n1', 'n0'))
  world.run(60_000)
  t.ok(world.join('n1', 'n0'))
  t.ok(world.runUntil(() => world.isConverged(), 40_000) < 40_000)
})

t.test('S-11: a one-way cut is bridged by helpers', async (t) => {
  const world = SwimWorld.settled(5, 8)
  world.datagramCuts.add('n0>n1')
  // No stream either way, or the fallback would hide the helpers.
  world.cuts.add('n0>n1')
  world.run(120_000)
  t.same(world.told('MemberSuspected'), [])
  t.ok(world.node('n0').swim.counters.get('indirect_ping_count') > 0)
})

t.test('S-10: with datagrams blocked, streams keep a node alive', async (t) => {
  const world = SwimWorld.settled(5, 9)
  for (let i = 1; i < 5; i++) {
    world.datagramCuts.add(`n0>n${i}`)
    world.datagramCuts.add(`n${i}>n0`)
  }
  world.run(60_000)
  t.same(world.told('MemberDied'), [])
  t.same(world.told('MemberSuspected'), [])
  t.ok(world.node('n1').swim.counters.get('stream_only_ack_count') > 0, 'and it is counted')
})

t.test('S-13: two halves bury each other, and meet again after the heal', async (t) => {
  for (const seed of [10, 11, 12]) {
    const world = SwimWorld.settled(6, seed)
    world.partition(['n0', 'n1', 'n2'])
    world.run(60_000)
    t.equal(world.told('MemberDied').length, 18, 'each half buried the other')
    world.heal()
    const tookMs = world.runUntil(() => world.isConverged(), 60_000)
    t.ok(tookMs <= world.config.pushPullIntervalMs * 1.25 + 10_000, `${tookMs} ms`)
  }
})

t.test('S-26: who stood still holds it against nobody, and is taken back', async (t) => {
  const world = SwimWorld.settled(5, 13)
  world.pause('n4')
  world.run(60_000)
  t.equal(world.told('MemberDied', 'n4').length, 4)
  world.resume('n4')
  t.ok(world.runUntil(() => world.isConverged(), 60_000) <= 10_000)
  t.equal(world.told('MemberDied').length, 4, 'n4 declared nobody dead')
  t.equal(world.node('n4').swim.counters.get('stalls'), 1)
})

t.test('S-26: a whole host that slept wakes without a verdict', async (t) => {
  const world = SwimWorld.settled(5, 14)
  world.crash('n2')
  world.runUntil(() => world.told('MemberSuspected').length > 0, 10_000)
  const names = ['n0', 'n1', 'n3', 'n4']
  for (const name of names) world.pause(name)
  world.run(60_000)
  for (const name of names) world.resume(name)
  t.same(world.told('MemberDied'), [], 'not even about the one that is dead')
  world.run(20_000)
  t.equal(world.told('MemberDied').length, 4)
  t.equal(world.told('MemberDied', 'n2').length, 4)
})

t.test('S-04: 10 % loss kills nobody in ten minutes', async (t) => {
  const world = SwimWorld.settled(8, 15)
  world.datagramLoss = 0.1
  world.duplicateShare = 0.05
  world.run(600_000)
  t.same(world.told('MemberDied'), [])
  t.ok(world.node('n0').swim.counters.get('indirect_ping_count') > 0, 'probes did fail')
})

t.test('S-05: falsely accused under loss, everybody refutes in time', async (t) => {
  const seeds = 20
  let inTime = 0
  for (let seed = 0; seed < seeds; seed++) {
    const world = SwimWorld.settled(8, 1_600 + seed)
    world.datagramLoss = 0.3
    const { incarnation } = world.node('n1').swim.self()
    for (const { nodeId } of world.running()) {
      if (nodeId === 'n1') continue
      const accusation = {
        kind: 'suspect',
        nodeId: id('n1'),
        incarnation,
        accuser: nodeId
      } as const
      world.do(nodeId, (swim, now) =>
        swim.receive(accusation, { nodeId, address: `${nodeId}:1` }, now)
      )
    }
    t.equal(world.told('MemberSuspected', 'n1').length, 7)
    const isCleared = (): boolean =>
      world.running().every(({ swim }) => swim.member(id('n1'))?.liveness === 'alive')
    if (world.runUntil(isCleared, 10_000) <= 2_500) inTime++
    t.ok(isCleared())
    t.same(world.told('MemberDied'), [])
    t.equal(world.told('MemberRefuted', 'n1').length, 7)
    t.equal(world.node('n1').swim.self().incarnation, incarnation + 1)
  }
  t.ok(inTime >= seeds * 0.9, `${inTime} of ${seeds} within two and a half seconds, with 30 % lost`)
})

t.test('S-18: a joiner with an old view kills nobody', async (t) => {
  const world = SwimWorld.settled(4, 17)
  world.partition(['n0'])
  world.run(60_000)
  world.heal()
  world.events.length = 0
  t.equal(world.node('n0').swim.aliveMembers().length, 1, 'it holds all others dead')
  world.add('n9')
  world.join('n9', 'n0')
  t.ok(world.join('n0', 'n1'))
  t.ok(world.runUntil(() => world.isConverged(), 60_000) < 60_000)
  t.same(
    world.told('MemberDied').filter(({ event }) => 'accuser' in event && event.accuser === 'n0'),
    []
  )
})

t.test('S-03: a death is known after a period, a probe and the least suspicion', async (t) => {
  const runs = someOf(60, 3)
  const tookMs: number[] = []
  const suspicionMs = 3_000
  for (let run = 0; run < runs; run++) {
    const world = SwimWorld.settled(12, 100 + run, {}, 3_000)
    world.run(run * 37)
    world.crash('n5')
    tookMs.push(world.runUntil(() => world.told('MemberDied', 'n5').length > 0, 20_000))
  }
  const meanMs = tookMs.reduce((sum, ms) => sum + ms, 0) / runs
  const published = 1_000 + 400 + suspicionMs
  t.ok(Math.abs(meanMs / published - 1) < 0.2, `${meanMs} ms in the mean, published ${published}`)
})

t.test('the dead are forgotten after their retention, and old news stays old', async (t) => {
  const world = SwimWorld.settled(3, 18, { deadRetentionMs: 60_000 })
  world.crash('n2')
  world.run(30_000)
  t.equal(world.node('n0').swim.member(id('n2'))?.liveness, 'dead')
  world.run(60_000)
  t.equal(world.node('n0').swim.member(id('n2')), null)
  t.ok(world.isConverged())
})

t.test('the table is bounded: the dead make room, the living do not', async (t) => {
  const world = SwimWorld.settled(4, 19, { membersMax: 4 })
  world.add('n9')
  t.notOk(world.join('n9', 'n0'))
  world.crash('n1')
  world.run(20_000)
  t.ok(world.join('n9', 'n0'))
  t.ok(world.runUntil(() => world.isConverged(), 40_000) < 40_000)
})

t.test('S-30: an idle cluster stays within its budget of datagrams', async (t) => {
  const world = SwimWorld.settled(20, 20)
  const before = world.datagramsSent
  world.run(60_000)
  const perNodeSecond = (world.datagramsSent - before) / 20 / 60
  t.ok(perNodeSecond < 2.1, `${perNodeSecond.toFixed(2)} datagrams per node and second`)
  t.ok(perNodeSecond > 1.9, 'a ping and an ack in each second')
})

t.test('through random faults incarnations only rise, and after the heal all agree', async (t) => {
  for (let seed = 0; seed < someOf(25, 3); seed++) {
    const world = SwimWorld.settled(6, 1_000 + seed)
    const names = [...world.nodes.keys()]
    const draw = (n: number): number => world.random.nextInt(n)
    for (let act = 0; act < 12; act++) {
      const name = names[draw(names.length)] as string
      const node = world.node(name)
      switch (draw(7)) {
        case 0:
          world.partition(names.filter(() => draw(2) === 0))
          break
        case 1:
          if (node.isPaused) world.resume(name)
          if (node.isRunning) world.crash(name)
          break
        case 2:
          if (!node.isRunning) {
            world.add(name)
            world.join(name, names[draw(names.length)] as string)
          }
          break
        case 3:
          world.cuts.add(`${name}>${names[draw(names.length)]}`)
          break
        case 4:
          world.datagramLoss = world.random.nextFloat() * 0.5
          world.duplicateShare = world.random.nextFloat() * 0.5
          break
        case 5:
          if (node.isRunning && !node.isPaused) world.pause(name)
          break
        default:
          if (node.isRunning && !node.isPaused) {
            world.do(name, (swim, now) => swim.setHealth(draw(2) ? 'healthy' : 'degraded', now))
          }
      }
      world.run(draw(15_000))
    }
    world.heal()
    for (const name of names) if (world.node(name).isPaused) world.resume(name)
    for (const name of names) {
      if (!world.node(name).isRunning) {
        world.add(name)
        for (const seed of names) if (seed !== name && world.join(name, seed)) break
      }
    }
    const tookMs = world.runUntil(() => world.isConverged(), 120_000)
    if (tookMs > 90_000) t.fail(`seed ${seed}: ${tookMs} ms`)
  }
  t.pass('25 seeds')
})
