import t from 'tap'
import type { ByteChannel } from '../../../../src/core/ports/channels.js'
import { WaitingOpens } from '../../../../src/network/pool/waiting-opens.js'
import { streamBufferBytesMax } from '../../../../src/runtime/index.js'
import { echo, node, TransportWorld } from '../../../support/transport-world.js'

const patterned = (length: number, seed = 0) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) + seed) & 0xff)

async function readAll(channel: ByteChannel): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of channel) chunks.push(chunk)
  return Buffer.concat(chunks)
}

async function pairOf(config = {}) {
  const world = new TransportWorld()
  const a = await world.start('a', { config })
  const b = await world.start('b', { config })
  return { world, a, b }
}

t.test('a channel carries both ways; each end ends its own', async (t) => {
  const { world, a, b } = await pairOf()
  const sent = patterned(600_000)
  let received: Promise<Uint8Array> | null = null
  b.channels.accept('upload', (channel) => {
    t.match(channel.peer, { kind: 'node', nodeId: 'a' })
    t.same([channel.name, channel.priority], ['upload', 3])
    received = readAll(channel).then(async (bytes) => {
      await channel.write(Uint8Array.of(1, 2, 3))
      channel.end()
      return bytes
    })
  })
  const opened = a.channels.open(node('b'), 'upload', { priority: 3 })
  const channel = (await world.outcome(opened)) as ByteChannel
  await world.clock.settle(channel.write(sent))
  channel.end()
  t.same(await world.clock.settle(readAll(channel)), Buffer.from([1, 2, 3]))
  t.ok(Buffer.from((await received) ?? []).equals(sent))
  await world.clock.settle(channel.closed)
  await t.rejects(channel.write(sent), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  t.equal(a.counters.get('streams_active'), 0)
  t.equal(b.counters.get('streams_active'), 0)
})

t.test('X-24: a reader that does not read stops the writer, and nobody else', async (t) => {
  const { world, a, b } = await pairOf()
  b.channels.accept('slow', () => {})
  b.onRequest(echo, async ({ body }) => body)
  const channel = (await world.outcome(a.channels.open(node('b'), 'slow'))) as ByteChannel
  let written = 0
  const writing = (async () => {
    for (;;) {
      await channel.write(patterned(64 * 1024))
      written += 64 * 1024
    }
  })().catch((error: { code: string; details: unknown }) => error)
  await world.clock.advance(1_000)
  t.ok(written <= 256 * 1024, `${written} bytes`)
  const request = a.request(node('b'), echo, { count: 1 }, world.deadline(100))
  t.same(await world.outcome(request), { count: 1 })
  const ended = await world.clock.settle(writing)
  t.match(ended, { code: 'ERR_SKEIN_STREAM_RESET', details: { reason: 'stalled' } })
  t.equal(a.isConnected(node('b')), true)
})

t.test('the 101st channel opens another connection; at most four; then they wait', async (t) => {
  const { world, a, b } = await pairOf({ streamConnectionIdleMs: 5_000 })
  const accepted: ByteChannel[] = []
  b.channels.accept('one', (channel) => accepted.push(channel))
  const opened: ByteChannel[] = []
  const open = (priority: 0 | 3) =>
    a.channels.open(node('b'), 'one', { priority, timeoutMs: 60_000 })
  const opening = Array.from({ length: 400 }, () => open(3).then((one) => opened.push(one)))
  await world.clock.settle(Promise.all(opening))
  t.equal(opened.length, 400)
  t.equal(a.counters.get('dials'), 4)
  const order: string[] = []
  const ordered = (name: string) => (channel: ByteChannel) => {
    opened.push(channel)
    order.push(name)
  }
  const low = open(3).then(ordered('low'))
  const critical = open(0).then(ordered('critical'))
  const late = a.channels.open(node('b'), 'one', { timeoutMs: 50 })
  t.equal(await world.outcome(late), 'ERR_SKEIN_NOT_SENT', 'no turn in time')
  const controller = new AbortController()
  const given = a.channels.open(node('b'), 'one', { signal: controller.signal })
  controller.abort()
  t.equal(await world.outcome(given), 'ERR_SKEIN_CANCELLED')
  opened[0]?.end()
  accepted[0]?.end()
  await world.clock.settle(critical)
  opened[1]?.end()
  accepted[1]?.end()
  await world.clock.settle(low)
  t.same(order, ['critical', 'low'])
  await world.clock.advance(5)
  t.equal(accepted.length, 402)
  t.equal(a.counters.get('active_connections'), 1, 'one peer, however many connections')
  for (const channel of [...opened, ...accepted]) channel.end()
  await world.clock.advance(100)
  const before = b.counters.get('connections_opened')
  t.equal(before, 4)
  await world.clock.advance(6_000)
  t.equal(liveConnections(a), 1, 'idle ones are closed')
  t.equal(liveConnections(b), 1)
  t.equal(a.isConnected(node('b')), true)
})

t.test('bulk travels apart: not a byte of it on the connection of the messages', async (t) => {
  const { world, a, b } = await pairOf()
  const sent = patterned(3_000_000)
  let received: Promise<Uint8Array> | null = null
  b.channels.accept('bulk', (channel) => {
    received = readAll(channel)
  })
  b.onRequest(echo, async ({ body }) => body)
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(100)))
  const channel = (await world.outcome(a.channels.open(node('b'), 'bulk'))) as ByteChannel
  const [messages, , streams] = world.hub.ends
  const before = messages?.deliveredBytes ?? 0
  const writing = channel.write(sent).then(() => channel.end())
  const request = a.request(node('b'), echo, { count: 1 }, { priority: 0, ...world.deadline(100) })
  t.same(await world.outcome(request), { count: 1 })
  t.ok((messages?.deliveredBytes ?? 0) - before < 200, 'a request alone')
  await world.clock.settle(writing)
  t.ok(Buffer.from((await world.clock.settle(received ?? writing)) ?? []).equals(sent))
  t.ok((streams?.deliveredBytes ?? 0) >= sent.length)
  t.ok((messages?.deliveredBytes ?? 0) - before < 200)
})

