/** The membership core, one step at a time. */
import t from 'tap'
import { datagramExtraBytesMax, SplittableRandom } from '../../../../src/core/index.js'
import { PacketWriter, packetPartsBytesMax } from '../../../../src/network/membership/messages.js'
import { relaysMax } from '../../../../src/network/membership/relays.js'
import { incarnationJumpMax } from '../../../../src/network/membership/rumours.js'
import { Bench, dead, id, inc, stated, statementOf, suspect } from './swim-bench.js'

t.test('S-05: accused, a node goes one above the higher of the two incarnations', async (t) => {
  const bench = new Bench(['a'])
  bench.hear(suspect('me', 1))
  t.equal(bench.swim.self().incarnation, 2)
  bench.hear(suspect('me', 1))
  t.equal(bench.swim.self().incarnation, 2, 'old news')
  bench.hear(dead('me', 7))
  t.equal(bench.swim.self().incarnation, 8)
  bench.pass(1_000)
  const told = bench.sentOf('a', 'statement').map(({ statement }) => statement)
  t.ok(told.some(({ nodeId, incarnation }) => nodeId === 'me' && incarnation === 8))
  t.equal(bench.swim.counters.get('refute_count'), 2)
})

t.test('S-05: an earlier life of this node is outdone, whatever it said', async (t) => {
  const bench = new Bench(['a'])
  bench.hear(stated('me', { incarnation: inc(4), lifecycle: 'left' }))
  t.equal(bench.swim.self().incarnation, 5)
  bench.hear(stated('me', { incarnation: inc(3) }))
  t.equal(bench.swim.self().incarnation, 5)
  const echo = bench.swim.selfStatement()
  bench.hear({ kind: 'statement', statement: echo })
  t.equal(bench.swim.self().incarnation, 5, 'its own words are no accusation')
})

t.test('S-09: who probes a suspect tells it so', async (t) => {
  const bench = new Bench(['a', 'b', 'c', 'd'])
  for (const name of ['b', 'c', 'd']) bench.hear(dead(name))
  bench.hear(suspect('a', 1, 'x'))
  bench.pass(1_500)
  bench.sent = []
  t.same(bench.swim.member(id('a'))?.liveness, 'suspect')
  bench.firstPing()
  const effect = bench.sent.find(
    (one) => one.kind === 'datagram' && one.messages.some(({ kind }) => kind === 'ping')
  )
  const kinds = effect?.kind === 'datagram' ? effect.messages.map(({ kind }) => kind) : []
  t.same(kinds.slice(0, 2), ['ping', 'suspect'])
})

t.test('S-09: a ping from one that is held dead is answered with the accusation', async (t) => {
  const bench = new Bench(['a'])
  bench.hear(dead('a', 1))
  // Its rumour has gone round by then.
  bench.pass(60_000)
  bench.sent = []
  bench.hear({ kind: 'ping', sequence: 9, target: id('me') }, 'a')
  t.match(bench.messagesTo('a').slice(0, 2), [
    { kind: 'ack', sequence: 9 },
    { kind: 'dead', nodeId: 'a' }
  ])
  bench.hear(stated('a', { incarnation: inc(2) }), 'a')
  t.equal(bench.swim.member(id('a'))?.liveness, 'alive')
})

t.test('a ping for somebody else is not answered', async (t) => {
  const bench = new Bench(['a'])
  bench.hear({ kind: 'ping', sequence: 9, target: id('other') }, 'a')
  t.same(bench.sent, [])
  t.equal(bench.swim.counters.get('misdirected_pings'), 1)
})

t.test('a probe: ping, helpers and stream after the timeout, suspicion at its end', async (t) => {
  const bench = new Bench(['a', 'b', 'c'], { indirectProbes: 2 })
  const { target, sequence } = bench.firstPing()
  bench.pass(249)
  t.notOk(bench.sent.some(({ kind }) => kind === 'streamPing'))
  bench.pass(1)
  t.ok(bench.sent.some((effect) => effect.kind === 'streamPing' && effect.nodeId === target))
  const helpers = ['a', 'b', 'c'].filter((name) => bench.sentOf(name, 'pingRequest').length > 0)
  t.equal(helpers.length, 2)
  t.notOk(helpers.includes(target))
  const [helper] = helpers as [string, string]
  bench.hear({ kind: 'nack', sequence }, helper)
  bench.hear({ kind: 'nack', sequence }, helper)
  bench.hear({ kind: 'ack', sequence }, 'stranger')
  bench.pass(250)
  t.same(bench.eventTypes(), ['MemberSuspected'], 'a stranger cannot vouch for the target')
  t.equal(bench.swim.counters.get('nack_count'), 1)
  bench.pass(60_000)
  const record = bench.swim.explainDeath(target)
  t.same(record?.verdictBy, 'ownTimer')
  t.equal(record?.suspicion?.accuser, 'me')
  t.equal(record?.lastFailedProbe?.helpers.length, 2, 'its evidence is kept')
})

