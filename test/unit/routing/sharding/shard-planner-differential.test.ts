import Database from 'better-sqlite3'
import fc from 'fast-check'
import t from 'tap'
import type { GroupId, SqlValue, StatementResult } from '../../../../src/core/index.js'
import { hasCode } from '../../../../src/core/index.js'
import { merged } from '../../../../src/routing/sharding/merge.js'
import { shardHashOf } from '../../../../src/routing/sharding/shard-hash.js'
import { groupOf, ShardMap } from '../../../../src/routing/sharding/shard-map.js'
import { ShardPlanner } from '../../../../src/routing/sharding/shard-planner.js'

/** Each group's database, and one that has all rows: they answer and become the same. */
const groups = [0, 1, 2, 3] as const
const accounts = {
  table: 'accounts',
  shardKey: 'id',
  ranges: groups.map((group) => ({ from: group * 2 ** 30, group: group as GroupId }))
}
const map = new ShardMap(1, [accounts])
const rowsCount = 24
const schema = 'CREATE TABLE accounts (id INTEGER PRIMARY KEY, x, balance)'

const value = fc.constantFrom(
  '5',
  "'5'",
  '05',
  '5.0',
  '-1',
  '7',
  "x'35'",
  '0x7',
  ':p',
  "'it''s'",
  'x'
)
const name = fc.constantFrom('id', 'ID', '"id"', 'accounts.id', '[id]', 'x', 'balance')
const simple = fc.oneof(
  fc
    .tuple(name, fc.constantFrom(' = ', '=', ' == ', ' > ', ' <> ', ' IS '), value)
    .map((parts) => parts.join('')),
  fc.tuple(value, fc.constantFrom(' = '), name).map((parts) => parts.join('')),
  fc.constantFrom(
    '1',
    'x BETWEEN 1 AND id = 5',
    'x IN (1, 2)',
    'id = 5 + 2',
    'NOT id = 5',
    "x LIKE 'a' ESCAPE '!'"
  ),
  fc.constantFrom('CASE WHEN 1 THEN 1 AND id = 5 END', 'id = 7 IS TRUE', 'id = 5 COLLATE BINARY')
)
const condition = fc.letrec<{ whole: string }>((tie) => ({
  whole: fc.oneof(
    { weight: 4, arbitrary: simple },
    fc
      .tuple(tie('whole'), fc.constantFrom(' AND ', ' AND ', ' OR '), tie('whole'))
      .map((parts) => parts.join('')),
    tie('whole').map((inner) => `(${inner})`),
    tie('whole').map((inner) => `NOT ${inner}`)
  )
})).whole
const space = fc.constantFrom('', ' ', ' -- id = 9\n', ' /* OR */ ')
const where = fc.oneof(
  { weight: 1, arbitrary: fc.constant('') },
  {
    weight: 6,
    arbitrary: fc.tuple(space, condition).map(([filler, is]) => `${filler} WHERE ${is}`)
  }
)
const statement = fc.oneof(
  where.map((is) => `SELECT id, balance FROM accounts${is}`),
  where.map(
    (is) => `SELECT count(*), sum(balance), min(balance), max(x), total(x) FROM accounts${is}`
  ),
  where.map((is) => `UPDATE accounts SET balance = balance + 1${is}`),
  where.map((is) => `DELETE FROM accounts${is}`),
  fc
    .tuple(value, value)
    .map(([id, x]) => `INSERT OR IGNORE INTO accounts (x, id) VALUES (${x}, ${id})`),
  value.map((id) => `REPLACE INTO accounts (id, balance) VALUES (${id}, 0)`)
)

function world() {
  const whole = new Database(':memory:')
  const parts = groups.map(() => new Database(':memory:'))
  for (const db of [whole, ...parts]) db.exec(schema)
  for (let id = -2; id < rowsCount; id++) {
    const group = groupOf(accounts, shardHashOf(id) as number)
    const x = [null, id % 3, `${id}`, 'a'][Math.abs(id) % 4]
    for (const db of [whole, parts[group] as Database.Database]) {
      db.prepare('INSERT INTO accounts VALUES (?, ?, ?)').run(id, x, id * 10)
    }
  }
  return { whole, parts, close: () => [whole, ...parts].map((db) => db.close()) }
}

function ask(db: Database.Database, sql: string): StatementResult | string {
  try {
    const prepared = db.prepare(sql)
    const params = sql.includes(':p') && !/'[^']*:p/.test(sql) ? [{ p: 5 }] : []
    if (!prepared.reader) {
      prepared.run(...params)
      return { columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null }
    }
    const rows = prepared.raw().all(...params) as SqlValue[][]
    return { columns: [], rows, rowsAffected: 0, lastInsertRowid: null }
  } catch (error) {
    return (error as Error).message
  }
}

const sorted = (answer: StatementResult | string) =>
  typeof answer === 'string' ? answer : answer.rows.map((row) => JSON.stringify(row)).sort()

t.test(
  'what goes to one group answers and changes what one database with all rows would',
  async (t) => {
    const counts = { one: 0, scattered: 0, refused: 0 }
    const planner = new ShardPlanner()
    fc.assert(
      fc.property(statement, (sql) => {
        const { whole, parts, close } = world()
        try {
          const plan = planner.plan(map, [{ sql, params: { p: 5 } }])
          const expected = ask(whole, sql)
          if (typeof expected === 'string') return true
          if (plan.kind === 'one') {
            counts.one++
            t.same(sorted(ask(parts[plan.group] as Database.Database, sql)), sorted(expected), sql)
          } else if (plan.kind === 'scattered') {
            counts.scattered++
            const answers = plan.groups.map((group) => ask(parts[group] as Database.Database, sql))
            t.same(sorted(merged(plan.merge, answers as StatementResult[])), sorted(expected), sql)
          }
          const all = 'SELECT * FROM accounts'
          const left = parts.flatMap((db) => sorted(ask(db, all)))
          return t.same(left.sort(), sorted(ask(whole, all)), sql)
        } catch (error) {
          if (!hasCode(error, 'ERR_SKEIN_SHARD_KEY_REQUIRED')) throw error
          counts.refused++
          return true
        } finally {
          close()
        }
      }),
      { numRuns: 800, seed: 20261129 }
    )
    t.comment(JSON.stringify(counts))
    for (const count of Object.values(counts)) t.ok(count > 50, JSON.stringify(counts))
  }
)
