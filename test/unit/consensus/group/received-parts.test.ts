import t from 'tap'
import { snapshotChunkBytes } from '../../../../src/consensus/group/group-messages.js'
import {
  decodeManifest,
  encodeManifestHeader,
  encodePartRecords,
  manifestHeaderBytes,
  manifestRecordBytes,
  type PartRecord
} from '../../../../src/consensus/group/parts-manifest.js'
import {
  manifestDirectory,
  PartsManifestFile
} from '../../../../src/consensus/group/parts-manifest-driver.js'
import {
  partsPerRecord,
  ReceivedParts
} from '../../../../src/consensus/group/received-parts-driver.js'
import { DEFAULT_GROUP, type LogIndex } from '../../../../src/core/ids.js'
import type { SnapshotDescription } from '../../../../src/core/ports/engine.js'
import { SplittableRandom } from '../../../../src/core/splittable-random.js'
import { NodeDisk } from '../../../../src/runtime/node-disk.js'
import { KvEngine } from '../../../../src/simulation/kv-engine.js'
import { SimulatedDisk } from '../../../../src/simulation/simulated-disk.js'
import { crc32c } from '../../../../src/wire/crc32c.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'
import { someOf } from '../../../support/thoroughness.js'
import { VirtualClock } from '../../../support/virtual-clock.js'

const partCount = 100
const refused = { code: 'ERR_SKEIN_SNAPSHOT_REFUSED' }

/** A snapshot of so many parts, and a disk that it is taken in on. */
async function world(seed: number) {
  const clock = new VirtualClock()
  const random = SplittableRandom.fromSeed(seed)
  const source = new SimulatedDisk({ clock, random: random.split('source') })
  const padding = { snapshotPaddingBytes: (partCount - 1) * snapshotChunkBytes }
  const engine = new KvEngine({ clock, disk: source.mount() }, padding)
  await engine.open()
  const bytes = new TextEncoder().encode(JSON.stringify([['key', 'value']]))
  await engine.apply([{ tag: 'kv', bytes }], [], 7 as LogIndex)
  const { description, read } = await engine.snapshot()
  const content = await read(0, description.sizeBytes)
  const disk = new SimulatedDisk({ clock, random: random.split('disk') })
  return { clock, content, description, disk, random }
}

type World = Awaited<ReturnType<typeof world>>

/** As a process does that starts over what is on the disk. */
async function opened({ clock, disk, description }: World) {
  const mount = disk.mount()
  const manifest = new PartsManifestFile(mount, DEFAULT_GROUP)
  const left = await manifest.read()
  const engine = new KvEngine({ clock, disk: mount })
  await engine.open({ keepsRestore: left !== null })
  const parts = await ReceivedParts.open({ engine, manifest }, description, left)
  if (parts === null) throw new Error('the engine takes no snapshots in')
  return { engine, manifest, parts }
}

const partOf = ({ content }: World, part: number): Uint8Array =>
  content.slice(part * snapshotChunkBytes, (part + 1) * snapshotChunkBytes)

async function give(here: World, parts: ReceivedParts, part: number): Promise<void> {
  const bytes = partOf(here, part)
  await parts.take(part, bytes, crc32c(bytes))
}

/** Missing parts in the order of their numbers; answers how many. */
async function giveMissing(here: World, parts: ReceivedParts, max: number): Promise<number> {
  let given = 0
  for (let part = parts.missingFrom(0); part < parts.count && given < max; given++) {
    await give(here, parts, part)
    part = parts.missingFrom(part)
  }
  return given
}

t.test('R-S08 R-P16 a power failure costs the parts of one record at most', async (t) => {
  let resumed = 0
  for (let seed = 1; seed <= someOf(30); seed++) {
    const here = await world(seed)
    let given = 0
    let lives = 0
    for (;;) {
      const { engine, parts } = await opened(here)
      resumed += parts.resumedBytes
      t.ok(parts.resumedBytes >= (given - lives * partsPerRecord) * snapshotChunkBytes)
      given += await giveMissing(here, parts, 10 + here.random.nextInt(60))
      if (parts.isComplete) {
        await parts.finish([])
        await parts.abandon()
        t.match(await engine.checksum(), { index: here.description.index })
        break
      }
      lives++
      here.disk.crash(here.random)
    }
    t.ok(given <= partCount + lives * partsPerRecord, `${given} parts in ${lives + 1} lives`)
    t.same(await here.disk.mount().list(manifestDirectory), [])
    t.notOk((await here.disk.mount().list('kv')).includes('incoming'))
  }
  t.ok(resumed > 0)
})

