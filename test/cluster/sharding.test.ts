/** A table that is spread over three groups of real processes, by `skein placement shard`. */
import t from 'tap'
import { SkeinClient } from '../../lib/client.js'
import type { QueryAnswer } from '../../src/cli/query-answer.js'
import {
  CONTROL_GROUP,
  must,
  type PlacementView,
  type SchemaChangeView
} from '../../src/core/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

const rows = 60
const sum = (rows * (rows + 1)) / 2

const cluster = await ProcessCluster.start(t, 3, { cluster: { groups: 4 } })
const [first, second, third] = cluster.ids as [string, string, string]
await cluster.leader()
await until('every group is placed', 60_000, async () => {
  const outcome = await cluster.admin(first).get('/v1/placement', 5_000)
  return outcome.kind === 'answer' && (outcome.body as PlacementView).groups.length === 4
})

const command = (id: string, ...args: string[]) =>
  skein(
    ...args,
    ...['--admin', cluster.node(id).options.admin],
    ...['--token-file', cluster.workspace.authority.tokenFile]
  )

const client = () =>
  SkeinClient.connect({
    ...cluster.workspace.clientAccess,
    addresses: [cluster.node(first).options.address],
    timeoutMs: 20_000
  })

t.test('a table is spread before it is made, and its rows go to their groups', async (t) => {
  const asked = await command(first, 'placement', 'shard', 'Accounts', '--by', 'id', '--json')
  t.equal(asked.status, 0, asked.stderr)
  t.match(JSON.parse(asked.stdout), {
    tables: [
      { table: 'accounts', shardKey: 'id', ranges: [{ group: 1 }, { group: 2 }, { group: 3 }] }
    ]
  })
  t.match(await command(first, 'placement', 'shard', 'accounts', '--by', 'owner'), {
    status: 1,
    stderr: /ERR_SKEIN_CHANGE_REFUSED.*rows would have to move/
  })
  for (const id of cluster.ids) {
    await until(`${id} knows where the table is`, 20_000, async () => {
      const { kind } = await cluster.query(id, 'SELECT max(x) FROM accounts ORDER BY 1')
      const outcome = await cluster.query(id, 'SELECT * FROM accounts ORDER BY 1')
      return kind === 'refused' && JSON.stringify(outcome).includes('SHARD_KEY_REQUIRED')
    })
  }
  await cluster.run(first, 'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)')
  await cluster.run(second, 'CREATE TABLE words (word TEXT PRIMARY KEY)')
  const groups = new Set<number>()
  for (let id = 1; id <= rows; id++) {
    const node = must(cluster.ids[id % 3], 'a node')
    const sql = `INSERT INTO accounts (id, balance) VALUES (${id}, ${id})`
    groups.add((await cluster.run(node, sql)).group)
  }
  t.same([...groups].sort(), [1, 2, 3], 'all three have rows')
  t.equal((await cluster.run(third, "INSERT INTO words VALUES ('accounts')")).group, 0)
  for (const id of cluster.ids) {
    const { rows: told } = await cluster.run(id, 'SELECT count(*), sum(balance) FROM accounts')
    t.same(told, [[rows, sum]], `${id} puts the parts together`)
  }
  const one = await cluster.run(second, "SELECT balance FROM accounts WHERE id = '7'")
  t.same(one.rows, [[7]])
})

t.test('what does not tell its group is refused, unless its caller says', async (t) => {
  t.match(await cluster.query(first, 'DELETE FROM accounts WHERE id > 3'), {
    kind: 'refused',
    error: { code: 'ERR_SKEIN_SHARD_KEY_REQUIRED' }
  })
  const said = await command(
    third,
    'query',
    'SELECT count(*) FROM accounts WHERE id IN (5, 5)',
    '--shard-key',
    '5',
    '--json'
  )
  t.same((JSON.parse(said.stdout) as QueryAnswer).rows, [[1]], said.stderr)
})

const changes = async (id: string): Promise<readonly SchemaChangeView[]> => {
  const told = await command(id, 'placement', 'changes', '--json')
  t.equal(told.status, 0, told.stderr)
  return JSON.parse(told.stdout).changes
}

t.test('a change of the schema is made in every group, and is told of', async (t) => {
  const asking = await client()
  t.teardown(() => asking.close())
  await asking.query('ALTER TABLE accounts ADD COLUMN note')
  t.same((await asking.query('SELECT count(note) FROM accounts')).rows, [[0]])
  t.match((await changes(second)).at(-1), { table: 'accounts', status: 'done', doneIn: [1, 2, 3] })
  const again = asking.query('ALTER TABLE accounts ADD COLUMN note')
  await t.rejects(again, { code: 'ERR_SKEIN_SQL', message: /duplicate column name: note/ })
  t.match((await changes(third)).at(-1), { status: 'refused', doneIn: [], code: 'ERR_SKEIN_SQL' })
  const session = await asking.openSession({ settings: { read_only: 'on' } })
  const readOnly = session.query('CREATE INDEX by_note ON accounts (note)')
  await t.rejects(readOnly, { code: 'ERR_SKEIN_SQL_REFUSED' })
  await session.set('read_only', 'off')
  await session.query('CREATE INDEX by_note ON accounts (note)')
  await session.close()
  t.match((await changes(first)).at(-1), { status: 'done', doneIn: [1, 2, 3] })
})

t.test('a change of the schema outlives who carries it out', async (t) => {
  const asking = await client()
  t.teardown(() => asking.close())
  const view = await cluster.view(first)
  const control = view.groups.find(({ group }) => group === CONTROL_GROUP)
  const leader = must(control?.leader, 'leader of the control group')
  const changed = asking.query('ALTER TABLE accounts ADD COLUMN remark')
  await cluster.kill(leader)
  await changed
  t.same((await asking.query('SELECT count(remark) FROM accounts')).rows, [[0]])
  const [other] = cluster.others(leader) as [string]
  t.match((await changes(other)).at(-1), { status: 'done', doneIn: [1, 2, 3] })
  await cluster.node(leader).start()
})

t.test('a client finds the groups itself, and goes on when a leader of one dies', async (t) => {
  const asking = await client()
  t.teardown(() => asking.close())
  const read = async () => (await asking.query('SELECT sum(balance) FROM accounts')).rows
  t.same(await read(), [[sum]])
  const { group } = await asking.query('UPDATE accounts SET balance = 8 WHERE id = ?', [7])
  const view = await cluster.view(first)
  const leader = must(view.groups.find((one) => one.group === group)?.leader, 'leader')
  await cluster.kill(leader)
  for (let id = 1; id <= rows; id++) {
    const changed = await asking.query('UPDATE accounts SET balance = balance + 1 WHERE id = ?', [
      id
    ])
    t.equal(changed.rowsAffected, 1)
  }
  t.same(await read(), [[sum + 1 + rows]], 'its own writes, each once')
})