t.test('an urgent channel is opened at once, beside the messages', async (t) => {
  const { world, a, b } = await pairOf()
  b.channels.accept('one', () => {})
  for (const priority of [0, 1] as const) {
    await world.outcome(a.channels.open(node('b'), 'one', { priority }))
  }
  t.equal(a.counters.get('dials'), 1)
  for (const priority of [2, 3] as const) {
    await world.outcome(a.channels.open(node('b'), 'one', { priority }))
  }
  t.equal(a.counters.get('dials'), 2, 'one more, for streams alone')
})

t.test('where no other connection is to be had, bulk takes that of the messages', async (t) => {
  const { world, a, b } = await pairOf()
  b.channels.accept('one', () => {})
  b.onRequest(echo, async ({ body }) => body)
  await world.outcome(a.request(node('b'), echo, { count: 0 }, world.deadline(100)))
  world.hub.isUnreachable = true
  const refused = a.channels.open(node('b'), 'one')
  t.match(await world.outcome(refused), { name: 'one' }, 'the dial is refused')
  world.hub.isUnreachable = false
  await world.clock.advance(60_000)
  const since = world.clock.now()
  const { latencyMs } = world.hub
  world.hub.latencyMs = 4_000
  const slow = a.channels.open(node('b'), 'one')
  world.hub.latencyMs = latencyMs
  t.match(await world.outcome(slow), { name: 'one' }, 'the dial takes too long')
  t.ok(world.clock.now() - since < 1_000)
})

t.test('on one connection an urgent frame waits for two writes of bulk at most', async (t) => {
  const config = { connectionsPerPeerMax: 1, streamWindowBytes: 4 * 1024 * 1024 }
  const { world, a, b } = await pairOf(config)
  world.hub.watermarkBytes = streamBufferBytesMax
  b.channels.accept('bulk', (channel) => void readAll(channel))
  b.onRequest(echo, async ({ body }) => body)
  const channel = (await world.outcome(a.channels.open(node('b'), 'bulk'))) as ByteChannel
  const [near] = world.hub.ends
  if (near === undefined) throw new Error('no connection')
  const writing = channel.write(new Uint8Array(20_000_000))
  for (let i = 0; i < 20; i++) {
    await world.clock.advance(1)
    t.ok(near.bufferedBytes < 2 * streamBufferBytesMax + 64, `${near.bufferedBytes} bytes`)
    const ahead = near.deliveredBytes + near.bufferedBytes
    const request = a.request(
      node('b'),
      echo,
      { count: i },
      { priority: 0, ...world.deadline(500) }
    )
    await world.clock.settle(request)
    t.ok(near.deliveredBytes - ahead <= 4 * streamBufferBytesMax, 'not behind all the rest')
  }
  t.ok(near.deliveredBytes < 20_000_000, 'bulk is still on its way')
  await world.clock.settle(writing)
})

