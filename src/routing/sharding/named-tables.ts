import { isSymbol, nameIn, type Token, TokenKinds } from '../sql-tokens.js'
import { foldedName, type ShardedTable, type ShardMap } from './shard-map.js'

/** After these SQLite takes a text in single quotes for a name. */
const beforeNames: ReadonlySet<string> = new Set([
  'FROM',
  'INTO',
  'UPDATE',
  'JOIN',
  'TABLE',
  'EXISTS',
  'ON',
  'TO',
  'REINDEX',
  'ANALYZE',
  'REFERENCES'
])
const endsOfSources: ReadonlySet<string> = new Set([
  'WHERE',
  'SET',
  'VALUES',
  'GROUP',
  'ORDER',
  'LIMIT'
])

/**
 * The sharded tables that a statement may speak of, each once. Every name counts, whatever it
 * stands for: a column of a table's name is taken for the table.
 */
export function namedTables(tokens: readonly Token[], map: ShardMap): ShardedTable[] {
  const found = new Set<ShardedTable>()
  let isAmongSources = false
  for (const [i, token] of tokens.entries()) {
    if (token.kind === TokenKinds.Word) {
      if (token.text === 'FROM' || token.text === 'JOIN') isAmongSources = true
      else if (endsOfSources.has(token.text)) isAmongSources = false
    }
    const name = nameIn(token) ?? quotedName(token, tokens[i - 1], isAmongSources)
    const table = name === null ? undefined : map.table(name)
    if (table !== undefined) found.add(table)
  }
  return [...found]
}

function quotedName(
  token: Token,
  before: Token | undefined,
  isAmongSources: boolean
): string | null {
  if (token.kind !== TokenKinds.Text) return null
  const follows =
    (before?.kind === TokenKinds.Word && beforeNames.has(before.text)) || isSymbol(before, '.')
  return follows || isAmongSources ? foldedName(token.text) : null
}
