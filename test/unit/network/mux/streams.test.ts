import t from 'tap'
import { catalogue } from '../../../../lib/catalogue.js'
import { messageSizeBytesMax } from '../../../../src/core/limits.js'
import { ping } from '../../../../src/network/mux/messages.js'
import { FloodMeter } from '../../../../src/network/mux/streams/flood-meter.js'
import {
  streamData,
  streamEnd,
  streamOpen,
  streamReset,
  streamWindow
} from '../../../../src/network/mux/streams/messages.js'
import {
  ByteWriter,
  encodeMessage,
  type MessageDeclaration,
  shapeOf
} from '../../../../src/wire/index.js'
import { at, wall } from '../../../support/muxer-pair.js'

import { streamsPair } from './streams-pair.js'

const windowBytes = 256 * 1024

/** A frame as a peer with free choice would send it, from end to end of the connection. */
function frameOf<Body>(declaration: MessageDeclaration<Body>, body: Body, stream?: number) {
  const writer = new ByteWriter(1 << 20)
  const extension = stream === undefined ? null : { stream }
  const { number: type, codec } = declaration
  const rest = { version: 1, flags: 2, messageId: 0, timestamp: 1, source: 0, destination: 0 }
  encodeMessage(writer, { ...rest, type }, extension, codec, body)
  return writer.take()
}

const patterned = (length: number, seed = 0) =>
  Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8) + seed) & 0xff)

t.test('a stream opens without a round trip and carries both ways', async (t) => {
  const { pair, near, far } = streamsPair()
  const stream = near.open('files', 3)
  t.ok(near.write(stream, patterned(48_000)), 'four frames wait in the send queue')
  pair.acceptor.receive(pair.dialler.pullAll())
  const [accepted] = far.accepted
  if (accepted === undefined) throw new Error('no stream')
  t.match(accepted, { id: 1, name: 'files', priority: 3, isOurs: false })
  t.same(far.read(accepted), Buffer.from(patterned(48_000)))
  far.write(accepted, patterned(3, 1))
  far.finish(accepted)
  pair.pump()
  t.same(near.read(stream), Buffer.from(patterned(3, 1)))
  t.equal(stream.isReceiveEnded, true)
  near.finish(stream)
  pair.pump()
  t.same([stream.isClosed, accepted.isClosed], [true, true])
  t.same([stream.error, accepted.error], [null, null])
  t.equal(pair.dialler.muxer.streams.size, 0)
})

t.test('X-24: a window that is not read stops the sender; memory stays flat', async (t) => {
  const { pair, near, far } = streamsPair()
  const stream = near.open()
  t.notOk(near.write(stream, patterned(10 * windowBytes)))
  pair.pump()
  const [accepted] = far.accepted
  if (accepted === undefined) throw new Error('no stream')
  t.equal(accepted.received.sizeBytes, windowBytes, 'not a byte beyond the window')
  t.equal(stream.pendingBytes, 9 * windowBytes)
  t.equal(pair.dialler.pullAll().length, 0)
  const other = near.open('other')
  near.write(other, patterned(10))
  pair.pump()
  t.equal(far.read(far.accepted[1] ?? accepted).length, 10, 'another stream is not stopped')
  t.equal(pair.dialler.muxer.streams.nextDeadline(), 30_000)
  pair.dialler.muxer.handleTimeout(at(30_000), wall(30_000))
  pair.dialler.collect()
  t.match(stream.error, { code: 'ERR_SKEIN_STREAM_RESET', details: { reason: 'stalled' } })
  pair.pump(30_000)
  t.equal(accepted.isClosed, true)
  t.equal(accepted.received.sizeBytes, 0)
  t.equal(pair.dialler.doneError, undefined, 'the link stays')
})

t.test('X-24: what nobody reads is given up by the receiver too', async (t) => {
  const { pair, near, far } = streamsPair()
  const stream = near.open()
  near.write(stream, patterned(100))
  near.finish(stream)
  pair.pump()
  const [accepted] = far.accepted
  pair.acceptor.muxer.handleTimeout(at(30_001), wall(30_001))
  t.match(accepted?.error, { details: { reason: 'stalled' } })
  pair.pump(30_001)
  t.match(stream.error, { code: 'ERR_SKEIN_STREAM_RESET' })
})

