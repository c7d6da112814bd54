import t from 'tap'
import { ByteReader } from '../../../src/wire/byte-reader.js'
import { ByteWriter } from '../../../src/wire/byte-writer.js'

t.test('a value of any width survives the growth of the buffer, wherever it falls', async (t) => {
  for (let before = 500; before <= 514; before++) {
    const writer = new ByteWriter(4_096)
    writer.raw(new Uint8Array(before).fill(1))
    writer.u16(0xabcd)
    writer.raw(new Uint8Array(600).fill(2))
    writer.u32(0x89abcdef)
    const reader = new ByteReader(writer.take())
    reader.raw(before)
    t.equal(reader.u16(), 0xabcd, `u16 at ${before}`)
    reader.raw(600)
    t.equal(reader.u32(), 0x89abcdef)
  }
  for (const write of [
    (writer: ByteWriter) => writer.u8(7),
    (writer: ByteWriter) => writer.u16(7),
    (writer: ByteWriter) => writer.u32(7),
    (writer: ByteWriter) => writer.u64(7),
    (writer: ByteWriter) => writer.i64(7n),
    (writer: ByteWriter) => writer.f64(7)
  ]) {
    const plain = new ByteWriter(64)
    write(plain)
    for (let before = 504; before <= 513; before++) {
      const writer = new ByteWriter(4_096)
      writer.raw(new Uint8Array(before))
      write(writer)
      t.same(writer.take().slice(before), plain.take(), `at ${before}`)
    }
  }
})
