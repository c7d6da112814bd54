import t from 'tap'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import {
  type ChangePart,
  decodeCommand,
  encodeCommand
} from '../../../src/engine/sqlite/row-change.js'
import { RawText, type StoredValue } from '../../../src/engine/sqlite/stored-value.js'

const values: readonly StoredValue[] = [
  null,
  0n,
  -1n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 53n + 1n,
  -(2n ** 63n),
  2n ** 63n - 1n,
  0.5,
  -0,
  Number.POSITIVE_INFINITY,
  '',
  'é😀\0',
  Uint8Array.of(),
  Uint8Array.of(0, 255),
  new RawText(Uint8Array.of(0xff))
]

t.test('random changes come back as they were', async (t) => {
  const random = SplittableRandom.fromSeed(7)
  const row = () =>
    Array.from({ length: random.nextInt(5) }, () => values[random.nextInt(values.length)] ?? null)
  const rows = () => Array.from({ length: random.nextInt(4) }, row)
  for (let round = 0; round < 500; round++) {
    const parts: ChangePart[] = [
      { kind: 'rows', table: 'T "1', valuesPerRow: 3, gone: rows(), there: rows() },
      { kind: 'sequence', table: 'é', value: round % 2 ? null : -5n },
      { kind: 'ddl', sql: 'CREATE TABLE t (a)' }
    ]
    const command = encodeCommand(parts)
    t.equal(command.tag, 'ddl')
    t.strictSame(decodeCommand(command), parts)
  }
})

t.test('what is too large is refused with its code', async (t) => {
  const there = [[new Uint8Array(800_000)]]
  const part: ChangePart = { kind: 'rows', table: 't', valuesPerRow: 1, gone: [], there }
  t.throws(() => encodeCommand([part]), { code: 'ERR_SKEIN_COMMAND_TOO_LARGE' })
})

t.test('what is no command is refused', async (t) => {
  const { bytes } = encodeCommand([])
  t.throws(() => decodeCommand({ tag: 'other', bytes }), { code: 'ERR_SKEIN_PROTOCOL' })
  t.throws(() => decodeCommand({ tag: 'rows', bytes: Uint8Array.of(9, 0) }), /version 9/)
  t.throws(() => decodeCommand({ tag: 'rows', bytes: Uint8Array.of(1, 0, 0) }), /left over/)
})