t.test('an ack of the target, a helper or the stream ends the probe well', async (t) => {
  for (const how of ['target', 'helper', 'stream'] as const) {
    const bench = new Bench(['a', 'b'])
    const { target, sequence } = bench.firstPing()
    bench.pass(300)
    const helper = target === 'a' ? 'b' : 'a'
    if (how === 'target') bench.hear({ kind: 'ack', sequence }, target)
    if (how === 'helper') bench.hear({ kind: 'ack', sequence }, helper)
    if (how === 'stream') bench.act((swim, now) => swim.handleStreamAck(sequence, target, now))
    bench.pass(199)
    t.same(bench.events, [], how)
    t.equal(bench.swim.counters.get('ack_count'), 1)
    t.equal(bench.swim.counters.get('stream_only_ack_count'), how === 'stream' ? 1 : 0)
  }
})

t.test('a helper pings, nacks in time, and passes a late ack on', async (t) => {
  const bench = new Bench(['a', 'b'])
  bench.hear({ kind: 'pingRequest', sequence: 77, target: id('b') }, 'a')
  const [ping] = bench.sentOf('b', 'ping')
  t.not(ping?.sequence, 77, 'under a number of its own')
  bench.pass(199)
  t.same(bench.sentOf('a', 'nack'), [])
  bench.pass(1)
  t.match(bench.sentOf('a', 'nack'), [{ sequence: 77 }])
  bench.hear({ kind: 'ack', sequence: ping?.sequence ?? 0 }, 'x')
  t.same(bench.sentOf('a', 'ack'), [], 'from somebody else')
  bench.hear({ kind: 'ack', sequence: ping?.sequence ?? 0 }, 'b')
  t.match(bench.sentOf('a', 'ack'), [{ sequence: 77 }])
  bench.hear({ kind: 'ack', sequence: ping?.sequence ?? 0 }, 'b')
  t.equal(bench.sentOf('a', 'ack').length, 1, 'once')
})

t.test('S-28: a ping from a member never heard of leads to a state exchange with it', async (t) => {
  const bench = new Bench(['a'])
  bench.hear({ kind: 'ping', sequence: 1, target: id('me') }, 'a')
  t.notOk(bench.sent.some(({ kind }) => kind === 'pushPull'))
  bench.hear({ kind: 'ping', sequence: 1, target: id('me') }, 'b')
  t.match(bench.sent.at(-2), { kind: 'pushPull', nodeId: 'b', address: 'b:1' })
  t.match(bench.sent.at(-1), { kind: 'datagram', to: 'b:1' }, 'and it is answered')
  bench.hear({ kind: 'ping', sequence: 1, target: id('other') }, 'c')
  t.equal(bench.sent.filter(({ kind }) => kind === 'pushPull').length, 1)
})

t.test('X-33: nobody is pinged who is no member', async (t) => {
  const bench = new Bench(['a'])
  bench.hear({ kind: 'pingRequest', sequence: 1, target: id('stranger') }, 'a')
  t.match(bench.sent, [{ kind: 'datagram', to: 'a:1' }])
  t.equal(bench.sentOf('a', 'nack').length, 1)
  t.equal(bench.swim.counters.get('relays_refused'), 1)
})

t.test('relays are bounded', async (t) => {
  const bench = new Bench(['a', 'b'])
  for (let sequence = 0; sequence < relaysMax + 5; sequence++) {
    bench.hear({ kind: 'pingRequest', sequence, target: id('b') }, 'a')
  }
  t.equal(bench.swim.counters.get('relayed_ping_count'), relaysMax)
  t.equal(bench.swim.counters.get('relays_refused'), 5)
  bench.pass(1_000)
  bench.hear({ kind: 'pingRequest', sequence: 1, target: id('b') }, 'a')
  t.equal(bench.swim.counters.get('relayed_ping_count'), relaysMax + 1, 'they expire')
})

