import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { after } from '../../../src/core/deadlines.js'
import { DEFAULT_GROUP, type GroupId, type LogIndex } from '../../../src/core/ids.js'
import type { Engine } from '../../../src/core/ports/engine.js'
import { silentLogger } from '../../../src/core/ports/logger.js'
import {
  adoptDatabase,
  checkPlain,
  databaseFile,
  Isolations,
  makePlain,
  mergeSpread,
  sqliteEngine
} from '../../../src/engine/index.js'
import { nodeClock } from '../../../src/runtime/node-clock.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'

const clock = nodeClock()
const provider = sqliteEngine({ isolation: Isolations.Inline, readers: 1 })
const first = 1 as LogIndex
const refused = { code: 'ERR_SKEIN_ADOPTION_REFUSED' }

/** Whatever an application may have in its database. */
const everything = `
  CREATE TABLE people (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL COLLATE NOCASE,
    born TEXT DEFAULT CURRENT_TIMESTAMP,
    initial TEXT GENERATED ALWAYS AS (upper(substr(name, 1, 1))) STORED,
    length INTEGER AS (length(name)) VIRTUAL
  );
  CREATE TABLE pets (
    owner INTEGER REFERENCES people (id) ON DELETE CASCADE,
    name TEXT,
    PRIMARY KEY (owner, name)
  ) WITHOUT ROWID;
  CREATE TABLE plain (a, b BLOB);
  CREATE TABLE strict (k TEXT PRIMARY KEY, n REAL CHECK (n > 0)) STRICT;
  CREATE TABLE log (what TEXT, dice INTEGER DEFAULT (abs(random() % 6)), at TEXT);
  CREATE UNIQUE INDEX by_lower ON people (lower(name));
  CREATE INDEX some_plain ON plain (a) WHERE a IS NOT NULL;
  CREATE VIEW owners AS SELECT people.name, count(*) AS pets
    FROM people JOIN pets ON owner = id GROUP BY id;
  CREATE TRIGGER noted AFTER INSERT ON people WHEN new.name <> 'BEGIN'
  BEGIN
    INSERT INTO log (what, at) VALUES ('new; ' || new.name, CURRENT_TIMESTAMP);
  END;
  CREATE TRIGGER "odd -- name" AFTER DELETE ON people BEGIN
    INSERT INTO log (what) VALUES ('gone');
  END;
  CREATE TRIGGER renames INSTEAD OF UPDATE ON owners BEGIN
    UPDATE people SET name = new.name WHERE name = old.name;
  END;
  INSERT INTO people (name) VALUES ('Ada'), ('Bob'), ('Cyd');
  DELETE FROM people WHERE name = 'Cyd';
  INSERT INTO pets VALUES (1, 'Rex'), (2, 'Tom');
  INSERT INTO plain VALUES (1, x'00ff'), ('two', CAST(x'ff41' AS TEXT)), (NULL, 2.5);
  DELETE FROM plain WHERE a = 1;
  INSERT INTO strict VALUES ('x', 1);
  PRAGMA user_version = 7;
  ANALYZE;
`

function databaseOf(directory: string, sql: string, name = 'app.db'): string {
  const file = join(directory, name)
  const db = new Database(file)
  db.exec(sql)
  db.close()
  return file
}

const hashOf = (file: string): string =>
  createHash('sha256').update(readFileSync(file)).digest('hex')

/** Schema and rows as another program sees them. */
function contentOf(file: string): unknown {
  const db = new Database(file, { readonly: true })
  try {
    const schema = db
      .prepare<[], { name: string; type: string; sql: string }>(
        'SELECT type, name, sql FROM sqlite_schema ORDER BY type, name'
      )
      .all()
    const spaced = schema.map(({ sql, ...rest }) => ({ ...rest, sql: sql?.replace(/\s+/g, ' ') }))
    const rows = schema
      .filter(({ type }) => type === 'table')
      .map(({ name }) => db.prepare(`SELECT * FROM "${name}"`).raw().all())
    return { schema: spaced, rows, version: db.pragma('user_version', { simple: true }) }
  } finally {
    db.close()
  }
}

