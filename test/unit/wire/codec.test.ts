import t from 'tap'
import {
  ByteReader,
  ByteWriter,
  bool,
  type Codec,
  i64,
  list,
  nodeId,
  nullable,
  oneOf,
  openStruct,
  struct,
  type TypeOf,
  text,
  u32,
  u64,
  union
} from '../../../src/wire/index.js'

function roundTrip<T>(codec: Codec<T>, value: T): T {
  const writer = new ByteWriter(1 << 20)
  codec.write(writer, value)
  const reader = new ByteReader(writer.take())
  const read = codec.read(reader)
  reader.expectEnd()
  return read
}

const sample = openStruct(
  {
    node: nodeId,
    counts: list(u64, 8),
    inner: nullable(struct({ ok: bool, big: i64 })),
    way: oneOf(['up', 'down']),
    what: union({ none: [0, struct({})], some: [1, struct({ size: u32 })] })
  },
  { note: [1, text(300)] }
)

t.test('a composed shape comes back as it was', async (t) => {
  const value: TypeOf<typeof sample> = {
    node: 'a-1' as TypeOf<typeof nodeId>,
    counts: [0, 1, Number.MAX_SAFE_INTEGER],
    inner: { ok: true, big: -(2n ** 63n) },
    way: 'down',
    what: { kind: 'some', size: 7 },
    note: 'é'.repeat(100)
  }
  t.same(roundTrip(sample, value), value)
})

t.test('a reader skips optional fields that it does not know', async (t) => {
  const newer = openStruct({ a: u32 }, { note: [9, text(50)], more: [10, u64] })
  const older = openStruct({ a: u32 }, { more: [10, u64] })
  const writer = new ByteWriter(1000)
  newer.write(writer, { a: 1, note: 'later', more: 5 })
  t.same(older.read(new ByteReader(writer.take())), { a: 1, more: 5 })
})

t.test('foreign bytes that break a rule are refused by name', async (t) => {
  const refuse = (codec: Codec<unknown>, octets: number[], pattern: RegExp) =>
    t.throws(() => codec.read(new ByteReader(Uint8Array.from(octets))), {
      code: 'ERR_SKEIN_PROTOCOL',
      message: pattern
    })
  refuse(u64, [0, 0x20, 0, 0, 0, 0, 0, 0], /2\^53/)
  refuse(text(3), [4, 65, 65, 65, 65], /at most 3/)
  refuse(text(9), [2, 0xff, 0xfe], /UTF-8/)
  refuse(list(u64, 1000), [200, 1], /list of 200/)
  refuse(nodeId, [1, 0x41], /nodeId/)
  refuse(bool, [2], /bool/)
  refuse(u32, [1, 2], /truncated/)
  refuse(list(bool, 9), [0x80, 0x00], /longer than it needs/)
})
