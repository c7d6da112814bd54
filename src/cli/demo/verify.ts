/** Reads back what the clients were promised. */
import { Consistencies, type SqlValue, type Statement } from '../../core/index.js'
import { CliError } from '../exit-codes.js'
import { serialsStatement, sumsStatement } from './bank.js'
import type { ClusterClient } from './cluster-client.js'
import type { ClientRecord } from './tally.js'

export interface HistoryVerdict {
  /** Acknowledged and not in the history. */
  readonly lost: number
  /** Of unknown outcome, and found to have been done. */
  readonly indeterminateDone: number
  /** In the history although refused for certain, or never sent. */
  readonly unexpected: number
  /** Rows beyond the first of a write: it was executed more than once. */
  readonly repeated: number
}

const pageRows = 5_000
const readTimeoutMs = 30_000

export async function verifyHistory(
  cluster: ClusterClient,
  clients: readonly ClientRecord[]
): Promise<HistoryVerdict> {
  const verdicts: HistoryVerdict[] = []
  for (const record of clients) {
    const rows = await serialsOf(cluster, record.client)
    verdicts.push(judgeHistory(record, rows))
  }
  const sum = (field: keyof HistoryVerdict) =>
    verdicts.reduce((total, verdict) => total + verdict[field], 0)
  return {
    lost: sum('lost'),
    indeterminateDone: sum('indeterminateDone'),
    unexpected: sum('unexpected'),
    repeated: sum('repeated')
  }
}

/** `rows`: the serials of the client's history rows, each as often as it is there. */
export function judgeHistory(record: ClientRecord, rows: readonly number[]): HistoryVerdict {
  const found = new Set(rows)
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
  const unexpected = found.size - expected
  return { lost, indeterminateDone, unexpected, repeated: rows.length - found.size }
}

/** Whether accounts, tellers, branches and history add up to the same. */
export async function verifyBalances(cluster: ClusterClient): Promise<boolean> {
  const [sums = []] = await readRows(cluster, sumsStatement)
  return sums.length === 4 && new Set(sums.map(String)).size === 1
}

export async function readRows(
  cluster: ClusterClient,
  statement: Statement
): Promise<readonly (readonly SqlValue[])[]> {
  const options = { home: 0, timeoutMs: readTimeoutMs }
  const result = await cluster.read(statement, Consistencies.Linearizable, options)
  if (result.kind === 'done') return result.results[0]?.rows ?? []
  throw new CliError(`could not read back: ${result.reason}`)
}

/** Pages by row, not by serial, so that a row that is there twice is seen twice. */
async function serialsOf(cluster: ClusterClient, client: string): Promise<number[]> {
  const serials: number[] = []
  for (let aboveRow = 0; ; ) {
    const rows = await readRows(cluster, serialsStatement(client, aboveRow, pageRows))
    for (const [serial, row] of rows) {
      serials.push(Number(serial))
      aboveRow = Number(row)
    }
    if (rows.length < pageRows) return serials
  }
}
