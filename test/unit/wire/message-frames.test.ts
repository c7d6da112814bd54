import t from 'tap'
import {
  frameSizeBytesMax,
  messageSizeBytesMax,
  Priorities,
  SplittableRandom
} from '../../../src/core/index.js'
import {
  type AssembledMessage,
  ByteReader,
  ByteWriter,
  bytes,
  Catalogue,
  declareMessage,
  type Extension,
  encodedMessageRoomBytes,
  encodeMessage,
  errorFacts,
  type Frame,
  FrameFlags,
  type FrameHeader,
  FrameParser,
  formatInspection,
  inspectFrame,
  openStruct,
  Reassembler,
  readExtension,
  u32
} from '../../../src/wire/index.js'

const blob = bytes(2 * messageSizeBytesMax)
const limits = {
  messageSizeBytesMax,
  reassemblyBytesMax: 2 * messageSizeBytesMax,
  reassembliesMax: 2
}

const headerOf = (messageId: number, flags = 0): FrameHeader => ({
  version: 1,
  flags,
  type: 9,
  messageId,
  timestamp: 1,
  source: 1,
  destination: 2
})

function framesOf(messageId: number, body: Uint8Array, extension: Extension | null = null) {
  const writer = new ByteWriter(encodedMessageRoomBytes)
  encodeMessage(writer, headerOf(messageId), extension, blob, body)
  const parser = new FrameParser()
  parser.push(writer.take())
  const frames: Frame[] = []
  for (let frame = parser.next(); frame !== null; frame = parser.next()) frames.push(frame)
  return frames
}

function add(reassembler: Reassembler, frame: Frame): AssembledMessage | null {
  const reader = new ByteReader(frame.bytes, frame.start, frame.end)
  const extended = (frame.flags & FrameFlags.Extension) !== 0
  const extension = extended ? readExtension(reader) : null
  return reassembler.add(frame, extension, reader.offset)
}

const read = (message: AssembledMessage | null | undefined) =>
  message && blob.read(new ByteReader(message.bytes, message.start, message.end))

const pattern = (length: number, step: number) => Uint8Array.from({ length }, (_, i) => i * step)

t.test('a small message is one frame', async (t) => {
  const frames = framesOf(1, pattern(100, 3), { group: 4 })
  t.equal(frames.length, 1)
  const whole = add(new Reassembler(limits), frames[0] as Frame)
  t.same(whole?.extension, { group: 4 })
  t.same(read(whole), pattern(100, 3))
})

t.test('large messages are put together although their chunks are interleaved', async (t) => {
  const big = pattern(300_000, 7)
  const bigger = pattern(messageSizeBytesMax - 4, 11)
  const first = framesOf(1, big, { deadlineMs: 5 })
  const second = framesOf(2, bigger)
  t.ok(first.every(({ end, start }) => end - start + 32 <= frameSizeBytesMax))
  const reassembler = new Reassembler(limits)
  const whole: AssembledMessage[] = []
  for (let i = 0; i < second.length; i++) {
    for (const frame of [first[i], second[i]]) {
      const done = frame && add(reassembler, frame)
      if (done) whole.push(done)
    }
  }
  t.equal(whole.length, 2)
  t.same(read(whole[0]), big)
  t.same(whole[0]?.extension, { deadlineMs: 5 })
  t.same(read(whole[1]), bigger)
  t.equal(reassembler.sizeBytes, 0)
})

t.test('a message above the bound is refused and leaves no trace in the writer', async (t) => {
  const writer = new ByteWriter(2 * encodedMessageRoomBytes)
  writer.u8(1)
  const tooLarge = new Uint8Array(messageSizeBytesMax)
  t.throws(() => encodeMessage(writer, headerOf(1), null, blob, tooLarge), {
    code: 'ERR_SKEIN_MESSAGE_TOO_LARGE'
  })
  t.equal(writer.length, 1)
})

t.test('the reassembler refuses what passes its bounds or contradicts itself', async (t) => {
  const refuse = (frames: Frame[], message: RegExp, given = limits) => {
    const reassembler = new Reassembler(given)
    t.throws(
      () => {
        for (const frame of frames) add(reassembler, frame)
      },
      { code: 'ERR_SKEIN_PROTOCOL', message }
    )
  }
  const begun = (id: number) => framesOf(id, new Uint8Array(100_000))[0] as Frame
  refuse([begun(1), begun(2), begun(3)], /more than 2/)
  refuse([begun(1), begun(2)], /half-received messages above/, {
    ...limits,
    reassemblyBytesMax: 70_000
  })
  refuse(Array(20).fill(begun(1)).map(withoutExtension), /message above/)
  refuse([begun(1), { ...begun(1), type: 8 }], /contradict/)
  refuse([begun(1), { ...begun(1), flags: FrameFlags.MoreFollows | 3 }], /contradict/)
  refuse([{ ...begun(1), start: begun(1).end }], /empty chunk/)
})

