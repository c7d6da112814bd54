/**
 * Which reads can be put together from the answers of several groups, and how.
 *
 * 1. What is put together is what one group with all the rows would have answered, but for the
 *    order of rows, which SQL leaves open without ORDER BY.
 * 2. It is no snapshot: each group answers at a time of its own.
 */
import { SqlError } from '../../core/errors.js'
import { integerToSqlValue, type SqlValue, type StatementResult } from '../../core/sql.js'
import { isSymbol, isWord, type Token, TokenKinds } from '../sql-tokens.js'
import { type AggregateName, aggregateNames, type Merge } from './statement-shape.js'

/** Where one of these stands the answers of groups are not the parts of the whole one. */
const indivisible: ReadonlySet<string> = new Set([
  'DISTINCT',
  'GROUP',
  'HAVING',
  'ORDER',
  'LIMIT',
  'OVER',
  'WINDOW',
  'FILTER'
])
const unmergeable: ReadonlySet<string> = new Set([
  'AVG',
  'GROUP_CONCAT',
  'STRING_AGG',
  'JSON_GROUP_ARRAY',
  'JSON_GROUP_OBJECT',
  'JSONB_GROUP_ARRAY',
  'JSONB_GROUP_OBJECT'
])

/** Why it cannot be, in words, or how. */
export function mergeOf(tokens: readonly Token[]): Merge | string {
  for (const token of tokens) {
    if (token.kind !== TokenKinds.Word) continue
    if (indivisible.has(token.text)) return `${token.text} over several groups is not taken`
    if (unmergeable.has(token.text)) return `${token.text} over several groups is not taken`
  }
  const columns = columnsOf(tokens)
  const aggregates = columns.map(aggregateOf)
  if (aggregates.every((one) => one === null)) {
    return columns.some(hasAggregate) ? mixed : { kind: 'rows' }
  }
  const known = aggregates.filter((one) => one !== null)
  return known.length === aggregates.length ? { kind: 'aggregates', columns: known } : mixed
}

const mixed = 'an aggregate over several groups stands alone in its column'

/** @param parts the answer of each group, in the order of the groups */
export function merged(merge: Merge, parts: readonly StatementResult[]): StatementResult {
  const [first] = parts
  const columns = first?.columns ?? []
  const rows =
    merge.kind === 'rows'
      ? parts.flatMap((part) => part.rows)
      : [
          merge.columns.map((name, i) =>
            combined(
              name,
              parts.map((part) => part.rows[0]?.[i] ?? null)
            )
          )
        ]
  return { columns, rows, rowsAffected: 0, lastInsertRowid: null }
}

function columnsOf(tokens: readonly Token[]): (readonly Token[])[] {
  const columns: Token[][] = [[]]
  let depth = 0
  const select = tokens.findIndex((token) => isWord(token, 'SELECT'))
  for (let at = select + 1; at < tokens.length; at++) {
    const token = tokens[at] as Token
    if (isSymbol(token, '(')) depth++
    else if (isSymbol(token, ')')) depth--
    else if (depth === 0 && isWord(token, 'FROM')) break
    if (depth === 0 && isSymbol(token, ',')) columns.push([])
    else columns.at(-1)?.push(token)
  }
  return columns
}

/** `name(…)`, `name(…) AS other`, `name(…) other`; min and max of one value. */
function aggregateOf(column: readonly Token[]): AggregateName | null {
  const [first, open] = column
  const name = aggregateNames.find((one) => isWord(first, one.toUpperCase()))
  if (name === undefined || !isSymbol(open, '(')) return null
  let depth = 0
  for (let at = 1; at < column.length; at++) {
    if (isSymbol(column[at], '(')) depth++
    else if (isSymbol(column[at], ')')) depth--
    if (depth === 1 && isSymbol(column[at], ',')) return null
    if (depth > 0) continue
    const rest = column.slice(at + 1)
    return rest.length === 0 || isAlias(rest) ? name : null
  }
  return null
}

const isAlias = (rest: readonly Token[]): boolean => {
  const [name, ...more] = isWord(rest[0], 'AS') ? rest.slice(1) : rest
  return (
    (name?.kind === TokenKinds.Word || name?.kind === TokenKinds.QuotedName) && more.length === 0
  )
}

/** As part of something else, or of more than one value: then min and max are no aggregates. */
const hasAggregate = (column: readonly Token[]): boolean =>
  column.some((token, i) => {
    const name = aggregateNames.find((one) => isWord(token, one.toUpperCase()))
    return name !== undefined && isSymbol(column[i + 1], '(') && !isScalar(column, i + 1)
  })

function isScalar(column: readonly Token[], open: number): boolean {
  if (!isWord(column[open - 1], 'MIN') && !isWord(column[open - 1], 'MAX')) return false
  let depth = 0
  for (let at = open; at < column.length; at++) {
    if (isSymbol(column[at], '(')) depth++
    else if (isSymbol(column[at], ')') && --depth === 0) return false
    if (depth === 1 && isSymbol(column[at], ',')) return true
  }
  return false
}

function combined(name: AggregateName, values: readonly SqlValue[]): SqlValue {
  switch (name) {
    case 'count':
      return sumOf(values) ?? 0
    case 'sum':
      return sumOf(values)
    case 'total':
      return values.reduce<number>((sum, value) => sum + Number(value), 0)
    case 'min':
      return extremeOf(values, -1)
    case 'max':
      return extremeOf(values, 1)
  }
}

/** Null where every group had nothing to add; a real where one has added a real. */
function sumOf(values: readonly SqlValue[]): SqlValue {
  const present = values.filter((value) => typeof value === 'number' || typeof value === 'bigint')
  if (present.length === 0) return null
  if (present.some((value) => typeof value === 'number' && !Number.isInteger(value))) {
    return present.reduce<number>((sum, value) => sum + Number(value), 0)
  }
  const sum = present.reduce<bigint>((so, value) => so + BigInt(value), 0n)
  if (BigInt.asIntN(64, sum) !== sum) throw new SqlError('integer overflow')
  return integerToSqlValue(sum)
}

function extremeOf(values: readonly SqlValue[], sign: 1 | -1): SqlValue {
  let found: SqlValue = null
  for (const value of values) {
    if (value === null) continue
    if (found === null || compareValues(value, found) * sign > 0) found = value
  }
  return found
}

/** As SQLite orders values of several types, texts by their code points. */
function compareValues(a: SqlValue, b: SqlValue): number {
  const rank = rankOf(a) - rankOf(b)
  if (rank !== 0) return rank
  if (typeof a === 'string' && typeof b === 'string') return compareTexts(a, b)
  if (a instanceof Uint8Array && b instanceof Uint8Array) return compareBytes(a, b)
  const [left, right] = [a as number | bigint, b as number | bigint]
  return left < right ? -1 : left > right ? 1 : 0
}

const rankOf = (value: SqlValue): number =>
  value === null ? 0 : typeof value === 'string' ? 2 : value instanceof Uint8Array ? 3 : 1

function compareTexts(a: string, b: string): number {
  const [left, right] = [[...a], [...b]]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x, y] = [left[i]?.codePointAt(0) ?? 0, right[i]?.codePointAt(0) ?? 0]
    if (x !== y) return x - y
  }
  return left.length - right.length
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}
