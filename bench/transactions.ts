/**
 * The same transfer of two statements three ways: on a table of one group, where it is a plain list
 * of writes; on a sharded table, both rows in one group, which is the one-phase way; and over two
 * groups, which is a distributed transaction. Three processes with mutual TLS and SQLite, asked
 * through one `SkeinClient`; clients are loops in this process. Every client has rows of its own,
 * so none waits for another's.
 *
 * About two minutes. `BENCH_RUNS` (5), `BENCH_SAMPLE_MS` (1,500).
 */
import { load, rowOfSamples, type Sample } from './query/load.js'
import { type BenchFindings, type BenchRow, round } from './report.js'
import { accountsPerGroup, shardedGroups, TransferCluster } from './transactions/cluster.js'

const runs = Number(process.env.BENCH_RUNS ?? 5)
const sampleMs = Number(process.env.BENCH_SAMPLE_MS ?? 1_500)
const warmUpMs = 1_500
const clientCounts = [1, 16, 64] as const
const clientsMax = 64
/** Of each group. */
const accountsPerClient = Math.floor(accountsPerGroup / clientsMax)

const [one, other] = shardedGroups

/** By the groups of the two accounts. */
const ways = {
  'plain list': { table: 'plain', groups: [0, 0] },
  'one group': { table: 'accounts', groups: [one, one] },
  'two groups': { table: 'accounts', groups: [one, other] }
} as const
type Way = keyof typeof ways
const wayNames = Object.keys(ways) as Way[]

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  progress('transactions: loading the accounts')
  const cluster = await TransferCluster.start()
  try {
    const rows: BenchRow[] = []
    for (const way of wayNames) await load(clientsMax, warmUpMs, transfers(cluster, way))
    for (const clients of clientCounts) {
      progress(`transactions: ${clients} clients`)
      const samples = new Map(wayNames.map((way): [Way, Sample[]] => [way, []]))
      for (let taken = 0; taken <= runs; taken++) {
        for (const [way, kept] of samples) {
          const sample = await load(clients, sampleMs, transfers(cluster, way))
          // The first is for the clients to come to their pace.
          if (taken > 0) kept.push(sample)
        }
      }
      await cluster.checkSums()
      for (const [way, kept] of samples) rows.push(rowOfSamples(caseOf(clients), way, kept))
    }
    return { rows, ratios: ratiosOf(rows), skipped: [] }
  } finally {
    await cluster.stop()
  }
}

const caseOf = (clients: number) => `transfer, ${clients} ${clients === 1 ? 'client' : 'clients'}`

/** From one of the client's own accounts to another. */
function transfers(cluster: TransferCluster, way: Way): (client: number) => Promise<void> {
  const { groups, table } = ways[way]
  const sql = (sign: '+' | '-') => `UPDATE ${table} SET balance = balance ${sign} ? WHERE id = ?`
  let turn = 0
  return (client) => {
    const first = client * accountsPerClient
    const from = cluster.accountOf(groups[0], first + (++turn % accountsPerClient))
    const to = cluster.accountOf(groups[1], first + ((turn + 1) % accountsPerClient))
    return cluster.execute([
      { sql: sql('-'), params: [1, from] },
      { sql: sql('+'), params: [1, to] }
    ])
  }
}

/** What the one costs beside the other: transfers in a second, and how long half of them take. */
function ratiosOf(rows: readonly BenchRow[]): Record<string, number> {
  const ratios: Record<string, number> = {}
  for (const clients of clientCounts) {
    const name = caseOf(clients)
    const of = (way: Way) => rows.find((row) => row.case === name && row.subject === way)
    const compare = (way: Way, beside: Way) => {
      const [own, base] = [of(way), of(beside)]
      if (own === undefined || base === undefined) return
      ratios[`${name} ${way}/${beside}`] = round(own.value / base.value)
      ratios[`${name} p50 ${way}/${beside}`] = round((base.p50_ms ?? 0) / (own.p50_ms ?? 0))
    }
    compare('one group', 'plain list')
    compare('two groups', 'one group')
  }
  return ratios
}