t.test('a wider window opens when its reader has read, not when the stream opens', async (t) => {
  const { pair, near, far } = streamsPair({}, { limits: { streamWindowBytes: 4 * windowBytes } })
  const stream = near.open()
  near.write(stream, patterned(8 * windowBytes))
  pair.pump()
  const [accepted] = far.accepted
  if (accepted === undefined) throw new Error('no stream')
  t.equal(accepted.received.sizeBytes, windowBytes, 'what every peer takes for granted')
  t.equal(far.read(accepted).length, windowBytes)
  pair.pump()
  const wider = accepted.received.sizeBytes
  t.ok(wider > 3 * windowBytes && wider <= 4 * windowBytes, `${wider} bytes`)
  t.equal(pair.dialler.doneError, undefined)
})

t.test('a reader opens the window again: everything passes, in order', async (t) => {
  const { pair, near, far } = streamsPair()
  const stream = near.open()
  const sent = patterned(3 * windowBytes + 17)
  near.write(stream, sent)
  near.finish(stream)
  const received: Uint8Array[] = []
  for (let round = 0; round < 20; round++) {
    pair.pump()
    const [accepted] = far.accepted
    if (accepted !== undefined) received.push(far.read(accepted))
  }
  t.ok(Buffer.concat(received).equals(sent))
  t.ok(pair.dialler.events.some(({ kind }) => kind === 'streamDrained'))
})

t.test('X-22: the 101st stream is refused, the link stays', async (t) => {
  const { pair, near, far } = streamsPair(
    { limits: { streamsPerConnectionMax: 101 } },
    { limits: { streamsPerConnectionMax: 100 } }
  )
  const streams = Array.from({ length: 101 }, () => near.open())
  pair.pump()
  t.equal(far.accepted.length, 100)
  t.match(streams[100]?.error, { code: 'ERR_SKEIN_STREAM_RESET', details: { reason: 'limit' } })
  t.equal(pair.acceptor.counters.get('streams_refused'), 1)
  const [first] = streams
  if (first === undefined) throw new Error('no stream')
  near.write(first, patterned(5))
  pair.pump()
  t.equal(far.read(far.accepted[0] ?? first).length, 5)
  t.equal(pair.acceptor.doneError, undefined)
})

t.test('this end opens no more than the limit, and no more than it may reset', async (t) => {
  const { pair, near } = streamsPair()
  const { streams } = pair.dialler.muxer
  let opened = Array.from({ length: 100 }, () => near.open())
  t.equal(streams.hasRoom(at(0)), false)
  t.equal(streams.isFull, true)
  pair.pump()
  for (let round = 0; round < 200; round++) {
    const now = round * 50
    while (streams.hasRoom(at(now))) opened.push(near.open())
    pair.pump(now)
    t.ok(pair.acceptor.muxer.streams.size <= 100)
    opened = opened.filter(({ isClosed }) => !isClosed)
    for (const stream of opened.slice(0, 60)) near.reset(stream, now)
    pair.pump(now)
  }
  t.equal(pair.acceptor.doneError, undefined, 'resets of ours are never a flood')
  t.ok(pair.acceptor.counters.get('streams_reset') > 500)
})

t.test('X-23: a flood of open and reset closes the link, with a reason', async (t) => {
  const { pair } = streamsPair()
  const far = pair.acceptor
  let frames = 0
  const startedAt = performance.now()
  for (let i = 0; i < 10_000 && far.doneError === undefined; i++) {
    const id = 2 * i + 1
    const now = i / 10
    far.receive(frameOf(streamOpen, { name: 'x' }, id), now)
    far.receive(frameOf(streamReset, { reason: 'cancelled', message: '' }, id), now)
    far.pullAll(now)
    frames++
  }
  t.match(far.doneError, { code: 'ERR_SKEIN_PROTOCOL', message: /flood of streams/ })
  t.equal(frames, 101, 'within 11 ms at 10,000 a second')
  t.ok(performance.now() - startedAt < 1_000)
  t.equal(far.muxer.streams.size, 0)
})

