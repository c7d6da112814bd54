import { isSymbol, isWord, nameIn, type Token } from '../sql-tokens.js'
import { type KeyValue, keyValueAt } from './key-value.js'
import { foldedName, type ShardedTable } from './shard-map.js'
import type { StatementShape } from './statement-shape.js'

/** `INSERT INTO table [AS alias] (columns) VALUES (row) [, (row)] …` */
export function insertedKeys(tokens: readonly Token[], table: ShardedTable): StatementShape {
  const key = foldedName(table.shardKey)
  const unkeyed = (why: string): StatementShape => ({ kind: 'unkeyed', table, why })
  const values = tokens.findIndex((token) => isWord(token, 'VALUES'))
  const open = tokens.findIndex((token) => isSymbol(token, '('))
  if (values < 0) return unkeyed('it inserts what it does not spell out')
  if (open < 0 || open > values) return unkeyed('it does not name its columns')
  const columns = columnsIn(tokens, open)
  const position = columns.indexOf(key)
  if (position < 0) return unkeyed(`it gives ${table.shardKey} no value`)
  const keys: KeyValue[] = []
  let at = values + 1
  for (;;) {
    const row = rowAt(tokens, at, position)
    if (row === null) return unkeyed(`a row gives ${table.shardKey} no plain value`)
    keys.push(row.key)
    at = row.end
    if (!isSymbol(tokens[at], ',')) break
    at++
  }
  if (assigns(tokens.slice(at), key)) {
    return {
      kind: 'refused',
      why: `${table.shardKey} is the shard key: a conflict may not move a row`
    }
  }
  return { kind: 'keyed', table, keys }
}

function columnsIn(tokens: readonly Token[], open: number): (string | null)[] {
  const columns: (string | null)[] = []
  for (let at = open + 1; at < tokens.length && !isSymbol(tokens[at], ')'); at++) {
    if (!isSymbol(tokens[at], ',')) columns.push(nameIn(tokens[at]))
  }
  return columns
}

function rowAt(
  tokens: readonly Token[],
  open: number,
  position: number
): { readonly key: KeyValue; readonly end: number } | null {
  if (!isSymbol(tokens[open], '(')) return null
  let depth = 1
  let passed = 0
  let key: KeyValue | null = null
  for (let at = open + 1; at < tokens.length; at++) {
    const token = tokens[at]
    const begins = isSymbol(tokens[at - 1], ',') || at === open + 1
    if (depth === 1 && begins && passed === position) {
      const found = keyValueAt(tokens, at)
      const ends =
        found !== null && (isSymbol(tokens[found.end], ',') || isSymbol(tokens[found.end], ')'))
      key = ends ? found.value : null
    }
    if (isSymbol(token, '(')) depth++
    else if (isSymbol(token, ')')) depth--
    else if (depth === 1 && isSymbol(token, ',')) passed++
    if (depth === 0) return key === null ? null : { key, end: at + 1 }
  }
  return null
}

/** `DO UPDATE SET … key = …` */
const assigns = (tokens: readonly Token[], key: string): boolean =>
  tokens.some(
    (token, i) =>
      nameIn(token) === key &&
      (isWord(tokens[i - 1], 'SET') ||
        isSymbol(tokens[i - 1], ',') ||
        isSymbol(tokens[i - 1], '(')) &&
      !isConflictTarget(tokens, i)
  )

/** `ON CONFLICT (key)` names the key and changes nothing. */
function isConflictTarget(tokens: readonly Token[], at: number): boolean {
  for (let i = at - 1; i >= 0; i--) {
    if (isWord(tokens[i], 'SET') || isSymbol(tokens[i], ')')) return false
    if (isWord(tokens[i], 'CONFLICT')) return true
  }
  return false
}
