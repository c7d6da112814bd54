import t from 'tap'
import { type ReplicaId, SplittableRandom } from '../../../src/core/index.js'
import { ByteReader } from '../../../src/wire/byte-reader.js'
import { ByteWriter } from '../../../src/wire/byte-writer.js'
import { nodeId, replicaId } from '../../../src/wire/codec.js'

t.test('ids come back as they are, however many share a slot', async (t) => {
  const random = SplittableRandom.fromSeed(7)
  const draw = () => {
    const storage = random.nextUint32().toString(16).padStart(16, '0')
    return `n${random.nextInt(400)}/${storage}` as ReplicaId
  }
  const some = Array.from({ length: 500 }, draw)
  const writer = new ByteWriter(1_024)
  for (let i = 0; i < 5_000; i++) {
    const id = some[random.nextInt(some.length)] as ReplicaId
    writer.reset()
    replicaId.write(writer, id)
    writer.u8(9)
    const reader = new ByteReader(writer.take())
    if (replicaId.read(reader) !== id || reader.u8() !== 9) t.fail(`${id} came back as another`)
  }
  t.pass('all came back')
})

t.test('an id that is not one is refused, also beside a known one', async (t) => {
  const writer = new ByteWriter(1_024)
  writer.text('node-a')
  t.equal(nodeId.read(new ByteReader(writer.take())), 'node-a')
  for (const text of ['node A', 'node-ä', '', 'x'.repeat(64)]) {
    writer.reset()
    writer.text(text)
    t.throws(() => nodeId.read(new ByteReader(writer.take())), { code: 'ERR_SKEIN_PROTOCOL' })
  }
  writer.reset()
  writer.text('node-a')
  const bytes = writer.take()
  for (let end = 0; end < bytes.length; end++) {
    t.throws(() => nodeId.read(new ByteReader(bytes, 0, end)), { code: 'ERR_SKEIN_PROTOCOL' })
  }
})
