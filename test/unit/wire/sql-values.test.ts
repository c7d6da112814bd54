import fc from 'fast-check'
import t from 'tap'
import type { SqlValue } from '../../../src/core/index.js'
import {
  ByteReader,
  ByteWriter,
  encodedSizeOf,
  sqlValue,
  statement,
  statementResult,
  utf8Length
} from '../../../src/wire/index.js'

const anyValue: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.constantFrom(0, -0, 2 ** 32 - 1, 2 ** 32, -1, 2 ** 53 - 1),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.string({ unit: 'binary' }),
  fc.uint8Array()
)

function encode(value: SqlValue): Uint8Array {
  const writer = new ByteWriter(1 << 20)
  sqlValue.write(writer, value)
  return writer.take()
}

t.test('every value comes back as the value it was', async (t) => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const octets = encode(value)
      const reader = new ByteReader(octets)
      const back = sqlValue.read(reader)
      reader.expectEnd()
      const same =
        value instanceof Uint8Array
          ? back instanceof Uint8Array && value.every((octet, i) => back[i] === octet)
          : Object.is(back, value)
      return same && octets.length <= encodedSizeOf([value])
    })
  )
  t.pass('compared')
})

t.test('a blob is a copy, not a view on the message', async (t) => {
  const octets = encode(Uint8Array.of(1, 2, 3))
  const blob = sqlValue.read(new ByteReader(octets)) as Uint8Array
  octets.fill(9)
  t.same([...blob], [1, 2, 3])
})

t.test('statements keep both kinds of parameters', async (t) => {
  for (const given of [
    { sql: 'SELECT 1' },
    { sql: 'SELECT ?, ?', params: [1, 'a'] },
    { sql: 'SELECT :a', params: { a: 5n } }
  ]) {
    const writer = new ByteWriter(1000)
    statement.write(writer, given)
    const back = statement.read(new ByteReader(writer.take()))
    t.same(
      { ...back, params: back.params && Object.assign([], back.params) },
      {
        ...given,
        params: given.params && Object.assign([], given.params)
      }
    )
  }
})

t.test('results keep rows, counts and row ids', async (t) => {
  const given = {
    columns: ['a', 'b'],
    rows: [
      [1, null],
      ['x', 2n ** 60n]
    ],
    rowsAffected: 3,
    lastInsertRowid: 2n ** 62n
  }
  const writer = new ByteWriter(1000)
  statementResult.write(writer, given)
  t.same(statementResult.read(new ByteReader(writer.take())), given)
})

t.test('the length of a text in UTF-8 is that of the encoder', async (t) => {
  const encoder = new TextEncoder()
  fc.assert(
    fc.property(
      fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\ud800', 'a\udc00b', '\ud800x')),
      (value) => utf8Length(value) === encoder.encode(value).length
    )
  )
  t.pass('compared')
})

t.test('an unknown tag is refused', async (t) => {
  t.throws(() => sqlValue.read(new ByteReader(Uint8Array.of(9))), { code: 'ERR_SKEIN_PROTOCOL' })
})
