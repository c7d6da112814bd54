import t from 'tap'
import {
  type GroupId,
  type LogIndex,
  type MonotonicMs,
  type NodeId,
  resultSizeBytesMax,
  SplittableRandom,
  type Statement,
  type StatementResult
} from '../../../../src/core/index.js'
import { schemaTextBytesMax } from '../../../../src/core/limits.js'
import type { QueryPlan } from '../../../../src/routing/query-plan.js'
import { toldShards } from '../../../../src/routing/sharding/shard-map.js'
import {
  type ChangeSchema,
  ShardRunnerDriver
} from '../../../../src/routing/sharding/shard-runner-driver.js'

const tables = [
  {
    table: 'accounts',
    shardKey: 'id',
    ranges: [
      { from: 0, group: 1 as GroupId },
      { from: 2 ** 31, group: 2 as GroupId }
    ]
  }
]

function world(text?: string) {
  const asked: number[] = []
  const changes: { readonly id: string; readonly table: string | null; readonly sql: string }[] = []
  const changeSchema: ChangeSchema = async ({ deadline, ...change }) => {
    t.equal(deadline, 99)
    changes.push(change)
  }
  const random = SplittableRandom.fromSeed(1)
  const runner = new ShardRunnerDriver({ changeSchema, random }, { nodeId: 'a' as NodeId })
  runner.learn(1, tables)
  const runOne = async ({ group }: QueryPlan) => {
    asked.push(group)
    const result: StatementResult = {
      columns: ['n'],
      rows: [[text ?? group]],
      rowsAffected: 0,
      lastInsertRowid: null
    }
    return { results: [result], index: 7 as LogIndex, node: 'b' as NodeId }
  }
  const run = (sql: string, atLeastIndex = 0, params?: Statement['params']) => {
    const plan: QueryPlan = {
      group: 0 as GroupId,
      kind: 'read',
      consistency: 'linearizable',
      statements: [params === undefined ? { sql } : { sql, params }],
      key: null,
      session: null,
      maxStalenessMs: null,
      sizeBytes: sql.length
    }
    const shards = runner.plan(plan, undefined)
    const asked = { atLeastIndex: atLeastIndex as LogIndex, deadline: 99 as MonotonicMs }
    return runner.run(plan, shards, asked, runOne)
  }
  return { asked, changes, runner, run }
}

t.test('parts of several groups become one answer, of no one index', async (t) => {
  const { asked, run } = world()
  const answered = await run('SELECT sum(n) FROM accounts')
  t.match(answered, { results: [{ columns: ['n'], rows: [[3]] }], index: 0, node: 'a' })
  t.same(asked, [1, 2])
  await t.rejects(run('SELECT n FROM accounts', 5), { message: /atLeastIndex/ })
})

t.test('a change of the schema is one plan, with an id of its own', async (t) => {
  const { asked, changes, run } = world()
  t.match(await run('CREATE TABLE Accounts (id)'), { results: [{ rows: [] }], index: 0, node: 'a' })
  await run('DROP INDEX IF EXISTS i', 0, [])
  t.same(asked, [], 'no group is asked by this node')
  t.match(changes, [
    { table: 'accounts', sql: 'CREATE TABLE Accounts (id)' },
    { table: null, sql: 'DROP INDEX IF EXISTS i' }
  ])
  t.ok(changes.every(({ id }) => /^[0-9a-f]{32}$/.test(id)))
  t.not(changes[0]?.id, changes[1]?.id)
  const refused = { code: 'ERR_SKEIN_SQL_REFUSED' }
  await t.rejects(run('CREATE TABLE accounts (id DEFAULT ?)', 0, [1]), refused)
  const long = `CREATE TABLE accounts (id /* ${'x'.repeat(schemaTextBytesMax)} */)`
  await t.rejects(run(long), { code: 'ERR_SKEIN_INVALID_ARGUMENT' })
  t.equal(changes.length, 2)
})

t.test('an older map than the known one is not taken', async (t) => {
  const { runner } = world()
  t.equal(runner.learn(1, []), false)
  t.equal(runner.map.isEmpty, false)
  t.equal(runner.learn(2, []), true)
  t.equal(runner.map.isEmpty, true)
  const told = { version: 2, tables: [] }
  t.same(toldShards(runner.map), told, 'that nothing is spread any more is news for others too')
})

t.test('parts that fit alone and are too large together are refused', async (t) => {
  const { run } = world('x'.repeat(resultSizeBytesMax / 2))
  await t.rejects(run('SELECT n FROM accounts'), { code: 'ERR_SKEIN_RESULT_TOO_LARGE' })
})
