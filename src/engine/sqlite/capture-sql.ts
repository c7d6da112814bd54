/**
 * Row capture: temporary triggers on the writer's own connection tell the key of each row that a
 * statement may have changed; what the key stands for is read at the end of the request. So neither
 * the order of changes nor what became of them in between matters, and a key told too often costs a
 * look-up and nothing else. Temporary triggers fire before a table's own, so no RAISE(IGNORE) can
 * skip them, and they never call themselves, so SQLite's rule against recursion leaves them alone.
 *
 * Delete triggers do not fire for rows that REPLACE removes. Those rows are found before the
 * change, through the unique indexes they conflict in. A row that comes into the way later, by a
 * trigger of the user's, was itself changed, and told.
 */
import { must } from '../../core/assert.js'
import { quoteName, touchFunction, touchKeyFunction } from './names.js'
import type { TableShape, UniqueIndex } from './table-shape.js'
import { tokenize } from './tokenizer.js'

export const triggerPrefix = '_skein_capture_'

/** Statements that make the triggers of the table with this number. */
export function captureTriggers(shape: TableShape, number: number, replaces: boolean): string[] {
  const told = (row: string) => touchCall(shape, number, row)
  const moved = keyExpressions(shape)
    .map((key) => `OLD.${key} IS NOT NEW.${key} COLLATE BINARY`)
    .join(' OR ')
  const table = quoteName(shape.name)
  const trigger = (kind: string, event: string, body: string) =>
    `CREATE TEMP TRIGGER "${triggerPrefix}${kind}_${number}" ${event} ON main.${table}
     BEGIN ${body}; END`
  // Checking foreign keys may turn the values of OLD and NEW into the types of another table, so
  // keys are told before the change wherever they are known then.
  const triggers = [
    trigger(
      'update',
      'BEFORE UPDATE',
      `SELECT ${told('NEW.')}, CASE WHEN ${moved} THEN ${told('OLD.')} END`
    ),
    trigger('delete', 'BEFORE DELETE', `SELECT ${told('OLD.')}`),
    trigger('insert', 'AFTER INSERT', `SELECT ${told('NEW.')}`)
  ]
  // A key column that may not be NULL gets its default only when the row is made.
  if (shape.rowid === null) {
    triggers.push(trigger('insert_early', 'BEFORE INSERT', `SELECT ${told('NEW.')}`))
    triggers.push(trigger('update_late', 'AFTER UPDATE', `SELECT ${told('NEW.')}`))
  }
  if (replaces && shape.uniques.length > 0) {
    const searches = shape.uniques.map((index) => conflictSearch(shape, number, index)).join(';\n')
    triggers.push(trigger('conflict_insert', 'BEFORE INSERT', searches))
    triggers.push(trigger('conflict_update', 'BEFORE UPDATE', searches))
  }
  return triggers
}

/** Tells every row of the table. */
export const touchAll = (shape: TableShape, number: number): string =>
  `SELECT ${touchCall(shape, number, '')} FROM main.${quoteName(shape.name)}`

/** The stored row of one key. */
export const selectByKey = (shape: TableShape): string =>
  `SELECT ${rowExpressions(shape).join(', ')} FROM main.${quoteName(shape.name)}
   WHERE ${keyMatch(shape)}`

/** The same with text as bytes, for text that is not UTF-8. */
export const selectBytesByKey = (shape: TableShape): string => {
  const columns = rowExpressions(shape).map(
    (column) => `CASE WHEN typeof(${column}) = 'text' THEN CAST(${column} AS BLOB) END`
  )
  return `SELECT ${columns.join(', ')} FROM main.${quoteName(shape.name)} WHERE ${keyMatch(shape)}`
}

export const deleteByKey = (shape: TableShape, rawText: readonly boolean[] = []): string =>
  `DELETE FROM main.${quoteName(shape.name)} WHERE ${keyMatch(shape, rawText)}`

/** `rawText` says which values are bound as bytes of text. */
export function insertRow(
  shape: TableShape,
  mayReplaceKey: boolean,
  rawText: readonly boolean[] = []
): string {
  const columns = rowExpressions(shape)
  const values = columns.map((_, i) => (rawText[i] ? 'CAST(? AS TEXT)' : '?'))
  return `INSERT ${mayReplaceKey ? 'OR REPLACE ' : ''}INTO main.${quoteName(shape.name)}
    (${columns.join(', ')}) VALUES (${values.join(', ')})`
}