async function openedOn(t: Test, file: string): Promise<Engine> {
  const directory = join(await temporaryDirectory(t), 'engine')
  mkdirSync(directory)
  copyFileSync(file, join(directory, databaseFile))
  const context = { group: DEFAULT_GROUP, directory, clock, logger: silentLogger }
  const engine = provider.create(context)
  t.teardown(() => engine.close())
  await engine.open()
  return engine
}

async function planned(engine: Engine, ...texts: string[]) {
  const statements = texts.map((sql) => ({ sql }))
  const outcome = await engine.plan({ statements }, { deadline: after(clock.now(), 60_000) })
  if (outcome.kind === 'failed') throw new Error(outcome.failure.message)
  return outcome.command
}

t.test('a database is adopted as it is, and every replica goes on with the same', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = databaseOf(directory, everything)
  const adopted = join(directory, 'adopted.sqlite')
  const told = await adoptDatabase(file, adopted, first)
  t.match(told, { tables: 5, warnings: [] })
  const [leader, follower] = [await openedOn(t, adopted), await openedOn(t, adopted)]
  const state = await leader.checksum()
  t.equal(state.index, first)
  t.same(await follower.checksum(), state)
  const changes = [
    "INSERT INTO people (name) VALUES ('Dan'), ('Eve')",
    "UPDATE owners SET name = 'Bert' WHERE name = 'Bob'",
    'DELETE FROM people WHERE id = 1',
    "INSERT INTO log (what) VALUES ('dice and time are the leader’s')",
    'UPDATE plain SET a = 3 WHERE a IS NULL'
  ]
  for (const [i, sql] of changes.entries()) {
    const index = (first + 1 + i) as LogIndex
    const command = await planned(leader, sql)
    await leader.apply([command], [], index)
    await follower.apply([command], [], index)
  }
  t.same(await follower.checksum(), await leader.checksum())
  const read = await follower.read(
    [{ sql: "SELECT count(*) FROM log WHERE what LIKE 'new; %' OR what = 'gone'" }],
    { atLeastIndex: first, deadline: after(clock.now(), 60_000) }
  )
  t.match(read, { results: [{ rows: [[7]] }] }, 'each trigger fired once')
})

t.test('what is exported again is the original, without anything of ours', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = databaseOf(directory, everything)
  const adopted = join(directory, 'adopted.sqlite')
  await adoptDatabase(file, adopted, first)
  t.notSame(contentOf(adopted), contentOf(file))
  makePlain(adopted)
  t.equal(checkPlain(adopted), 5)
  t.same(contentOf(adopted), contentOf(file))
  t.notOk(readFileSync(adopted).includes('_skein_'), 'not in a free page either')
})

t.test(
  'the original is not changed, with its journal beside it and a writer at work',
  async (t) => {
    const directory = await temporaryDirectory(t)
    const file = databaseOf(directory, everything)
    const writer = new Database(file)
    t.teardown(() => writer.close())
    writer.pragma('journal_mode = WAL')
    writer.pragma('wal_autocheckpoint = 0')
    writer.exec("INSERT INTO strict VALUES ('in the journal', 2)")
    const before = [hashOf(file), hashOf(`${file}-wal`)]
    writer.exec("BEGIN IMMEDIATE; INSERT INTO strict VALUES ('not committed', 3)")
    const adopted = join(directory, 'adopted.sqlite')
    await adoptDatabase(file, adopted, first)
    writer.exec('ROLLBACK')
    t.same([hashOf(file), hashOf(`${file}-wal`)], before)
    const db = new Database(adopted, { readonly: true })
    t.same(db.prepare('SELECT k FROM strict ORDER BY k').pluck().all(), ['in the journal', 'x'])
    db.close()
    t.notOk(existsSync(`${adopted}-wal`))
  }
)

