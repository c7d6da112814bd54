import fc from 'fast-check'
import t from 'tap'
import { frameSizeBytesMax } from '../../../src/core/index.js'
import {
  ByteWriter,
  beginFrame,
  endFrame,
  type Frame,
  FrameFlags,
  type FrameHeader,
  FrameParser,
  priorityOf
} from '../../../src/wire/index.js'

const header: FrameHeader = {
  version: 1,
  flags: FrameFlags.Request | 3,
  type: 0x0201,
  messageId: 0x1_0000_0002,
  timestamp: 1_700_000_000_000 * 1024 + 5,
  source: 1,
  destination: 2
}

function frameOf(head: FrameHeader, body: Uint8Array): Uint8Array {
  const writer = new ByteWriter(frameSizeBytesMax)
  const start = beginFrame(writer, head)
  writer.raw(body)
  endFrame(writer, start)
  return writer.take()
}

function parseAll(parser: FrameParser, chunk: Uint8Array): Frame[] {
  parser.push(chunk)
  const frames: Frame[] = []
  for (let frame = parser.next(); frame !== null; frame = parser.next()) frames.push(frame)
  return frames
}

const bodyOf = (frame: Frame): number[] => [...frame.bytes.subarray(frame.start, frame.end)]

t.test('the header stands byte for byte as documented', async (t) => {
  const bytes = frameOf(header, Uint8Array.of(0xaa, 0xbb))
  t.equal(
    Buffer.from(bytes).toString('hex'),
    [
      '0000001e', // length: 28 of header, 2 of body
      '01', // version
      '07', // request, low
      '0201',
      '0000000100000002',
      '00062f3f95a00005',
      '00000001',
      '00000002',
      'aabb'
    ].join('')
  )
})

t.test('what was written is read back, without a copy', async (t) => {
  const bytes = frameOf(header, Uint8Array.of(1, 2, 3))
  const [frame] = parseAll(new FrameParser(), bytes)
  t.ok(frame)
  t.match(frame, header)
  t.same(bodyOf(frame as Frame), [1, 2, 3])
  t.equal(frame?.bytes.buffer, bytes.buffer)
  t.equal(priorityOf(header.flags), 3)
})

t.test('frames come out whole however the stream is cut', async (t) => {
  const bodies = fc.array(fc.uint8Array({ maxLength: 80 }), { minLength: 1, maxLength: 6 })
  fc.assert(
    fc.property(bodies, fc.infiniteStream(fc.integer({ min: 1, max: 50 })), (bodies, cuts) => {
      const stream = Buffer.concat(bodies.map((body) => frameOf(header, body)))
      const parser = new FrameParser()
      const seen: number[][] = []
      for (let at = 0; at < stream.length; ) {
        const count = cuts.next().value as number
        seen.push(...parseAll(parser, stream.subarray(at, at + count)).map(bodyOf))
        at += count
      }
      t.same(
        seen,
        bodies.map((body) => [...body])
      )
      return parser.pendingBytes === 0
    }),
    { numRuns: 100 }
  )
})

t.test('X-18: a length that no frame has is refused before anything is allocated', async (t) => {
  const lengths = [0, 27, frameSizeBytesMax - 3, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff]
  for (const length of lengths) {
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setUint32(0, length)
    t.throws(() => parseAll(new FrameParser(), bytes), { code: 'ERR_SKEIN_PROTOCOL' }, `${length}`)
    const dribbled = new FrameParser()
    t.throws(
      () => {
        for (const byte of bytes) parseAll(dribbled, Uint8Array.of(byte))
      },
      { code: 'ERR_SKEIN_PROTOCOL' }
    )
    t.ok(dribbled.pendingBytes <= 4)
  }
})

t.test('X-01: text of another protocol is no frame', async (t) => {
  const parser = new FrameParser()
  t.throws(() => parseAll(parser, Buffer.from('GET / HTTP/1.1\r\n\r\n')), {
    code: 'ERR_SKEIN_PROTOCOL'
  })
})

t.test('the largest frame passes, one byte more does not', async (t) => {
  const body = new Uint8Array(frameSizeBytesMax - 32)
  const [frame] = parseAll(new FrameParser(), frameOf(header, body))
  t.equal((frame as Frame).end - (frame as Frame).start, body.length)
  t.throws(() => frameOf(header, new Uint8Array(body.length + 1)))
})
