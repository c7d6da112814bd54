import t from 'tap'
import { raftBodies, raftShapes } from '../../../src/consensus/raft-bodies.js'
import { SplittableRandom } from '../../../src/core/index.js'
import { ByteReader, ByteWriter, type Codec } from '../../../src/wire/index.js'
import { mutate, sampleBytes, tryRead } from '../../support/wire-samples.js'

const runs = 1_500

function written(codec: Codec<unknown>, body: unknown): string {
  const writer = new ByteWriter(1 << 20)
  codec.write(writer, body)
  return Buffer.from(writer.peek()).toString('hex')
}

for (const [name, spelled] of Object.entries(raftBodies)) {
  const codec = spelled as Codec<unknown>
  const shape = raftShapes[name as keyof typeof raftShapes] as Codec<unknown>

  t.test(`${name}: spelled out, it is read and written as its shape says`, async (t) => {
    const random = SplittableRandom.fromSeed(name.length)
    let read = 0
    let refused = 0
    for (let i = 0; i < runs; i++) {
      const sample = sampleBytes(shape.spec, random)
      const bytes = i % 3 === 0 ? mutate(sample, random) : sample
      const wanted = tryRead(shape, bytes)
      const found = tryRead(codec, bytes)
      if (wanted === undefined || found === undefined) {
        if (wanted !== found) t.fail(`${Buffer.from(bytes).toString('hex')}: one of them refuses`)
        refused++
        continue
      }
      read++
      if (JSON.stringify(found) !== JSON.stringify(wanted)) t.same(found, wanted)
      const asShaped = written(shape, wanted.body)
      if (written(codec, wanted.body) !== asShaped) t.equal(written(codec, wanted.body), asShaped)
    }
    t.ok(read > runs / 2 && refused > 0, `${read} read, ${refused} refused`)
  })

  t.test(`${name}: fields of a later version are skipped, and told`, async (t) => {
    const bytes = sampleBytes(shape.spec, SplittableRandom.fromSeed(3))
    const later = Uint8Array.from([...bytes, 200, 2, 7, 7])
    const reader = new ByteReader(later)
    reader.unknownFields = []
    t.same(codec.read(reader), shape.read(new ByteReader(bytes)))
    t.same(reader.unknownFields, [{ tag: 200, bytes: Uint8Array.of(7, 7) }])
    reader.expectEnd()
    t.equal(tryRead(codec, later.subarray(0, later.length - 1)), undefined)
  })
}