/** Every row in key order, as it travels. */
export const selectAll = (shape: TableShape): string =>
  `SELECT ${rowExpressions(shape).join(', ')} FROM main.${quoteName(shape.name)}
   ORDER BY ${keyExpressions(shape).join(', ')}`

/** The key of a row as it travels, by position. */
export function keyPositions(shape: TableShape): number[] {
  const columns = rowExpressions(shape)
  return keyExpressions(shape).map((key) => columns.indexOf(key))
}

function rowExpressions(shape: TableShape): string[] {
  const columns = shape.storedColumns.map(quoteName)
  return shape.rowid !== null && !shape.isRowidColumn ? [shape.rowid, ...columns] : columns
}

const keyExpressions = (shape: TableShape): string[] =>
  shape.rowid !== null ? [shape.rowid] : shape.keyColumns.map(quoteName)

const keyMatch = (shape: TableShape, rawText: readonly boolean[] = []): string =>
  keyExpressions(shape)
    .map((key, i) => `${key} = ${rawText[i] ? 'CAST(? AS TEXT)' : '?'}`)
    .join(' AND ')

/** `row` is `NEW.`, `OLD.` or nothing. */
function touchCall(shape: TableShape, number: number, row: string): string {
  if (shape.rowid !== null) return `${touchFunction}(${number}, ${row}${shape.rowid})`
  const parts = shape.keyColumns.map((column) => {
    const value = `${row}${quoteName(column)}`
    return `${value}, CASE WHEN typeof(${value}) = 'text' THEN CAST(${value} AS BLOB) END`
  })
  return `${touchKeyFunction}(${number}, ${parts.join(', ')})`
}

function conflictSearch(shape: TableShape, number: number, index: UniqueIndex): string {
  const table = quoteName(shape.name)
  const fresh = shape.allColumns.map((column) => `NEW.${quoteName(column)} AS ${quoteName(column)}`)
  const terms = index.terms.map(({ column, expression, collation }) => {
    const collate = `COLLATE ${quoteName(collation)}`
    if (column !== null) return `${quoteName(column)} = NEW.${quoteName(column)} ${collate}`
    const text = must(expression, 'expression')
    const row = `(SELECT ${fresh.join(', ')}) AS ${table}`
    return `(${text}\n) = (SELECT ${text}\n FROM ${row}) ${collate}`
  })
  const conflicts = terms.join(' AND ')
  // Where a value is chosen later, any row may be in the way: SQLite shows -1 for a rowid that it
  // has yet to choose, and NULL for a default that it has yet to put in.
  const unknown = shape.defaultedColumns.map((column) => `NEW.${quoteName(column)} IS NULL`)
  if (index.mayNeedRowid) unknown.push(`NEW.${shape.rowid} = -1`)
  const where = [...unknown, `(${conflicts})`].join(' OR ')
  return `SELECT ${touchCall(shape, number, '')} FROM main.${table} WHERE ${where}`
}

/** The terms of CREATE INDEX … ON t (a, b + 1 COLLATE NOCASE DESC) WHERE …, as written. */
export function indexTerms(sql: string): string[] {
  const tokens = tokenize(sql)
  const on = tokens.findIndex(({ kind, value }) => kind === 'word' && value === 'ON')
  const terms: string[] = []
  let depth = 0
  let start = -1
  for (let at = on + 2; at < tokens.length; at++) {
    const { value, kind, start: from, end } = must(tokens[at], 'token')
    if (kind !== 'punctuation') continue
    if (value === '(' && depth++ === 0) start = end
    const isLast = value === ')' && --depth === 0
    if (isLast || (value === ',' && depth === 1)) {
      terms.push(withoutOrder(sql.slice(start, from)))
      start = end
    }
    if (isLast) break
  }
  return terms
}

/** A collation is told by the index itself, an order means nothing here. */
function withoutOrder(term: string): string {
  const tokens = tokenize(term)
  const last = tokens.at(-1)
  const isOrder = last?.kind === 'word' && (last.value === 'ASC' || last.value === 'DESC')
  return isOrder ? term.slice(0, last.start) : term
}
