import t from 'tap'
import { SplittableRandom } from '../../../src/core/index.js'
import {
  createSampleRing,
  publishBatchLength,
  SampleReader,
  SampleWriter
} from '../../../src/health/sample-ring.js'

const slots = 256
const kept = slots - 2 * publishBatchLength

function setUp() {
  const ring = createSampleRing(slots)
  return { ring, writer: new SampleWriter(ring), reader: new SampleReader(ring) }
}

t.test('what is published is taken once, in order', async (t) => {
  const { writer, reader } = setUp()
  writer.write(7, 1.5)
  writer.write(8, 2.5)
  const taken: [number, number][] = []
  const take = () => reader.take((tag, value) => taken.push([tag, value]))
  t.equal(take(), 0, 'nothing is published yet')
  writer.publish()
  t.equal(take(), 2)
  t.same(taken, [
    [7, 1.5],
    [8, 2.5]
  ])
  t.equal(take(), 0)
  t.equal(reader.lost, 0)
})

t.test('a batch publishes itself', async (t) => {
  const { writer, reader } = setUp()
  for (let i = 0; i < publishBatchLength; i++) writer.write(i, i)
  t.equal(
    reader.take(() => {}),
    publishBatchLength
  )
})

t.test('a consumer that falls behind loses the oldest, and knows how many', async (t) => {
  const { writer, reader } = setUp()
  for (let i = 0; i < 1_000; i++) writer.write(0, i)
  writer.publish()
  const values: number[] = []
  t.equal(
    reader.take((_tag, value) => values.push(value)),
    kept
  )
  t.equal(reader.lost, 1_000 - kept)
  t.same(
    values,
    Array.from({ length: kept }, (_, i) => 1_000 - kept + i)
  )
})

t.test('a new consumer goes on where the lost one stopped', async (t) => {
  const { ring, writer, reader } = setUp()
  writer.write(1, 1)
  writer.publish()
  reader.take(() => {})
  writer.write(2, 2)
  writer.publish()
  const tags: number[] = []
  new SampleReader(ring).take((tag) => tags.push(tag))
  t.same(tags, [2])
})

t.test('taken and lost are what was published: beside a naive queue', async (t) => {
  const random = SplittableRandom.fromSeed(7)
  const ring = createSampleRing(slots)
  // Counters begin just below their overflow.
  new Int32Array(ring, 0, 2).fill(-500)
  const writer = new SampleWriter(ring)
  const reader = new SampleReader(ring)
  let taken = 0
  let published = 0
  for (let round = 0; round < 500; round++) {
    const burst = random.nextInt(random.nextInt(4) === 0 ? 700 : 40)
    const written = Array.from({ length: burst }, () => random.nextFloat())
    for (const value of written) writer.write(round, value)
    writer.publish()
    published += burst
    const values: number[] = []
    taken += reader.take((_tag, value) => values.push(value))
    t.same(values, written.slice(-kept))
    t.equal(taken + reader.lost, published)
  }
})

t.test('what the producer may overwrite during the copy is lost, not torn', async (t) => {
  const { writer, reader } = setUp()
  for (let i = 0; i < 128; i++) writer.write(i, i)
  const load = Atomics.load
  t.teardown(() => {
    Atomics.load = load
  })
  let loads = 0
  // The third look is the one after the copy: meanwhile the producer went on.
  Atomics.load = ((words: Int32Array, index: number) => {
    if (++loads === 3) for (let i = 128; i < 228; i++) writer.write(i, i)
    return load(words, index)
  }) as typeof Atomics.load
  const values: number[] = []
  reader.take((tag, value) => {
    t.equal(tag, value)
    values.push(value)
  })
  Atomics.load = load
  t.equal(values.length + reader.lost, 128)
  t.equal(reader.lost, 64)
  t.equal(values.at(-1), 127)
})
