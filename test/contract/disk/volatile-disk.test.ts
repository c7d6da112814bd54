import t from 'tap'
import { NodeDisk } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { VolatileDisk } from '../../torture/volatile-disk.js'
import type { WriteBack } from '../../torture/volatile-file.js'
import { diskContract, type Tap } from './disk-contract.js'

diskContract('volatile disk', async (t) => (await powered(t)).on())

/** Power that fails with each call: what was not synced is forgotten. */
async function powered(t: Tap, writeBack?: WriteBack) {
  const root = await temporaryDirectory(t)
  return { on: () => new VolatileDisk(new NodeDisk(root), writeBack) }
}

const text = (value: string) => [new TextEncoder().encode(value)]
const read = async (disk: VolatileDisk, path: string): Promise<string | null> => {
  const bytes = await disk.readFile(path)
  return bytes === null ? null : new TextDecoder().decode(bytes)
}

async function kept(disk: VolatileDisk, path: string, content: string): Promise<void> {
  const file = await disk.open(path)
  await file.write(0, text(content))
  await file.sync()
  await file.close()
  await disk.syncDirectory('')
}

t.test('R-P02 what was synced survives, what was not is gone', async (t) => {
  const power = await powered(t)
  const disk = power.on()
  await kept(disk, 'file', 'synced')
  const file = await disk.open('file')
  await file.write(6, text(', written'))
  t.equal(await read(disk, 'file'), 'synced, written', 'as long as there is power')
  t.equal(file.sizeBytes, 15)
  await file.truncate(3)
  t.equal(await read(disk, 'file'), 'syn')
  await file.close()
  t.equal(await read(power.on(), 'file'), 'synced')
})

t.test('a sync covers what was written before it, not what comes meanwhile', async (t) => {
  const power = await powered(t)
  const disk = power.on()
  await kept(disk, 'file', 'a')
  const file = await disk.open('file')
  await file.write(1, text('b'))
  const synced = file.sync()
  await file.write(2, text('c'))
  await synced
  t.equal(await read(disk, 'file'), 'abc')
  await file.close()
  t.equal(await read(power.on(), 'file'), 'ab')
})

t.test('a durable write makes itself durable, and nothing before it', async (t) => {
  const power = await powered(t)
  const disk = power.on()
  await kept(disk, 'file', 'aaaa')
  const file = await disk.open('file')
  await file.write(0, text('bbb'))
  await file.writeDurably(2, text('cc'))
  t.equal(await read(disk, 'file'), 'bbcc')
  const after = power.on()
  t.equal(await read(after, 'file'), 'aacc')
  await file.sync()
  t.equal(await read(power.on(), 'file'), 'bbcc')
  await file.close()
})

t.test('R-P10 a name is as durable as its directory', async (t) => {
  const power = await powered(t)
  const disk = power.on()
  const unnamed = await disk.open('unnamed')
  await unnamed.writeDurably(0, text('bytes'))
  await unnamed.close()
  t.equal(await read(power.on(), 'unnamed'), null, 'synced without a name')
  await disk.syncDirectory('')
  t.equal(await read(power.on(), 'unnamed'), 'bytes')
})

t.test('R-P10 a file in a directory without a durable name is lost with it', async (t) => {
  const power = await powered(t)
  const disk = power.on()
  await disk.makeDirectory('a/b')
  const file = await disk.open('a/b/file')
  await file.writeDurably(0, text('deep'))
  await file.close()
  await disk.syncDirectory('a/b')
  t.same(await power.on().list(''), [])
  await disk.syncDirectory('a')
  t.same(await power.on().list(''), [])
  await disk.syncDirectory('')
  t.equal(await read(power.on(), 'a/b/file'), 'deep')
})

t.test('R-P10 a rename and a removal are undone', async (t) => {
  const power = await powered(t)
  const disk = power.on()
  await kept(disk, 'old', '1')
  await kept(disk, 'new', '2')
  await disk.rename('new', 'old')
  t.equal(await read(disk, 'old'), '2')
  t.equal(await read(power.on(), 'old'), '1')
  t.same(await power.on().list(''), ['new', 'old'])
  await disk.syncDirectory('')
  t.same(await power.on().list(''), ['old'])
  await disk.remove('old')
  t.equal(await read(power.on(), 'old'), '2')
  await disk.syncDirectory('')
  t.same(await power.on().list(''), [])
})

t.test('un-synced bytes may reach the disk by themselves, torn or whole', async (t) => {
  const fates: number[] = []
  const power = await powered(t, () => fates.shift() ?? 0)
  const disk = power.on()
  await kept(disk, 'file', '')
  fates.push(2, 4)
  const file = await disk.open('file')
  await file.write(0, text('torn'))
  await file.write(4, text('whole'.slice(0, 4)))
  await file.write(8, text('none'))
  t.equal(await read(disk, 'file'), 'tornwholnone')
  t.equal(await read(power.on(), 'file'), 'to\0\0whol')
  await file.sync()
  t.equal(await read(power.on(), 'file'), 'tornwholnone')
  await file.close()
})
