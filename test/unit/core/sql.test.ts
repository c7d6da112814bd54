import fc from 'fast-check'
import t from 'tap'
import {
  integerToSqlValue,
  type SqlValue,
  sqlValueFromJson,
  sqlValueToJson
} from '../../../src/core/index.js'

const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.constant(null),
  fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Object.is(x, -0)),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(integerToSqlValue),
  fc.string(),
  fc.uint8Array()
)

t.test('a value goes through JSON text and comes back', async (t) => {
  fc.assert(
    fc.property(value, (given) => {
      const back = sqlValueFromJson(JSON.parse(JSON.stringify(sqlValueToJson(given))))
      if (given instanceof Uint8Array) {
        return back instanceof Uint8Array && Buffer.compare(given, back) === 0
      }
      return Object.is(back, given)
    })
  )
  t.pass('compared')
})

t.test('base64 is that of the platform', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const json = sqlValueToJson(bytes) as { $blob: string }
      return json.$blob === Buffer.from(bytes).toString('base64')
    })
  )
  t.pass('compared')
})

t.test('integers are numbers up to 2^53 - 1 and bigints beyond', async (t) => {
  t.equal(integerToSqlValue(2n ** 53n - 1n), 2 ** 53 - 1)
  t.equal(integerToSqlValue(2n ** 53n), 2n ** 53n)
  t.equal(integerToSqlValue(-(2n ** 53n)), -(2n ** 53n))
  t.same(sqlValueToJson(2n ** 53n), { $int: '9007199254740992' })
  t.equal(sqlValueFromJson({ $int: '-5' }), -5)
  t.equal(sqlValueFromJson({ $int: '-9223372036854775808' }), -(2n ** 63n))
})

t.test('what is no SQL value is refused', async (t) => {
  for (const json of [
    undefined,
    Number.NaN,
    [],
    {},
    { $int: 5 },
    { $int: '' },
    { $int: '1.5' },
    { $int: '9223372036854775808' },
    { $int: '1', $blob: '' },
    { $blob: 'A' },
    { $blob: 'A===' },
    { $blob: 'a b=' },
    { $other: 'x' }
  ]) {
    t.equal(sqlValueFromJson(json), undefined, JSON.stringify(json))
  }
  t.equal(sqlValueFromJson(true), 1)
  t.equal(sqlValueFromJson(false), 0)
})
