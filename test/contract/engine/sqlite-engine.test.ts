import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { DEFAULT_GROUP } from '../../../src/core/ids.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import { Isolations } from '../../../src/engine/index.js'
import { nodeClock } from '../../../src/runtime/node-clock.js'
import { sqliteEngine } from '../../support/published-sqlite.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { looksAtAll } from '../../support/thoroughness.js'
import { engineContract } from './engine-contract.js'

/** What only the channel of a thread does, `sqlite-prepare` and `sqlite-deadlines` look at too. */
const looked = looksAtAll ? Object.values(Isolations) : [Isolations.Inline, Isolations.Process]

for (const isolation of looked) {
  engineContract({
    name: `SQLite, ${isolation}`,
    async make(t) {
      const context = {
        group: DEFAULT_GROUP,
        directory: await temporaryDirectory(t),
        clock: nodeClock(),
        logger: silentLogger
      }
      const provider = sqliteEngine({ isolation, readers: 1 })
      return { create: () => provider.create(context) }
    },
    schema: [{ sql: 'CREATE TABLE kv (k TEXT PRIMARY KEY, v TEXT)' }],
    set: (key, value) => ({ sql: 'INSERT OR REPLACE INTO kv VALUES (?, ?)', params: [key, value] }),
    get: (key) => ({ sql: 'SELECT v FROM kv WHERE k = ?', params: [key] }),
    failing: { sql: 'INSERT INTO nowhere VALUES (1)' },
    valueIn: ({ rows }) => (rows[0]?.[0] as string | undefined) ?? null
  })
}

t.test('the database lies in a directory that its owner alone may enter', async (t) => {
  const directory = join(await temporaryDirectory(t), 'engine-0')
  const engine = sqliteEngine({ readers: 1 }).create({
    group: DEFAULT_GROUP,
    directory,
    clock: nodeClock(),
    logger: silentLogger
  })
  t.teardown(() => engine.close())
  await engine.open()
  t.equal((await stat(directory)).mode & 0o777, 0o700)
})
