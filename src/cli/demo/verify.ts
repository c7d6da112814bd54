/** Reads back what the clients were promised. */
import { Consistencies, type JsonSqlValue } from '../../core/index.js'
import { CliError } from '../exit-codes.js'
import { serialsStatement, sumsStatement } from './bank.js'
import type { ClusterClient, DemoStatement } from './cluster-client.js'
import type { ClientRecord } from './tally.js'

export interface HistoryVerdict {
  /** Acknowledged and not in the history. */
  readonly lost: number
  /** Of unknown outcome, and found to have been done. */
  readonly indeterminateDone: number
  /** In the history although refused for certain, or never sent. */
  readonly unexpected: number
}

const pageRows = 5_000
const readTimeoutMs = 30_000

export async function verifyHistory(
  cluster: ClusterClient,
  clients: readonly ClientRecord[]
): Promise<HistoryVerdict> {
  const verdicts: HistoryVerdict[] = []
  for (const record of clients) {
    verdicts.push(judgeHistory(record, await serialsOf(cluster, record.client)))
  }
  const sum = (field: keyof HistoryVerdict) =>
    verdicts.reduce((total, verdict) => total + verdict[field], 0)
  return {
    lost: sum('lost'),
    indeterminateDone: sum('indeterminateDone'),
    unexpected: sum('unexpected')
  }
}

export function judgeHistory(record: ClientRecord, found: ReadonlySet<number>): HistoryVerdict {
  let lost = 0
  let indeterminateDone = 0
  let expected = 0
  for (let serial = 1; serial <= record.lastSerial; serial++) {
    const isFound = found.has(serial)
    if (record.failed.has(serial)) continue
    if (isFound) expected++
    if (record.indeterminate.has(serial)) indeterminateDone += isFound ? 1 : 0
    else if (!isFound) lost++
  }
  return { lost, indeterminateDone, unexpected: found.size - expected }
}

/** Whether accounts, tellers, branches and history add up to the same. */
export async function verifyBalances(cluster: ClusterClient): Promise<boolean> {
  const [sums = []] = await readRows(cluster, sumsStatement)
  return sums.length === 4 && new Set(sums.map(textOf)).size === 1
}

export async function readRows(
  cluster: ClusterClient,
  statement: DemoStatement
): Promise<readonly (readonly JsonSqlValue[])[]> {
  const options = { home: 0, timeoutMs: readTimeoutMs }
  const result = await cluster.read(statement, Consistencies.Linearizable, options)
  if (result.kind === 'done') return result.results[0]?.rows ?? []
  throw new CliError(`could not read back: ${result.reason}`)
}

async function serialsOf(cluster: ClusterClient, client: string): Promise<Set<number>> {
  const found = new Set<number>()
  for (let above = 0; ; ) {
    const rows = await readRows(cluster, serialsStatement(client, above, pageRows))
    for (const [serial] of rows) {
      above = Number(serial)
      found.add(above)
    }
    if (rows.length < pageRows) return found
  }
}

const textOf = (value: JsonSqlValue): string => JSON.stringify(value)
