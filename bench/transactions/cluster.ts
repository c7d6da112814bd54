import type { SkeinClient } from '../../lib/client.js'
import { type GroupId, must, type PlacementView, type Statement } from '../../src/core/index.js'
import { connectTo, issueClient } from '../../test/support/process-clients.js'
import { ProcessCluster, shippedEngine, until } from '../../test/support/process-cluster.js'

/** Of each group that has rows of the sharded table. */
export const accountsPerGroup = 2_000
/** As many rows in one table of group 0, which is not sharded. */
const plainAccounts = accountsPerGroup
/** The data groups, without group 0. */
export const shardedGroups = [1, 2] as const
const balance = 1_000_000
const rowsPerInsert = 200
const readyWithinMs = 60_000
const askTimeoutMs = 10_000
const timeoutMs = 30_000
/** The processors are for the transfers, not for elections under load. */
const consensus = {
  heartbeatIntervalMs: 100,
  electionTimeoutMinMs: 1_000,
  electionTimeoutMaxMs: 2_000
}

const upsert = 'VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET balance = excluded.balance'

/** Three `skein node` processes with three data groups, and one client with mutual TLS. */
export class TransferCluster {
  readonly #cluster: ProcessCluster
  readonly #client: SkeinClient
  readonly #teardowns: readonly (() => unknown)[]
  readonly #ids = new Map<GroupId, number[]>()

  private constructor(
    cluster: ProcessCluster,
    client: SkeinClient,
    teardowns: readonly (() => unknown)[]
  ) {
    this.#cluster = cluster
    this.#client = client
    this.#teardowns = teardowns
  }

  static async start(): Promise<TransferCluster> {
    const teardowns: (() => unknown)[] = []
    const owner = { teardown: (handler: () => unknown) => void teardowns.unshift(handler) }
    try {
      const groups = shardedGroups.length + 1
      const cluster = await ProcessCluster.start(owner, 3, {
        cluster: { groups },
        consensus,
        engine: shippedEngine
      })
      const addresses = cluster.ids.map((id) => `localhost:${cluster.port(id)}`)
      const files = await issueClient(cluster, 'transfers')
      const client = await connectTo(cluster, 'n1', files, { addresses })
      teardowns.unshift(() => client.close())
      const transfers = new TransferCluster(cluster, client, teardowns)
      await transfers.#fill()
      return transfers
    } catch (error) {
      for (const teardown of teardowns) await teardown()
      throw error
    }
  }

  /** Account `number` of those that are of this group; of group 0 in the table of its own. */
  accountOf(group: number, number: number): number {
    if (group === 0) return number % plainAccounts
    const ids = must(this.#ids.get(group as GroupId), 'accounts of the group')
    return must(ids[number % ids.length], 'account')
  }

  async execute(statements: readonly Statement[]): Promise<void> {
    await this.#client.execute(statements, { timeoutMs })
  }

  /** @throws Error money was made, or lost */
  async checkSums(): Promise<void> {
    const rows = async (table: string) => {
      const sql = `SELECT count(*), sum(balance) FROM ${table}`
      return (await this.#client.query(sql, undefined, { timeoutMs })).rows[0] ?? []
    }
    for (const table of ['accounts', 'plain']) {
      const [count, sum] = await rows(table)
      if (Number(sum) !== Number(count) * balance) throw new Error(`${table}: the sum is ${sum}`)
    }
  }

  async stop(): Promise<void> {
    for (const teardown of this.#teardowns) await teardown()
  }

  async #fill(): Promise<void> {
    const admin = this.#cluster.admin('n1')
    await until('every group is placed and led', readyWithinMs, async () => {
      const outcome = await admin.get('/v1/placement', askTimeoutMs)
      if (outcome.kind !== 'answer') return false
      const { groups } = outcome.body as PlacementView
      const view = await this.#cluster.view('n1')
      const isLed = view.groups.every(({ leader }) => leader !== null)
      return groups.length === shardedGroups.length + 1 && isLed
    })
    const shard = { shardKey: 'id', groups: shardedGroups }
    await admin.change('PUT', '/v1/placement/tables/accounts', shard, askTimeoutMs)
    await until('the client knows where the rows are', readyWithinMs, async () => {
      return this.#groupOf(1) !== 0
    })
    const columns = '(id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)'
    await this.#client.query(`CREATE TABLE accounts ${columns}`)
    await this.#client.query(`CREATE TABLE plain ${columns}`)
    for (const group of shardedGroups) this.#ids.set(group as GroupId, [])
    for (let id = 1; [...this.#ids.values()].some(isShort); id++) {
      const ids = must(this.#ids.get(this.#groupOf(id)), 'a group with accounts')
      if (isShort(ids)) ids.push(id)
    }
    for (const ids of this.#ids.values()) await this.#insert('accounts', ids)
    await this.#insert('plain', [...Array(plainAccounts).keys()])
  }

  #groupOf(id: number): GroupId {
    const sql = 'UPDATE accounts SET balance = 0 WHERE id = ?'
    return this.#client.routeQuery(sql, { params: [id] }).group
  }

  /** Of one group; again is harmless. */
  async #insert(table: string, ids: readonly number[]): Promise<void> {
    for (let from = 0; from < ids.length; from += rowsPerInsert) {
      const statements = ids.slice(from, from + rowsPerInsert).map((id) => ({
        sql: `INSERT INTO ${table} (id, balance) ${upsert}`,
        params: [id, balance]
      }))
      await this.execute(statements)
    }
  }
}

const isShort = (ids: readonly number[]): boolean => ids.length < accountsPerGroup
