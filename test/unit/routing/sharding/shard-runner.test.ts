import t from 'tap'
import {
  CONTROL_GROUP,
  type GroupId,
  hasCode,
  type LogIndex,
  type NodeId,
  NotLeaderError,
  resultSizeBytesMax,
  type StatementResult
} from '../../../../src/core/index.js'
import type { QueryPlan } from '../../../../src/routing/query-plan.js'
import { toldShards } from '../../../../src/routing/sharding/shard-map.js'
import { ShardRunnerDriver } from '../../../../src/routing/sharding/shard-runner-driver.js'

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
  const knownGroups = () => [0, 1, 2, CONTROL_GROUP] as GroupId[]
  const runner = new ShardRunnerDriver({ knownGroups }, { nodeId: 'a' as NodeId })
  runner.learn(1, tables)
  let failing = -1
  const runOne = async ({ group }: QueryPlan) => {
    asked.push(group)
    if (group === failing) throw new NotLeaderError('elsewhere')
    const result: StatementResult = {
      columns: ['n'],
      rows: [[text ?? group]],
      rowsAffected: 0,
      lastInsertRowid: null
    }
    return { results: [result], index: 7 as LogIndex, node: 'b' as NodeId }
  }
  const run = (sql: string, atLeastIndex = 0) => {
    const plan: QueryPlan = {
      group: 0 as GroupId,
      kind: 'read',
      consistency: 'linearizable',
      statements: [{ sql }],
      key: null,
      session: null,
      sizeBytes: sql.length
    }
    const shards = runner.plan(plan, undefined)
    return runner.run(plan, shards, atLeastIndex as LogIndex, runOne)
  }
  const fail = (group: number) => {
    failing = group
  }
  return { asked, runner, run, fail }
}

t.test('parts of several groups become one answer, of no one index', async (t) => {
  const { asked, run } = world()
  const answered = await run('SELECT sum(n) FROM accounts')
  t.match(answered, { results: [{ columns: ['n'], rows: [[3]] }], index: 0, node: 'a' })
  t.same(asked, [1, 2])
  await t.rejects(run('SELECT n FROM accounts', 5), { message: /atLeastIndex/ })
})

t.test('a change of the schema goes on group after group, and says how far it came', async (t) => {
  const { asked, run, fail } = world()
  await run('CREATE TABLE accounts (id)')
  await run('DROP INDEX IF EXISTS i')
  t.same(asked.splice(0), [1, 2, 0, 1, 2], 'an index may be anywhere but in the control group')
  fail(1)
  await t.rejects(run('DROP TABLE accounts'), { code: 'ERR_SKEIN_NOT_LEADER' })
  t.same(asked.splice(0), [1], 'nothing was changed')
  fail(2)
  const error = await run('DROP TABLE accounts').catch((thrown: unknown) => thrown)
  t.ok(hasCode(error, 'ERR_SKEIN_SQL'))
  t.match(error, {
    message: /done in groups 1, not in 2/,
    details: { doneIn: ['1'], failedIn: 2, code: 'ERR_SKEIN_NOT_LEADER' }
  })
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
