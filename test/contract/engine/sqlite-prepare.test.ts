import t from 'tap'
import { DEFAULT_GROUP, type LogIndex } from '../../../src/core/ids.js'
import type { Engine } from '../../../src/core/ports/engine.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import type { Statement } from '../../../src/core/sql.js'
import { type Isolation, Isolations } from '../../../src/engine/index.js'
import { nodeClock } from '../../../src/runtime/node-clock.js'
import { farDeadline } from '../../support/far-deadline.js'
import { sqliteEngine } from '../../support/published-sqlite.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import type { TeardownTap } from './engine-contract.js'
import { prepareContract } from './prepare-contract.js'

const deadline = farDeadline

// A process runs the same host as a thread, and takes seconds to start.
for (const isolation of [Isolations.Inline, Isolations.Thread]) {
  prepareContract({
    name: `SQLite, ${isolation}`,
    async make(t) {
      const directory = await temporaryDirectory(t)
      return { create: () => engineIn(directory, isolation) }
    },
    schema: [
      { sql: 'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)' },
      { sql: 'INSERT INTO accounts VALUES (1, 0), (2, 0)' }
    ],
    add: (key, amount) => ({
      sql: 'UPDATE accounts SET balance = balance + ? WHERE id = ?',
      params: [amount, key]
    }),
    get: (key) => ({ sql: 'SELECT balance FROM accounts WHERE id = ?', params: [key] }),
    sumOfAll: { sql: 'SELECT sum(balance) FROM accounts' },
    failing: { sql: 'INSERT INTO nowhere VALUES (1)' },
    ddl: { sql: 'CREATE TABLE later (id INTEGER PRIMARY KEY)' },
    valueIn: ({ rows }) => (rows[0]?.[0] as number | undefined) ?? null
  })
}

const engineIn = (directory: string, isolation: Isolation = Isolations.Inline): Engine =>
  sqliteEngine({ isolation, readers: 1 }).create({
    group: DEFAULT_GROUP,
    directory,
    clock: nodeClock(),
    logger: silentLogger
  })

async function engineWith(t: TeardownTap, ...schema: string[]): Promise<Engine> {
  const engine = engineIn(await temporaryDirectory(t))
  await engine.open()
  t.teardown(() => engine.close())
  for (const [i, sql] of schema.entries()) {
    const planned = await engine.plan({ statements: [{ sql }] }, { deadline })
    if (planned.kind === 'failed') throw new Error(planned.failure.message)
    await engine.apply([planned.command], [], (i + 1) as LogIndex)
  }
  return engine
}

async function keysOf(engine: Engine, ...statements: Statement[]) {
  const outcome = await engine.prepare?.({ statements }, { deadline })
  if (outcome?.kind !== 'prepared') throw new Error(JSON.stringify(outcome))
  return { readKeys: outcome.readKeys, writeKeys: outcome.writeKeys }
}

