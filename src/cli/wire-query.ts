import { SkeinClient } from '../../lib/client.js'
import {
  type Consistency,
  type SqlValue,
  type Statement,
  sqlValueFromJson,
  sqlValueToJson,
  type WallMs
} from '../core/index.js'
import { readTlsMaterial } from '../runtime/index.js'
import type { ConnectionOptions } from './connection-options.js'
import { usageError } from './exit-codes.js'
import type { QueryAnswer } from './query-answer.js'

export interface WireQuery {
  readonly sql: string
  readonly params: unknown
  readonly consistency: Consistency
  readonly maxStalenessMs?: number | undefined
}

/** Asks the nodes themselves, as a client with a certificate; the answer is the admin API's. */
export async function queryOverWire(
  addresses: readonly string[],
  query: WireQuery,
  options: ConnectionOptions
): Promise<QueryAnswer> {
  const { caFile, certFile: certificateFile, keyFile, timeoutMs } = options
  if (caFile === undefined || certificateFile === undefined || keyFile === undefined) {
    throw usageError('--connect needs --ca-file, --cert-file and --key-file')
  }
  const files = { caFile, certificateFile, keyFile }
  const { peer } = await readTlsMaterial(files, Date.now() as WallMs)
  const client = await SkeinClient.connect({
    ...files,
    addresses: [...addresses],
    clusterName: peer.clusterName,
    connectTimeoutMs: timeoutMs
  })
  try {
    const { sql, consistency, maxStalenessMs } = query
    const bound = maxStalenessMs === undefined ? {} : { maxStalenessMs }
    const choices = { consistency, timeoutMs, ...bound }
    const result = await client.query(sql, paramsOf(query.params), choices)
    return {
      ...result,
      rows: result.rows.map((row) => row.map(sqlValueToJson)),
      lastInsertRowid: sqlValueToJson(result.lastInsertRowid)
    }
  } finally {
    await client.close()
  }
}

function paramsOf(json: unknown): Statement['params'] {
  if (json === undefined) return undefined
  if (Array.isArray(json)) return json.map((value, i) => toSqlValue(value, `${i}`))
  const entries = Object.entries(json as Record<string, unknown>)
  return Object.fromEntries(entries.map(([name, value]) => [name, toSqlValue(value, name)]))
}

function toSqlValue(json: unknown, name: string): SqlValue {
  const value = sqlValueFromJson(json)
  if (value === undefined) throw usageError(`--params: ${name} is no SQL value`)
  return value
}