t.test('X-23: a slow drip of resets is a flood within a minute', async (t) => {
  const { pair } = streamsPair()
  const far = pair.acceptor
  let resets = 0
  for (let i = 0; i < 2_000 && far.doneError === undefined; i++) {
    const id = 2 * i + 1
    const now = i * 20
    far.receive(frameOf(streamOpen, { name: 'x' }, id), now)
    far.receive(frameOf(streamReset, { reason: 'cancelled', message: '' }, id), now)
    far.pullAll(now)
    resets++
  }
  t.equal(resets, 1_001)
})

t.test('X-21: what no peer of ours sends on streams closes the link', async (t) => {
  const open = (id: number) => frameOf(streamOpen, { name: 'x' }, id)
  const end = (id: number) => frameOf(streamEnd, {}, id)
  const data = (id: number, length: number) => frameOf(streamData, new Uint8Array(length), id)
  const grant = (id: number, increment: number) => frameOf(streamWindow, { increment }, id)
  const reset = (id: number) =>
    frameOf(streamReset, { reason: 'cancelled' as const, message: '' }, id)
  const full = Array.from({ length: 17 }, () => data(1, 16_000))
  const cases: Record<string, Uint8Array[]> = {
    'a stream id used twice': [open(1), open(1)],
    'an id used again after its end': [open(1), reset(1), open(1)],
    'an id below an earlier one': [open(5), open(3)],
    'the other end’s parity': [open(2)],
    'stream 0': [open(0)],
    'no stream id': [frameOf(streamOpen, { name: 'x' })],
    'data on a stream never opened': [data(1, 1)],
    'data on a stream of this end never opened': [data(2, 1)],
    'data after the end': [open(1), end(1), data(1, 1)],
    'data after a reset': [open(1), reset(1), data(1, 1)],
    'a second end': [open(1), end(1), end(1)],
    'the end of nothing': [end(1)],
    'a reset of nothing': [reset(1)],
    'more than the window': [open(1), ...full],
    'a window enlarged by nothing': [open(1), grant(1, 0)],
    'a connection’s window enlarged by nothing': [grant(0, 0)],
    'a window beyond 2^31-1': [open(1), grant(1, 0x7fff_ffff)],
    'a negative window': [open(1), grant(1, 0xffff_ffff)],
    'a window for a stream never opened': [grant(1, 70_000)]
  }
  for (const [name, frames] of Object.entries(cases)) {
    const far = streamsPair().pair.acceptor
    for (const frame of frames) far.receive(frame)
    t.match(far.doneError, { code: 'ERR_SKEIN_PROTOCOL' }, name)
  }
})

t.test('X-25: floods of pings, empty frames and small windows close the link', async (t) => {
  const floods: Record<string, (i: number) => Uint8Array> = {
    pings: (i) => frameOf(ping, { token: i }),
    'empty data': () => frameOf(streamData, new Uint8Array(0), 1),
    'small windows': () => frameOf(streamWindow, { increment: 1 }, 1)
  }
  for (const [name, frame] of Object.entries(floods)) {
    const far = streamsPair().pair.acceptor
    far.receive(frameOf(streamOpen, { name: 'x' }, 1))
    let sent = 0
    for (; sent < 1_000 && far.doneError === undefined; sent++) {
      far.receive(frame(sent), sent)
      far.pullAll(sent)
    }
    t.match(far.doneError, { code: 'ERR_SKEIN_PROTOCOL', message: /flood/ }, name)
    t.ok(sent <= 201, `${name}: ${sent} frames`)
  }
  const calm = streamsPair().pair.acceptor
  for (let i = 0; i < 600; i++) {
    calm.receive(frameOf(ping, { token: i }), i * 10)
    calm.pullAll(i * 10)
  }
  t.equal(calm.doneError, undefined, 'one each 10 ms, the shortest interval there is, is none')
})

