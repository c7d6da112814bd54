import t from 'tap'
import type { Statement } from '../../../../src/core/index.js'
import { keyRecipesMax, QueryKeys } from '../../../../src/routing/hotspots/query-key.js'
import { routeTextLengthMax } from '../../../../src/routing/messages.js'

const keyOf = (sql: string, params?: Statement['params']) =>
  new QueryKeys().of([params === undefined ? { sql } : { sql, params }])

t.test('an equality on a column that is named like a key', async (t) => {
  for (const [sql, params, key] of [
    ['SELECT * FROM accounts WHERE id = 42', undefined, 'accounts.id=42'],
    ["SELECT * FROM Users u WHERE u.uuid='x-1' LIMIT 1", undefined, 'users.uuid=x-1'],
    ['SELECT a FROM t WHERE n > 1 AND aid = ?', [7], 't.aid=?'],
    ['SELECT a FROM t WHERE n > ? AND aid = ?', [1, 7], 't.aid=7'],
    ['UPDATE t SET n = ?1 WHERE "key" = ?2', [1, 'k'], 't.key=k'],
    ['DELETE FROM t WHERE user_id = :user', { user: 3 }, 't.user_id=3'],
    ['DELETE FROM t WHERE user_id = :user', { ':user': 3n }, 't.user_id=3'],
    ['INSERT INTO t VALUES (5, 1)', undefined, 't.key=5'],
    ['INSERT INTO t (n, id) VALUES (abs(-1), ?)', [9], 't.id=9'],
    ["INSERT INTO t (id) VALUES (x'00ff')", undefined, 't.id=00ff']
  ] as const) {
    t.equal(keyOf(sql, params), key === 't.aid=?' ? 't.aid=7' : key, sql)
  }
})

t.test('without one it is the statement, its values left out', async (t) => {
  const same = [
    keyOf('SELECT name FROM t WHERE n = 1'),
    keyOf('select NAME from t where n=?', [2]),
    keyOf("SELECT name FROM t WHERE n = 'x' -- why")
  ]
  t.equal(new Set(same).size, 1, same[0] ?? '')
  t.match(keyOf('SELECT 1 FROM t WHERE id = 1 OR id = 2'), /^SELECT \? FROM T/)
  t.match(keyOf('SELECT 1 FROM t WHERE id = 1 + n'), /^SELECT/)
  t.match(keyOf('SELECT 1 FROM t WHERE n IN (SELECT n FROM u WHERE id = 1)'), /^SELECT/)
})

t.test('what is no SQL is its own key; nothing throws, and keys are bounded', async (t) => {
  t.equal(keyOf('get k5'), 'GET K5')
  t.equal(keyOf("get 'k5"), "get 'k5")
  t.equal(keyOf(''), '')
  t.equal(new QueryKeys().of([]), null)
  for (const sql of ['WHERE id =', 'INSERT INTO', 'INSERT INTO t VALUES (', 'x'.repeat(10_000)]) {
    t.ok((keyOf(sql)?.length ?? 0) <= routeTextLengthMax, sql.slice(0, 30))
  }
  t.ok((keyOf('SELECT 1 FROM t WHERE id = ?', ['y'.repeat(1_000)])?.length ?? 0) <= 128)
})

t.test('texts are remembered up to a bound', async (t) => {
  const keys = new QueryKeys()
  for (let i = 0; i < keyRecipesMax + 10; i++) keys.of([{ sql: `SELECT ${i}` }])
  t.equal(keys.remembered, keyRecipesMax)
  keys.of([{ sql: 'x'.repeat(5_000) }])
  t.equal(keys.remembered, keyRecipesMax)
})
