/** What the fuzz once found, as the few statements that show it. */
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { Replica } from './replica.js'

const cases: Readonly<Record<string, readonly string[]>> = {
  'a follower meets a trigger that the leader had no need to compile': [
    'CREATE TABLE t (a INTEGER PRIMARY KEY, b)',
    'CREATE TABLE gone (a)',
    'INSERT INTO t VALUES (1, 1)',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO gone VALUES (1); END',
    'DROP TABLE gone',
    'UPDATE t SET b = 2'
  ],
  'two keys that the collation takes for one': [
    'CREATE TABLE t (a TEXT COLLATE NOCASE PRIMARY KEY, b UNIQUE) WITHOUT ROWID',
    "INSERT INTO t VALUES ('a', 1)",
    "UPDATE t SET a = 'A'"
  ],
  'REPLACE in an index that follows from a rowid yet to be chosen': [
    'CREATE TABLE t (a INTEGER PRIMARY KEY, b, c REAL AS (a) VIRTUAL UNIQUE)',
    'INSERT INTO t VALUES (9197121006751932631, 1)',
    'REPLACE INTO t (b) VALUES (2)'
  ],
  'a silent trigger that names a table with AUTOINCREMENT': [
    'CREATE TABLE n (a INTEGER PRIMARY KEY AUTOINCREMENT)',
    'CREATE TABLE t (a INTEGER PRIMARY KEY, b)',
    'INSERT INTO t VALUES (1, 1)',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO n VALUES (NULL); END',
    'UPDATE t SET b = 2'
  ],
  'a foreign key that turns a deleted key into a number': [
    'CREATE TABLE p (a, b, PRIMARY KEY (a)) WITHOUT ROWID',
    'CREATE TABLE c (a NUMERIC REFERENCES p (a) ON DELETE SET NULL)',
    "INSERT INTO p VALUES ('1', 1), (2, 2)",
    'DELETE FROM p'
  ],
  'a default in the place of NULL in a key': [
    'CREATE TABLE t (a DEFAULT 7, b, PRIMARY KEY (a)) WITHOUT ROWID',
    'REPLACE INTO t VALUES (NULL, 1)'
  ],
  'a default in the place of NULL that removes another row': [
    'CREATE TABLE t (a INTEGER, b NOT NULL DEFAULT 7 UNIQUE, PRIMARY KEY (a)) WITHOUT ROWID',
    'INSERT INTO t VALUES (1, 7)',
    'REPLACE INTO t VALUES (2, NULL)'
  ],
  'RAISE(IGNORE) in a trigger after the change': [
    'CREATE TABLE t (a, b)',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT RAISE(IGNORE); END',
    'INSERT INTO t VALUES (1, 2)'
  ]
}

for (const [name, statements] of Object.entries(cases)) {
  t.test(name, async (t) => {
    const directory = await temporaryDirectory(t)
    const leader = new Replica('leader', join(directory, '1'), 'UTC')
    const follower = new Replica('follower', join(directory, '2'), 'UTC')
    t.teardown(() => {
      leader.close()
      follower.close()
    })
    for (const [i, sql] of statements.entries()) {
      const outcome = leader.plan([{ sql }])
      if (outcome.kind === 'failed') throw new Error(`${sql}: ${outcome.failure.message}`)
      for (const replica of [leader, follower]) replica.apply([outcome.command], i + 1)
      t.equal(follower.checksum(), leader.checksum(), sql)
    }
  })
}

t.test('a counter that is used up is the caller’s failure', async (t) => {
  const leader = new Replica('leader', join(await temporaryDirectory(t), '1'), 'UTC')
  t.teardown(() => leader.close())
  const outcome = leader.plan([
    { sql: 'CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)' },
    { sql: 'INSERT INTO t VALUES (9223372036854775807)' },
    { sql: 'INSERT INTO t VALUES (NULL)' }
  ])
  t.match(outcome, { kind: 'failed', failure: { statement: 2, engineCode: 'SQLITE_FULL' } })
})

const alters: Readonly<Record<string, readonly string[]>> = {
  'a dropped column leaves its name to the rowid': [
    'CREATE TABLE t (a, oid)',
    'INSERT INTO t VALUES (1, NULL)',
    'CREATE INDEX i ON t (a) WHERE "oid" IS NOT NULL',
    'ALTER TABLE t DROP COLUMN oid'
  ],
  'a new column takes its name from the rowid': [
    'CREATE TABLE t (a)',
    'INSERT INTO t VALUES (1)',
    'CREATE INDEX i ON t (a) WHERE t.rowid > 0',
    'ALTER TABLE t ADD COLUMN "RowId"'
  ],
  'a renamed column takes its name from the rowid': [
    'CREATE TABLE t (a, b)',
    'INSERT INTO t VALUES (1, NULL)',
    'CREATE INDEX i ON t (a) WHERE _rowid_ > 0',
    'ALTER TABLE t RENAME COLUMN b TO _rowid_'
  ],
  'a new column is what true was in an index': [
    'CREATE TABLE t (a)',
    'INSERT INTO t VALUES (1)',
    'CREATE INDEX i ON t (a + true)',
    'ALTER TABLE t ADD COLUMN "true"'
  ],
  'a dropped column is what false was in a generated column': [
    'CREATE TABLE t (a, "false", b AS (a + false))',
    'INSERT INTO t VALUES (1, 2)',
    'CREATE INDEX i ON t (b)',
    'ALTER TABLE t DROP COLUMN "false"'
  ]
}

for (const [name, statements] of Object.entries(alters)) {
  t.test(`${name}, and entries of an index would be wrong`, async (t) => {
    const leader = new Replica('leader', join(await temporaryDirectory(t), '1'), 'UTC')
    t.teardown(() => leader.close())
    const before = leader.plan(statements.slice(0, -1).map((sql) => ({ sql })))
    t.equal(before.kind, 'planned')
    const outcome = leader.plan(statements.slice(-1).map((sql) => ({ sql })))
    t.match(outcome, { kind: 'failed', failure: { code: 'ERR_SKEIN_SQL_REFUSED' } })
    const after = leader.plan([{ sql: 'DELETE FROM t' }, { sql: 'PRAGMA integrity_check' }])
    t.match(after, { kind: 'planned', results: [{ rowsAffected: 1 }, { rows: [['ok']] }] })
  })
}

t.test('a column that was not the name’s meaning comes, goes and changes', async (t) => {
  const leader = new Replica('leader', join(await temporaryDirectory(t), '1'), 'UTC')
  t.teardown(() => leader.close())
  const outcome = leader.plan(
    [
      'CREATE TABLE t (a, b, oid)',
      'INSERT INTO t VALUES (1, 2, NULL)',
      'CREATE INDEX i ON t (a) WHERE b = 2',
      'CREATE INDEX j ON t (a) WHERE oid > 0',
      'ALTER TABLE t RENAME COLUMN oid TO c',
      'ALTER TABLE t RENAME COLUMN b TO oid',
      'ALTER TABLE t ADD COLUMN "true" DEFAULT 1',
      'ALTER TABLE t DROP COLUMN "true"',
      'DELETE FROM t',
      'PRAGMA integrity_check'
    ].map((sql) => ({ sql }))
  )
  t.match(outcome, { kind: 'planned', results: { 9: { rows: [['ok']] } } })
})
