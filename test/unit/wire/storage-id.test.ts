import t from 'tap'
import { SplittableRandom, type StorageId } from '../../../src/core/index.js'
import { ByteReader, ByteWriter, storageId } from '../../../src/wire/index.js'

t.test('a storage id is its digits in 8 bytes, however many share a slot', async (t) => {
  const random = SplittableRandom.fromSeed(11)
  const half = () => random.nextUint32().toString(16).padStart(8, '0')
  const some = Array.from({ length: 300 }, () => `${half()}${half()}` as StorageId)
  some.push('0000000000000000' as StorageId, 'ffffffffffffffff' as StorageId)
  const writer = new ByteWriter(1_024)
  for (let i = 0; i < 5_000; i++) {
    const id = some[random.nextInt(some.length)] as StorageId
    writer.reset()
    storageId.write(writer, id)
    const hex = Buffer.from(writer.peek()).toString('hex')
    if (hex !== id) t.fail(`${id} was written as ${hex}`)
    const read = storageId.read(new ByteReader(writer.take()))
    if (read !== id) t.fail(`${id} came back as ${read}`)
  }
  t.pass('all came back')
})

t.test('what is no storage id is not written; half of one is not read', async (t) => {
  const writer = new ByteWriter(1_024)
  for (const wrong of ['', '0', 'A123456789abcdef', '0123456789abcde', '0123456789abcdef0', 'é']) {
    t.throws(() => storageId.write(writer, wrong as StorageId), /storageId of/, wrong)
  }
  t.equal(writer.length, 0)
  const bytes = Uint8Array.from({ length: 7 })
  t.throws(() => storageId.read(new ByteReader(bytes)), { code: 'ERR_SKEIN_PROTOCOL' })
})
