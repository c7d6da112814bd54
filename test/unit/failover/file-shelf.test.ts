import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FileShelf, hexOf } from '../../../src/failover/state-transfer/file-shelf-driver.js'
import type { PartialFile } from '../../../src/failover/state-transfer/partial-file-driver.js'
import { NodeDisk, nodeCrypto } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const crypto = nodeCrypto()
const never = new AbortController().signal
const chunkBytes = 4_096
const content = Buffer.alloc(10_000, 'goose ')
const facts = { sizeBytes: content.length, sha256: crypto.sha256(content) }

async function shelfOn(t: Test, partialsMax = 4) {
  const root = await temporaryDirectory(t)
  const disk = new NodeDisk(root)
  return { root, create: () => new FileShelf({ disk, crypto }, partialsMax) }
}

async function write(partial: PartialFile, ...chunks: readonly number[]): Promise<void> {
  for (const chunk of chunks) {
    const data = content.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes)
    await partial.write(chunk, data, crypto.sha256(data))
    partial.map.add(chunk)
  }
}

async function opened(shelf: FileShelf, of = facts): Promise<PartialFile> {
  const partial = await shelf.openPartial(of, chunkBytes, never)
  if (partial === null) throw new Error('it is open already')
  return partial
}

t.test('a file is described by its size and digest, anew when it was changed', async (t) => {
  const { root, create } = await shelfOn(t)
  const shelf = create()
  await t.rejects(shelf.describe('goose'), { code: 'ERR_SKEIN_NOT_FOUND' })
  writeFileSync(join(root, 'files', 'goose'), content)
  t.same(await shelf.describe('goose'), facts)
  t.same(await Promise.all([shelf.describe('goose'), shelf.describe('goose')]), [facts, facts])
  writeFileSync(join(root, 'files', 'goose'), content.toString().toUpperCase())
  const changed = await shelf.describe('goose')
  t.equal(changed.sizeBytes, facts.sizeBytes)
  const expected = createHash('sha256').update(content.toString().toUpperCase()).digest('hex')
  t.equal(hexOf(changed.sha256), expected)
})

t.test('X-39 names that lead elsewhere, and links, are not followed', async (t) => {
  const { root, create } = await shelfOn(t)
  const shelf = create()
  writeFileSync(join(root, 'secret'), 'secret')
  await t.rejects(shelf.describe('x'), { code: 'ERR_SKEIN_NOT_FOUND' })
  for (const name of ['../secret', '/etc/passwd', 'a/../../secret', '..', '.', '', 'a\0b']) {
    await t.rejects(shelf.describe(name), { code: 'ERR_SKEIN_NOT_FOUND' }, JSON.stringify(name))
    const partial = await opened(shelf)
    await write(partial, 0, 1, 2)
    await t.rejects(shelf.finish(partial, name), { code: 'ERR_SKEIN_NOT_FOUND' })
    await shelf.release(partial, false)
  }
  symlinkSync(join(root, 'secret'), join(root, 'files', 'link'))
  await t.rejects(shelf.describe('link'), { code: 'ERR_SKEIN_DISK_FAILED' })
  mkdirSync(join(root, 'files', 'directory'))
  await t.rejects(shelf.describe('directory'), { code: 'ERR_SKEIN_DISK_FAILED' })
  symlinkSync(join(root, 'secret'), join(root, 'files-incoming', `${hexOf(facts.sha256)}.part`))
  await t.rejects(shelf.openPartial(facts, chunkBytes, never), { code: 'ERR_SKEIN_DISK_FAILED' })
  const other = { ...facts, sha256: facts.sha256.map((byte) => byte ^ 1) }
  const partial = await opened(shelf, other)
  await write(partial, 0, 1, 2)
  await shelf.finish(partial, 'link')
  t.equal(readFileSync(join(root, 'secret'), 'utf8'), 'secret', 'the link was replaced')
  t.same(readFileSync(join(root, 'files', 'link')), content)
})