t.test('X-26: a million tiny things at once meet a count limit', async (t) => {
  const lists = catalogue()
    .all()
    .filter(({ codec }) => shapeOf(codec.spec).includes('list('))
  t.ok(lists.length > 5)
  for (const { name, codec } of lists) {
    for (const [, count] of shapeOf(codec.spec).matchAll(/, (\d+)\)/g)) {
      t.ok(Number(count) <= messageSizeBytesMax, `${name}: ${count}`)
    }
  }
  const { pair } = streamsPair()
  const frame = frameOf(streamOpen, { name: 'x' }, 1)
  const batch = new Uint8Array(frame.length * 1_000_000)
  const ids = new DataView(batch.buffer)
  for (let i = 0; i < 1_000_000; i++) {
    batch.set(frame, i * frame.length)
    ids.setUint32(i * frame.length + 35, 2 * i + 1)
  }
  const before = process.memoryUsage().heapUsed
  pair.acceptor.receive(batch)
  t.match(pair.acceptor.doneError, { code: 'ERR_SKEIN_PROTOCOL' })
  t.ok(pair.acceptor.counters.get('streams_refused') <= 100)
  t.equal(pair.acceptor.counters.get('streams_accepted'), 100)
  t.ok(process.memoryUsage().heapUsed - before < 50e6)
})

t.test('a reset crosses what is on its way; afterwards nothing is left of it', async (t) => {
  const { pair, near, far } = streamsPair()
  const stream = near.open()
  pair.pump()
  const [accepted] = far.accepted
  if (accepted === undefined) throw new Error('no stream')
  far.write(accepted, patterned(windowBytes / 2))
  const underway = pair.acceptor.pullAll()
  near.reset(stream)
  pair.dialler.receive(underway)
  pair.pump()
  t.match(accepted.error, { details: { reason: 'cancelled' } })
  const next = near.open()
  const back = far.open()
  near.write(next, patterned(10))
  far.write(back, patterned(10))
  pair.pump()
  t.equal(far.read(far.accepted[1] ?? next).length, 10)
  t.equal(pair.dialler.doneError, undefined)
  const tells: Record<string, number> = {}
  pair.dialler.muxer.tellQueues((name, length) => {
    tells[name] = Math.max(tells[name] ?? 0, length)
  })
  t.equal(tells.streamTombstonesMax, 0, 'the peer has answered the reset')
})

t.test('retired: streams under way are finished, none is begun', async (t) => {
  const { pair, near, far } = streamsPair()
  const stream = near.open()
  near.write(stream, patterned(10))
  pair.pump()
  pair.acceptor.muxer.retire('replaced', at(0))
  pair.pump()
  t.equal(pair.dialler.doneError, undefined)
  pair.dialler.muxer.handleTimeout(at(15_000), wall(15_000))
  t.equal(pair.dialler.muxer.isDone, false, 'a replaced connection has a minute')
  const [accepted] = far.accepted
  if (accepted === undefined) throw new Error('no stream')
  near.write(stream, patterned(10))
  near.finish(stream)
  far.finish(accepted)
  pair.pump(15_000)
  t.equal(far.read(accepted).length, 20)
  t.equal(pair.acceptor.doneError, null)
  t.equal(pair.dialler.doneError, null)
})

t.test('a flood meter agrees with counting by hand', async (t) => {
  const limits = { perSecondMax: 5, perMinuteMax: 40 }
  const meter = new FloodMeter(limits)
  const times: number[] = []
  let now = 0
  let state = 1
  for (let i = 0; i < 3_000; i++) {
    state = (state * 48_271) % 2_147_483_647
    now += state % 1_700
    const within = (ms: number) => times.filter((time) => time > now - ms).length
    const fits = within(1_000) < 5 && within(60_000) < 40
    if (meter.hasRoom(at(now)) !== fits) t.fail(`at ${now}`)
    times.push(now)
    if (meter.count(at(now)) !== fits) t.fail(`count at ${now}`)
  }
  t.ok(times.length > 0)
})
