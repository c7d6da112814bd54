/** Lifeguard: how far a node trusts itself, and that each part can be switched off. */
import t from 'tap'
import { type MemberEvent, SplittableRandom } from '../../../../src/core/index.js'
import { LocalHealth } from '../../../../src/network/membership/local-health.js'
import { someOf } from '../../../support/thoroughness.js'
import { Bench, dead, id, stated, suspect } from './swim-bench.js'
import { SwimWorld, type ToldEvent } from './swim-world.js'

t.test('S-08: the score moves as published, within its bounds', async (t) => {
  const health = new LocalHealth({ scoreMax: 7, probeTimeoutMs: 250 })
  t.equal(health.multiplier, 1)
  health.onProbeAnswered()
  t.equal(health.score, 0, 'it is never better than well')
  health.onProbeFailed({ asked: 3, nacksMissing: 0 })
  t.equal(health.score, 0, 'all helpers tried: the target is at fault')
  health.onProbeFailed({ asked: 3, nacksMissing: 2 })
  t.equal(health.score, 2)
  health.onProbeFailed({ asked: 0, nacksMissing: 0 })
  t.equal(health.score, 3, 'nobody could be asked')
  health.onRefuted()
  t.equal(health.score, 4)
  health.onProbeAnswered()
  t.equal(health.score, 3)
  health.onLate(249)
  t.equal(health.score, 4)
  health.onLate(250)
  t.equal(health.score, 6)
  health.onLate(60_000)
  t.equal(health.score, 7)
  t.equal(health.multiplier, 8)
})

t.test('S-08: the score agrees with its dumb twin', async (t) => {
  const random = SplittableRandom.fromSeed(8)
  for (const scoreMax of [0, 1, 7, 63]) {
    const health = new LocalHealth({ scoreMax, probeTimeoutMs: 100 })
    const answered = [() => health.onProbeAnswered(), -1] as const
    let twin = 0
    for (let step = 0; step < 5_000; step++) {
      const asked = random.nextInt(4)
      const nacksMissing = random.nextInt(asked + 1)
      const lateMs = random.nextInt(400)
      const moves: readonly (readonly [() => void, number])[] = [
        answered,
        [() => health.onProbeFailed({ asked, nacksMissing }), asked === 0 ? 1 : nacksMissing],
        [() => health.onRefuted(), 1],
        [() => health.onLate(lateMs), lateMs < 100 ? 1 : lateMs < 200 ? 2 : lateMs < 300 ? 3 : 4]
      ]
      const [move, by] = moves[random.nextInt(8)] ?? answered
      move()
      twin += by
      if (twin < 0) twin = 0
      if (twin > scoreMax) twin = scoreMax
      if (health.score !== twin) return t.fail(`step ${step}: ${health.score}, twin ${twin}`)
    }
  }
  t.pass('20,000 moves')
})

t.test(
  'S-08: missing nacks stretch the interval and the timeouts, answers shrink them',
  async (t) => {
    const bench = new Bench(['a', 'b', 'c', 'd'], { indirectProbes: 2 })
    const { target } = bench.firstPing()
    const helpers = (): string[] =>
      ['a', 'b', 'c', 'd'].filter((name) => bench.sentOf(name, 'pingRequest').length > 0)
    bench.pass(250)
    const [helper] = helpers()
    const [request] = bench.sentOf(helper ?? '', 'pingRequest')
    bench.hear({ kind: 'nack', sequence: request?.sequence ?? 0 }, helper)
    bench.pass(249)
    t.equal(bench.swim.counters.get('local_health_score'), 0)
    bench.sent = []
    bench.pass(1)
    t.equal(bench.swim.counters.get('local_health_score'), 1, 'one of two nacks is missing')
    const second = bench.pings().find((ping) => ping.target !== target)
    t.ok(second, 'the next probe begins')
    bench.pass(499)
    t.same(helpers(), [], 'twice the timeout')
    bench.pass(1)
    t.equal(helpers().length, 2)
    const asked = bench.sentOf(helpers()[0] ?? '', 'pingRequest')[0]?.sequence
    t.equal(asked, second?.sequence)
    bench.pass(400)
    bench.hear({ kind: 'ack', sequence: second?.sequence ?? 0 }, second?.target)
    t.equal(bench.swim.counters.get('local_health_score'), 0)
    bench.sent = []
    bench.pass(99)
    t.same(bench.pings(), [], 'twice the interval')
    bench.pass(1)
    t.equal(bench.pings().length, 1)
  }
)

