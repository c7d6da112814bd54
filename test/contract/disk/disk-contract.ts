import t from 'tap'
import type { Disk, DiskFile } from '../../../src/core/ports/disk.js'

const text = (value: string): Uint8Array => new TextEncoder().encode(value)
const read = async (disk: Disk, path: string): Promise<string | null> => {
  const bytes = await disk.readFile(path)
  return bytes === null ? null : new TextDecoder().decode(bytes)
}

/** What every `Disk` owes its callers. `make` gives an empty one. */
export function diskContract(name: string, make: (t: Tap) => Promise<Disk>): void {
  t.test(`${name}: what was written is read back, chunk after chunk`, async (t) => {
    const disk = await make(t)
    await disk.makeDirectory('a/b')
    const file = await opened(t, disk, 'a/b/file')
    await file.write(0, [text('hello '), text('world')])
    await file.write(6, [text('W')])
    await file.sync()
    await disk.syncDirectory('a/b')
    t.equal(await read(disk, 'a/b/file'), 'hello World')
    t.equal(file.sizeBytes, 11)
  })

  t.test(`${name}: durable writes and plain ones see the same file`, async (t) => {
    const disk = await make(t)
    const file = await opened(t, disk, 'file')
    await file.writeDurably(0, [text('hello '), text('world')])
    await file.write(6, [text('W')])
    await file.sync()
    await file.writeDurably(11, [text('!')])
    t.equal(await read(disk, 'file'), 'hello World!')
    t.equal(file.sizeBytes, 12)
  })

  t.test(`${name}: writing beyond the end leaves zeros between`, async (t) => {
    const disk = await make(t)
    const file = await opened(t, disk, 'sparse')
    await file.write(4, [text('x')])
    t.same([...((await disk.readFile('sparse')) ?? [])], [0, 0, 0, 0, 120])
  })

  t.test(`${name}: truncate cuts, and what grows again is zero`, async (t) => {
    const disk = await make(t)
    const file = await opened(t, disk, 'cut')
    await file.write(0, [text('abcdef')])
    await file.truncate(2)
    t.equal(file.sizeBytes, 2)
    await file.write(4, [text('z')])
    t.same([...((await disk.readFile('cut')) ?? [])], [97, 98, 0, 0, 122])
  })

  t.test(`${name}: an opened file keeps its content and knows its size`, async (t) => {
    const disk = await make(t)
    const first = await disk.open('kept')
    await first.write(0, [text('abc')])
    await first.close()
    const second = await opened(t, disk, 'kept')
    t.equal(second.sizeBytes, 3)
    await second.write(3, [text('d')])
    t.equal(await read(disk, 'kept'), 'abcd')
  })

  t.test(`${name}: what is missing reads as null or as an empty list`, async (t) => {
    const disk = await make(t)
    t.equal(await disk.readFile('nothing'), null)
    t.same(await disk.list('nowhere'), [])
  })

  t.test(`${name}: a reader reads any part, and knows one content from another`, async (t) => {
    const disk = await make(t)
    t.equal(await disk.openRead('nothing'), null)
    const file = await opened(t, disk, 'long')
    await file.write(0, [text('0123456789')])
    const reader = await disk.openRead('long')
    t.teardown(() => reader?.close())
    t.equal(reader?.sizeBytes, 10)
    const part = async (offset: number, lengthMax: number) =>
      new TextDecoder().decode(await reader?.read(offset, lengthMax))
    t.equal(await part(0, 4), '0123')
    t.equal(await part(6, 100), '6789')
    t.equal(await part(10, 5), '')
    t.equal(await versionOf(disk, 'long'), reader?.version)
    await file.write(10, [text('x')])
    t.not(await versionOf(disk, 'long'), reader?.version)
    await (await opened(t, disk, 'other')).write(0, [text('0123456789x')])
    t.not(await versionOf(disk, 'other'), await versionOf(disk, 'long'))
  })

  t.test(`${name}: list names what is directly below, sorted`, async (t) => {
    const disk = await make(t)
    await disk.makeDirectory('d/inner')
    for (const path of ['d/b', 'd/a', 'd/inner/c', 'other']) await opened(t, disk, path)
    t.same(await disk.list('d'), ['a', 'b', 'inner'])
    t.same(await disk.list(''), ['d', 'other'])
  })

  t.test(`${name}: rename replaces its target, remove removes`, async (t) => {
    const disk = await make(t)
    for (const path of ['old', 'new']) await (await opened(t, disk, path)).write(0, [text(path)])
    await disk.rename('new', 'old')
    await disk.syncDirectory('')
    t.equal(await read(disk, 'old'), 'new')
    t.same(await disk.list(''), ['old'])
    await disk.remove('old')
    await disk.syncDirectory('')
    t.same(await disk.list(''), [])
  })

  t.test(`${name}: opening below a directory that does not exist fails`, async (t) => {
    const disk = await make(t)
    await t.rejects(disk.open('no/such/file'))
    await t.rejects(disk.remove('no-such-file'))
  })

  t.test(`${name}: R-P13 a lock is held by one at a time`, async (t) => {
    const disk = await make(t)
    const lock = await disk.lock('lock')
    await t.rejects(disk.lock('lock'), { code: 'ERR_SKEIN_DATA_DIRECTORY_IN_USE' })
    await lock.release()
    const again = await disk.lock('lock')
    await again.release()
  })
}

async function versionOf(disk: Disk, path: string): Promise<string | undefined> {
  const reader = await disk.openRead(path)
  await reader?.close()
  return reader?.version
}

export type Tap = { teardown(handler: () => unknown): void }

async function opened(t: Tap, disk: Disk, path: string): Promise<DiskFile> {
  const file = await disk.open(path)
  t.teardown(() => file.close())
  return file
}
