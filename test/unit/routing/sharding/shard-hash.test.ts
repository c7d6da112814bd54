import Database from 'better-sqlite3'
import fc from 'fast-check'
import t from 'tap'
import type { SqlValue } from '../../../../src/core/index.js'
import { shardHashOf } from '../../../../src/routing/sharding/shard-hash.js'

t.test('what the hash says of a value never changes', async (t) => {
  const vectors: readonly (readonly [SqlValue, number | null])[] = [
    [0, 1_844_779_317],
    [1, 1_008_105_457],
    [-1, 3_626_462_515],
    [9_007_199_254_740_993n, 4_217_171_691],
    [1.5, 1_421_882_973],
    [2 ** 63, 361_400_826],
    ['', 3_689_677_661],
    ['goose', 1_079_765_258],
    ['Gänse 🪿', 625_555_991],
    [Uint8Array.of(), 893_644_233],
    [Uint8Array.of(0, 255), 4_237_995_680],
    [null, null]
  ]
  for (const [value, hash] of vectors) t.equal(shardHashOf(value), hash, String(value))
})

const numberText = fc
  .tuple(
    fc.constantFrom('', ' ', '\t', '+', '-', ' -'),
    fc.constantFrom('0', '5', '05', '5.0', '5.', '.5', '5e0', '50e-1', '9223372036854775807'),
    fc.constantFrom('', ' ', '\n', '0', 'x')
  )
  .map((parts) => parts.join(''))
const value: fc.Arbitrary<SqlValue> = fc.oneof(
  fc.integer({ min: -6, max: 6 }),
  fc.constantFrom(
    5,
    5.5,
    -0,
    -(2n ** 63n),
    2n ** 63n - 1n,
    2 ** 53,
    2 ** 63,
    -(2 ** 63),
    1e300,
    9_007_199_254_740_993n
  ),
  fc.constantFrom('9007199254740993', '9007199254740993.0', '9223372036854775808', '1e300', '0x5'),
  numberText,
  fc.string({ maxLength: 3 }),
  fc.uint8Array({ maxLength: 2 })
)

t.test('values that SQLite finds equal in a column of any affinity have one hash', async (t) => {
  const db = new Database(':memory:')
  t.teardown(() => db.close())
  const affinities = ['INTEGER', 'TEXT', 'REAL', 'NUMERIC', 'BLOB']
  const columns = affinities.map((affinity) => `${affinity.toLowerCase()}_key ${affinity}`)
  db.exec(`CREATE TABLE pair (${columns.join(', ')})`)
  const insert = db.prepare(`INSERT INTO pair VALUES (${affinities.map(() => '?').join(', ')})`)
  const compare = affinities.map((one) =>
    db.prepare(`SELECT count(*) FROM pair WHERE ${one.toLowerCase()}_key = ?`).pluck()
  )
  let equals = 0
  fc.assert(
    fc.property(value, value, (stored, asked) => {
      db.exec('DELETE FROM pair')
      insert.run(affinities.map(() => stored))
      const isEqual = compare.some((statement) => statement.get(asked) === 1)
      if (!isEqual) return true
      equals++
      return shardHashOf(stored) === shardHashOf(asked)
    }),
    { numRuns: 6_000, seed: 7 }
  )
  t.ok(equals > 100, `${equals} equal pairs were seen`)
})

t.test('neighbouring integers spread evenly', async (t) => {
  const counts = new Array<number>(16).fill(0)
  for (let i = 0; i < 16_000; i++) {
    const at = Math.floor((shardHashOf(i) as number) / 2 ** 28)
    counts[at] = (counts[at] ?? 0) + 1
  }
  for (const count of counts) t.ok(count > 850 && count < 1_150, `${count} of 1,000`)
})
