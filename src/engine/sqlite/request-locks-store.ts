import { createHash } from 'node:crypto'
import { type RowKeys, rowKeyBytesMax } from '../../core/ports/engine-prepare.js'
import type { Statement } from '../../core/sql.js'
import { keyPositions } from './capture-sql.js'
import { classify } from './classifier.js'
import type { Connection, Row } from './connection-store.js'
import { keyedStatement } from './keyed-statement.js'
import { quoteText } from './names.js'
import type { ChangePart, RowsPart } from './row-change.js'
import { shapeOf, userTables } from './schema-store.js'
import { keyTextOf, type StoredValue } from './stored-value.js'
import type { TableShape } from './table-shape.js'
import { tokenize } from './tokenizer.js'

/**
 * The rows that a request rests on. What it writes is what capture found. What it reads is the rows
 * that its statements name by key; a statement of another shape may have read any row, and so may
 * whatever looks beyond its own row when it writes: unique indexes, foreign keys, triggers.
 */
export class RequestLocks {
  readonly #connection: Connection
  #readKeys: RowKeys = []
  #writeKeys: RowKeys = []

  constructor(connection: Connection) {
    this.#connection = connection
  }

  get isReadOnly(): boolean {
    return this.#writeKeys.length === 0
  }

  keys(): { readonly readKeys: RowKeys; readonly writeKeys: RowKeys } {
    return { readKeys: this.#readKeys, writeKeys: this.#writeKeys }
  }

  /** While what the request did can still be seen. */
  note(statements: readonly Statement[], parts: readonly ChangePart[]): void {
    if (parts.some(({ kind }) => kind === 'ddl')) {
      this.#readKeys = 'all'
      this.#writeKeys = 'all'
      return
    }
    const tables = new Map(
      userTables(this.#connection).map((name) => [name.toLowerCase(), name] as const)
    )
    const written = new Set<string>()
    let looksFurther = false
    for (const part of parts) {
      if (part.kind === 'rows') {
        const shape = shapeOf(this.#connection, part.table)
        for (const key of keysOf(part, shape)) written.add(rowKey(part.table, key))
        looksFurther ||= this.#looksBeyondItsRow(shape)
      } else if (part.kind === 'sequence') {
        written.add(rowKey('sqlite_sequence', [part.table]))
      }
    }
    this.#writeKeys = [...written].sort()
    const named = looksFurther ? null : this.#named(statements, tables)
    this.#readKeys = named ?? 'all'
  }

  /** Null: at least one statement may have read anything. */
  #named(
    statements: readonly Statement[],
    tables: ReadonlyMap<string, string>
  ): readonly string[] | null {
    const keys = new Set<string>()
    for (const { sql, params } of statements) {
      const keyed = keyedStatement(withoutEnd(tokenize(sql)), params)
      const table = keyed === null ? undefined : tables.get(keyed.table.toLowerCase())
      if (keyed === null || table === undefined) return null
      const shape = shapeOf(this.#connection, table)
      // An insert that is undone by a conflict has looked at the row in its way.
      if (this.#looksBeyondItsRow(shape) && classify(sql).kind !== 'read') return null
      if (keyed.kind === 'insert') continue
      if (keyed.key === null || !isRowid(shape, keyed.column)) return null
      keys.add(rowKey(table, [keyed.key]))
    }
    return [...keys].sort()
  }

  #looksBeyondItsRow({ name, rowid, uniques }: TableShape): boolean {
    if (rowid === null || uniques.length > 0) return true
    const { db } = this.#connection
    const has = (sql: string, ...values: readonly string[]): boolean =>
      db
        .prepare<string[], Row>(sql)
        .raw(true)
        .get(...values) !== undefined
    if (has("SELECT 1 FROM main.sqlite_schema WHERE type = 'trigger' LIMIT 1")) return true
    return userTables(this.#connection).some((table) =>
      db
        .prepare<[], Row>(`PRAGMA main.foreign_key_list(${quoteText(table)})`)
        .raw(true)
        .all()
        .some(
          ([, , parent]) => table === name || String(parent).toLowerCase() === name.toLowerCase()
        )
    )
  }
}

const isRowid = ({ isRowidColumn, rowid }: TableShape, column: string): boolean => {
  const plain = column.toLowerCase()
  if (plain === 'rowid') return rowid === 'rowid'
  return isRowidColumn && rowid?.toLowerCase() === `"${plain.replaceAll('"', '""')}"`
}

function keysOf({ gone, there }: RowsPart, shape: TableShape): (readonly StoredValue[])[] {
  const positions = keyPositions(shape)
  return [...gone, ...there.map((row) => positions.map((at) => row[at] ?? null))]
}

function rowKey(table: string, key: readonly StoredValue[]): string {
  const text = `${table.toLowerCase()} ${key.map(keyTextOf).join()}`
  if (Buffer.byteLength(text) <= rowKeyBytesMax) return text
  return `# ${createHash('sha256').update(text).digest('hex')}`
}

function withoutEnd<T extends { readonly value: string }>(tokens: readonly T[]): readonly T[] {
  let end = tokens.length
  while (end > 0 && tokens[end - 1]?.value === ';') end--
  return tokens.slice(0, end)
}
