import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { after } from '../../../src/core/deadlines.js'
import { DEFAULT_GROUP, type LogIndex } from '../../../src/core/ids.js'
import type { Engine, EngineSnapshot } from '../../../src/core/ports/engine.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import { Isolations, sqliteEngine } from '../../../src/engine/index.js'
import { nodeClock } from '../../../src/runtime/node-clock.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const clock = nodeClock()
const provider = sqliteEngine({ isolation: Isolations.Inline, readers: 1 })
const at = (index: number) => index as LogIndex
const refused = { code: 'ERR_SKEIN_SNAPSHOT_REFUSED' }

async function opened(t: Test, directory?: string) {
  const place = directory ?? (await temporaryDirectory(t))
  const context = { group: DEFAULT_GROUP, directory: place, clock, logger: silentLogger }
  const engine = provider.create(context)
  t.teardown(() => engine.close())
  await engine.open()
  return { engine, directory: place }
}

async function planned(engine: Engine, ...texts: string[]) {
  const statements = texts.map((sql) => ({ sql }))
  const outcome = await engine.plan({ statements }, { deadline: after(clock.now(), 60_000) })
  if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
  return outcome.command
}

async function restored(engine: Engine, taken: EngineSnapshot): Promise<void> {
  const { sizeBytes } = taken.description
  const restore = await engine.restore?.(taken.description)
  await restore?.write(0, await taken.read(0, sizeBytes))
  await restore?.finish([])
}

const taken = async (engine: Engine): Promise<EngineSnapshot> =>
  (await engine.snapshot?.()) as EngineSnapshot

t.test('rows keep their rowids, counters and triggers their state', async (t) => {
  const [leader, follower] = [await opened(t), await opened(t)]
  const history = [
    'CREATE TABLE plain (a)',
    'CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a)',
    'CREATE TABLE keyed (k TEXT PRIMARY KEY, a) WITHOUT ROWID',
    'CREATE INDEX by_lower ON keyed (lower(k))',
    'CREATE TRIGGER copies AFTER INSERT ON plain BEGIN INSERT INTO counted (a) VALUES (new.a); END',
    "INSERT INTO plain VALUES ('one'), ('two'), ('three'), ('four')",
    "DELETE FROM plain WHERE a IN ('one', 'three')",
    'DELETE FROM counted WHERE id = 4',
    "INSERT INTO keyed VALUES ('K', x'00ff')"
  ]
  let index = 0
  for (const sql of history)
    await leader.engine.apply([await planned(leader.engine, sql)], [], at(++index))
  const snapshot = await taken(leader.engine)
  await restored(follower.engine, snapshot)
  const later = ["INSERT INTO plain VALUES ('five')", "UPDATE plain SET a = 'two!' WHERE a = 'two'"]
  for (const sql of later) {
    const command = await planned(leader.engine, sql)
    await leader.engine.apply([command], [], at(++index))
    await follower.engine.apply([command], [], at(index))
  }
  t.same(await follower.engine.checksum(), await leader.engine.checksum())
  const command = await planned(follower.engine, "INSERT INTO plain VALUES ('six')")
  await follower.engine.apply([command], [], at(++index))
  await leader.engine.apply([command], [], at(index))
  t.same(await follower.engine.checksum(), await leader.engine.checksum(), 'as a leader, too')
})

t.test('what is only planned is not in a snapshot, and the batch goes on', async (t) => {
  const [leader, follower] = [await opened(t), await opened(t)]
  await leader.engine.apply([await planned(leader.engine, 'CREATE TABLE t (a)')], [], at(1))
  const command = await planned(leader.engine, 'INSERT INTO t VALUES (1)')
  const snapshot = await taken(leader.engine)
  t.equal(snapshot.description.index, 1)
  await restored(follower.engine, snapshot)
  await leader.engine.apply([command], [], at(2))
  await follower.engine.apply([command], [], at(2))
  t.same(await follower.engine.checksum(), await leader.engine.checksum())
})

t.test('R-P16 what a crash leaves of snapshots goes at the next start', async (t) => {
  const { engine, directory } = await opened(t)
  await engine.apply([await planned(engine, 'CREATE TABLE t (a)')], [], at(1))
  await engine.flush()
  const { hash } = await engine.checksum()
  await engine.close()
  for (const name of ['snapshot.sqlite', 'incoming.sqlite', 'incoming.sqlite-journal']) {
    writeFileSync(join(directory, name), 'half of it')
  }
  const again = await opened(t, directory)
  t.equal((await again.engine.checksum()).hash, hash)
  t.same(
    readdirSync(directory).filter((name) => !name.startsWith('data.sqlite')),
    []
  )
})

t.test('R-P16 no journal is left beside the database that took the place', async (t) => {
  const [source, target] = [await opened(t), await opened(t)]
  await source.engine.apply([await planned(source.engine, 'CREATE TABLE fresh (a)')], [], at(9))
  await target.engine.apply([await planned(target.engine, 'CREATE TABLE old (a)')], [], at(5))
  const snapshot = await taken(source.engine)
  await restored(target.engine, snapshot)
  await target.engine.close()
  await snapshot.close()
  t.notOk(existsSync(join(target.directory, 'data.sqlite-wal')))
  const db = new Database(join(target.directory, 'data.sqlite'), { readonly: true })
  const tables = db.prepare("SELECT name FROM sqlite_schema WHERE name IN ('fresh', 'old')").all()
  db.close()
  t.same(tables, [{ name: 'fresh' }])
  t.notOk(existsSync(join(source.directory, 'snapshot.sqlite')), 'it was given back')
})

t.test('a database that somebody else holds is not replaced, and goes on', async (t) => {
  const [source, target] = [await opened(t), await opened(t)]
  await source.engine.apply([await planned(source.engine, 'CREATE TABLE fresh (a)')], [], at(9))
  await target.engine.apply([await planned(target.engine, 'CREATE TABLE t (a)')], [], at(5))
  const holder = new Database(join(target.directory, 'data.sqlite'), { readonly: true })
  holder.prepare('SELECT * FROM t').all()
  const snapshot = await taken(source.engine)
  await t.rejects(restored(target.engine, snapshot), refused)
  await target.engine.apply([await planned(target.engine, 'INSERT INTO t VALUES (1)')], [], at(6))
  const deadline = after(clock.now(), 60_000)
  const rows = await target.engine.read([{ sql: 'SELECT a FROM t' }], {
    atLeastIndex: at(6),
    deadline
  })
  t.match(rows, { kind: 'rows', results: [{ rows: [[1]] }] })
  holder.close()
  await restored(target.engine, snapshot)
  t.equal((await target.engine.checksum()).index, 9)
})
