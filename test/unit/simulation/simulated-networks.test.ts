import t from 'tap'
import {
  type ByteStream,
  type MonotonicMs,
  type NodeId,
  type StreamEnd,
  StreamEnds
} from '../../../src/core/index.js'
import { ProcessExits } from '../../../src/simulation/virtual-clock.js'
import { makeWorld, run } from './simulated-world.js'

const toB = { expectedNodeId: 'b' as NodeId, deadline: 2_000 as MonotonicMs }

function collect(stream: ByteStream) {
  const received: number[] = []
  const ends: StreamEnd[] = []
  let drains = 0
  stream.attach({
    onData: (chunk) => received.push(...chunk),
    onDrain: () => drains++,
    onClose: (end) => ends.push(end)
  })
  return {
    received,
    ends,
    get drains() {
      return drains
    }
  }
}

async function connected(options: Parameters<typeof makeWorld>[0] = {}, seed = 1) {
  const world = makeWorld(options, seed)
  const accepted: ByteStream[] = []
  await world.b.streams.listen('b:1', (stream) => accepted.push(stream))
  let near: ByteStream | undefined
  void world.a.streams.dial('b:1', toB).then((stream) => {
    near = stream
  })
  await run(world.time, 1_000)
  const [far] = accepted
  if (near === undefined || far === undefined) throw new Error('no stream')
  return { ...world, near, far, nearSide: collect(near), farSide: collect(far) }
}

t.test('streams: bytes arrive in order, in pieces of any size, and names are proved', async (t) => {
  const { time, near, far, farSide } = await connected({ splitProbability: 0.7, latencyMeanMs: 30 })
  const sent: number[] = []
  for (let i = 0; i < 200; i++) {
    const chunk = Uint8Array.from({ length: 1 + (i % 5) }, (_, j) => (i + j) % 256)
    sent.push(...chunk)
    near.write(chunk)
  }
  await run(time, 2_000)
  t.strictSame(farSide.received, sent)
  t.match(near.peer, { kind: 'node', nodeId: 'b', clusterName: 'test' })
  t.match(far.peer, { nodeId: 'a' })
})

t.test('streams: a dial is refused, misdirected, or times out', async (t) => {
  const world = makeWorld()
  const codes: string[] = []
  const dial = (address: string, expectedNodeId: string) =>
    world.a.streams
      .dial(address, {
        expectedNodeId: expectedNodeId as NodeId,
        deadline: (world.time.now + 500) as MonotonicMs
      })
      .then(
        () => codes.push('connected'),
        (error: { code: string; message: string }) => codes.push(`${error.code} ${error.message}`)
      )
  void dial('b:1', 'b')
  await run(world.time, 1_000)
  await world.b.streams.listen('b:1', () => {})
  void dial('b:1', 'c')
  await run(world.time, 1_000)
  world.links.cut(0, 1, { kind: 'partition', streams: 'held' })
  void dial('b:1', 'b')
  await run(world.time, 1_000)
  t.match(codes, [/DIAL_FAILED.*refused/, /PEER_IDENTITY/, /DIAL_FAILED.*deadline/])
  t.equal(world.faults.partition, 1)
})

t.test('D-05 streams: a one-way cut holds bytes back, or makes the stream half-open', async (t) => {
  for (const streams of ['held', 'lost'] as const) {
    const { time, links, near, far, nearSide, farSide, faults } = await connected()
    links.cut(0, 1, { kind: 'one_way', streams })
    near.write(Uint8Array.of(1))
    far.write(Uint8Array.of(9))
    await run(time, 5_000)
    t.strictSame([farSide.received, nearSide.received], [[], [9]], 'the other way goes on')
    links.healAll()
    near.write(Uint8Array.of(2))
    await run(time, 5_000)
    t.strictSame(farSide.received, streams === 'held' ? [1, 2] : [], streams)
    t.strictSame(farSide.ends, [], 'nobody is told')
    t.ok(faults.one_way >= 1)
  }
})

