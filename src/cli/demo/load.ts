import { CliError, usageError } from '../exit-codes.js'
import { accountCount, bankTables, countStatement, type LoadBatch, loadBatches } from './bank.js'
import type { ClusterClient } from './cluster-client.js'
import { expectGoing } from './pause.js'
import { readRows } from './verify.js'

const loadTimeoutMs = 30_000
const attemptsPerBatch = 10
/** So that every group has one, and the next. */
const batchesAtOnce = 8

/** Creates the tables and fills them through the cluster, unless they are there from before. */
export async function loadBank(
  cluster: ClusterClient,
  scale: number,
  onProgress: (share: number) => void,
  signal: AbortSignal
): Promise<void> {
  for (const { create: sql } of bankTables) await execute(cluster, { statements: [{ sql }] })
  const wanted = accountCount(scale)
  if ((await accounts(cluster)) === wanted) return onProgress(1)
  const batches = [...loadBatches(scale)]
  let taken = 0
  let done = 0
  const loader = async () => {
    for (let batch = batches[taken++]; batch !== undefined; batch = batches[taken++]) {
      expectGoing(signal)
      await execute(cluster, batch)
      onProgress(++done / batches.length)
    }
  }
  await Promise.all(Array.from({ length: batchesAtOnce }, loader))
  const found = await accounts(cluster)
  if (found !== wanted)
    throw usageError(`found ${found} accounts, wanted ${wanted}; use another --data`)
}

/** Every statement of the load may be executed twice, so what is unknown is sent again. */
async function execute(
  cluster: ClusterClient,
  { bid, statements }: Pick<LoadBatch, 'statements'> & Partial<LoadBatch>
): Promise<void> {
  const shardKey = bid === undefined ? {} : { shardKey: bid }
  let reason = ''
  for (let attempt = 1; attempt <= attemptsPerBatch; attempt++) {
    const options = { home: attempt, timeoutMs: loadTimeoutMs, ...shardKey }
    const result = await cluster.write(statements, options)
    if (result.kind === 'done') return
    reason = result.reason
    if (result.kind === 'failed') break
  }
  throw new CliError(`could not load the tables: ${reason}`)
}

async function accounts(cluster: ClusterClient): Promise<number> {
  const [row] = await readRows(cluster, countStatement)
  return Number(row?.[0] ?? 0)
}
