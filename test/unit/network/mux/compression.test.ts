import { deflateRawSync, inflateRawSync } from 'node:zlib'
import t from 'tap'
import type { Compression } from '../../../../src/core/index.js'
import { joinRequest, pushPull } from '../../../../src/network/membership/messages.js'
import { controlMessages } from '../../../../src/network/mux/messages.js'
import { nodeCompression } from '../../../../src/runtime/index.js'
import {
  bytes,
  Catalogue,
  declareMessage,
  declareRequest,
  FrameFlags
} from '../../../../src/wire/index.js'
import { identityOf, MuxerPair, wall } from '../../../support/muxer-pair.js'

const page = declareMessage({
  number: 0xf020,
  name: 'Page',
  priority: 2,
  compress: true,
  body: bytes(1024 * 1024),
  about: 'For tests.'
})
const secret = declareMessage({
  number: 0xf021,
  name: 'Secret',
  priority: 2,
  body: bytes(1024 * 1024),
  about: 'For tests.'
})
const fetch = declareRequest({
  number: 0xf022,
  name: 'Fetch',
  priority: 2,
  compress: true,
  body: bytes(64),
  answer: bytes(1024 * 1024),
  about: 'For tests.'
})
const catalogue = new Catalogue([...controlMessages, page, secret, fetch, pushPull, joinRequest])
const thresholdBytes = 1_000

function pair(a: Compression | null = nodeCompression(), b: Compression | null = a): MuxerPair {
  const end = (name: string, compression: Compression | null) => ({
    local: identityOf(name),
    catalogue,
    ...(compression === null ? {} : { packing: { compression, thresholdBytes } })
  })
  return new MuxerPair(end('a', a), end('b', b)).pump()
}

const send = ({ dialler }: MuxerPair, type: typeof page, body: Uint8Array) =>
  dialler.muxer.send(type, body, { priority: 2 }, wall(0))

const received = ({ acceptor }: MuxerPair) =>
  acceptor.events.flatMap((event) => (event.kind === 'message' ? [event.body as Uint8Array] : []))

t.test('a large body of a type that allows it shrinks on its way', async (t) => {
  const ends = pair()
  const large = Buffer.from('the same again and again; '.repeat(8_000))
  send(ends, page, large)
  const sent = ends.dialler.pullAll()
  t.ok(sent.length < large.length / 10, `${sent.length} bytes for ${large.length}`)
  t.equal((sent[5] as number) & FrameFlags.Compressed, FrameFlags.Compressed)
  ends.acceptor.receive(sent)
  t.same(Buffer.from(received(ends)[0] as Uint8Array), large)
  const { counters } = ends.dialler
  t.equal(counters.get('messages_compressed'), 1)
  t.equal(counters.get('bytes_before_compression'), large.length + 3)
  t.ok(counters.get('bytes_after_compression') < sent.length)
  t.equal(ends.acceptor.counters.get('messages_decompressed'), 1)
})

t.test('in chunks too, where even the compressed body is long', async (t) => {
  const ends = pair()
  const long = Buffer.alloc(900_000)
  for (let i = 0, x = 7; i < long.length; i++) {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b_3c6d) + i
    long[i] = (x >>> 11) & 0x0f
  }
  send(ends, page, long)
  ends.pump()
  t.same(received(ends)[0]?.length, long.length)
  t.ok(Buffer.from(received(ends)[0] as Uint8Array).equals(long))
  t.ok(ends.dialler.counters.get('bytes_after_compression') > 65_536)
})

t.test('answers as their requests', async (t) => {
  const ends = pair()
  const request = { priority: 2, deadline: 5_000 } as never
  ends.dialler.muxer.request(fetch, new Uint8Array(3), request, 'ticket', 0 as never, wall(0))
  ends.pump()
  const asked = ends.acceptor.events.find(({ kind }) => kind === 'request')
  ends.acceptor.muxer.answer((asked as { id: number }).id, Buffer.alloc(50_000, 7), wall(0))
  ends.pump()
  const answered = ends.dialler.events.find(({ kind }) => kind === 'answered')
  t.equal((answered as { body: Uint8Array }).body.length, 50_000)
  t.equal(ends.acceptor.counters.get('messages_compressed'), 1)
})

