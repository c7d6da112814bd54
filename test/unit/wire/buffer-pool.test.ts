import t from 'tap'
import { BufferPool, ByteWriter, largeBufferBytes } from '../../../src/wire/index.js'

t.test('what is given back is lent again, small and large', async (t) => {
  const pool = new BufferPool()
  const small = pool.take(100)
  const large = pool.take(10_000)
  t.equal(large.length, largeBufferBytes)
  t.notOk(pool.take(100) === small)
  pool.give(small)
  pool.give(large)
  t.ok(pool.take(1) === small)
  t.ok(pool.take(largeBufferBytes) === large)
  const huge = pool.take(largeBufferBytes + 1)
  t.equal(huge.length, largeBufferBytes + 1)
  pool.give(huge)
  t.notOk(pool.take(largeBufferBytes + 1) === huge)
})

t.test('where nothing comes back buffers are made to fit, until something does', async (t) => {
  const pool = new BufferPool()
  const taken = Array.from({ length: 200 }, () => pool.take(5_000))
  const fitting = taken.filter((buffer) => buffer.length === 5_000)
  t.ok(fitting.length > 100, `${fitting.length} of 200 fit`)
  pool.give(new Uint8Array(largeBufferBytes))
  pool.take(5_000)
  t.equal(pool.take(5_000).length, largeBufferBytes)
})

t.test('it keeps no more than its bounds', async (t) => {
  const pool = new BufferPool()
  const buffers = Array.from({ length: 100 }, () => pool.take(1))
  for (const buffer of buffers) pool.give(buffer)
  const again = new Set(Array.from({ length: 100 }, () => pool.take(1)))
  t.equal(buffers.filter((buffer) => again.has(buffer)).length, 64)
})

t.test(
  'a writer outgrows its buffer, keeps what it wrote and gives the old one back',
  async (t) => {
    const pool = new BufferPool()
    const small = new Uint8Array(4_096)
    pool.give(small)
    const writer = new ByteWriter(1_000_000, pool)
    writer.raw(new Uint8Array(4_000).fill(1))
    writer.raw(new Uint8Array(4_000).fill(2))
    t.ok(pool.take(1) === small)
    const whole = writer.detach(1)
    t.same([whole[3_999], whole[4_000], whole[7_999]], [1, 2, 2])
  }
)