t.test('a journal that a dead program left is read, and left', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = databaseOf(directory, everything)
  const writer = new Database(file)
  writer.pragma('journal_mode = WAL')
  writer.exec("INSERT INTO strict VALUES ('in the journal', 2)")
  const left = join(directory, 'left.db')
  for (const suffix of ['', '-wal']) copyFileSync(file + suffix, left + suffix)
  writer.close()
  const before = [hashOf(left), hashOf(`${left}-wal`)]
  const adopted = join(directory, 'adopted.sqlite')
  await adoptDatabase(left, adopted, first)
  t.same([hashOf(left), hashOf(`${left}-wal`)], before)
  const db = new Database(adopted, { readonly: true })
  t.equal(db.prepare('SELECT count(*) FROM strict').pluck().get(), 2)
  db.close()
})

t.test('what cannot be replicated is refused by name, all of it at once', async (t) => {
  const directory = await temporaryDirectory(t)
  const rows: readonly (readonly [string, RegExp])[] = [
    ['CREATE VIRTUAL TABLE docs USING fts5(body)', /table docs: CREATE VIRTUAL TABLE is refused/],
    ['CREATE TABLE _Skein_x (a)', /table _Skein_x: the name is reserved/],
    [
      `CREATE TABLE p (id INTEGER PRIMARY KEY);
       CREATE TABLE c (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)`,
      /table c: INITIALLY DEFERRED is refused/
    ],
    ['CREATE TABLE u (a UNIQUE ON CONFLICT ROLLBACK)', /table u: CONFLICT ROLLBACK is refused/],
    [
      `CREATE TABLE r (a);
       CREATE TRIGGER rr BEFORE INSERT ON r BEGIN SELECT raise(ROLLBACK, 'x'); END`,
      /trigger rr: RAISE\(ROLLBACK\) is refused/
    ],
    ['CREATE TABLE h (rowid, _rowid_, oid)', /table h is refused: columns hide/],
    ["PRAGMA encoding = 'UTF-16le'; CREATE TABLE w (a)", /encoded in UTF-16le/],
    [
      'CREATE TABLE f (a); CREATE TRIGGER ff AFTER INSERT ON f BEGIN SELECT soundslike(new.a); END',
      /table f: no such function: soundslike: extensions are not loaded/
    ],
    ['CREATE TABLE v (a); CREATE VIEW vv AS SELECT nearest(a) FROM v', /view vv: no such function/]
  ]
  for (const [i, [sql, message]] of rows.entries()) {
    const file = databaseOf(directory, sql, `refused-${i}.db`)
    const to = join(directory, `to-${i}.sqlite`)
    await t.rejects(adoptDatabase(file, to, first), { ...refused, message }, sql)
  }
  const [fts = '', own = ''] = rows.map(([sql]) => sql)
  const both = databaseOf(directory, `${fts}; ${own}`, 'both.db')
  await t.rejects(adoptDatabase(both, join(directory, 'both.sqlite'), first), {
    ...refused,
    message: /docs: CREATE VIRTUAL.*_Skein_x: the name is reserved/
  })
})

t.test('functions of a program, in an index or a constraint, are refused', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = join(directory, 'app.db')
  const db = new Database(file)
  db.function('fold', { deterministic: true }, (text) => String(text).toLowerCase())
  db.exec("CREATE TABLE a (b); CREATE INDEX folded ON a (fold(b)); INSERT INTO a VALUES ('X')")
  db.close()
  await t.rejects(adoptDatabase(file, join(directory, 'to.sqlite'), first), {
    ...refused,
    message: /fold/
  })
})

