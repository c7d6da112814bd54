import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { readGossipKeys } from '../../../../src/network/index.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.test('keys are read newest first', async (t) => {
  const file = join(await temporaryDirectory(t), 'gossip.key')
  await writeFile(file, `${'ab'.repeat(32)}\n\n${'01'.repeat(32)}\n`, { mode: 0o600 })
  const keys = await readGossipKeys(file)
  t.same(
    keys.map((key) => Buffer.from(key).toString('hex')),
    ['ab'.repeat(32), '01'.repeat(32)]
  )
})

t.test('X-47 a key file that is empty, short, too long or open to others is refused', async (t) => {
  const file = join(await temporaryDirectory(t), 'gossip.key')
  const key = 'ab'.repeat(32)
  for (const text of ['', '\n', 'ab'.repeat(15), `${key}\nnonsense`, `${key}\n`.repeat(9)]) {
    await writeFile(file, text, { mode: 0o600 })
    await t.rejects(readGossipKeys(file), { code: 'ERR_SKEIN_CERTIFICATE' }, JSON.stringify(text))
  }
  await writeFile(file, key)
  await chmod(file, 0o640)
  await t.rejects(readGossipKeys(file), { message: /chmod 600/ })
  await t.rejects(readGossipKeys(`${file}.missing`), { code: 'ERR_SKEIN_CERTIFICATE' })
})
