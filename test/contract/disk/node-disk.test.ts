import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { NodeDisk } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { diskContract } from './disk-contract.js'

t.test('X-39 neither a link nor a directory is opened, wherever the link leads', async (t) => {
  const root = await temporaryDirectory(t)
  const disk = new NodeDisk(join(root, 'data'))
  await disk.makeDirectory('inner')
  writeFileSync(join(root, 'outside'), 'untouched')
  symlinkSync(join(root, 'outside'), join(root, 'data', 'link'))
  const failed = { code: 'ERR_SKEIN_DISK_FAILED' }
  await t.rejects(disk.open('link'), failed)
  await t.rejects(disk.openRead('link'), failed)
  await t.rejects(disk.openRead('inner'), failed)
  t.equal(readFileSync(join(root, 'outside'), 'utf8'), 'untouched')
})

diskContract('node disk', async (t) => new NodeDisk(await temporaryDirectory(t)))