t.test('S-08: having to refute is a doubt, and a score of zero at most is none', async (t) => {
  const bench = new Bench(['a'])
  bench.hear(suspect('me', 1))
  t.equal(bench.swim.counters.get('local_health_score'), 1)
  const steady = new Bench(['a'], { localHealthScoreMax: 0 })
  steady.hear(suspect('me', 1))
  t.equal(steady.swim.counters.get('refute_count'), 1)
  t.equal(steady.swim.counters.get('local_health_score'), 0)
})

t.test('S-08: a verdict keeps how well this node was', async (t) => {
  const bench = new Bench(['a', 'b'])
  bench.hear(suspect('me', 1))
  bench.now += 400
  bench.act((swim, now) => swim.handleTimeout(now))
  bench.hear(dead('a'))
  t.match(bench.swim.explainDeath(id('a')), {
    localHealthMultiplier: 4,
    lastLate: { at: 400, lateMs: 400 }
  })
})

t.test('S-09: without the buddy system a ping to a suspect says nothing of it', async (t) => {
  for (const buddySystem of [true, false]) {
    const bench = new Bench(['a', 'b'], { buddySystem })
    bench.hear(dead('b'))
    bench.hear(suspect('a', 1, 'b'))
    // By then the rumour has gone round.
    bench.pass(1_500)
    bench.sent = []
    bench.firstPing()
    const kinds = bench.messagesTo('a').map(({ kind }) => kind)
    t.same(kinds, buddySystem ? ['ping', 'suspect'] : ['ping'])
    bench.sent = []
    bench.hear({ kind: 'pingRequest', sequence: 7, target: id('a') }, 'c')
    const relayed = bench.messagesTo('a').map(({ kind }) => kind)
    t.same(relayed, buddySystem ? ['ping', 'suspect'] : ['ping'], 'nor does a relayed one')
    bench.hear({ kind: 'ping', sequence: 9, target: id('me') }, 'b')
    t.match(bench.messagesTo('b'), [{ kind: 'ack' }, { kind: 'dead' }], 'the dead are told')
  }
})

t.test('S-09: a suspect that can be reached refutes within one round trip', async (t) => {
  const bench = new Bench(['a', 'b'])
  bench.pass(5_000)
  bench.sent = []
  bench.hear({ kind: 'ping', sequence: 3, target: id('me') }, 'b')
  bench.hear(suspect('me', 1, 'b'), 'b')
  t.match(bench.messagesTo('b').slice(0, 2), [
    { kind: 'ack', sequence: 3 },
    { kind: 'statement', statement: { nodeId: 'me', incarnation: 2 } }
  ])
})

t.test('S-05: old accusations are answered with what stands, to whoever holds them', async (t) => {
  const bench = new Bench(['a', 'b'])
  bench.hear(suspect('me', 1))
  bench.pass(5_000)
  bench.sent = []
  bench.hear(suspect('me', 1, 'b'), 'b')
  t.match(bench.messagesTo('b'), [{ kind: 'statement', statement: { incarnation: 2 } }])
  t.equal(bench.swim.self().incarnation, 2, 'it is no new accusation')
  bench.act((swim, now) => swim.leave(now))
  bench.pass(5_000)
  bench.sent = []
  bench.hear(suspect('me', 2, 'b'), 'b')
  t.same(bench.sent, [], 'who left says no more')
})

t.test('who was heard lately is not buried on the word of another', async (t) => {
  const bench = new Bench(['a', 'b', 'c', 'd'])
  bench.pass(5_000)
  bench.hear({ kind: 'ack', sequence: 1 }, 'a')
  bench.hear(dead('a', 1, 'b'))
  t.same(bench.eventTypes(), ['MemberSuspected'], 'a verdict is a suspicion')
  bench.hear(dead('c', 1, 'b'))
  t.same(bench.eventTypes().slice(1), ['MemberDied'], 'of one not heard, it stands')
})

