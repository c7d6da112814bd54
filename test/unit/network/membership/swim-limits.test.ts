/** Bounds of what the membership core takes in, and clocks that it must not believe. */
import t from 'tap'
import { SplittableRandom, unstatedCapacity, type WallMs } from '../../../../src/core/index.js'
import {
  exchangeBytesMax,
  exchangedMembersMax,
  type MemberState,
  memberStateBytes,
  pushPull,
  statement
} from '../../../../src/network/membership/messages.js'
import { Swim } from '../../../../src/network/membership/swim.js'
import { ByteReader, ByteWriter } from '../../../../src/wire/index.js'
import { Bench, id, inc, ms, statementOf, suspect } from './swim-bench.js'
import { membershipConfig, SwimWorld } from './swim-world.js'

const stateOf = (name: string): MemberState => ({
  statement: statementOf(name),
  liveness: 'alive',
  incarnation: inc(1)
})

t.test('S-23, X-36: an exchange beyond its bounds is refused before it is read', async (t) => {
  const states = Array.from({ length: exchangedMembersMax }, () => stateOf('same'))
  const writer = new ByteWriter(8 * 1024 * 1024)
  pushPull.codec.write(writer, { clusterId: null, members: states })
  const bytes = writer.take()
  t.equal(pushPull.codec.read(new ByteReader(bytes)).members.length, exchangedMembersMax)
  // The count stands behind the byte that says that there is no cluster id.
  const overlong = bytes.slice()
  overlong.set([0xff, 0xff, 0x3f], 1)
  t.throws(() => pushPull.codec.read(new ByteReader(overlong)), /list|count|most|10,?000|bound/i)
  t.throws(() =>
    pushPull.codec.write(writer, { clusterId: null, members: [...states, stateOf('x')] })
  )
})

t.test('S-23: what a node gives of a large table stays within one message', async (t) => {
  const bench = new Bench([], { membersMax: 10_000 })
  const members = Array.from({ length: 9_000 }, (_, i) => stateOf(`${'n'.repeat(58)}${i}`))
  bench.act((swim, now) => swim.merge(members, id('x'), now))
  const given = bench.swim.exchangedMembers()
  t.equal(given[0]?.statement.nodeId, 'me')
  t.ok(given.length > 1_000 && given.length < 9_000)
  const bytes = given.reduce((sum, state) => sum + memberStateBytes(state), 0)
  t.ok(bytes <= exchangeBytesMax, `${bytes} bytes`)
})

t.test('X-35: metadata of 513 bytes is refused, names of prototypes are data', async (t) => {
  const codec = statement
  const writer = new ByteWriter(1 << 16)
  const carried = (metadata: Record<string, string>) => {
    codec.write(writer, statementOf('a', { metadata }))
    return codec.read(new ByteReader(writer.take())).metadata
  }
  const metadata = JSON.parse('{"__proto__":"p","constructor":"c","toString":"t"}')
  const read = carried(metadata)
  t.same(Object.entries(read), Object.entries(metadata))
  t.equal(Object.getPrototypeOf(read), Object.prototype)
  t.equal(Object.getOwnPropertyDescriptor(Object.prototype, 'p'), undefined)
  t.ok(carried({ k: 'v'.repeat(500) }))
  t.throws(() => carried({ k: 'v'.repeat(513) }))
  t.throws(() => carried({ k: 'v'.repeat(300), l: 'v'.repeat(300) }))
})

t.test('X-36: a table full of strangers, duplicates, and this node itself', async (t) => {
  const bench = new Bench(['a'], { membersMax: 50 })
  const own: MemberState = {
    statement: statementOf('me', { incarnation: inc(9), lifecycle: 'left' }),
    liveness: 'dead',
    incarnation: inc(9)
  }
  const strangers = Array.from({ length: 5_000 }, (_, i) => stateOf(`s${i % 400}`))
  bench.act((swim, now) => swim.merge([own, ...strangers], id('a'), now))
  t.equal(bench.swim.members().length, 50)
  t.ok(bench.swim.counters.get('members_refused') > 0)
  t.equal(bench.swim.self().lifecycle, 'joining', 'nobody else says that this node left')
  t.ok(bench.swim.self().incarnation > 9, 'it answers with a greater incarnation')
})

t.test(
  'S-24: a flood of accusations costs bounded queues, and the newest news goes first',
  async (t) => {
    const bench = new Bench(
      Array.from({ length: 400 }, (_, i) => `m${i}`),
      { broadcastQueueLengthMax: 64 }
    )
    for (let i = 0; i < 400; i++) bench.hear(suspect(`m${i}`))
    let queued = -1
    bench.swim.tellQueues((name, length) => {
      if (name === 'membership.broadcastQueueLengthMax') queued = length
    })
    t.ok(queued > 0 && queued <= 64, `${queued} rumours wait`)
    t.ok(bench.swim.counters.get('rumours_dropped') > 0)
    bench.sent = []
    bench.pass(200)
    const told = bench.sent.flatMap((effect) =>
      effect.kind === 'datagram' ? effect.messages.filter(({ kind }) => kind === 'suspect') : []
    )
    t.ok(told.some((message) => 'nodeId' in message && message.nodeId === 'm399'))
  }
)

t.test('S-25: a wall clock that jumps by an hour changes nothing', async (t) => {
  // The core takes the monotonic clock alone; the wall clock is told once, as the time of birth.
  const eventsOf = (bornAt: number): string[] => {
    const swim = new Swim(
      { random: SplittableRandom.fromSeed(1) },
      {
        nodeId: id('me'),
        address: 'me:1',
        datacenter: '',
        rack: '',
        metadata: {},
        capacity: unstatedCapacity,
        tags: [],
        versions: { min: 1, max: 1 },
        bornAt: bornAt as WallMs,
        config: membershipConfig()
      },
      ms(0)
    )
    const told: string[] = []
    swim.merge([stateOf('a'), stateOf('b')], id('a'), ms(0))
    swim.start(ms(0))
    for (let now = 0; now < 20_000; now = Math.max(now + 1, swim.nextDeadline())) {
      swim.handleTimeout(ms(now))
      told.push(...swim.drainEffects().emit.map(({ type }) => `${now} ${type}`))
    }
    return told
  }
  const hourMs = 3_600_000
  const expected = eventsOf(10 * hourMs)
  t.ok(expected.length > 0)
  t.same(eventsOf(9 * hourMs), expected)
  t.same(eventsOf(11 * hourMs), expected)
})

t.test('S-02: healthy members make no false verdict while others are under stress', async (t) => {
  const world = SwimWorld.settled(40, 31)
  const stressed = ['n1', 'n8', 'n15', 'n22', 'n29', 'n36']
  for (let round = 0; round < 12; round++) {
    for (const name of stressed) world.pause(name)
    world.run(2_500)
    for (const name of stressed) world.resume(name)
    world.run(300)
  }
  const falseAtHealthy = world.told('MemberDied').filter(({ viewer, event }) => {
    const victim = 'member' in event ? event.member.nodeId : ''
    return !stressed.includes(viewer) && !stressed.includes(victim)
  })
  t.same(falseAtHealthy, [])
})
