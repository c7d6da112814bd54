/**
 * A backup of real processes under load, with transfers over groups; everything is killed, and a
 * new cluster begins with the backup.
 */
import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { SkeinClient } from '../../lib/client.js'
import type { PlacementView } from '../../src/core/index.js'
import { ProcessCluster, until } from '../support/process-cluster.js'
import { skein } from '../support/run-skein.js'

const timeoutMs = 60_000
const accounts = 12
const start = 1_000
const total = accounts * start

const cluster = await ProcessCluster.start(t, 3, {
  cluster: { groups: 3 }
})
const [first, second, third] = cluster.ids as [string, string, string]
const place = (name: string) => join(cluster.workspace.directory, name)
await cluster.leader()
await until('every group is placed', timeoutMs, async () => {
  const outcome = await cluster.admin(first).get('/v1/placement', 5_000)
  return outcome.kind === 'answer' && (outcome.body as PlacementView).groups.length === 3
})

const command = (...args: string[]) =>
  skein(
    ...args,
    ...['--admin', cluster.node(second).options.admin],
    ...['--token-file', cluster.workspace.authority.tokenFile]
  )

const connect = (id: string) =>
  SkeinClient.connect({
    ...cluster.workspace.clientAccess,
    addresses: [cluster.node(id).options.address],
    timeoutMs: 20_000
  })

const transfer = (from: number, to: number) => [
  { sql: 'UPDATE accounts SET balance = balance - 1 WHERE id = ?', params: [from] },
  { sql: 'UPDATE accounts SET balance = balance + 1 WHERE id = ?', params: [to] }
]

const everyBalance = Array.from({ length: accounts }, (_, id) => ({
  sql: 'SELECT balance FROM accounts WHERE id = ?',
  params: [id]
}))

/** One transaction over all groups. */
async function sumOf(client: SkeinClient): Promise<number> {
  const results = await client.execute(everyBalance)
  return results.reduce((sum, { rows }) => sum + Number(rows[0]?.[0]), 0)
}

/** A transfer and a plain write after the other; `noted` are the acknowledged plain ones. */
class Load {
  readonly noted: number[] = []
  transfers = 0
  #isStopped = false
  readonly #work: Promise<void>[]

  constructor(clients: readonly SkeinClient[], firstNote = 0) {
    this.#work = clients.map((client, worker) => this.#run(client, worker, firstNote))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await Promise.all(this.#work)
  }

  async #run(client: SkeinClient, worker: number, firstNote: number): Promise<void> {
    for (let i = 0; !this.#isStopped; i++) {
      const from = (i * 5 + worker * 3) % accounts
      const to = (from + 1 + (i % (accounts - 1))) % accounts
      const note = firstNote + worker * 1_000_000 + i
      await client.execute(transfer(from, to))
      this.transfers++
      await client.query('INSERT INTO notes VALUES (?)', [note])
      this.noted.push(note)
    }
  }
}

const backup = place('backup')
let acknowledged: readonly number[] = []
let oldClusterId = ''

async function configureData(id: string, directory: string): Promise<void> {
  const config = JSON.parse(await readFile(cluster.configFile(id), 'utf8'))
  config.node.dataDirectory = directory
  await writeFile(cluster.configFile(id), JSON.stringify(config))
}

t.before(async () => {
  const sharded = await command('placement', 'shard', 'accounts', '--by', 'id', '--json')
  t.equal(sharded.status, 0, sharded.stderr)
  for (const id of cluster.ids) {
    await until(`${id} knows where the table is`, timeoutMs, async () => {
      const outcome = await cluster.query(id, 'SELECT * FROM accounts ORDER BY 1')
      return JSON.stringify(outcome).includes('SHARD_KEY_REQUIRED')
    })
  }
  await cluster.run(first, 'CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance INTEGER)')
  await cluster.run(first, 'CREATE TABLE notes (note INTEGER PRIMARY KEY)')
  await cluster.run(first, 'CREATE TABLE log (note)')
  await cluster.run(
    first,
    'CREATE TRIGGER logged AFTER INSERT ON notes BEGIN INSERT INTO log VALUES (new.note); END'
  )
  for (let id = 0; id < accounts; id++) {
    await cluster.run(first, `INSERT INTO accounts (id, balance) VALUES (${id}, ${start})`)
  }
})

t.test('a backup is taken under load, and a transfer is whole in it or not there', async (t) => {
  const clients = await Promise.all(cluster.ids.map((id) => connect(id)))
  const load = new Load(clients)
  await until('transfers are under way', timeoutMs, async () => load.transfers >= 20)
  acknowledged = [...load.noted]
  const taken = await command('backup', '--out', backup, '--json')
  t.equal(taken.status, 0, taken.stderr)
  const manifest = JSON.parse(taken.stdout)
  oldClusterId = manifest.clusterId
  t.match(manifest, {
    format: 1,
    node: second,
    groups: [{ group: 0 }, { group: 1 }, { group: 2 }],
    tables: [{ table: 'accounts', shardKey: 'id' }]
  })
  const { transfers } = load
  await until('transfers go on', timeoutMs, async () => load.transfers >= transfers + 20)
  await load.stop()
  for (const client of clients) await client.close()
  t.comment(`decisions were held for ${manifest.heldMs} ms`)
  const verified = await skein('backup', '--verify', backup)
  t.match(verified, { status: 0, stdout: /whole: 3 databases with 4 tables, every hash fits/ })
  t.match(await command('backup', '--out', backup), {
    status: 1,
    stderr: /ERR_SKEIN_TARGET_NOT_EMPTY/
  })
})

