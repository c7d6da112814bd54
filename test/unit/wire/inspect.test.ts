import t from 'tap'
import { Priorities, SplittableRandom } from '../../../src/core/index.js'
import { messageSizeBytesMax } from '../../../src/core/limits.js'
import { nodeCompression } from '../../../src/runtime/index.js'
import {
  ByteWriter,
  Catalogue,
  declareMessage,
  declareRequest,
  encodeMessage,
  FrameFlags,
  formatInspections,
  inspect,
  isResponse,
  type MessageDeclaration,
  messageType,
  openStruct,
  shapeOf,
  text,
  toPlain,
  u32
} from '../../../src/wire/index.js'
import { isRequest } from '../../../src/wire/message-kind.js'

const common = { priority: Priorities.High, about: 'For tests.' }
const greet = declareMessage({
  ...common,
  number: 0x0009,
  name: 'Greet',
  body: openStruct({ text: text(20) })
})
const greetNewer = declareMessage({
  ...common,
  number: 0x0009,
  name: 'Greet',
  body: openStruct({ text: text(20) }, { volume: [4, u32] })
})
const ask = declareRequest({
  ...common,
  number: 0x000a,
  name: 'Ask',
  body: openStruct({ count: u32 }),
  answer: openStruct({ count: u32 })
})
const catalogue = new Catalogue([greet, ask])

function frame<Body>(
  { number, codec }: MessageDeclaration<Body>,
  body: Body,
  { flags = 0, type = number, timestamp = 1_740_800_000_000_000 } = {}
): Uint8Array {
  const writer = new ByteWriter(1 << 20)
  const header = { version: 1, flags, type, messageId: 7, timestamp, source: 1, destination: 2 }
  encodeMessage(writer, header, { deadlineMs: 500, group: 9 }, codec, body)
  return writer.take()
}

t.test('several frames, with the fields that a newer sender added', async (t) => {
  const bytes = Buffer.concat([
    frame(greetNewer, { text: 'hello', volume: 3 }),
    frame(ask, { count: 1 }, { flags: FrameFlags.Request })
  ])
  const seen = inspect(bytes, catalogue)
  t.match(seen, { fault: null, restHex: '', frames: { length: 2 } })
  t.match(seen.frames[0], {
    name: 'Greet',
    body: { text: 'hello' },
    unknownFields: [{ tag: 4, hex: '00000003' }],
    extension: { deadlineMs: 500, group: 9 },
    source: 1,
    destination: 2,
    version: 1
  })
  t.match(formatInspections(seen), /unknown field 4: 0x00000003/)
  t.match(seen.frames[1], { name: 'Ask', flags: ['request', 'extension'], body: { count: 1 } })
})

t.test('unknown types, chunks, compressed and damaged bodies are shown, not thrown', async (t) => {
  const faultOf = (bytes: Uint8Array) => inspect(bytes, catalogue).frames[0]?.fault
  t.equal(faultOf(frame(greet, { text: 'x' }, { type: 0x0777 })), 'unknown type')
  t.equal(
    faultOf(frame(greet, { text: 'x' }, { flags: FrameFlags.MoreFollows })),
    'one chunk of several'
  )
  t.equal(faultOf(frame(greet, { text: 'x' }, { flags: FrameFlags.Compressed })), 'compressed')
  t.match(faultOf(frame(ask, { count: 1 }).subarray(0, -1)), /announced/)
  const damaged = frame(greet, { text: 'x' })
  damaged[damaged.length - 1] = 0xff
  t.match(faultOf(damaged), /UTF-8/)
  const badBlock = frame(greet, { text: 'x' })
  badBlock[32] = 200
  t.match(faultOf(badBlock), /extension block/)
  t.match(inspect(frame(greet, { text: 'x' }, { timestamp: 2 ** 53 - 1 }), catalogue), {
    fault: null
  })
  t.match(inspect(new Uint8Array(9), catalogue), { frames: [], fault: /frame length 0/ })
  t.match(inspect(Uint8Array.of(0), catalogue), { fault: /truncated/, restHex: '00' })
})

