import t from 'tap'
import { Batch, OutputWriter } from '../../../../src/network/mux/output.js'
import { BufferPool } from '../../../../src/wire/index.js'

function written(output: OutputWriter, bytes: readonly number[]) {
  const { block, writer } = output.begin()
  const start = writer.length
  writer.raw(Uint8Array.from(bytes))
  block.hold()
  return { block, start, end: writer.length }
}

t.test('a block is used again when every message and every run of it is done with', async (t) => {
  const pool = new BufferPool()
  const output = new OutputWriter(pool)
  written(output, [0])
  output.seal()
  const first = written(output, [1, 2, 3])
  const second = written(output, [4, 5])
  output.seal()
  const buffer = first.block.bytes
  const batch = new Batch(pool)
  batch.add(first.block, first.start, first.end)
  first.block.release()
  batch.add(second.block, second.start, second.end)
  second.block.release()
  const slice = batch.slice()
  t.equal(slice.bytes.buffer, first.block.bytes?.buffer, 'neighbours leave as they lie')
  t.same([...slice.bytes], [1, 2, 3, 4, 5])
  t.ok(first.block.bytes !== null, 'held until it is written')
  slice.release?.()
  t.equal(first.block.bytes, null)
  t.ok(pool.take(1) === buffer)
  t.throws(() => first.block.release(), /more often than held/)
})

t.test('a block of which a message still waits is not used again', async (t) => {
  const pool = new BufferPool()
  const output = new OutputWriter(pool)
  const gone = written(output, [1])
  const waits = written(output, [2])
  output.seal()
  const batch = new Batch(pool)
  batch.add(gone.block, gone.start, gone.end)
  gone.block.release()
  batch.slice().release?.()
  t.equal(waits.block.bytes?.[waits.start], 2)
})

t.test('runs of several blocks leave in one buffer, which is used again', async (t) => {
  const pool = new BufferPool()
  const output = new OutputWriter(pool)
  const first = written(output, [1, 2])
  output.seal()
  const second = written(output, [3])
  output.seal()
  const batch = new Batch(pool)
  batch.add(first.block, first.start, first.end)
  batch.addPayload(Uint8Array.of(9, 9))
  batch.add(second.block, second.start, second.end)
  for (const { block } of [first, second]) block.release()
  const slice = batch.slice()
  t.same([...slice.bytes], [1, 2, 9, 9, 3])
  t.same([first.block.bytes, second.block.bytes], [null, null], 'nobody needs the blocks')
  slice.release?.()
  t.equal(pool.take(1).buffer, slice.bytes.buffer)
})
