/**
 * What a statement says of the groups that it belongs to, by its text alone.
 *
 * 1. A statement is never given a key that its rows need not have: what is not one of the shapes
 *    below needs the caller's `shardKey`, or is refused by name.
 * 2. A statement that names no sharded table lives in group 0.
 *
 * Shapes with a key: `INSERT INTO t (columns) VALUES …` with a plain value for the key in each row,
 * and SELECT, UPDATE, DELETE of the one table where `key = value` is one of the conditions that all
 * must hold.
 */
import { isSymbol, isWord, nameIn, type Token, TokenKinds, tokensOf } from '../sql-tokens.js'
import { definitionShapeOf } from './definition-shape.js'
import { insertedKeys } from './inserted-keys.js'
import { mergeOf } from './merge.js'
import { namedTables } from './named-tables.js'
import { foldedName, type ShardedTable, type ShardMap } from './shard-map.js'
import type { StatementShape } from './statement-shape.js'
import { keyEquality } from './where-key.js'

const definitions: ReadonlySet<string> = new Set(['CREATE', 'DROP', 'ALTER', 'REINDEX', 'ANALYZE'])

export function shapeOf(sql: string, map: ShardMap): StatementShape {
  // SQLite reads no further than that: it would execute another statement than this one.
  if (sql.includes('\0')) return { kind: 'refused', why: 'the text has a NUL character' }
  const tokens = tokensOf(sql)
  const explained = isWord(tokens[0], 'EXPLAIN')
  const rest = explained ? tokens.slice(isWord(tokens[1], 'QUERY') ? 3 : 1) : tokens
  const verb = rest[0]?.text ?? ''
  const tables = namedTables(rest, map)
  if (definitions.has(verb) && !explained) return definitionShapeOf(rest, tables)
  const [table] = tables
  if (table === undefined) return { kind: 'unsharded' }
  if (verb === 'PRAGMA') return { kind: 'anywhere', table }
  if (tables.length > 1) return unkeyed(table, 'it names several sharded tables')
  // Parameters are numbered from the beginning of the text.
  return dataShapeOf(tokens, tokens.length - rest.length, table, verb)
}

function dataShapeOf(
  tokens: readonly Token[],
  from: number,
  table: ShardedTable,
  verb: string
): StatementShape {
  if (tokens.some((token, i) => i > from && isWord(token, 'SELECT'))) {
    return unkeyed(table, 'it has a SELECT in it')
  }
  switch (verb) {
    case 'INSERT':
    case 'REPLACE':
      return insertedKeys(tokens, table)
    case 'UPDATE':
      return updateShapeOf(tokens, table)
    case 'DELETE':
      return whereShapeOf(tokens, table)
    case 'SELECT':
      return selectShapeOf(tokens, table)
    default:
      return unkeyed(table, `${verb} is not looked into`)
  }
}

function updateShapeOf(tokens: readonly Token[], table: ShardedTable): StatementShape {
  const key = foldedName(table.shardKey)
  const set = tokens.findIndex((token) => isWord(token, 'SET'))
  const where = tokens.findIndex((token) => isWord(token, 'WHERE'))
  const end = where < 0 ? tokens.length : where
  for (let at = set + 1; at < end; at++) {
    const before = tokens[at - 1]
    const begins = isWord(before, 'SET') || isSymbol(before, ',') || isSymbol(before, '(')
    if (begins && nameIn(tokens[at]) === key) {
      return {
        kind: 'refused',
        why: `${table.shardKey} is the shard key of ${table.table}: ${fix}`
      }
    }
  }
  if (tokens.slice(set, end).some((token) => isWord(token, 'FROM'))) {
    return unkeyed(table, 'it takes values from another table')
  }
  return whereShapeOf(tokens, table)
}

const fix = 'a row does not move; delete it and insert another'

function whereShapeOf(tokens: readonly Token[], table: ShardedTable): StatementShape {
  const key = keyEquality(tokens, table)
  if (key !== null) return { kind: 'keyed', table, keys: [key] }
  return unkeyed(table, `no condition ${table.shardKey} = … that must hold`)
}

function selectShapeOf(tokens: readonly Token[], table: ShardedTable): StatementShape {
  if (hasSeveralSources(tokens)) return unkeyed(table, 'it joins or combines')
  const key = keyEquality(tokens, table)
  if (key !== null) return { kind: 'keyed', table, keys: [key] }
  const merge = mergeOf(tokens)
  if (typeof merge === 'string') return unkeyed(table, merge)
  return { kind: 'scattered', table, merge }
}

const combining: ReadonlySet<string> = new Set(['JOIN', 'UNION', 'INTERSECT', 'EXCEPT', 'VALUES'])

function hasSeveralSources(tokens: readonly Token[]): boolean {
  if (tokens.some((token) => token.kind === TokenKinds.Word && combining.has(token.text)))
    return true
  const from = tokens.findIndex((token) => isWord(token, 'FROM'))
  let depth = 0
  for (let at = from + 1; at < tokens.length && !isWord(tokens[at], 'WHERE'); at++) {
    if (isSymbol(tokens[at], '(')) depth++
    else if (isSymbol(tokens[at], ')')) depth--
    else if (depth === 0 && isSymbol(tokens[at], ',') && !isInOrder(tokens, from, at)) return true
  }
  return from < 0
}

/** Commas of `ORDER BY` and `GROUP BY` join nothing. */
const isInOrder = (tokens: readonly Token[], from: number, at: number): boolean =>
  tokens.slice(from, at).some((token) => isWord(token, 'BY') || isWord(token, 'LIMIT'))

const unkeyed = (table: ShardedTable, why: string): StatementShape => ({
  kind: 'unkeyed',
  table,
  why
})