t.test('random and mutated bytes are shown, never thrown (X-54)', async (t) => {
  const random = SplittableRandom.fromSeed(5)
  const valid = frame(greetNewer, { text: 'hello', volume: 3 })
  let frames = 0
  for (let run = 0; run < 5_000; run++) {
    const bytes = run % 3 === 0 ? new Uint8Array(random.nextInt(80)) : valid.slice()
    const changes = run % 3 === 0 ? bytes.length : random.nextInt(4)
    for (let i = 0; i < changes; i++) bytes[random.nextInt(bytes.length)] = random.nextInt(256)
    const seen = inspect(bytes, catalogue)
    frames += seen.frames.length
    formatInspections(seen)
    JSON.stringify(toPlain(seen))
  }
  t.ok(frames > 1_000)
})

t.test('what a message is: by declaration, with its body, or as a frame', async (t) => {
  const framed = (bytes: Uint8Array) => inspect(bytes, catalogue).frames[0]
  const request = framed(frame(ask, { count: 1 }, { flags: FrameFlags.Request }))
  const response = framed(frame(ask.response, { count: 1 }, { flags: FrameFlags.Response }))
  const unknown = framed(frame(greet, { text: 'x' }, { type: 0x0777 }))
  if (!request || !response || !unknown) throw new Error('not framed')
  t.same([ask, { type: ask, body: { count: 1 } }, request].map(isRequest), [true, true, true])
  t.same([ask, { type: ask }, request].map(isResponse), [false, false, false])
  t.same([ask.response, { type: ask.response }, response].map(isResponse), [true, true, true])
  t.same([greet, { type: greet }, unknown].map(isRequest), [false, false, false])
  t.same([greet, { type: ask }, response, unknown].map(messageType), [
    'Greet',
    'Ask',
    'AskResponse',
    '0x0777'
  ])
})

t.test('a codec tells its shape', async (t) => {
  t.equal(shapeOf(greetNewer.codec.spec), '{ text: text(20), volume?4: u32, … }')
})

const long = declareMessage({
  ...common,
  number: 0x000d,
  name: 'Long',
  compress: true,
  body: openStruct({ text: text(messageSizeBytesMax) })
})
const longCatalogue = new Catalogue([ask, long])

function longFrames(body: string, isPacked = true): Uint8Array {
  const writer = new ByteWriter(1 << 21)
  const header = { version: 1, flags: 0, type: long.number, messageId: 7, timestamp: 0 }
  const pack = isPacked ? (bytes: Uint8Array) => nodeCompression().deflate(bytes) : null
  const indexes = { source: 1, destination: 2 }
  encodeMessage(writer, { ...header, ...indexes }, { group: 9 }, long.codec, { text: body }, pack)
  return writer.take()
}

t.test('a compressed body is inflated, chunks are put together', async (t) => {
  const packed = longFrames('a'.repeat(10_000))
  t.ok(packed.length < 200)
  const seen = inspect(packed, longCatalogue, nodeCompression())
  t.match(seen, {
    fault: null,
    frames: [{ fault: null, wholeBytes: 10_002, body: { text: 'a'.repeat(10_000) } }]
  })
  t.match(formatInspections(seen), /body of 10002 bytes, inflated, \{"text":"aaa/)
  t.match(inspect(packed, longCatalogue), { frames: [{ fault: 'compressed', body: null }] })
  const random = new SplittableRandom(5, 0)
  const noise = Array.from({ length: 100_000 }, () => random.nextInt(0x4000).toString(36)).join('')
  for (const isPacked of [true, false]) {
    const chunks = inspect(longFrames(noise, isPacked), longCatalogue, nodeCompression()).frames
    t.ok(chunks.length > 2)
    for (const chunk of chunks.slice(0, -1)) t.equal(chunk.fault, 'one chunk of several')
    t.match(chunks.at(-1), { fault: null, body: { text: noise } })
  }
})

t.test('X-31 a bomb is not inflated, nor is what is damaged', async (t) => {
  const [bomb, damaged] = [longFrames('a'), longFrames('a'.repeat(5_000))]
  const packed = nodeCompression().deflate(new Uint8Array(messageSizeBytesMax + 1))
  const bodyAt = bomb.length - nodeCompression().deflate(Uint8Array.of(1, 0, 0x61)).length
  const frame = Buffer.concat([bomb.subarray(0, bodyAt), packed])
  frame.writeUInt32BE(frame.length - 4)
  damaged.fill(0xff, damaged.length - 8)
  for (const bytes of [frame, damaged]) {
    t.match(inspect(bytes, longCatalogue, nodeCompression()), {
      frames: [{ body: null, fault: /compressed, and damaged or above 1048576 bytes/ }]
    })
  }
})
