import t from 'tap'
import type { GroupId, SqlValue, Statement } from '../../../../src/core/index.js'
import { shardHashOf } from '../../../../src/routing/sharding/shard-hash.js'
import {
  groupOf,
  type ShardedTable,
  ShardMap,
  unsharded
} from '../../../../src/routing/sharding/shard-map.js'
import {
  ShardPlanner,
  shapedTextLengthMax,
  statementShapesMax
} from '../../../../src/routing/sharding/shard-planner.js'

const quarter = 2 ** 30
const accounts: ShardedTable = {
  table: 'Accounts',
  shardKey: 'id',
  ranges: [0, 1, 2, 3].map((i) => ({ from: i * quarter, group: i as GroupId }))
}
const visits: ShardedTable = {
  table: 'visits',
  shardKey: 'account',
  ranges: [
    { from: 0, group: 1 as GroupId },
    { from: 2 ** 31, group: 2 as GroupId }
  ]
}
const map = new ShardMap(1, [accounts, visits])
const groupFor = (value: SqlValue, table = accounts) => groupOf(table, shardHashOf(value) as number)

const plan = (sql: string, params?: Statement['params'], shardKey?: SqlValue) =>
  new ShardPlanner().plan(map, [params === undefined ? { sql } : { sql, params }], shardKey)

const one = (group: number) => ({ kind: 'one', group })

t.test('without sharded tables nothing is looked at', async (t) => {
  const planner = new ShardPlanner()
  t.same(planner.plan(unsharded, [{ sql: "not ' SQL" }]), one(0))
  t.equal(planner.remembered, 0)
  t.same(plan('SELECT * FROM branches JOIN tellers'), one(0))
  t.same(plan("INSERT INTO words VALUES ('accounts')"), one(0), 'a text is no name there')
})

t.test('a row is found by its key, however it is written', async (t) => {
  const group = groupFor(42)
  t.not(group, groupFor(43), 'or the following says nothing')
  const params: readonly (readonly [string, Statement['params']])[] = [
    ['SELECT * FROM accounts WHERE id = 42', undefined],
    ['select balance from ACCOUNTS as a where a.id == 42 and balance > 3 limit 5', undefined],
    ['SELECT * FROM main."accounts" WHERE main.accounts.[id]=\'42\' ORDER BY a, b', undefined],
    ['SELECT max(a, b) FROM accounts WHERE x IN (1, 2) AND `ID` = 42.0 AND 1', undefined],
    ['UPDATE accounts SET balance = balance + ?, id2 = 7 WHERE id = ?', [1, 42]],
    ['UPDATE accounts SET balance = ?2 WHERE id = ?1 RETURNING *', [42, 1]],
    ['UPDATE accounts SET balance = ?2 WHERE name = :n AND id = ?', [1, 2, 3, 42]],
    ['DELETE FROM accounts WHERE x BETWEEN 1 AND 2 AND id = $id', { id: 42 }],
    ['DELETE FROM accounts WHERE id = :id', { ':id': 42n }],
    ['INSERT INTO accounts (balance, id) VALUES (1 + (2 * 3), 42)', undefined],
    ['INSERT OR IGNORE INTO accounts (id, balance) VALUES (?, ?), (42, 0)', ['42', 5]],
    [
      'INSERT INTO accounts (id, b) VALUES (42, 1) ON CONFLICT (id) DO UPDATE SET b = excluded.b',
      undefined
    ],
    ['EXPLAIN QUERY PLAN SELECT * FROM accounts WHERE id = 0x2a', undefined],
    ['REPLACE INTO accounts(id) VALUES(:id);', { $id: 42 }]
  ]
  for (const [sql, given] of params) {
    t.same(plan(sql, given), one(group), sql)
  }
})

