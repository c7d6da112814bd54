import type { Statement } from '../../core/index.js'
import { CliError, usageError } from '../exit-codes.js'
import { accountCount, countStatement, loadBatches, schema } from './bank.js'
import type { ClusterClient } from './cluster-client.js'
import { expectGoing } from './pause.js'
import { readRows } from './verify.js'

const loadTimeoutMs = 30_000
const attemptsPerBatch = 10

/** Creates the tables and fills them through the cluster, unless they are there from before. */
export async function loadBank(
  cluster: ClusterClient,
  scale: number,
  onProgress: (share: number) => void,
  signal: AbortSignal
): Promise<void> {
  for (const sql of schema) await execute(cluster, { sql })
  const wanted = accountCount(scale)
  if ((await accounts(cluster)) === wanted) return onProgress(1)
  const batches = [...loadBatches(scale)]
  for (const [i, statement] of batches.entries()) {
    expectGoing(signal)
    await execute(cluster, statement)
    onProgress((i + 1) / batches.length)
  }
  const found = await accounts(cluster)
  if (found !== wanted)
    throw usageError(`found ${found} accounts, wanted ${wanted}; use another --data`)
}

/** Every statement of the load may be executed twice, so what is unknown is sent again. */
async function execute(cluster: ClusterClient, statement: Statement): Promise<void> {
  let reason = ''
  for (let attempt = 1; attempt <= attemptsPerBatch; attempt++) {
    const result = await cluster.write([statement], { home: attempt, timeoutMs: loadTimeoutMs })
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
