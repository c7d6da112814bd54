/**
 * Names that mean a column where the table has it, and something else where not: rowid, oid and
 * _rowid_ the key of the row, true and false a number. ALTER TABLE may give a table such a column
 * or take it away. SQLite follows a column that is renamed, but it does not see that a name fell to
 * another meaning: what indexes and generated columns hold stays as computed by the old one, and
 * the database is malformed from then on.
 */
import { SqlRefusedError } from '../../core/errors.js'
import type { Connection, Row } from './connection-store.js'
import { quoteText } from './names.js'
import { type Token, TokenKinds, tokenize } from './tokenizer.js'

/** By the object that uses the name, then by the name: whether it means a column. */
export type ShiftingNames = ReadonlyMap<string, ReadonlyMap<string, boolean>>

const rowidNames = new Set(['rowid', 'oid', '_rowid_'])
/** Numbers only where they are not quoted. */
const truthNames = new Set(['true', 'false'])

export function shiftingNames(connection: Connection): ShiftingNames {
  const objects = connection.db
    .prepare<[], Row>(
      `SELECT type, name, tbl_name, sql FROM main.sqlite_schema
       WHERE type IN ('index', 'table') AND (sql LIKE '%rowid%' OR sql LIKE '%oid%'
         OR sql LIKE '%true%' OR sql LIKE '%false%')`
    )
    .raw(true)
    .all()
  const found = new Map<string, ReadonlyMap<string, boolean>>()
  for (const [type, name, table, sql] of objects) {
    const used = type === 'index' ? namesInIndex(tokenize(String(sql))) : namesInTable(String(sql))
    if (used.size === 0) continue
    const { columns, generates } = columnsOf(connection, String(table))
    if (type === 'table' && !generates) continue
    found.set(String(name), new Map([...used].map((word) => [word, columns.has(word)])))
  }
  return found
}

/** @throws SqlRefusedError when a name that was kept has another meaning now */
export function refuseShift(before: ShiftingNames, after: ShiftingNames): void {
  for (const [object, names] of before) {
    for (const [name, isColumn] of names) {
      const isColumnNow = after.get(object)?.get(name)
      if (isColumnNow === undefined || isColumnNow === isColumn) continue
      throw new SqlRefusedError(
        `ALTER TABLE is refused: ${name} would mean something else in ${object}`
      )
    }
  }
}

/** SQLite takes a rowid in the condition of an index, and nowhere else in what is stored. */
function namesInIndex(tokens: readonly Token[]): Set<string> {
  const where = tokens.findIndex(({ kind, value }) => kind === TokenKinds.Word && value === 'WHERE')
  const condition = where < 0 ? [] : tokens.slice(where + 1)
  return new Set([...namesAmong(condition, isRowidName), ...namesAmong(tokens, isTruthName)])
}

const namesInTable = (sql: string): Set<string> => new Set(namesAmong(tokenize(sql), isTruthName))

const namesAmong = (tokens: readonly Token[], isOne: (token: Token) => boolean): string[] =>
  tokens.filter(isOne).map(({ value }) => value.toLowerCase())

const isRowidName = ({ kind, value }: Token): boolean =>
  (kind === TokenKinds.Word || kind === TokenKinds.Quoted) && rowidNames.has(value.toLowerCase())

const isTruthName = ({ kind, value }: Token): boolean =>
  kind === TokenKinds.Word && truthNames.has(value.toLowerCase())

function columnsOf(
  connection: Connection,
  table: string
): { columns: ReadonlySet<string>; generates: boolean } {
  const rows = connection.db
    .prepare<[], Row>(`PRAGMA main.table_xinfo(${quoteText(table)})`)
    .raw(true)
    .all()
  return {
    columns: new Set(rows.map(([, column]) => String(column).toLowerCase())),
    generates: rows.some((row) => Number(row[6]) > 1)
  }
}