t.test('what need not hold for every row is no key', async (t) => {
  const conditions = [
    'id = 42 OR 1',
    'NOT id = 42',
    'x BETWEEN 1 AND id = 42',
    'CASE WHEN 1 THEN 1 AND id = 42 END',
    '(id = 42)',
    'id = 42 + 1',
    'id = 42 IS NOT NULL',
    'id = 42 COLLATE NOCASE',
    'id > 42',
    'id = NULL',
    'id = other',
    'id = 1_000',
    'x = id = 42',
    'id IN (42)',
    'idé = 42',
    "'id' = 42",
    'id = ? + 1'
  ]
  for (const condition of conditions) {
    const sql = `DELETE FROM accounts WHERE ${condition}`
    t.throws(() => plan(sql, [42]), { code: 'ERR_SKEIN_SHARD_KEY_REQUIRED' }, condition)
    t.same(plan(sql, [42], 42), one(groupFor(42)), 'unless its caller says so')
  }
  for (const sql of [
    'DELETE FROM accounts',
    'INSERT INTO accounts VALUES (42, 0)',
    'INSERT INTO accounts DEFAULT VALUES',
    'INSERT INTO accounts (balance) VALUES (42)',
    'INSERT INTO accounts (id) SELECT 42',
    'INSERT INTO accounts (id) VALUES (abs(42))',
    'WITH a AS (VALUES (1)) DELETE FROM accounts WHERE id = 42',
    'DELETE FROM accounts WHERE id = 42 AND 0 < (SELECT count(*) FROM accounts)',
    'UPDATE accounts SET b = o.b FROM others o WHERE id = 42',
    'SELECT * FROM accounts JOIN branches WHERE id = 42',
    "SELECT * FROM branches, 'accounts' WHERE id = 42",
    'SELECT * FROM accounts WHERE id = 42 UNION SELECT * FROM accounts WHERE id = 43',
    'SELECT * FROM accounts, visits WHERE id = 42'
  ]) {
    t.throws(() => plan(sql), { code: 'ERR_SKEIN_SHARD_KEY_REQUIRED' }, sql)
    t.same(plan(sql, undefined, '42'), one(groupFor(42)))
  }
  t.throws(() => plan('DELETE FROM accounts WHERE id = ?', []), /parameter is not given/)
  t.throws(() => plan('DELETE FROM accounts WHERE id = ?', [null]), /NULL is no shard key/)
  t.throws(() => plan('DELETE FROM accounts', undefined, null), /NULL is no shard key/)
})

t.test('the caller’s key and the statement’s own are the same', async (t) => {
  t.same(plan('DELETE FROM accounts WHERE id = 42', undefined, 42), one(groupFor(42)))
  t.throws(() => plan('DELETE FROM accounts WHERE id = 42', undefined, 43), {
    code: 'ERR_SKEIN_INVALID_ARGUMENT',
    message: /shardKey/
  })
})

t.test('a read without a key asks every group, where parts make the whole', async (t) => {
  const groups = [0, 1, 2, 3]
  const rows = { kind: 'scattered', groups, merge: { kind: 'rows' } }
  t.same(plan('SELECT id, min(a, b) FROM accounts WHERE balance < 0'), rows)
  t.same(plan('SELECT count(*) AS n, sum(balance), MIN(id) least, max(id) FROM accounts'), {
    kind: 'scattered',
    groups,
    merge: { kind: 'aggregates', columns: ['count', 'sum', 'min', 'max'] }
  })
  t.same(plan('SELECT * FROM visits'), {
    kind: 'scattered',
    groups: [1, 2],
    merge: { kind: 'rows' }
  })
  for (const sql of [
    'SELECT * FROM accounts ORDER BY id',
    'SELECT * FROM accounts LIMIT 1',
    'SELECT DISTINCT owner FROM accounts',
    'SELECT owner, count(*) FROM accounts GROUP BY owner',
    'SELECT avg(balance) FROM accounts',
    'SELECT id, count(*) FROM accounts',
    'SELECT 1 + count(*) FROM accounts',
    'SELECT sum(balance) OVER () FROM accounts',
    'SELECT count(*) FILTER (WHERE balance > 0) FROM accounts'
  ]) {
    t.throws(() => plan(sql), { code: 'ERR_SKEIN_SHARD_KEY_REQUIRED' }, sql)
  }
})

t.test('a list goes to one group, or is told apart by groups', async (t) => {
  const [a, b] = [groupFor(42), groupFor(43)]
  const move = (id: number) => ({ sql: 'UPDATE accounts SET b = b + 1 WHERE id = ?', params: [id] })
  const planner = new ShardPlanner()
  t.same(planner.plan(map, [move(42), move(42)]), one(a))
  const log = { sql: 'INSERT INTO log VALUES (1)' }
  const parts = new Map([[a, [0, 2]]])
  parts.set(b, [...(parts.get(b) ?? []), 1])
  parts.set(0 as GroupId, [...(parts.get(0 as GroupId) ?? []), 3])
  const expected = [...parts].sort(([x], [y]) => x - y)
  t.same(planner.plan(map, [move(42), move(43), move(42), log]), {
    kind: 'several',
    parts: expected.map(([group, statements]) => ({ group, statements }))
  })
  t.throws(() => planner.plan(map, [move(42), { sql: 'SELECT * FROM accounts' }]), /sent alone/)
  t.throws(() => planner.plan(map, [move(42), { sql: 'DROP TABLE accounts' }]), /sent alone/)
  const twoRows = 'INSERT INTO accounts (id) VALUES (42), (43)'
  t.throws(() => plan(twoRows), /several groups; send a statement for each row/)
})

