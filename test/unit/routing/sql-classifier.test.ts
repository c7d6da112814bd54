import t from 'tap'
import { classifiedTextsMax, SqlClassifier } from '../../../src/routing/sql-classifier.js'
import { SqlTokenizer } from '../../../src/routing/sql-tokens.js'

const classifier = new SqlClassifier()

t.test('reads', async (t) => {
  for (const sql of [
    'SELECT 1',
    'select 1;',
    ' ;; SELECT 1 ; ; ',
    '-- a comment\nSELECT 1 -- ; DELETE FROM t',
    '/* DELETE */ SELECT 1 /* unclosed',
    "VALUES (1, 'a;b'), (2, 'it''s')",
    'SELECT "a;b", [c;d], `e;f` FROM t',
    'WITH a AS (SELECT 1) SELECT * FROM a',
    'WITH RECURSIVE a(n) AS (VALUES (1) UNION ALL SELECT n+1 FROM a) SELECT n FROM a',
    'WITH recursive AS (SELECT 1) SELECT * FROM recursive',
    'WITH a AS NOT MATERIALIZED (SELECT (1)), b AS MATERIALIZED (SELECT 2) VALUES (1)',
    'WITH "delete" AS (SELECT 1) SELECT * FROM "delete"',
    'WITH replace AS (SELECT 1) SELECT * FROM replace',
    "WITH a AS (SELECT ') DELETE FROM t') SELECT 1",
    'EXPLAIN SELECT 1',
    'EXPLAIN QUERY PLAN DELETE FROM t',
    'PRAGMA table_info(t)',
    'PRAGMA main.table_info("t")',
    'PRAGMA user_version',
    'PRAGMA integrity_check',
    "SELECT x'00ff', 1e3, .5, ?1, :a, @b, $c::d"
  ]) {
    t.equal(classifier.classify(sql), 'read', sql)
  }
})

t.test('writes', async (t) => {
  for (const sql of [
    "INSERT INTO t VALUES ('SELECT')",
    'insert or replace into t values (1) returning *',
    'REPLACE INTO t VALUES (1)',
    'UPDATE t SET a = 1',
    'DELETE FROM t RETURNING a',
    'WITH a AS (SELECT 1) INSERT INTO t SELECT * FROM a',
    'WITH a AS (SELECT 1), b(x, y) AS (SELECT 1, 2) UPDATE t SET a = 1',
    'WITH a AS (SELECT 1) DELETE FROM t WHERE x IN a',
    'WITH replace AS (SELECT 1) REPLACE INTO t SELECT * FROM replace',
    'CREATE TABLE t (a)',
    'CREATE UNIQUE INDEX i ON t (a)',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE t SET a = 1; DELETE FROM u; END',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; END;',
    'DROP TABLE t',
    'ALTER TABLE t ADD COLUMN b'
  ]) {
    t.equal(classifier.classify(sql), 'write', sql)
  }
})

t.test('refused, by name', async (t) => {
  for (const [sql, pattern] of [
    ['SELECT 1; SELECT 2', /more than one statement/],
    ['SELECT 1; DELETE FROM t', /more than one statement/],
    ['CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END; DROP TABLE t', /more than one/],
    ['BEGIN', /BEGIN is not taken.*list/],
    ['BEGIN IMMEDIATE', /BEGIN/],
    ['commit', /COMMIT/],
    ['END TRANSACTION', /END/],
    ['ROLLBACK TO a', /ROLLBACK/],
    ['SAVEPOINT a', /SAVEPOINT/],
    ['RELEASE a', /RELEASE/],
    ["ATTACH 'x' AS y", /ATTACH/],
    ['DETACH y', /DETACH/],
    ['VACUUM', /VACUUM/],
    ['EXPLAIN VACUUM', /VACUUM/],
    ['PRAGMA writable_schema = 1', /PRAGMA writable_schema with a value/],
    ['PRAGMA user_version = 3', /with a value/],
    ['PRAGMA user_version(3)', /with a value/],
    ['PRAGMA journal_mode', /PRAGMA journal_mode is not taken/],
    ['PRAGMA main.synchronous=OFF', /synchronous/],
    ['CREATE TEMP TABLE t (a)', /temporary/],
    ['CREATE TEMPORARY TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END', /temporary/],
    ['CREATE VIRTUAL TABLE t USING fts5(a)', /virtual/],
    ["SELECT load_extension('x')", /load_extension/],
    ['SELECT "LOAD_EXTENSION" (\'x\')', /load_extension/]
  ] as const) {
    const shape = { code: 'ERR_SKEIN_SQL_REFUSED', message: pattern }
    t.throws(() => classifier.classify(sql), shape, sql)
  }
})

t.test('not SQL', async (t) => {
  for (const sql of [
    '',
    ' ; -- nothing',
    'FROB x',
    '(SELECT 1)',
    "SELECT 'open",
    'SELECT "open',
    'SELECT [open',
    'WITH a AS (SELECT 1',
    'WITH a (SELECT 1) SELECT 1',
    'WITH a AS (SELECT 1) VACUUM',
    'EXPLAIN',
    'EXPLAIN EXPLAIN SELECT 1'
  ]) {
    t.throws(() => classifier.classify(sql), { code: 'ERR_SKEIN_SQL' }, JSON.stringify(sql))
  }
})

t.test('the newest texts are remembered, and no more than the bound', async (t) => {
  const small = new SqlClassifier()
  for (let i = 0; i < classifiedTextsMax + 10; i++) {
    small.classify('SELECT 0')
    small.classify(`SELECT ${i}`)
  }
  t.equal(small.remembered, classifiedTextsMax)
  small.classify(`SELECT '${'x'.repeat(5_000)}'`)
  t.equal(small.remembered, classifiedTextsMax, 'long texts are not')
})

t.test('tokens end where SQLite ends them', async (t) => {
  const tokensOf = (sql: string) => {
    const tokenizer = new SqlTokenizer(sql)
    const texts: string[] = []
    for (let token = tokenizer.next(); token !== null; token = tokenizer.next()) {
      texts.push(`${token.kind}:${token.text}`)
    }
    return texts
  }
  t.same(tokensOf('a\'b\'\'c\'"d""e"[f"]`g`'), [
    'word:A',
    "text:b''c",
    'quotedName:d""e',
    'quotedName:f"',
    'quotedName:g'
  ])
  t.same(tokensOf("1.5e-3+x'ab'--c\n?7 é"), [
    'number:1.5e-3',
    'symbol:+',
    'blob:ab',
    'parameter:?7',
    'word:é'
  ])
})