t.test('a suspect that spoke meanwhile is asked before the verdict, once', async (t) => {
  const bench = new Bench(['a', 'b'])
  bench.pass(5_000)
  bench.hear(suspect('a', 1, 'b'))
  bench.pass(1_000)
  bench.hear({ kind: 'ack', sequence: 1 }, 'a')
  bench.pass(500)
  bench.sent = []
  bench.pass(499)
  t.same(bench.messagesTo('a'), [])
  bench.pass(1)
  t.match(bench.messagesTo('a'), [{ kind: 'suspect', nodeId: 'a' }])
  t.same(bench.eventTypes(), ['MemberSuspected'])
  bench.pass(499)
  bench.hear({ kind: 'ack', sequence: 1 }, 'a')
  bench.pass(1)
  t.same(bench.eventTypes(), ['MemberSuspected', 'MemberDied'], 'it did not contradict')
})

t.test('S-27: acks that wait while the process stands still acquit their senders', async (t) => {
  for (const loopLagAware of [true, false]) {
    const world = SwimWorld.settled(5, 22, { loopLagAware })
    world.delayMaxMs = 100
    for (let stall = 0; stall < 200; stall++) {
      world.pause('n2')
      world.run(300 + (stall % 5) * 40)
      world.resume('n2')
      world.run(1_000 + (stall % 7) * 130)
    }
    const byStalled = world
      .told('MemberSuspected')
      .filter(({ event }) => 'accuser' in event && event.accuser === 'n2')
    if (loopLagAware) t.same(byStalled, [], 'nobody is suspected by the one that stood still')
    else t.ok(byStalled.length > 0, 'without it the lateness would count against others')
    t.same(world.told('MemberDied'), [])
  }
})

t.test('S-27: main loops that stand still for two to three seconds kill nobody', async (t) => {
  for (const [count, stalls] of [
    [5, 700],
    [12, 200],
    [30, 100]
  ] as const) {
    const world = SwimWorld.settled(count, 23)
    for (let stall = 0; stall < someOf(stalls); stall++) {
      const name = `n${stall % count}`
      world.pause(name)
      world.run(2_000 + (stall % 11) * 100)
      world.resume(name)
      world.run(3_000)
    }
    t.same(world.told('MemberDied'), [], `${someOf(stalls)} stalls of ${count} nodes`)
  }
})

t.test('a process that is always late still finds the dead', async (t) => {
  const bench = new Bench(['a', 'b', 'c'])
  bench.act((swim, now) => swim.start(now))
  const lateMs = 200
  while (!bench.eventTypes().includes('MemberDied')) {
    bench.now = bench.swim.nextDeadline() + lateMs
    bench.act((swim, now) => swim.handleTimeout(now))
    if (bench.now > 600_000) break
  }
  t.ok(bench.now <= 120_000, `${bench.now} ms`)
  t.equal(bench.swim.counters.get('local_health_score'), 7)
})

t.test('S-12: who hears nobody doubts itself, and its accusations stay unconfirmed', async (t) => {
  const world = SwimWorld.settled(10, 24)
  for (let i = 1; i < 10; i++) world.cuts.add(`n${i}>n0`)
  const { swim } = world.node('n0')
  const tookMs = world.runUntil(() => swim.counters.get('local_health_score') >= 3, 10_000)
  t.ok(tookMs <= 5 * 500, `${tookMs} ms`)
  world.run(120_000)
  const about = (event: MemberEvent): string =>
    'member' in event ? event.member.nodeId : event.nodeId
  const others = (type: MemberEvent['type']): ToldEvent[] =>
    world.told(type).filter(({ viewer, event }) => viewer !== 'n0' && about(event) !== 'n0')
  t.same(others('MemberDied'), [], 'nobody else believes it')
  const confirmed = world
    .told('MemberDied')
    .filter(({ viewer }) => viewer === 'n0')
    .map(({ event }) => swim.explainDeath(id(about(event))))
    .filter((record) => (record?.suspicion?.confirmedBy.length ?? 0) > 0)
  t.same(confirmed, [])
  const suspicions = others('MemberSuspected').length
  t.ok(suspicions <= 9 * 8, `no flood: ${suspicions} suspicions in all views`)
  world.heal()
  t.ok(world.runUntil(() => world.isConverged(), 60_000) < 60_000)
})

t.test('a statement is no doubt', async (t) => {
  const bench = new Bench(['a'])
  bench.hear(stated('a', { incarnation: 2 as never }), 'a')
  t.equal(bench.swim.counters.get('local_health_score'), 0)
})