t.test('which statements are seen to rest on one row', async (t) => {
  const engine = await engineWith(
    t,
    'CREATE TABLE a (id INTEGER PRIMARY KEY, v, "order" TEXT)',
    'CREATE TABLE b (v)',
    'INSERT INTO a VALUES (1, 1, 1), (2, 2, 2)',
    'INSERT INTO b VALUES (7)'
  )
  const row = ['a i1']
  const narrow: readonly (readonly [Statement, readonly string[], readonly string[]])[] = [
    [{ sql: 'SELECT * FROM a WHERE id = 1' }, row, []],
    [{ sql: 'SELECT v FROM A WHERE "id" == :id;', params: { id: 1 } }, row, []],
    [{ sql: 'SELECT v FROM a WHERE id = ? AND v > 0', params: [1] }, row, []],
    [{ sql: 'SELECT v FROM a WHERE id = 99' }, ['a i99'], []],
    [{ sql: 'SELECT v FROM b WHERE rowid = 1' }, ['b i1'], []],
    [{ sql: 'UPDATE a SET v = v + 1 WHERE id = 1 RETURNING v' }, row, row],
    [{ sql: 'UPDATE a SET id = 9 WHERE id = 1' }, row, ['a i1', 'a i9']],
    [{ sql: 'DELETE FROM a WHERE id = ?', params: [1n] }, row, row],
    [{ sql: "INSERT INTO a VALUES (3, 'x', 'y')" }, [], ['a i3']],
    [{ sql: 'INSERT INTO b VALUES (?)', params: [3] }, [], ['b i2']]
  ]
  for (const [statement, readKeys, writeKeys] of narrow) {
    t.same(await keysOf(engine, statement), { readKeys, writeKeys }, statement.sql)
  }
  for (const sql of [
    'SELECT v FROM a',
    'SELECT v FROM a WHERE id > 1',
    'SELECT v FROM a WHERE id = 1 OR v = 2',
    'SELECT v FROM a WHERE id = 1 + 1',
    'SELECT v FROM a WHERE v = 1',
    'SELECT a.v FROM a, b WHERE id = 1',
    'SELECT (SELECT max(v) FROM b) FROM a WHERE id = 1',
    "SELECT v FROM a WHERE id = '1'",
    'UPDATE a SET v = (SELECT max(v) FROM b) WHERE id = 1',
    'UPDATE a SET v = b.v FROM b WHERE id = 1',
    'UPDATE a SET v = 1',
    'INSERT INTO a SELECT 5, v, v FROM b',
    'INSERT OR IGNORE INTO a VALUES (1, 1, 1)',
    'WITH c AS (SELECT 1) SELECT v FROM a WHERE id = 1'
  ]) {
    t.equal((await keysOf(engine, { sql })).readKeys, 'all', sql)
  }
  const two = await keysOf(engine, { sql: 'SELECT v FROM a WHERE id = 1' }, { sql: 'SELECT 1' })
  t.equal(two.readKeys, 'all', 'one that is not seen through is enough')
})

t.test('whoever writes where unique indexes, foreign keys or triggers look further', async (t) => {
  for (const [name, ...schema] of [
    ['a unique index', 'CREATE TABLE a (id INTEGER PRIMARY KEY, v UNIQUE)'],
    ['a key that is no rowid', 'CREATE TABLE a (id INTEGER, v, PRIMARY KEY (id, v)) WITHOUT ROWID'],
    [
      'a child',
      'CREATE TABLE p (id INTEGER PRIMARY KEY)',
      'INSERT INTO p VALUES (5)',
      'CREATE TABLE a (id INTEGER PRIMARY KEY, v REFERENCES p)'
    ],
    [
      'a parent',
      'CREATE TABLE a (id INTEGER PRIMARY KEY, v)',
      'CREATE TABLE c (id INTEGER PRIMARY KEY, a REFERENCES a)'
    ],
    [
      'a trigger',
      'CREATE TABLE a (id INTEGER PRIMARY KEY, v)',
      'CREATE TRIGGER r AFTER INSERT ON a BEGIN UPDATE a SET v = 0; END'
    ]
  ] as const) {
    const engine = await engineWith(t, ...schema)
    const { readKeys, writeKeys } = await keysOf(engine, { sql: 'INSERT INTO a VALUES (1, 5)' })
    t.equal(readKeys, 'all', name)
    t.equal(writeKeys.length, 1, name)
  }
})

t.test('long keys become a hash, counters of AUTOINCREMENT are rows', async (t) => {
  const engine = await engineWith(
    t,
    'CREATE TABLE w (k TEXT PRIMARY KEY) WITHOUT ROWID',
    'CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, v)'
  )
  const long = 'x'.repeat(1_000)
  const insert = { sql: 'INSERT INTO w VALUES (?)', params: [long] }
  const { writeKeys } = await keysOf(engine, insert)
  t.match(writeKeys, [/^# [0-9a-f]{64}$/])
  t.same((await keysOf(engine, insert)).writeKeys, writeKeys)
  const counted = await keysOf(engine, { sql: 'INSERT INTO n (v) VALUES (1)' })
  t.same(counted.writeKeys, ['n i1', 'sqlite_sequence t1:n'])
})
