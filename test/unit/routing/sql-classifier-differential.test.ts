import Database from 'better-sqlite3'
import fc from 'fast-check'
import t from 'tap'
import { hasCode } from '../../../src/core/index.js'
import { SqlClassifier } from '../../../src/routing/sql-classifier.js'

const filler = fc.constantFrom(
  ' ',
  '\n',
  '\t',
  ' -- it; DELETE FROM t\n',
  ' /* ; DROP TABLE t */ ',
  ' /**/ ',
  ' --\n'
)
const noise = fc.constantFrom(
  "'a;b'",
  "'it''s; DELETE'",
  '"a"',
  '[a]',
  '`a`',
  "x'00'",
  '1.5e3',
  '?1',
  ':p',
  '@p',
  '$p',
  'NULL'
)
const name = fc.constantFrom('c', '"c d"', '[c;]', '`delete`', 'replace', 'recursive', '"select"')
const query = noise.map((value) => `SELECT ${value} AS a FROM t`)
const cte = fc
  .tuple(
    name,
    fc.constantFrom('', '(x)'),
    fc.constantFrom('', 'MATERIALIZED ', 'NOT MATERIALIZED ')
  )
  .chain(([called, columns, how]) =>
    query.map((inner) => `${called}${columns} AS ${how}(${inner})`)
  )
const withClause = fc.oneof(
  fc.constant(''),
  fc
    .tuple(
      fc.constantFrom('WITH ', 'with RECURSIVE '),
      fc.array(cte, { minLength: 1, maxLength: 2 })
    )
    .map(([start, ctes]) => `${start}${ctes.join(', ')} `)
)
const body = fc.oneof(
  query,
  noise.map((value) => `VALUES (${value}), (2)`),
  noise.map((value) => `INSERT INTO t (a) VALUES (${value})`),
  noise.map((value) => `INSERT INTO t (a) SELECT ${value} RETURNING a`),
  noise.map((value) => `REPLACE INTO t (a) SELECT ${value}`),
  noise.map((value) => `UPDATE t SET a = ${value}`),
  noise.map((value) => `DELETE FROM t WHERE a = ${value} RETURNING *`)
)
const statement = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(withClause, body).map((parts) => parts.join('')) },
  fc.constantFrom(
    'CREATE TABLE n (a)',
    'CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; SELECT CASE 1 WHEN 1 THEN 2 END; END',
    'CREATE VIEW v AS SELECT a FROM t',
    'DROP TABLE t',
    'ALTER TABLE t ADD COLUMN z',
    'EXPLAIN SELECT a FROM t',
    'EXPLAIN QUERY PLAN SELECT a FROM t',
    'PRAGMA table_info(t)',
    'ANALYZE'
  )
)
const text = fc
  .tuple(filler, statement, fc.constantFrom('', ';', ' ; ', ';--x', ';/* y */;'))
  .map((parts) => parts.join(''))
  .chain((sql) => filler.map((space) => sql.replaceAll(' INTO ', `${space}INTO${space}`)))

t.test(
  'no statement that SQLite calls a writer is called a read, and none is misread',
  async (t) => {
    const database = new Database(':memory:')
    t.teardown(() => database.close())
    database.exec('CREATE TABLE t (a, b)')
    const classifier = new SqlClassifier()
    const seen = { read: 0, write: 0 }
    fc.assert(
      fc.property(text, (sql) => {
        const readonly = readonlyOf(database, sql)
        if (readonly === null) return true
        const kind = classifier.classify(sql)
        seen[kind]++
        return kind === (readonly ? 'read' : 'write')
      }),
      { numRuns: 3_000 }
    )
    t.ok(seen.read > 300 && seen.write > 300, JSON.stringify(seen))
  }
)

t.test('two statements in one text are refused, wherever SQLite sees two', async (t) => {
  const classifier = new SqlClassifier()
  fc.assert(
    fc.property(statement, statement, filler, (first, second, space) => {
      try {
        classifier.classify(`${first};${space}${second}`)
        return false
      } catch (error) {
        return hasCode(error, 'ERR_SKEIN_SQL_REFUSED')
      }
    }),
    { numRuns: 1_000 }
  )
  t.pass('compared')
})

/** Null: SQLite does not take the text at all. */
function readonlyOf(database: Database.Database, sql: string): boolean | null {
  try {
    return database.prepare(sql).readonly
  } catch {
    return null
  }
}