t.test('a change of the schema is made in each group, or refused', async (t) => {
  const everywhere = { kind: 'definition', table: 'accounts', groups: [0, 1, 2, 3] }
  t.same(plan('CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance)'), everywhere)
  t.same(plan('CREATE INDEX IF NOT EXISTS by_balance ON accounts (balance)'), everywhere)
  t.same(plan('CREATE UNIQUE INDEX one ON accounts (owner, id)'), everywhere)
  t.same(plan('DROP TABLE IF EXISTS accounts'), everywhere)
  t.same(plan('ALTER TABLE accounts ADD COLUMN note'), everywhere)
  t.same(plan('ALTER TABLE accounts RENAME COLUMN note TO remark'), everywhere)
  const ofAll = { kind: 'definition', table: null, groups: null }
  t.same(plan('DROP INDEX IF EXISTS by_balance'), ofAll)
  t.same(plan('CREATE TABLE branches (accounts INTEGER)'), one(0))
  t.same(plan('PRAGMA table_info(accounts)'), one(0))
  t.same(plan('PRAGMA table_info(visits)'), one(1))
  for (const [sql, why] of [
    ['CREATE TABLE accounts (number INTEGER)', /no column id/],
    ['CREATE TABLE accounts (id TEXT COLLATE NOCASE)', /compares by its bytes/],
    ['CREATE TABLE accounts (id REFERENCES owners)', /foreign key/],
    ['CREATE TABLE accounts AS SELECT 1 AS id', /AS SELECT/],
    ['CREATE TABLE archive AS SELECT * FROM accounts', /not in one group/],
    ['CREATE VIEW rich AS SELECT * FROM accounts', /view over Accounts/],
    ['CREATE TRIGGER g AFTER INSERT ON accounts BEGIN SELECT 1; END', /trigger over Accounts/],
    ['CREATE UNIQUE INDEX one ON accounts (owner)', /needs id/],
    ['ALTER TABLE accounts RENAME TO others', /stays/],
    ['ALTER TABLE accounts DROP COLUMN id', /stays/],
    ['DROP INDEX by_balance', /IF EXISTS/],
    ['UPDATE accounts SET id = 43 WHERE id = 42', /does not move/],
    ['UPDATE accounts SET (a, id) = (1, 2) WHERE id = 42', /does not move/],
    ['INSERT INTO accounts (id) VALUES (42) ON CONFLICT DO UPDATE SET id = 43', /may not move/],
    ['DELETE FROM accounts\0 WHERE id = 42', /NUL/]
  ] as const) {
    t.throws(() => plan(sql), { code: 'ERR_SKEIN_SQL_REFUSED', message: why }, sql)
  }
})

t.test('what was worked out is remembered within bounds, and for one version', async (t) => {
  const planner = new ShardPlanner()
  const ask = (sql: string, at = map) => planner.plan(at, [{ sql }])
  for (let i = 0; i < statementShapesMax + 10; i++) ask(`SELECT * FROM accounts WHERE id = ${i}`)
  t.equal(planner.remembered, statementShapesMax)
  ask(`SELECT * FROM accounts WHERE id = 1 -- ${'x'.repeat(shapedTextLengthMax)}`)
  t.equal(planner.remembered, statementShapesMax, 'a long one is not')
  const moved = new ShardMap(2, [{ ...accounts, ranges: [{ from: 0, group: 9 as GroupId }] }])
  t.same(ask('SELECT * FROM accounts WHERE id = 42', moved), one(9))
  t.same(ask('SELECT * FROM accounts', moved), one(9), 'one group is no several')
  t.equal(planner.remembered, 2)
})

t.test('where all of a table is in one group, a read of it needs no key of its own', async (t) => {
  const together = new ShardMap(1, [{ ...accounts, ranges: [{ from: 0, group: 7 as GroupId }] }])
  const planner = new ShardPlanner()
  t.same(planner.plan(together, [{ sql: 'SELECT id FROM accounts' }]), one(7))
  t.throws(() => planner.plan(together, [{ sql: 'SELECT id FROM accounts ORDER BY 1' }]), {
    code: 'ERR_SKEIN_SHARD_KEY_REQUIRED'
  })
})