t.test(
  'S-07: distinct accusers shorten a suspicion, the first one and repeats do not',
  async (t) => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const diesAfter = (accusers: readonly string[]): number => {
      const bench = new Bench(names)
      for (const accuser of accusers) bench.hear(suspect('a', 1, accuser), accuser)
      const [suspected] = bench.events
      if (suspected?.type !== 'MemberSuspected') t.fail('not suspected')
      while (!bench.eventTypes().includes('MemberDied')) bench.pass(10)
      return bench.now
    }
    const minMs = 2_000
    t.equal(diesAfter(['b']), 6 * minMs)
    t.equal(diesAfter(['b', 'b', 'b']), 6 * minMs)
    const one = diesAfter(['b', 'c'])
    t.ok(one < 6 * minMs && one > minMs, `${one} ms`)
    t.equal(diesAfter(['b', 'c', 'd']), minMs)
    t.equal(diesAfter(['b', 'c', 'd', 'e']), minMs)
  }
)

t.test('S-15: a rumour moves no living member to another address', async (t) => {
  const bench = new Bench(['a'])
  const moved = stated('a', { incarnation: inc(3), address: 'elsewhere:1' })
  bench.hear(moved)
  bench.hear(moved)
  t.match(bench.events, [{ type: 'MemberConflict', nodeId: 'a', address: 'elsewhere:1' }])
  t.match(bench.swim.member(id('a')), { address: 'a:1', incarnation: 1 })
  bench.hear(dead('a', 1))
  bench.hear(moved)
  t.match(bench.swim.member(id('a')), { address: 'elsewhere:1', liveness: 'alive' })
})

t.test('each member is probed once a round, in another order each round', async (t) => {
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const bench = new Bench(names)
  const targets: string[] = []
  let ping = bench.firstPing()
  for (let probe = 0; probe < names.length * 10; probe++) {
    targets.push(ping.target)
    bench.hear({ kind: 'ack', sequence: ping.sequence }, ping.target)
    bench.sent = []
    bench.pass(500)
    const next = names.flatMap((name) => bench.sentOf(name, 'ping'))
    t.equal(next.length, 1)
    ping = next[0] ?? ping
  }
  const rounds = new Set<string>()
  // Members came one by one before the first round began, so it is whole as well.
  for (let at = 0; at < targets.length; at += names.length) {
    const round = targets.slice(at, at + names.length)
    t.same([...round].sort(), names)
    rounds.add(round.join())
  }
  t.ok(rounds.size > 7, `${rounds.size} different orders of 10`)
})

t.test('X-34: incarnations that nobody has are not believed', async (t) => {
  const bench = new Bench(['a'])
  const absurd = inc(incarnationJumpMax + 2)
  bench.hear(suspect('me', absurd))
  bench.hear(stated('me', { incarnation: absurd }))
  t.equal(bench.swim.self().incarnation, 1)
  for (const message of [
    suspect('a', absurd),
    dead('a', absurd),
    stated('a', { incarnation: absurd })
  ]) {
    bench.hear(message)
  }
  t.match(bench.swim.member(id('a')), { incarnation: 1, liveness: 'alive' })
  bench.hear(stated('new', { incarnation: inc(Number.MAX_SAFE_INTEGER) }))
  t.equal(bench.swim.member(id('new')), null)
  t.equal(bench.swim.counters.get('incarnations_refused'), 6)
  t.same(bench.events, [])
})

t.test('S-06: accusations about the unknown add nobody', async (t) => {
  const bench = new Bench([])
  bench.hear(suspect('a'))
  bench.hear(dead('a'))
  bench.hear(stated('a', { lifecycle: 'left' }))
  t.equal(bench.swim.members().length, 1)
  t.same(bench.events, [])
})

