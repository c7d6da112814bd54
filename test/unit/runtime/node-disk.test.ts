import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { NodeDisk } from '../../../src/runtime/index.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

t.test('names cannot leave the root', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  for (const path of ['../x', '/etc/passwd', 'a/../../x']) {
    await t.rejects(disk.readFile(path), { name: 'InvariantError' }, path)
  }
})

t.test('files and directories are their owner’s alone', async (t) => {
  const root = await temporaryDirectory(t)
  const disk = new NodeDisk(join(root, 'data'))
  await disk.makeDirectory('log')
  const file = await disk.open('log/1')
  t.teardown(() => file.close())
  t.equal((await stat(join(root, 'data/log/1'))).mode & 0o777, 0o600)
  t.equal((await stat(join(root, 'data/log'))).mode & 0o777, 0o700)
})

t.test('more chunks than one system call takes are written whole', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  const file = await disk.open('many')
  t.teardown(() => file.close())
  const chunks = Array.from({ length: 5_000 }, (_, i) => Uint8Array.of(i & 255))
  await file.write(10, chunks)
  t.equal(file.sizeBytes, 5_010)
  const read = await disk.readFile('many')
  t.ok(Buffer.concat(chunks).equals(read?.subarray(10) ?? Buffer.alloc(0)))
})

t.test('after a failure every later call of the file fails', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  const file = await disk.open('closed')
  await file.close()
  await t.rejects(file.sync())
  await t.rejects(file.write(0, [Uint8Array.of(1)]), { code: 'ERR_SKEIN_DISK_FAILED' })
})

t.test('what the system refuses has a code', async (t) => {
  const disk = new NodeDisk(await temporaryDirectory(t))
  await t.rejects(disk.open('no/such'), {
    code: 'ERR_SKEIN_DISK_FAILED',
    details: { systemCode: 'ENOENT' }
  })
})