t.test('files that are no whole database are refused', async (t) => {
  const directory = await temporaryDirectory(t)
  const to = () => join(directory, `${Math.floor(performance.now() * 1_000)}.sqlite`)
  await t.rejects(adoptDatabase(join(directory, 'none.db'), to(), first), refused)
  const text = join(directory, 'text.db')
  writeFileSync(text, 'no database, but long enough to have been one. '.repeat(40))
  await t.rejects(adoptDatabase(text, to(), first), { ...refused, message: /no SQLite database/ })
  const rows = Array.from({ length: 400 }, (_, i) => `(${i}, hex(zeroblob(40)))`).join()
  const sql = `CREATE TABLE a (b PRIMARY KEY, c); INSERT INTO a VALUES ${rows}`
  const damaged = databaseOf(directory, sql, 'damaged.db')
  const bytes = readFileSync(damaged)
  bytes.fill(0x5a, 3 * 4_096, 4 * 4_096)
  writeFileSync(damaged, bytes)
  await t.rejects(adoptDatabase(damaged, to(), first), {
    ...refused,
    message: /integrity_check|malformed/
  })
})

t.test('what will behave in another way is told', async (t) => {
  const directory = await temporaryDirectory(t)
  const file = databaseOf(
    directory,
    `PRAGMA foreign_keys = OFF;
     CREATE TABLE p (id INTEGER PRIMARY KEY);
     CREATE TABLE c (p REFERENCES p (id));
     INSERT INTO c VALUES (1), (2);
     CREATE TABLE big (a);
     INSERT INTO big VALUES (zeroblob(1000000));
     CREATE TABLE t (a);
     CREATE TRIGGER broken AFTER INSERT ON t BEGIN INSERT INTO nowhere VALUES (1); END`
  )
  const { warnings } = await adoptDatabase(file, join(directory, 'to.sqlite'), first)
  t.match(warnings, [
    /table t does not compile: no such table: main.nowhere/,
    /table c: 2 rows refer to rows that do not exist/,
    /table big: 1 rows are larger than 786432 bytes/
  ])
})

t.test('parts of a spread table become one, or are refused', async (t) => {
  const directory = await temporaryDirectory(t)
  const table = `
    CREATE TABLE accounts (id INTEGER PRIMARY KEY AUTOINCREMENT, owner, twice AS (id * 2));
    CREATE INDEX by_owner ON accounts (owner);`
  const one = databaseOf(directory, `${table} INSERT INTO accounts VALUES (1, 'a'), (9, 'b')`, '1')
  const two = databaseOf(directory, `${table} INSERT INTO accounts VALUES (4, 'c')`, '2')
  const into = databaseOf(directory, "CREATE TABLE words (w); INSERT INTO words VALUES ('x')")
  const copies = [
    { group: 1 as GroupId, file: one },
    { group: 2 as GroupId, file: two }
  ]
  const spread = [{ table: 'accounts', groups: [1, 2] as GroupId[] }]
  mergeSpread(into, copies, spread)
  const db = new Database(into)
  t.same(db.prepare('SELECT id, owner, twice FROM accounts ORDER BY id').raw().all(), [
    [1, 'a', 2],
    [4, 'c', 8],
    [9, 'b', 18]
  ])
  t.equal(db.prepare("INSERT INTO accounts (owner) VALUES ('d')").run().lastInsertRowid, 10)
  t.equal(db.pragma('integrity_check', { simple: true }), 'ok')
  db.close()

  const same = databaseOf(directory, `${table} INSERT INTO accounts VALUES (9, 'z')`, '3')
  const other = databaseOf(directory, 'CREATE TABLE accounts (id TEXT PRIMARY KEY)', '4')
  for (const [i, [file, message]] of [
    [same, /rows of group 2 do not fit.*UNIQUE constraint/] as const,
    [other, /accounts is another in group 2/] as const
  ].entries()) {
    const fresh = databaseOf(directory, '', `into-${i}.db`)
    const parts = [
      { group: 1 as GroupId, file: one },
      { group: 2 as GroupId, file }
    ]
    t.throws(() => mergeSpread(fresh, parts, spread), { code: 'ERR_SKEIN_EXPORT_REFUSED', message })
  }
})