t.test('a full queue of waiting channels refuses at once', async (t) => {
  const { world, a, b } = await pairOf({ streamOpensWaitingMax: 2, connectionsPerPeerMax: 1 })
  b.channels.accept('one', () => {})
  await world.outcome(a.channels.open(node('b'), 'one'))
  const opening = Array.from({ length: 99 }, () => a.channels.open(node('b'), 'one'))
  await world.clock.settle(Promise.all(opening))
  const waiting = [1, 2].map(() => a.channels.open(node('b'), 'one', { timeoutMs: 100 }))
  const refused = a.channels.open(node('b'), 'one')
  t.equal(await world.outcome(refused), 'ERR_SKEIN_BACKPRESSURE')
  t.same(await Promise.all(waiting.map((one) => world.outcome(one))), [
    'ERR_SKEIN_NOT_SENT',
    'ERR_SKEIN_NOT_SENT'
  ])
})

t.test('nobody accepts the name, or the node is not there', async (t) => {
  const { world, a } = await pairOf()
  const channel = (await world.outcome(a.channels.open(node('b'), 'nothing'))) as ByteChannel
  t.equal(await world.outcome(channel.read()), 'ERR_SKEIN_STREAM_RESET')
  t.equal(await world.outcome(a.channels.open(node('z'), 'x')), 'ERR_SKEIN_NOT_SENT')
  world.hub.isUnreachable = true
  const late = await world.start('late')
  t.equal(await world.outcome(late.channels.open(node('a'), 'x')), 'ERR_SKEIN_NOT_SENT')
  await t.rejects(a.channels.open(node('b'), ''), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
})

t.test('a broken connection fails its channels; what came before can be read', async (t) => {
  const { world, a, b } = await pairOf()
  let far: ByteChannel | null = null
  b.channels.accept('one', (channel) => {
    far = channel
  })
  const channel = (await world.outcome(a.channels.open(node('b'), 'one'))) as ByteChannel
  await channel.write(patterned(10))
  await world.clock.advance(10)
  world.hub.newest[0].break()
  await world.clock.advance(10)
  t.equal(await world.outcome(channel.write(patterned(1))), 'ERR_SKEIN_CONNECTION_LOST')
  const accepted = far as unknown as ByteChannel
  t.same(await world.outcome(accepted.read()), patterned(10))
  t.equal(await world.outcome(accepted.read()), 'ERR_SKEIN_CONNECTION_LOST')
  t.equal(await world.outcome(channel.closed), 'ERR_SKEIN_CONNECTION_LOST')
})

t.test('X-53 leaving the iteration early resets; a handler that throws resets', async (t) => {
  const { world, a, b } = await pairOf()
  b.channels.accept('talk', (channel) => void channel.write(patterned(100_000)).catch(() => {}))
  b.channels.accept('bad', () => {
    throw new Error('no')
  })
  const channel = (await world.outcome(a.channels.open(node('b'), 'talk'))) as ByteChannel
  const first = (async () => {
    for await (const chunk of channel) return chunk.length
    return 0
  })()
  t.ok((await world.clock.settle(first)) > 0)
  await world.clock.advance(20)
  t.equal(b.counters.get('streams_active'), 0)
  const bad = (await world.outcome(a.channels.open(node('b'), 'bad'))) as ByteChannel
  t.equal(await world.outcome(bad.read()), 'ERR_SKEIN_STREAM_RESET')
})

t.test('a channel to oneself', async (t) => {
  const { world, a } = await pairOf()
  a.channels.accept('self', async (channel) => {
    await channel.write(await readAll(channel))
    channel.end()
  })
  const channel = (await world.outcome(a.channels.open(node('a'), 'self'))) as ByteChannel
  await channel.write(patterned(1_000))
  channel.end()
  t.same(await world.clock.settle(readAll(channel)), Buffer.from(patterned(1_000)))
})

t.test('who waits: the more urgent first, then the older, like sorting them', async (t) => {
  const waiting = new WaitingOpens<number>(500)
  const twin: { priority: 0 | 1 | 2 | 3; ticket: number }[] = []
  let state = 7
  for (let i = 0; i < 500; i++) {
    state = (state * 48_271) % 2_147_483_647
    const priority = (state % 4) as 0 | 1 | 2 | 3
    t.ok(waiting.offer({ priority, deadline: i as never, ticket: i }))
    twin.push({ priority, ticket: i })
  }
  t.notOk(waiting.offer({ priority: 0, deadline: 0 as never, ticket: -1 }))
  twin.sort((a, b) => a.priority - b.priority || a.ticket - b.ticket)
  t.equal(waiting.nextDeadline(), 0)
  const taken = Array.from({ length: 500 }, () => waiting.shift()?.ticket)
  t.same(
    taken,
    twin.map(({ ticket }) => ticket)
  )
})

const liveConnections = (driver: { tellQueues: (tell: never) => void }): number => {
  let count = 0
  driver.tellQueues(((name: string) => {
    if (name === 'controlQueueLengthMax') count++
  }) as never)
  return count
}