const withoutExtension = (frame: Frame): Frame => ({
  ...frame,
  flags: frame.flags & ~FrameFlags.Extension
})

t.test('inspection shows a frame to a human, and never throws for its body', async (t) => {
  const greet = declareMessage({
    number: 9,
    name: 'Greet',
    priority: Priorities.Normal,
    body: openStruct({ count: u32 }),
    about: 'For this test.'
  })
  const catalogue = new Catalogue([greet])
  const writer = new ByteWriter(encodedMessageRoomBytes)
  const header = headerOf(77, FrameFlags.Request | Priorities.Normal)
  encodeMessage(writer, header, { group: 3 }, greet.codec, { count: 5 })
  const bytes = writer.take()
  const seen = inspectFrame(bytes, catalogue)
  t.match(seen, { name: 'Greet', body: { count: 5 }, priority: 'normal', extension: { group: 3 } })
  t.same(seen.flags, ['request', 'extension'])
  t.match(formatInspection(seen), /Greet \(0x0009\), message 77, 43 bytes/)
  t.match(inspectFrame(bytes, new Catalogue([])), { name: null, fault: 'unknown type' })
  t.match(inspectFrame(bytes.subarray(0, -1), catalogue), { body: null, fault: /announced/ })
})

t.test('error facts cross the wire; a code from a later version becomes INTERNAL', async (t) => {
  const writer = new ByteWriter(10_000)
  const details = { reason: 'x', count: 2.5, final: true, faults: ['a', 'b'] }
  const facts = {
    code: 'ERR_SKEIN_NOT_LEADER',
    message: 'é'.repeat(5_000),
    retryable: true,
    leaderHint: 'b',
    details
  } as unknown as Parameters<typeof errorFacts.write>[1]
  errorFacts.write(writer, facts)
  const back = errorFacts.read(new ByteReader(writer.take()))
  t.match(back, { code: 'ERR_SKEIN_NOT_LEADER', retryable: true, leaderHint: 'b', details })
  t.ok(back.message.length < 5_000)
  writer.reset()
  errorFacts.write(writer, { ...facts, code: 'ERR_SKEIN_LATER' as 'ERR_SKEIN_SQL', message: 'm' })
  const later = errorFacts.read(new ByteReader(writer.take()))
  t.match(later, { code: 'ERR_SKEIN_INTERNAL', message: 'ERR_SKEIN_LATER: m' })
})

t.test('two declarations of one number or name are found', async (t) => {
  const one = { number: 5, priority: Priorities.Low, body: u32, about: 'One.' }
  const conflicting = [
    declareMessage({ ...one, name: 'A' }),
    declareMessage({ ...one, name: 'B' }),
    declareMessage({ ...one, number: 6, name: 'A' })
  ]
  t.throws(() => new Catalogue(conflicting), /A and B share number 5; two messages are called A/)
})

t.test('long frames may be taken in parts, however the bytes are cut', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  for (let round = 0; round < 40; round++) {
    const bodies = Array.from({ length: 5 }, () => pattern(random.nextInt(200_000), 13))
    const writer = new ByteWriter(2 * encodedMessageRoomBytes)
    for (const [i, body] of bodies.entries()) {
      encodeMessage(writer, headerOf(i), i % 2 === 0 ? { group: i } : null, blob, body)
    }
    const parser = new FrameParser((_type, _flags, frameBytes) => frameBytes >= 16_384)
    const reassembler = new Reassembler(limits)
    const seen: (AssembledMessage | null)[] = []
    const bytes = writer.take()
    for (let at = 0; at < bytes.length; ) {
      const end = at + 1 + random.nextInt(round % 2 === 0 ? 20_000 : 600)
      parser.push(bytes.slice(at, end))
      at = end
      for (let frame = parser.next(); frame !== null; frame = parser.next()) {
        const message = takePart(parser, reassembler, frame)
        if (message !== null) seen.push(message)
      }
    }
    t.same(
      seen.map((message) => message?.extension ?? null),
      bodies.map((_, i) => (i % 2 === 0 ? { group: i } : null))
    )
    t.ok(
      seen.every(
        (message, i) => Buffer.compare(read(message) as Uint8Array, bodies[i] as Uint8Array) === 0
      )
    )
    t.equal(reassembler.sizeBytes, 0)
  }
})

function takePart(parser: FrameParser, reassembler: Reassembler, frame: Frame) {
  if (parser.isContinuation) return reassembler.continue(frame, !parser.isDivided)
  if (!parser.isDivided) return add(reassembler, frame)
  const reader = new ByteReader(frame.bytes, frame.start, frame.end)
  const extended = (frame.flags & FrameFlags.Extension) !== 0
  reassembler.begin(frame, extended ? readExtension(reader) : null, reader.offset)
  return null
}
