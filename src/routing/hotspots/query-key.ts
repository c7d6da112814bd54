/**
 * What a statement is about, as far as its text tells at little cost: `table.column=value` where
 * it compares a column that is named like a key with one value, or inserts one; else the statement
 * itself with its values left out. It is good for counting what is asked often, and for nothing
 * else: names are not resolved, and two texts for one row may have two keys.
 *
 * 1. The answer for one text is worked out once; later ones only fill in the parameters.
 * 2. No text, however wrong, throws.
 */
import { SkeinError } from '../../core/errors.js'
import type { SqlValue, Statement } from '../../core/sql.js'
import { routeTextLengthMax } from '../messages.js'
import {
  isSymbol,
  isWord,
  type Token,
  type TokenKind,
  TokenKinds,
  tokensOf
} from '../sql-tokens.js'

/** Texts whose recipes are remembered; the one used longest ago is forgotten. */
export const keyRecipesMax = 1_024
/** A longer text is its own key, cut. */
export const keyedTextLengthMax = 2_048

type Recipe =
  | { readonly kind: 'text'; readonly text: string }
  /** `prefix` and the value of a parameter: by position from 0, or by name. */
  | { readonly kind: 'parameter'; readonly prefix: string; readonly at: number | string }

export class QueryKeys {
  readonly #recipes = new Map<string, Recipe>()

  /** Of a list, that of its first statement. */
  of(statements: readonly Statement[]): string | null {
    const first = statements[0]
    if (first === undefined) return null
    const recipe = this.#recipeOf(first.sql)
    if (recipe.kind === 'text') return recipe.text
    return cutKey(recipe.prefix + shown(valueAt(first.params, recipe.at)))
  }

  get remembered(): number {
    return this.#recipes.size
  }

  #recipeOf(sql: string): Recipe {
    if (sql.length > keyedTextLengthMax) return { kind: 'text', text: cutKey(sql) }
    const known = this.#recipes.get(sql)
    if (known !== undefined) {
      this.#recipes.delete(sql)
      this.#recipes.set(sql, known)
      return known
    }
    const recipe = recipeFor(sql)
    this.#recipes.set(sql, recipe)
    if (this.#recipes.size > keyRecipesMax) {
      for (const oldest of this.#recipes.keys()) {
        this.#recipes.delete(oldest)
        break
      }
    }
    return recipe
  }
}

/** A key as it may be counted and told to others. */
export const cutKey = (key: string): string =>
  key.length <= routeTextLengthMax ? key : `${key.slice(0, routeTextLengthMax - 1)}…`

function recipeFor(sql: string): Recipe {
  const tokens = readableTokens(sql)
  if (tokens === null) return { kind: 'text', text: cutKey(sql) }
  return equalityIn(tokens) ?? insertionIn(tokens) ?? { kind: 'text', text: fingerprint(tokens) }
}

/** Null: it is not SQL. */
function readableTokens(sql: string): Token[] | null {
  try {
    return tokensOf(sql)
  } catch (error) {
    if (error instanceof SkeinError) return null
    throw error
  }
}

/** `WHERE … column = value`, outside of parentheses, where no OR makes it one of several. */
function equalityIn(tokens: readonly Token[]): Recipe | null {
  const table = tableOf(tokens)
  const where = tokens.findIndex((token) => isWord(token, 'WHERE'))
  if (table === null || where < 0) return null
  let depth = 0
  let found: number | null = null
  for (let at = where + 1; at < tokens.length; at++) {
    const token = tokens[at] as Token
    if (isSymbol(token, '(')) depth++
    else if (isSymbol(token, ')')) depth--
    else if (depth === 0 && isWord(token, 'OR')) return null
    else if (depth === 0 && found === null && isKeyEquality(tokens, at)) found = at
  }
  if (found === null) return null
  const column = nameOf(tokens[found])
  return recipeOf(`${table}.${column}=`, tokens, found + 2)
}

function isKeyEquality(tokens: readonly Token[], at: number): boolean {
  const column = nameOf(tokens[at])
  if (column === null || !keyName.test(column) || !isSymbol(tokens[at + 1], '=')) return false
  return isValue(tokens[at + 2]) && !continuesValue(tokens[at + 3])
}

