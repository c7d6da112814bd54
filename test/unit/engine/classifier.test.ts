import t from 'tap'
import { hasCode } from '../../../src/core/remote-error.js'
import { classify } from '../../../src/engine/sqlite/classifier.js'

const kinds: readonly (readonly [string, string])[] = [
  ['SELECT 1', 'read'],
  [' -- note\n values (1);', 'read'],
  ['WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n FROM c) SELECT n FROM c', 'read'],
  ['WITH a AS MATERIALIZED (SELECT 1), b AS (SELECT 2) INSERT INTO t SELECT * FROM a', 'write'],
  ['WITH "replace" AS (SELECT 1) DELETE FROM t', 'write'],
  ['EXPLAIN QUERY PLAN DELETE FROM t', 'read'],
  ['PRAGMA table_info(t)', 'read'],
  ['pragma main.index_list("t")', 'read'],
  ['INSERT INTO t VALUES (?1, :a, @b, $c)', 'write'],
  ["REPLACE INTO t VALUES ('a;b')", 'write'],
  ['UPDATE t SET a = 1 RETURNING *', 'write'],
  ['CREATE TABLE IF NOT EXISTS main.t (a)', 'ddl'],
  ['CREATE UNIQUE INDEX i ON t (a)', 'ddl'],
  ['CREATE VIEW v AS SELECT 1', 'ddl'],
  ['CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; SELECT 2; END;', 'ddl'],
  ['ALTER TABLE t ADD COLUMN b', 'ddl'],
  ['DROP INDEX i', 'ddl'],
  ['ANALYZE', 'ddl']
]

for (const [sql, kind] of kinds) {
  t.test(`${kind}: ${sql}`, async (t) => t.equal(classify(sql).kind, kind))
}

const refused = [
  'BEGIN',
  'COMMIT',
  'end',
  'ROLLBACK',
  'SAVEPOINT x',
  'RELEASE x',
  "ATTACH 'f' AS f",
  'DETACH f',
  'VACUUM',
  'VACUUM INTO "x"',
  'REINDEX',
  'CREATE TEMP TABLE t (a)',
  'CREATE TABLE temp.t (a)',
  'CREATE TEMPORARY VIEW v AS SELECT 1',
  'CREATE VIRTUAL TABLE f USING fts5(a)',
  'PRAGMA writable_schema = 1',
  'PRAGMA writable_schema(1)',
  'PRAGMA journal_mode = DELETE',
  'PRAGMA user_version(3)',
  'PRAGMA temp.table_info(t)',
  "SELECT load_extension('x')",
  'SELECT * FROM _skein_system',
  'DELETE FROM "_SKEIN_state"',
  "DELETE FROM '_skein_state'",
  'UPDATE [_skein_system] SET value = 1',
  'DELETE FROM sqlite_sequence',
  "DELETE FROM 'sqlite_sequence'",
  'INSERT OR ROLLBACK INTO t VALUES (1)',
  'CREATE TABLE t (a UNIQUE ON CONFLICT ROLLBACK)',
  'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 1); END',
  'CREATE TABLE t (a REFERENCES u DEFERRABLE INITIALLY DEFERRED)',
  'EXPLAIN VACUUM',
  'SELECT 1; SELECT 2',
  'SELECT 1; NONSENSE',
  'PRAGMA user_version; DROP TABLE t',
  'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; END; DROP TABLE t'
]
for (const sql of refused) {
  t.test(`refused: ${sql}`, async (t) => {
    t.throws(() => classify(sql), { code: 'ERR_SKEIN_SQL_REFUSED' })
  })
}

const wrong = ['', ';', '-- only', 'NONSENSE', "SELECT 'open", 'SELECT 1\0']
for (const sql of wrong) {
  t.test(`no statement: ${JSON.stringify(sql)}`, async (t) => {
    try {
      classify(sql)
      t.fail('passed')
    } catch (thrown) {
      t.ok(hasCode(thrown, 'ERR_SKEIN_SQL'))
    }
  })
}

t.test('a trigger is given its guard, whatever its head looks like', async (t) => {
  const guarded = (sql: string) => {
    const shape = classify(sql)
    return shape.kind === 'ddl' ? shape.sql.replace(/\s+/g, ' ') : ''
  }
  t.equal(
    guarded('CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END'),
    'CREATE TRIGGER g AFTER INSERT ON t WHEN _skein_fires() BEGIN SELECT 1; END'
  )
  t.equal(
    guarded(
      'CREATE TRIGGER g BEFORE UPDATE OF a ON main.t FOR EACH ROW WHEN a OR b BEGIN SELECT 1; END'
    ),
    'CREATE TRIGGER g BEFORE UPDATE OF a ON main.t FOR EACH ROW ' +
      'WHEN _skein_fires() AND ( a OR b ) BEGIN SELECT 1; END'
  )
  const view = 'CREATE TRIGGER g INSTEAD OF INSERT ON v BEGIN SELECT 1; END'
  t.equal(guarded(view), view)
})

t.test('conflict resolution by REPLACE is noticed, the function is not', async (t) => {
  const replaces = (sql: string) => {
    const shape = classify(sql)
    return shape.kind !== 'read' && shape.mayReplace
  }
  t.ok(replaces('REPLACE INTO t VALUES (1)'))
  t.ok(replaces('UPDATE OR REPLACE t SET a = 1'))
  t.ok(replaces('CREATE TABLE t (a UNIQUE ON CONFLICT REPLACE)'))
  t.notOk(replaces("UPDATE t SET a = replace(a, 'x', 'y')"))
})