t.test('not: small ones, what does not shrink, secrets, and to who cannot read it', async (t) => {
  const noise = Buffer.alloc(20_000)
  for (let i = 0, x = 7; i < noise.length; i++) {
    x = Math.imul(x ^ (x >>> 15), 0x2c1b_3c6d) + i
    noise[i] = (x >>> 11) & 0xff
  }
  const zeros = Buffer.alloc(20_000)
  for (const [ends, type, body] of [
    [pair(), page, Buffer.alloc(900)],
    [pair(), page, noise],
    [pair(), secret, zeros],
    [pair(nodeCompression(), null), page, zeros],
    [pair(null, nodeCompression()), page, zeros]
  ] as const) {
    send(ends, type, body)
    ends.pump()
    t.same(Buffer.from(received(ends)[0] as Uint8Array), body)
    t.equal(ends.dialler.counters.get('messages_compressed'), 0)
    t.equal(ends.acceptor.counters.get('messages_decompressed'), 0)
  }
})

const bombs: Readonly<Record<string, Compression['deflate']>> = {
  'X-31 a bomb': () => deflateRawSync(Buffer.alloc(64 * 1024 * 1024), { level: 9 }),
  'damaged bytes': (body) => deflateRawSync(body).map((byte, i) => (i > 5 ? byte ^ 0x55 : byte)),
  'a body that ends early': (body) => deflateRawSync(body).subarray(0, -4)
}
const told = { packed: page, pushPull, joinRequest }
const attacks = Object.entries(bombs).flatMap(([name, deflate]) =>
  Object.entries(told).map(([type, carrier]) => ({
    name: `${name}, as ${type},`,
    deflate,
    carrier
  }))
)
for (const { name, deflate, carrier } of attacks) {
  t.test(`${name} closes the connection, and costs no more than a message`, async (t) => {
    const made: number[] = []
    const watched: Compression = {
      deflate: nodeCompression().deflate,
      inflate(packed, sizeBytesMax) {
        made.push(sizeBytesMax)
        return nodeCompression().inflate(packed, sizeBytesMax)
      }
    }
    const evil: Compression = { deflate, inflate: (packed) => inflateRawSync(packed) }
    const ends = pair(evil, watched)
    // What is compressed is the attacker's; its type is all that the receiver goes by.
    const disguised = { ...page, number: carrier.number, kind: carrier.kind, name: carrier.name }
    send(ends, disguised as typeof page, Buffer.from('abcdefgh'.repeat(50_000)))
    ends.pump()
    t.match(ends.acceptor.doneError, { code: 'ERR_SKEIN_PROTOCOL', message: /compressed/ })
    t.same(received(ends), [])
    t.same(made, [1_048_576])
    t.equal(ends.acceptor.counters.get('compressed_refusals'), 1)
    t.match(ends.dialler.doneError, { code: 'ERR_SKEIN_CONNECTION_LOST' })
  })
}

t.test('a compressed control frame, or one that nobody asked for, closes too', async (t) => {
  for (const acceptor of [nodeCompression(), null]) {
    const ends = pair(nodeCompression(), acceptor)
    send(ends, page, Buffer.alloc(10))
    const frame = ends.dialler.pullAll()
    frame[5] = (frame[5] as number) | FrameFlags.Compressed
    if (acceptor !== null) frame.set([0x00, 0x03], 6)
    ends.acceptor.receive(frame)
    t.match(ends.acceptor.doneError, { code: 'ERR_SKEIN_PROTOCOL', message: /nobody asked/ })
  }
})