t.test('R-S08 a process that is killed finds every record that it has written', async (t) => {
  const here = await world(1)
  const { parts } = await opened(here)
  await giveMissing(here, parts, 2 * partsPerRecord + 5)
  here.disk.kill()
  const { parts: again } = await opened(here)
  t.equal(again.resumedBytes, 2 * partsPerRecord * snapshotChunkBytes)
  await giveMissing(here, again, 3)
  await again.suspend()
  here.disk.crash(here.random)
  const { parts: third } = await opened(here)
  t.equal(third.resumedBytes, (2 * partsPerRecord + 3) * snapshotChunkBytes, 'a stop leaves all')
})

t.test('X-39 what rots while nobody runs is missing, and nothing else', async (t) => {
  const here = await world(2)
  const { parts } = await opened(here)
  await giveMissing(here, parts, partsPerRecord)
  await parts.suspend()
  here.disk.rotAt('kv/incoming', 3 * snapshotChunkBytes, 1)
  here.disk.rotAt(`${manifestDirectory}/0`, manifestHeaderBytes + 9 * manifestRecordBytes + 7, 0)
  const { engine, parts: again } = await opened(here)
  t.equal(again.missingFrom(0), 3)
  t.equal(again.missingBytes + again.resumedBytes, here.description.sizeBytes)
  t.equal(again.missingFrom(4), 9)
  t.equal(again.missingFrom(10), partsPerRecord)
  await giveMissing(here, again, partCount)
  await again.finish([])
  t.match(await engine.checksum(), { index: 7 })
})

t.test('X-52 no room for parts, or for what is known of them, refuses the snapshot', async (t) => {
  for (const roomBytes of [partsPerRecord * snapshotChunkBytes + 10, 20 * snapshotChunkBytes]) {
    const here = await world(3)
    const { parts } = await opened(here)
    here.disk.setCapacityBytes(roomBytes + manifestHeaderBytes)
    await t.rejects(giveMissing(here, parts, partCount), refused, `${roomBytes} bytes`)
    here.disk.setCapacityBytes(1e9)
    await parts.abandon()
    t.same(await here.disk.mount().list(manifestDirectory), [])
  }
})

t.test('R-S08 a manifest is gone on with on a disk of files', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  const { description } = await world(5)
  const manifest = new PartsManifestFile(disk, DEFAULT_GROUP)
  await manifest.begin(description, [[1, 2]])
  await manifest.append([[3, 4]])
  await manifest.append([[5, 6]])
  await manifest.close()
  const again = new PartsManifestFile(disk, DEFAULT_GROUP)
  const checksums = new Map([
    [1, 2],
    [3, 4],
    [5, 6]
  ])
  t.same(await again.read(), { snapshot: description, checksums })
  await again.begin(description, [[5, 6]])
  await again.append([[7, 8]])
  t.same(
    [...((await again.read())?.checksums ?? [])],
    [
      [5, 6],
      [7, 8]
    ]
  )
  await again.remove()
  t.equal(await again.read(), null)
})

t.test('a manifest is what was written, or nothing', async (t) => {
  const random = SplittableRandom.fromSeed(4)
  const sha256 = Uint8Array.from({ length: 32 }, () => random.nextInt(256))
  const snapshot: SnapshotDescription = { index: 9 as LogIndex, format: 1, sizeBytes: 5, sha256 }
  const records: PartRecord[] = [
    [3, 0xffff_ffff],
    [1, 5],
    [3, 7]
  ]
  const bytes = Buffer.concat([encodeManifestHeader(snapshot), encodePartRecords(records)])
  const checksums = new Map([
    [3, 7],
    [1, 5]
  ])
  t.same(decodeManifest(bytes), { snapshot, checksums })
  t.same(decodeManifest(bytes.subarray(0, bytes.length - 1))?.checksums.get(3), 0xffff_ffff, 'torn')
  for (let at = 0; at < manifestHeaderBytes; at++) {
    t.equal(decodeManifest(bytes.subarray(0, at)), null)
    const flipped = Uint8Array.from(bytes)
    flipped[at] = (flipped[at] ?? 0) ^ (1 << random.nextInt(8))
    t.equal(decodeManifest(flipped), null, `a flipped bit at ${at}`)
  }
})
