import t from 'tap'
import {
  ByteReader,
  ByteWriter,
  type Extension,
  readExtension,
  traceContextBytes,
  writeExtension
} from '../../../src/wire/index.js'

function written(extension: Extension): Uint8Array {
  const writer = new ByteWriter(1_000)
  writeExtension(writer, extension)
  return writer.take()
}

const read = (octets: ArrayLike<number>) => readExtension(new ByteReader(Uint8Array.from(octets)))

t.test('every field comes back, and the bytes are as documented', async (t) => {
  const trace = new Uint8Array(traceContextBytes).fill(7)
  const full: Extension = { deadlineMs: 0xffff_ffff, trace, stream: 3, group: 0, epoch: 2 ** 40 }
  t.same(read(written(full)), full)
  t.equal(written(full).length, 1 + 6 + 27 + 6 + 6 + 10)
  t.equal(
    Buffer.from(written({ deadlineMs: 500, group: 9 })).toString('hex'),
    '0c0104000001f4040400000009'
  )
  t.same(read(written({})), {})
})

t.test('an unknown tag is skipped', async (t) => {
  t.same(read([10, 200, 2, 0xde, 0xad, 4, 4, 0, 0, 0, 5]), { group: 5 })
})

t.test('a block that contradicts itself is refused', async (t) => {
  const refuse = (octets: number[], message: RegExp) =>
    t.throws(() => read(octets), { code: 'ERR_SKEIN_PROTOCOL', message })
  refuse([20, 1, 4, 0, 0], /truncated/)
  refuse([3, 1, 9, 0, 0, 0], /longer than its block/)
  refuse([5, 1, 3, 0, 0, 0], /3 bytes, expected 4/)
  refuse([12, 4, 4, 0, 0, 0, 1, 4, 4, 0, 0, 0, 2], /twice/)
  refuse([1, 4], /truncated/)
})
