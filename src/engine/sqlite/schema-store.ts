import { SqlRefusedError } from '../../core/errors.js'
import { indexTerms } from './capture-sql.js'
import { mayReplace } from './classifier.js'
import type { Connection, Row } from './connection-store.js'
import { isInternalName, isReservedName, quoteName, quoteText } from './names.js'
import type { TableShape, UniqueIndex } from './table-shape.js'
import { tokenize } from './tokenizer.js'

/** The users' tables, in the order of their names. */
export function userTables(connection: Connection): string[] {
  return connection.db
    .prepare<[], Row>("SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name")
    .raw(true)
    .all()
    .map(([name]) => String(name))
    .filter((name) => !isInternalName(name) && !isReservedName(name))
}

/** Whether a table's or trigger's text resolves conflicts by REPLACE. */
export function schemaMayReplace(connection: Connection): boolean {
  return connection.db
    .prepare<[], Row>(
      `SELECT sql FROM main.sqlite_schema
       WHERE type IN ('table', 'trigger') AND sql LIKE '%REPLACE%'`
    )
    .raw(true)
    .all()
    .some(([sql]) => mayReplace(tokenize(String(sql))))
}

export const hasSequences = (connection: Connection): boolean =>
  connection.db
    .prepare<[], Row>("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")
    .raw(true)
    .get() !== undefined

/** @throws SqlRefusedError when its rows have no name */
export function shapeOf(connection: Connection, name: string): TableShape {
  const columns = pragma(connection, `table_xinfo(${quoteText(name)})`).map(
    ([, column, , notNull, fallback, key, hidden]) => ({
      name: String(column),
      isDefaulted: Number(notNull) === 1 && fallback !== null,
      key: Number(key),
      isGenerated: Number(hidden) > 1
    })
  )
  const indexes = pragma(connection, `index_list(${quoteText(name)})`).map(
    ([, index, unique, origin]) => ({
      name: String(index),
      isUnique: Number(unique) === 1,
      origin: String(origin)
    })
  )
  const [type] = pragma(connection, `table_list(${quoteText(name)})`).filter(
    ([schema]) => schema === 'main'
  )
  const keys = columns.filter(({ key }) => key > 0).sort((a, b) => a.key - b.key)
  const isWithoutRowid = Number(type?.[4]) === 1
  const alias =
    !isWithoutRowid && keys.length === 1 && !indexes.some(({ origin }) => origin === 'pk')
      ? keys[0]?.name
      : undefined
  const rowidNames = new Set([alias?.toLowerCase(), 'rowid', '_rowid_', 'oid'])
  const generated = new Set(
    columns.filter(({ isGenerated }) => isGenerated).map((column) => column.name)
  )
  const mayNeedRowid = ({ column, expression }: UniqueIndex['terms'][number]): boolean =>
    column !== null
      ? generated.has(column) && alias !== undefined
      : tokenize(expression ?? '').some(({ value }) => rowidNames.has(value.toLowerCase()))
  const isKeyIndex = (origin: string) => isWithoutRowid && origin === 'pk'
  return {
    name,
    rowid: isWithoutRowid
      ? null
      : alias !== undefined
        ? quoteName(alias)
        : freeRowid(name, columns),
    isRowidColumn: alias !== undefined,
    keyColumns: isWithoutRowid ? keys.map((column) => column.name) : [],
    storedColumns: columns.filter(({ isGenerated }) => !isGenerated).map((column) => column.name),
    allColumns: columns.map((column) => column.name),
    defaultedColumns: columns.filter(({ isDefaulted }) => isDefaulted).map((column) => column.name),
    isAutoincrement: alias !== undefined && isAutoincrement(connection, name),
    uniques: indexes
      .filter(({ isUnique, origin }) => isUnique && !isKeyIndex(origin))
      .map((index) => uniqueTerms(connection, index.name))
      .map((terms) => ({ terms, mayNeedRowid: !isWithoutRowid && terms.some(mayNeedRowid) }))
  }
}

function freeRowid(table: string, columns: readonly { name: string }[]): string {
  const taken = new Set(columns.map(({ name }) => name.toLowerCase()))
  const free = ['rowid', '_rowid_', 'oid'].find((name) => !taken.has(name))
  if (free !== undefined) return free
  throw new SqlRefusedError(
    `table ${table} is refused: columns hide all names of the rowid, declare a primary key`
  )
}

function uniqueTerms(connection: Connection, name: string): UniqueIndex['terms'] {
  const [row] = connection.db
    .prepare<[string], Row>("SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?")
    .raw(true)
    .all(name)
  const sql = row?.[0]
  const texts = typeof sql === 'string' ? indexTerms(sql) : []
  return pragma(connection, `index_xinfo(${quoteText(name)})`)
    .filter(([, , , , , isKey]) => Number(isKey) === 1)
    .map(([position, , column, , collation]) => ({
      column: column === null || column === undefined ? null : String(column),
      expression: texts[Number(position)] ?? null,
      collation: String(collation)
    }))
}

function isAutoincrement(connection: Connection, name: string): boolean {
  const row = connection.db
    .prepare<[string], Row>("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?")
    .raw(true)
    .get(name)
  return tokenize(String(row?.[0])).some(
    ({ kind, value }) => kind === 'word' && value === 'AUTOINCREMENT'
  )
}

const pragma = (connection: Connection, call: string): Row[] =>
  connection.db.prepare<[], Row>(`PRAGMA main.${call}`).raw(true).all()
