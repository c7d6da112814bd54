/** Transfers over groups of real processes, through `SkeinClient`, while a leader is killed. */
import t from 'tap'
import { SkeinClient } from '../../lib/client.js'
import { must, type PlacementView } from '../../src/core/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

const accounts = 24
const start = 1_000
const total = accounts * start

const cluster = await ProcessCluster.start(t, 3, { cluster: { groups: 4 } })
const [first, second] = cluster.ids as [string, string, string]
await cluster.leader()
await until('every group is placed', 60_000, async () => {
  const outcome = await cluster.admin(first).get('/v1/placement', 5_000)
  return outcome.kind === 'answer' && (outcome.body as PlacementView).groups.length === 4
})

const connect = (id: string) =>
  SkeinClient.connect({
    ...cluster.workspace.clientAccess,
    addresses: [cluster.node(id).options.address],
    timeoutMs: 20_000
  })

const transfer = (from: number, to: number, amount: number) => [
  {
    sql: 'UPDATE accounts SET balance = balance - ? WHERE id = ? RETURNING balance',
    params: [amount, from]
  },
  { sql: 'UPDATE accounts SET balance = balance + ? WHERE id = ?', params: [amount, to] }
]

const everyBalance = Array.from({ length: accounts }, (_, id) => ({
  sql: 'SELECT balance FROM accounts WHERE id = ?',
  params: [id]
}))

/** One transaction over all groups, so it sees each transfer whole or not at all. */
async function sumOf(client: SkeinClient): Promise<number> {
  const results = await client.execute(everyBalance)
  return results.reduce((sum, { rows }) => sum + Number(rows[0]?.[0]), 0)
}

t.before(async () => {
  const sharded = await skein(
    ...['placement', 'shard', 'accounts', '--by', 'id', '--json'],
    ...['--admin', cluster.node(first).options.admin],
    ...['--token-file', cluster.workspace.authority.tokenFile]
  )
  t.equal(sharded.status, 0, sharded.stderr)
  for (const id of cluster.ids) {
    await until(`${id} knows where the table is`, 20_000, async () => {
      const outcome = await cluster.query(id, 'SELECT * FROM accounts ORDER BY 1')
      return JSON.stringify(outcome).includes('SHARD_KEY_REQUIRED')
    })
  }
  await cluster.run(
    first,
    'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER CHECK (balance >= 0))'
  )
  for (let id = 0; id < accounts; id++) {
    await cluster.run(first, `INSERT INTO accounts (id, balance) VALUES (${id}, ${start})`)
  }
})

t.test('T-19 a list of several groups is one transaction', async (t) => {
  const client = await connect(first)
  t.teardown(() => client.close())
  const [taken, given] = await client.execute(transfer(1, 2, 10))
  t.same(taken?.rows, [[start - 10]], 'each statement has its answer')
  t.equal(given?.rowsAffected, 1)
  t.equal(await sumOf(client), total)
  await t.rejects(client.execute(transfer(3, 4, start + 1)), {
    code: 'ERR_SKEIN_SQL_CONSTRAINT'
  })
  t.equal(await sumOf(client), total, 'nothing was done in any group')
  const list = { statements: transfer(5, 6, 7) }
  const told = await cluster.admin(second).post('/v1/query', list, 20_000)
  t.equal(told.kind, 'answer', JSON.stringify(told))
  t.equal(await sumOf(client), total)
})

t.test('T-19 sums are constant while a leader is killed, and nothing stays in doubt', async (t) => {
  const clients = await Promise.all(cluster.ids.map((id) => connect(id)))
  t.teardown(() => Promise.all(clients.map((client) => client.close())))
  const counts = { done: 0, refused: 0, unknown: 0, sums: 0 }
  let isStopped = false
  const work = clients.map(async (client, worker) => {
    for (let i = 0; !isStopped; i++) {
      const from = (i * 7 + worker * 5) % accounts
      const to = (from + 1 + ((i + worker) % (accounts - 1))) % accounts
      try {
        await client.execute(transfer(from, to, 1))
        counts.done++
      } catch (error) {
        const { code } = error as { code?: string }
        if (code === 'ERR_SKEIN_INDETERMINATE') counts.unknown++
        else counts.refused++
      }
      if (i % 8 === worker) {
        const sum = await sumOf(client).catch(() => null)
        if (sum === null) continue
        counts.sums++
        if (sum !== total) t.fail(`a sum of ${sum}`)
      }
    }
  })
  await until('transfers are under way', 60_000, () => Promise.resolve(counts.done >= 60))
  const view = await cluster.view(first)
  const leader = must(view.groups.find(({ group }) => group === 1)?.leader, 'leader')
  await cluster.kill(leader)
  const before = counts.done
  await until('transfers go on', 60_000, () => Promise.resolve(counts.done >= before + 60))
  isStopped = true
  await Promise.all(work)
  t.ok(counts.sums > 0, JSON.stringify(counts))
  await cluster.node(leader).start()
  const client = must(clients[cluster.ids.findIndex((id) => id !== leader)], 'client')
  t.equal(await sumOf(client), total, JSON.stringify(counts))
  for (const id of cluster.ids) {
    await until(`nothing is in doubt at ${id}`, 60_000, async () => {
      const outcome = await cluster.admin(id).get('/v1/transactions', 5_000)
      return outcome.kind === 'answer' && (outcome.body as { inDoubt: number }).inDoubt === 0
    })
  }
})
