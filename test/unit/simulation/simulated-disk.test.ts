import t from 'tap'
import type { Disk } from '../../../src/core/ports/disk.js'
import { SplittableRandom } from '../../../src/core/splittable-random.js'
import { SimulatedDisk, type SimulatedDiskOptions } from '../../../src/simulation/simulated-disk.js'
import { VirtualClock } from '../../support/virtual-clock.js'

const seeds = Array.from({ length: 60 }, (_, seed) => seed)

function makeDisk(seed: number, options: Partial<SimulatedDiskOptions> = {}) {
  const clock = new VirtualClock()
  const random = SplittableRandom.fromSeed(seed)
  return { clock, random, disk: new SimulatedDisk({ clock, random }, options) }
}

async function writeSynced(disk: Disk, path: string, fill: number, length: number): Promise<void> {
  const file = await disk.open(path)
  await file.write(0, [new Uint8Array(length).fill(fill)])
  await file.sync()
  await disk.syncDirectory('')
  await file.close()
}

t.test('what was synced survives every crash', async (t) => {
  for (const seed of seeds) {
    const { disk, random } = makeDisk(seed)
    await writeSynced(disk.mount(), 'file', 7, 2000)
    disk.crash(random)
    const bytes = await disk.mount().readFile('file')
    t.ok(bytes?.length === 2000 && bytes.every((byte) => byte === 7), `seed ${seed}`)
  }
})

t.test(
  'R-P10 a name without a synced directory may be lost, a rename is whole or not',
  async (t) => {
    const seen = new Set<string>()
    for (const seed of seeds) {
      const { disk, random } = makeDisk(seed)
      const mount = disk.mount()
      await writeSynced(mount, 'old', 1, 10)
      const file = await mount.open('new')
      await file.write(0, [new Uint8Array(10).fill(2)])
      await file.sync()
      await mount.rename('new', 'old')
      disk.crash(random)
      const content = (await disk.mount().readFile('old'))?.[0]
      const names = await disk.mount().list('')
      t.ok(content === 1 || content === 2)
      seen.add(`${names.join('+')}=${content}`)
    }
    t.ok(seen.has('old=1') && seen.has('old=2'), [...seen].join(' '))
  }
)

t.test('un-synced writes are kept, dropped and torn between sectors only', async (t) => {
  const seen = { kept: 0, dropped: 0, torn: 0 }
  for (const seed of seeds) {
    const { disk, random } = makeDisk(seed, { sectorBytes: 512 })
    await writeSynced(disk.mount(), 'file', 1, 4096)
    await (await disk.mount().open('file')).write(0, [new Uint8Array(4096).fill(2)])
    disk.crash(random)
    const bytes = (await disk.mount().readFile('file')) as Uint8Array
    const sectors = Array.from(
      { length: 8 },
      (_, i) => new Set(bytes.slice(i * 512, i * 512 + 512))
    )
    t.ok(sectors.every((sector) => sector.size === 1))
    const fresh = sectors.filter((sector) => sector.has(2)).length
    if (fresh === 8) seen.kept++
    else if (fresh === 0) seen.dropped++
    else seen.torn++
  }
  t.ok(seen.kept > 5 && seen.dropped > 5 && seen.torn > 5, JSON.stringify(seen))
})

t.test('a sync covers what was written before it began, not what came meanwhile', async (t) => {
  const lost = await Promise.all(
    seeds.map(async (seed) => {
      const { disk, random, clock } = makeDisk(seed, { syncLatencyMs: [5, 5] })
      const file = await disk.mount().open('file')
      const named = disk.mount().syncDirectory('')
      await clock.settle(named)
      await file.write(0, [Uint8Array.of(1)])
      const synced = file.sync()
      await file.write(1, [Uint8Array.of(2)])
      await clock.settle(synced)
      disk.crash(random)
      const bytes = (await disk.mount().readFile('file')) as Uint8Array
      t.equal(bytes[0], 1)
      return bytes.length === 1
    })
  )
  t.ok(lost.includes(true) && lost.includes(false))
})

t.test('a dead process hears nothing more', async (t) => {
  const { disk, clock } = makeDisk(1, { syncLatencyMs: [5, 5] })
  const mount = disk.mount()
  const file = await mount.open('file')
  let answered = false
  file.sync().finally(() => {
    answered = true
  })
  disk.kill()
  mount.list('').finally(() => {
    answered = true
  })
  await clock.advance(100)
  t.notOk(answered)
  t.same(await disk.mount().list(''), ['file'])
})

t.test('a full disk and a failed sync say so', async (t) => {
  const { disk } = makeDisk(1, { capacityBytes: 10 })
  const file = await disk.mount().open('file')
  await file.write(0, [new Uint8Array(8)])
  await t.rejects(file.write(8, [new Uint8Array(3)]), { code: 'ENOSPC' })
  disk.failSyncs(1)
  await t.rejects(file.sync(), { code: 'EIO' })
  t.match(disk.faults, { disk_full: 1, fsync_error: 1 })
})