t.test('streams: they break at any byte, and both ends hear of it', async (t) => {
  const lengths = new Set<number>()
  for (let seed = 1; seed <= 20; seed++) {
    const { time, near, nearSide, farSide } = await connected({ breakProbability: 1 }, seed)
    near.write(Uint8Array.of(0, 1, 2, 3))
    near.write(Uint8Array.of(4))
    await run(time, 1_000)
    const arrived = farSide.received.length
    lengths.add(arrived)
    t.strictSame(farSide.received, [0, 1, 2, 3].slice(0, arrived))
    t.strictSame([nearSide.ends, farSide.ends], [[StreamEnds.Reset], [StreamEnds.Reset]])
  }
  t.ok(lengths.size >= 4, 'at different bytes')
})

t.test('streams: end delivers what was written, destroy may not; each closes once', async (t) => {
  const ended = await connected()
  ended.near.write(Uint8Array.of(7))
  ended.near.end()
  await run(ended.time, 5_000)
  t.strictSame(ended.farSide, { received: [7], ends: [StreamEnds.Closed], drains: 0 })
  t.strictSame(ended.nearSide.ends, [StreamEnds.Local])
  const destroyed = await connected()
  destroyed.near.destroy()
  t.equal(destroyed.near.write(Uint8Array.of(1)), false)
  await run(destroyed.time, 5_000)
  t.strictSame(destroyed.farSide.ends, [StreamEnds.Reset])
  t.strictSame(destroyed.nearSide.ends, [StreamEnds.Local])
})

t.test('streams: a killed process resets its peers, a powerless machine does not', async (t) => {
  const killed = await connected()
  killed.b.process.exit(ProcessExits.Killed)
  await run(killed.time, 1_000)
  t.strictSame(killed.nearSide.ends, [StreamEnds.Reset])
  const dark = await connected()
  dark.b.process.exit(ProcessExits.Power)
  await run(dark.time, 1_000)
  t.strictSame(dark.nearSide.ends, [])
  dark.near.write(Uint8Array.of(1))
  await run(dark.time, 1_000)
  t.strictSame(dark.nearSide.ends, [StreamEnds.Reset], 'the next byte finds nobody')
})

t.test('streams: a paused peer fills the buffer, and drains it when it goes on', async (t) => {
  const { time, near, nearSide, farSide, b } = await connected()
  time.pause(b.process)
  let writes = 0
  while (near.write(new Uint8Array(64 * 1024))) writes++
  await run(time, 1_000)
  t.ok(writes >= 4 && near.bufferedBytes >= 512 * 1024)
  t.equal(nearSide.drains, 0)
  time.resume(b.process)
  await run(time, 1_000)
  t.equal(near.bufferedBytes, 0)
  t.equal(nearSide.drains, 1)
  t.equal(farSide.received.length, (writes + 1) * 64 * 1024)
})

t.test('D-06 datagrams: lost, doubled, overtaken, cut off, each counted', async (t) => {
  const world = makeWorld({
    lossProbability: 0.2,
    duplicateProbability: 0.2,
    reorderProbability: 0.2
  })
  const got: number[] = []
  await world.b.datagrams.bind('b:1', (bytes, from) => {
    t.equal(from, 'a:1')
    got.push(bytes[0] as number)
  })
  const socket = await world.a.datagrams.bind('a:1', () => {})
  for (let i = 0; i < 200; i++) socket.send('b:1', Uint8Array.of(i))
  await run(world.time, 1_000)
  const { loss, duplicate, reorder, one_way } = world.faults
  t.equal(got.length, 200 - loss + duplicate)
  t.ok(loss > 10 && duplicate > 10 && reorder > 10 && one_way === 0)
  t.not(got.join(), [...got].sort((a, b) => a - b).join(), 'not in order')
  world.links.cut(0, 1, { kind: 'one_way', streams: 'held' })
  socket.send('b:1', Uint8Array.of(1))
  await run(world.time, 1_000)
  t.equal(world.faults.one_way, 1)
  t.equal(got.length, 200 - loss + duplicate)
})