t.test('S-29: each change is told once, with what was before', async (t) => {
  const bench = new Bench(['a'])
  bench.hear(stated('a', { incarnation: inc(2), lifecycle: 'draining' }))
  bench.hear(stated('a', { incarnation: inc(2), lifecycle: 'draining' }))
  t.match(bench.events, [
    { type: 'MemberUpdated', previous: { lifecycle: 'up', health: 'healthy' } }
  ])
  bench.hear(suspect('a', 2))
  bench.hear(stated('a', { incarnation: inc(3), lifecycle: 'leaving' }))
  bench.hear(stated('a', { incarnation: inc(4), lifecycle: 'left' }))
  bench.hear(dead('a', 4))
  bench.hear(stated('a', { incarnation: inc(5), lifecycle: 'joining' }))
  bench.hear(dead('a', 5, 'b'))
  t.same(bench.eventTypes(), [
    'MemberUpdated',
    'MemberSuspected',
    'MemberRefuted',
    'MemberUpdated',
    'MemberLeft',
    'MemberJoined',
    'MemberDied'
  ])
})

t.test('what this node says of itself goes out under a new incarnation', async (t) => {
  const bench = new Bench(['a'])
  bench.act((swim, now) => swim.setLifecycle('up', now))
  bench.act((swim, now) => swim.setLifecycle('up', now))
  bench.act((swim, now) => swim.setHealth('degraded', now))
  t.match(bench.swim.self(), { incarnation: 3, lifecycle: 'up', health: 'degraded' })
  t.same(bench.eventTypes(), ['MemberUpdated', 'MemberUpdated'])
  bench.pass(400)
  const told = bench.sentOf('a', 'statement').map(({ statement }) => statement)
  t.match(told.filter(({ nodeId }) => nodeId === 'me').at(-1), {
    incarnation: 3,
    lifecycle: 'up',
    health: 'degraded'
  })
})

t.test('after its goodbye a node neither refutes nor probes', async (t) => {
  const bench = new Bench(['a'])
  bench.act((swim, now) => swim.start(now))
  bench.act((swim, now) => swim.leave(now))
  bench.hear(suspect('me', 2))
  bench.hear(dead('me', 3))
  t.equal(bench.swim.self().incarnation, 2)
  bench.pass(10_000)
  t.same(bench.sentOf('a', 'ping'), [])
  t.equal(bench.swim.nextDeadline(), Number.POSITIVE_INFINITY)
})

t.test('S-20: no effect holds more than a datagram does, however much is to be told', async (t) => {
  const bench = new Bench([])
  const random = SplittableRandom.fromSeed(20)
  const packets = new PacketWriter()
  let largest = 0
  for (let i = 0; i < 300; i++) {
    const metadata = { note: 'x'.repeat(random.nextInt(256)) }
    const name = `${'n'.repeat(1 + random.nextInt(40))}-${i}`
    bench.hear(stated(name, { metadata, rack: 'r'.repeat(random.nextInt(64)) }))
    if (i % 3 === 0) bench.hear({ kind: 'ping', sequence: i, target: id('me') }, name)
  }
  bench.pass(30_000)
  for (const effect of bench.sent) {
    if (effect.kind !== 'datagram') continue
    const bytes = effect.messages.reduce((sum, message) => sum + packets.sizeOf(message), 0)
    largest = Math.max(largest, bytes)
  }
  t.ok(largest <= packetPartsBytesMax, `${largest} bytes`)
  t.ok(largest > packetPartsBytesMax * 0.9, 'and they were well filled')
  const extra = packets.sizeOf({ kind: 'payload', bytes: new Uint8Array(datagramExtraBytesMax) })
  t.ok(extra <= packetPartsBytesMax && extra > packetPartsBytesMax - 40, `${extra} bytes of others`)
})

t.test(
  'S-18: in a state exchange a death is a suspicion, and unknown dead are no news',
  async (t) => {
    const bench = new Bench(['a', 'b'])
    const members = ['a', 'c'].map((name) => ({
      statement: statementOf(name),
      liveness: 'dead' as const,
      incarnation: inc(1)
    }))
    bench.act((swim, now) => swim.merge(members, id('b'), now))
    t.match(bench.events, [{ type: 'MemberSuspected', accuser: 'b', member: { nodeId: 'a' } }])
    t.equal(bench.swim.member(id('c')), null)
    const own = {
      statement: bench.swim.selfStatement(),
      liveness: 'dead' as const,
      incarnation: inc(1)
    }
    bench.act((swim, now) => swim.merge([own], id('b'), now))
    t.equal(bench.swim.self().incarnation, 2, 'its own death is refuted')
  }
)