t.test('what arrived is gone on with, whatever became of it meanwhile', async (t) => {
  const { root, create } = await shelfOn(t)
  const first = create()
  const begun = await opened(first)
  t.equal(begun.resumedBytes, 0)
  await write(begun, 0, 2)
  t.equal(await first.openPartial(facts, chunkBytes, never), null, 'one writer at a time')
  await first.release(begun, true)

  const again = await opened(create())
  t.equal(again.resumedBytes, 2 * chunkBytes)
  t.same(
    [0, 1, 2].map((chunk) => again.map.has(chunk)),
    [true, false, true]
  )
  await again.close()
  const path = join(root, 'files-incoming', `${hexOf(facts.sha256)}.part`)
  const bytes = readFileSync(path)
  bytes[17] = (bytes[17] as number) ^ 4
  writeFileSync(path, bytes)

  const shelf = create()
  const rotten = await opened(shelf)
  t.same(
    [0, 1, 2].map((chunk) => rotten.map.has(chunk)),
    [false, false, true]
  )
  await write(rotten, 0, 1)
  t.same(await rotten.verify(never), { unsound: [], isWhole: true })
  await shelf.finish(rotten, 'goose')
  t.same(readFileSync(join(root, 'files', 'goose')), content)
  t.same(readdirSync(join(root, 'files-incoming')), [])
  t.ok(await shelf.holds('goose', facts))
  t.notOk(await shelf.holds('duck', facts))
})

t.test('a map of another file, or a torn one, is begun anew', async (t) => {
  const { root, create } = await shelfOn(t)
  const begun = await opened(create())
  await write(begun, 0, 1, 2)
  await begun.close()
  const map = join(root, 'files-incoming', `${hexOf(facts.sha256)}.map`)
  const bytes = readFileSync(map)
  for (const damaged of [
    bytes.subarray(0, 40),
    Buffer.concat([Buffer.from([1]), bytes.subarray(1)])
  ]) {
    writeFileSync(map, damaged)
    const anew = await opened(create())
    t.equal(anew.map.present, 0)
    await write(anew, 0, 1, 2)
    await anew.close()
  }
  const longer = await opened(create(), { ...facts, sizeBytes: 20_000 })
  t.equal(longer.map.present, 0)
  await longer.close()
})

t.test(
  'a chunk that does not read as it came, and a whole that is another, are found',
  async (t) => {
    const { root, create } = await shelfOn(t)
    const shelf = create()
    const partial = await opened(shelf)
    await write(partial, 0, 1, 2)
    const path = join(root, 'files-incoming', `${hexOf(facts.sha256)}.part`)
    const bytes = readFileSync(path)
    bytes[5_000] = (bytes[5_000] as number) ^ 1
    writeFileSync(path, bytes)
    t.same(await partial.verify(never), { unsound: [1], isWhole: false })
    const wrong = Buffer.alloc(chunkBytes, 1)
    await partial.write(1, wrong, crypto.sha256(wrong))
    t.same(await partial.verify(never), { unsound: [], isWhole: false })
    await shelf.release(partial, false)
    t.same(readdirSync(join(root, 'files-incoming')), [])
  }
)

t.test('so many unfinished files are kept, and states of a former process are not', async (t) => {
  const { root, create } = await shelfOn(t, 3)
  mkdirSync(join(root, 'files'))
  writeFileSync(join(root, 'files', `~state-${'0'.repeat(32)}`), 'left over')
  writeFileSync(join(root, 'files', 'kept'), 'kept')
  const shelf = create()
  for (let i = 0; i < 6; i++) {
    const partial = await opened(shelf, { ...facts, sha256: new Uint8Array(32).fill(i) })
    await write(partial, 0)
    await shelf.release(partial, true)
  }
  t.equal(readdirSync(join(root, 'files-incoming')).length, 6, 'two files each')
  t.same(readdirSync(join(root, 'files')), ['kept'])
  t.ok(existsSync(join(root, 'files-incoming', `${'05'.repeat(32)}.part`)))
})