t.test('what is exported is one plain database with a constant sum', async (t) => {
  const out = place('app.db')
  const exported = await skein('export', '--backup', backup, '--out', out)
  t.match(exported, { status: 0, stdout: /3 tables/ }, exported.stderr)
  const db = new Database(out)
  t.teardown(() => db.close())
  const one = (sql: string) => db.prepare(sql).pluck().get()
  t.equal(one('SELECT sum(balance) FROM accounts'), total)
  t.equal(one('SELECT count(*) FROM accounts'), accounts)
  const notes = new Set(db.prepare('SELECT note FROM notes').pluck().all())
  t.same(
    acknowledged.filter((note) => !notes.has(note)),
    [],
    'all that was acknowledged before'
  )
  db.exec('INSERT INTO notes VALUES (-1)')
  t.equal(one('SELECT count(*) FROM log WHERE note = -1'), 1, 'its trigger needs nothing of ours')
  t.equal(one("SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%_skein_%' ESCAPE '~'"), 0)
  const live = await command('export', '--out', place('live.db'), '--group', '0')
  t.match(live, { status: 0, stdout: /2 tables/ }, live.stderr)
})

t.test('a damaged backup is refused by the name of what is damaged', async (t) => {
  const copy = place('damaged')
  const nodes = ['--node', first]
  const restore = () => skein('restore', '--from', copy, '--data', place('none'), ...nodes)
  const flip = async (name: string, at: number) => {
    await rm(copy, { recursive: true, force: true })
    await cp(backup, copy, { recursive: true })
    const bytes = await readFile(join(copy, name))
    bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
    await writeFile(join(copy, name), bytes)
  }
  await flip('group-2.sqlite', 5_000)
  const refused = /ERR_SKEIN_BACKUP_DAMAGED: group-2\.sqlite: its SHA-256 does not fit/
  t.match(await skein('backup', '--verify', copy), { status: 1, stderr: refused })
  t.match(await restore(), { status: 1, stderr: refused })
  await flip('manifest.json', 40)
  t.match(await restore(), { status: 1, stderr: /ERR_SKEIN_BACKUP_DAMAGED: manifest\.json/ })
  await rm(join(copy, 'manifest.json'))
  t.match(await restore(), { status: 2, stderr: /is no backup/ })
})

t.test('a new cluster begins with it, and nodes of the old one cannot join', async (t) => {
  for (const id of cluster.ids) await cluster.kill(id)
  const nodes = cluster.ids.flatMap((id) => ['--node', id])
  const restored = await skein(
    ...['restore', '--from', backup, '--data', place('restored'), '--json'],
    ...nodes
  )
  t.equal(restored.status, 0, restored.stderr)
  const { clusterId } = JSON.parse(restored.stdout)
  t.not(clusterId, oldClusterId)
  for (const id of [first, second]) await configureData(id, place(`restored/${id}`))
  await Promise.all([first, second].map((id) => cluster.node(id).start()))
  await cluster.leader([first, second])
  // With what it had in the old cluster; whether it gets ready, nobody waits for.
  const stranger = cluster
    .node(third)
    .start()
    .catch(() => {})
  await until('the old node is refused', timeoutMs, async () => {
    const refused = [first, second].map((id) =>
      cluster.metric(id, 'communication', 'handshakes_refused')
    )
    return Math.max(...(await Promise.all(refused))) > 0
  })
  const seen = (await cluster.view(first)).members.find(({ nodeId }) => nodeId === third)
  t.not(seen?.liveness, 'alive', 'the old node is no member')
  await cluster.kill(third)
  await stranger
  const client = await connect(first)
  t.teardown(() => client.close())
  t.equal(await sumOf(client), total)
  const { rows } = await client.query('SELECT note FROM notes')
  const found = new Set(rows.map(([note]) => note))
  t.same(
    acknowledged.filter((note) => !found.has(note)),
    [],
    'all that was acknowledged before the backup'
  )
  t.equal((await cluster.view(first)).clusterId, clusterId)

  await configureData(third, place(`restored/${third}`))
  await cluster.node(third).start()
  const load = new Load([client], 1_000_000_000)
  await until('transfers go on', timeoutMs, async () => load.transfers >= 10)
  await load.stop()
  t.equal(await sumOf(client), total)
  await until('the third has all, and nothing is in doubt', timeoutMs, async () => {
    const outcome = await cluster.admin(third).get('/v1/transactions', 5_000)
    const [{ rows: counted } = { rows: [] }] = [
      await cluster.run(third, 'SELECT count(*) FROM notes', { consistency: 'local' })
    ]
    const { rows: all } = await client.query('SELECT count(*) FROM notes')
    return (
      outcome.kind === 'answer' &&
      (outcome.body as { inDoubt: number }).inDoubt === 0 &&
      counted[0]?.[0] === all[0]?.[0]
    )
  })
  const sums = await Promise.all(cluster.ids.map((id) => cluster.checksum(id)))
  t.equal(new Set(sums.map(({ hash }) => hash)).size, 1, JSON.stringify(sums))
})
