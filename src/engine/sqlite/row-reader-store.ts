import { must } from '../../core/assert.js'
import { keyPositions, selectByKey, selectBytesByKey } from './capture-sql.js'
import type { Connection, Prepared, Row } from './connection-store.js'
import { RawText, type StoredValue } from './stored-value.js'
import type { TableShape } from './table-shape.js'

/** What stands for a byte sequence that is not UTF-8, and for itself. */
const REPLACEMENT = '\ufffd'

/** Reads rows of one table exactly as they are stored. */
export class RowReader {
  readonly #select: Prepared
  readonly #connection: Connection
  readonly #shape: TableShape
  readonly #keyPositions: readonly number[]

  constructor(connection: Connection, shape: TableShape) {
    this.#connection = connection
    this.#shape = shape
    this.#select = connection.prepare(selectByKey(shape))
    this.#keyPositions = keyPositions(shape)
  }

  byKey(key: readonly StoredValue[]): readonly StoredValue[] | undefined {
    if (key.some((value) => value instanceof RawText)) return this.#byRawKey(key)
    const row = this.#select.get(...key)
    return row === undefined ? undefined : this.exact(row)
  }

  /** With the bytes of text that a string cannot hold. */
  exact(row: Row): readonly StoredValue[] {
    if (!row.some((value) => typeof value === 'string' && value.includes(REPLACEMENT))) return row
    const key = this.#keyPositions.map((at) => must(row[at], 'key'))
    if (key.some((value) => typeof value === 'string' && value.includes(REPLACEMENT))) {
      return this.#searchExact(row)
    }
    const bytes = must(this.#connection.prepare(selectBytesByKey(this.#shape)).get(...key), 'row')
    return withBytes(row, bytes)
  }

  #byRawKey(key: readonly StoredValue[]): readonly StoredValue[] | undefined {
    const marks = key.map((value) => value instanceof RawText)
    const cast = (sql: string) => {
      let at = 0
      return sql.replace(/\?/g, () => (marks[at++] ? 'CAST(? AS TEXT)' : '?'))
    }
    const values = key.map((value) => (value instanceof RawText ? value.bytes : value))
    const [plain, bytes] = [selectByKey(this.#shape), selectBytesByKey(this.#shape)].map((sql) => {
      const where = sql.lastIndexOf(' WHERE ')
      return this.#connection.prepare(sql.slice(0, where) + cast(sql.slice(where))).get(...values)
    })
    return plain === undefined || bytes === undefined ? undefined : withBytes(plain, bytes)
  }

  /** A key that is no UTF-8 was read as a string; its row is found among all, which is rare. */
  #searchExact(row: Row): readonly StoredValue[] {
    const sql = selectByKey(this.#shape)
    const columns = sql.slice(0, sql.lastIndexOf(' WHERE '))
    const bytesSql = selectBytesByKey(this.#shape)
    const byteColumns = bytesSql.slice(0, bytesSql.lastIndexOf(' WHERE '))
    const plain = this.#connection.rows(columns)
    const bytes = this.#connection.rows(byteColumns)
    const at = plain.findIndex((other) => other.every((value, i) => Object.is(value, row[i])))
    return at < 0 ? row : withBytes(row, must(bytes[at], 'bytes'))
  }
}

function withBytes(row: Row, bytes: Row): readonly StoredValue[] {
  return row.map((value, i) => {
    const raw = bytes[i]
    return typeof value === 'string' && value.includes(REPLACEMENT) && raw instanceof Uint8Array
      ? textOf(raw)
      : value
  })
}

/** The string, where the bytes are one. */
export function textOf(bytes: Uint8Array): string | RawText {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return new RawText(Uint8Array.from(bytes))
  }
}