/** `INSERT INTO table [(columns)] VALUES (values)` */
function insertionIn(tokens: readonly Token[]): Recipe | null {
  const table = tableOf(tokens)
  const values = tokens.findIndex((token) => isWord(token, 'VALUES'))
  if (table === null || values < 0 || !isSymbol(tokens[values + 1], '(')) return null
  const into = tokens.findIndex((token) => isWord(token, 'INTO'))
  if (into < 0 || into > values) return null
  const columns = tokens
    .slice(into + 2, values)
    .map(nameOf)
    .filter((name) => name !== null)
  const position = columns.findIndex((name) => keyName.test(name))
  if (columns.length > 0 && position < 0) return null
  const at = valueInRow(tokens, values + 2, Math.max(0, position))
  return at === null ? null : recipeOf(`${table}.${columns[position] ?? 'key'}=`, tokens, at)
}

/** Where the value number `position` of a row stands alone. */
function valueInRow(tokens: readonly Token[], from: number, position: number): number | null {
  let depth = 0
  let passed = 0
  for (let at = from; at < tokens.length; at++) {
    const token = tokens[at]
    if (depth === 0 && passed === position) {
      const ends = isSymbol(tokens[at + 1], ',') || isSymbol(tokens[at + 1], ')')
      return isValue(token) && ends ? at : null
    }
    if (isSymbol(token, '(')) depth++
    if (isSymbol(token, ')') && --depth < 0) return null
    if (depth === 0 && isSymbol(token, ',')) passed++
  }
  return null
}

function recipeOf(prefix: string, tokens: readonly Token[], at: number): Recipe {
  const value = tokens[at] as Token
  if (value.kind !== TokenKinds.Parameter)
    return { kind: 'text', text: cutKey(prefix + value.text) }
  if (value.text === '?') {
    const earlier = tokens.slice(0, at).filter(({ kind }) => kind === TokenKinds.Parameter)
    return { kind: 'parameter', prefix, at: earlier.length }
  }
  const number = Number(value.text.slice(1))
  const isNumbered = value.text.startsWith('?') && Number.isInteger(number)
  return { kind: 'parameter', prefix, at: isNumbered ? number - 1 : value.text.slice(1) }
}

/** The statement with its values left out: the same for all that differ in values only. */
const fingerprint = (tokens: readonly Token[]): string =>
  cutKey(tokens.map(({ kind, text }) => (valueKinds.has(kind) ? '?' : text)).join(' '))

function tableOf(tokens: readonly Token[]): string | null {
  for (const [i, token] of tokens.entries()) {
    const isBefore = isWord(token, 'FROM') || isWord(token, 'INTO') || isWord(token, 'UPDATE')
    if (isBefore) return nameOf(tokens[i + 1])
  }
  return null
}

/** Tables and columns in lower case, as SQLite compares them. */
function nameOf(token: Token | undefined): string | null {
  if (token?.kind !== TokenKinds.Word && token?.kind !== TokenKinds.QuotedName) return null
  return token.text.toLowerCase()
}

function valueAt(params: Statement['params'], at: number | string): SqlValue | undefined {
  if (params === undefined) return undefined
  if (Array.isArray(params)) return typeof at === 'number' ? params[at] : undefined
  const named = params as Readonly<Record<string, SqlValue>>
  for (const prefix of ['', ':', '@', '$']) {
    const value = named[`${prefix}${at}`]
    if (value !== undefined) return value
  }
  return undefined
}

const shown = (value: SqlValue | undefined): string =>
  value instanceof Uint8Array ? `blob(${value.length})` : value === undefined ? '?' : `${value}`

const keyName = /^(?:k|pk|key|\w*id|\w+_key|uuid)$/

/** After these a value goes on: `id = 1 + x`. */
const continuesValue = (token: Token | undefined): boolean =>
  token?.kind === TokenKinds.Symbol && !/^[,;)]$/.test(token.text)

const valueKinds: ReadonlySet<TokenKind> = new Set([
  TokenKinds.Text,
  TokenKinds.Number,
  TokenKinds.Blob,
  TokenKinds.Parameter
])

const isValue = (token: Token | undefined): boolean =>
  token !== undefined && valueKinds.has(token.kind)
