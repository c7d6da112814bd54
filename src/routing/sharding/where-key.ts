import { isSymbol, isWord, nameIn, type Token, TokenKinds } from '../sql-tokens.js'
import { type KeyValue, keyValueAt } from './key-value.js'
import { foldedName, type ShardedTable } from './shard-map.js'

const endsOfWhere: ReadonlySet<string> = new Set([
  'GROUP',
  'HAVING',
  'WINDOW',
  'ORDER',
  'LIMIT',
  'RETURNING'
])

/** The value of `key = value` where it is one of the conditions that every row must meet. */
export function keyEquality(tokens: readonly Token[], table: ShardedTable): KeyValue | null {
  const where = tokens.findIndex((token) => isWord(token, 'WHERE'))
  if (where < 0) return null
  const key = foldedName(table.shardKey)
  let depth = 0
  /** An AND belongs to the BETWEEN before it. */
  let isBetween = false
  let begins = true
  let found: KeyValue | null = null
  for (let at = where + 1; at < tokens.length; at++) {
    const token = tokens[at] as Token
    if (isSymbol(token, '(') || isWord(token, 'CASE')) depth++
    else if (isSymbol(token, ')') || (isWord(token, 'END') && depth > 0)) depth--
    else if (depth === 0 && token.kind === TokenKinds.Word) {
      if (token.text === 'OR') return null
      if (endsOfWhere.has(token.text)) break
      if (token.text === 'BETWEEN') isBetween = true
    }
    if (begins && depth === 0) found ??= equalityAt(tokens, at, key)
    begins = depth === 0 && isWord(token, 'AND') && !isBetween
    if (depth === 0 && isWord(token, 'AND')) isBetween = false
  }
  return found
}

/** `[[schema.]table.]key = value`, and nothing that goes on with the value. */
function equalityAt(tokens: readonly Token[], from: number, key: string): KeyValue | null {
  let at = from
  while (nameIn(tokens[at]) !== null && isSymbol(tokens[at + 1], '.')) at += 2
  if (nameIn(tokens[at]) !== key || !isSymbol(tokens[at + 1], '=')) return null
  const start = isSymbol(tokens[at + 2], '=') ? at + 3 : at + 2
  const found = keyValueAt(tokens, start)
  return found !== null && endsCondition(tokens[found.end]) ? found.value : null
}

const endsCondition = (token: Token | undefined): boolean =>
  token === undefined ||
  isSymbol(token, ';') ||
  (token.kind === TokenKinds.Word && (token.text === 'AND' || endsOfWhere.has(token.text)))
