import type { JsonSqlValue } from '../core/index.js'

/** What `POST /v1/query` answers for one statement. */
export interface QueryAnswer {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly JsonSqlValue[])[]
  readonly rowsAffected: number
  readonly lastInsertRowid: JsonSqlValue
  readonly index: number
  readonly group: number
  readonly node: string
  /** Of a local read. */
  readonly stalenessMs?: number
}
