/**
 * Changes of the schema. A sharded table is defined alike in each of its groups, and nothing that
 * would hold in one group only is taken: views, triggers and foreign keys see one group's rows.
 */
import { isSymbol, isWord, nameIn, type Token } from '../sql-tokens.js'
import { foldedName, type ShardedTable } from './shard-map.js'
import type { StatementShape } from './statement-shape.js'

export function definitionShapeOf(
  tokens: readonly Token[],
  tables: readonly ShardedTable[]
): StatementShape {
  const verb = tokens[0]?.text ?? ''
  const what = whatOf(tokens)
  const [table] = tables
  if (table === undefined) {
    return isOfNoTable(verb, what) ? definitionAnywhere(tokens, verb) : { kind: 'unsharded' }
  }
  if (tables.length > 1) return refused(`it names ${namesOf(tables)}, which are sharded apart`)
  if (what === 'VIEW' || what === 'TRIGGER') {
    return refused(`a ${what.toLowerCase()} over ${table.table} would see one group's rows`)
  }
  if (verb === 'CREATE' && what === 'TABLE' && createdName(tokens) !== foldedName(table.table)) {
    return otherTable(tokens, table)
  }
  const fault = faultOf(tokens, verb, what, table)
  return fault === null ? { kind: 'definition', table } : refused(fault)
}

/** CREATE [UNIQUE] what, DROP what, ALTER TABLE */
const whatOf = (tokens: readonly Token[]): string =>
  (isWord(tokens[1], 'UNIQUE') ? tokens[2] : tokens[1])?.text.toUpperCase() ?? ''

/** An index is dropped by its own name, wherever its table is. */
const isOfNoTable = (verb: string, what: string): boolean =>
  verb === 'REINDEX' || verb === 'ANALYZE' || (verb === 'DROP' && what === 'INDEX')

/** CREATE TABLE [IF NOT EXISTS] [schema.]name */
function createdName(tokens: readonly Token[]): string | null {
  const at = isWord(tokens[2], 'IF') ? 5 : 2
  return nameIn(isSymbol(tokens[at + 1], '.') ? tokens[at + 2] : tokens[at])
}

/** A table of group 0 that names a sharded one, as a column may by chance. */
function otherTable(tokens: readonly Token[], { table }: ShardedTable): StatementShape {
  const speaksOfIt = tokens.some((token) => isWord(token, 'SELECT') || isWord(token, 'REFERENCES'))
  return speaksOfIt ? refused(`${table} is sharded, and not in one group`) : { kind: 'unsharded' }
}

function definitionAnywhere(tokens: readonly Token[], verb: string): StatementShape {
  if (verb === 'DROP' && !isWord(tokens[2], 'IF')) {
    return refused('its table is in some groups only; write DROP INDEX IF EXISTS')
  }
  if (verb === 'REINDEX' && tokens.length > 1) {
    return refused('REINDEX of one name is taken where tables are sharded for tables only')
  }
  return { kind: 'definition', table: null }
}

function faultOf(
  tokens: readonly Token[],
  verb: string,
  what: string,
  table: ShardedTable
): string | null {
  const key = foldedName(table.shardKey)
  const namesKey = tokens.some((token) => nameIn(token) === key)
  const { table: name, shardKey } = table
  if (tokens.some((token) => isWord(token, 'REFERENCES'))) {
    return `${name} is sharded: a foreign key would be held to one group's rows`
  }
  if (verb === 'CREATE' && what === 'TABLE') {
    if (tokens.some((token) => isWord(token, 'SELECT')))
      return `${name} is sharded: AS SELECT is not taken`
    if (!namesKey) return `${name} has no column ${shardKey}, which is its shard key`
    if (hasCollation(tokens, key)) return `${shardKey} is the shard key and compares by its bytes`
  }
  if (verb === 'CREATE' && isWord(tokens[1], 'UNIQUE') && !namesKey) {
    return `unique over all groups needs ${shardKey}, the shard key, among its columns`
  }
  if (verb === 'ALTER' && tokens.some((token) => isWord(token, 'RENAME')) && !isOfColumn(tokens)) {
    return `${name} is sharded by its name, which stays`
  }
  if (verb === 'ALTER' && namesKey) return `${shardKey} is the shard key, and stays`
  return null
}

const isOfColumn = (tokens: readonly Token[]): boolean => {
  const rename = tokens.findIndex((token) => isWord(token, 'RENAME'))
  return !isWord(tokens[rename + 1], 'TO')
}

/** In the definition of the key's column. */
function hasCollation(tokens: readonly Token[], key: string): boolean {
  let depth = 0
  let isKey = false
  for (const [i, token] of tokens.entries()) {
    const begins = depth === 1 && (isSymbol(tokens[i - 1], '(') || isSymbol(tokens[i - 1], ','))
    if (begins) isKey = nameIn(token) === key
    if (isSymbol(token, '(')) depth++
    else if (isSymbol(token, ')')) depth--
    if (isKey && isWord(token, 'COLLATE') && !isWord(tokens[i + 1], 'BINARY')) return true
  }
  return false
}

const namesOf = (tables: readonly ShardedTable[]): string =>
  tables.map(({ table }) => table).join(' and ')

const refused = (why: string): StatementShape => ({ kind: 'refused', why })
