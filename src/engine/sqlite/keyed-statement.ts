/**
 * Statements that can be seen, by their tokens, to touch one row named by its key, or to read none
 * at all. What is not one of these few shapes may read anything: it is not guessed at.
 *
 *   SELECT … FROM t WHERE key = v [AND …]      UPDATE t SET … WHERE key = v [AND …]
 *   DELETE FROM t WHERE key = v [AND …]        INSERT INTO t [(…)] VALUES (…), …
 * without another SELECT, a join, a union or an OR; v is an integer or a parameter.
 */
import type { Statement } from '../../core/sql.js'
import { type Token, TokenKinds } from './tokenizer.js'

export type KeyedStatement =
  | {
      readonly kind: 'row'
      readonly table: string
      readonly column: string
      /** Null: no integer, so whichever row it is, it is not named. */
      readonly key: bigint | null
    }
  | { readonly kind: 'insert'; readonly table: string }

/** Any of them, wherever it stands, may read more than the one row. */
const wideWords = new Set(
  `SELECT JOIN UNION INTERSECT EXCEPT OR WITH EXISTS IN FROM CONFLICT REPLACE USING OVER
   GROUP HAVING WINDOW`.split(/\s+/)
)

/** Null: it may read anything. */
export function keyedStatement(
  tokens: readonly Token[],
  params: Statement['params']
): KeyedStatement | null {
  const verb = word(tokens[0])
  if (verb === 'INSERT') return keyedInsert(tokens)
  const at = tableAt(tokens, verb)
  const table = nameOf(tokens[at])
  if (at < 0 || table === null) return null
  const where = tokens.findIndex((token) => word(token) === 'WHERE')
  if (where < 0 || (verb !== 'UPDATE' && where !== at + 1)) return null
  if (verb === 'UPDATE' && word(tokens[at + 1]) !== 'SET') return null
  const column = nameOf(tokens[where + 1])
  const isEqual = mark(tokens[where + 2]) === '='
  const valueAt = mark(tokens[where + 3]) === '=' ? where + 4 : where + 3
  const next = tokens[valueAt + 1]
  const endsThere = next === undefined || ['AND', 'RETURNING'].includes(word(next) ?? '')
  if (column === null || !isEqual || !endsThere) return null
  const rest = tokens.filter((_, i) => i !== 0 && i !== at - 1)
  if (rest.some((token) => wideWords.has(word(token) ?? ''))) return null
  return { kind: 'row', table, column, key: integerAt(tokens, valueAt, params) }
}

function keyedInsert(tokens: readonly Token[]): KeyedStatement | null {
  const table = nameOf(tokens[2])
  if (word(tokens[1]) !== 'INTO' || table === null) return null
  if (!tokens.some((token) => word(token) === 'VALUES')) return null
  return tokens.some((token) => wideWords.has(word(token) ?? '')) ? null : { kind: 'insert', table }
}

/** Where the one table of the statement is named; -1: not where it would have to be. */
function tableAt(tokens: readonly Token[], verb: string | null): number {
  if (verb === 'UPDATE') return 1
  if (verb === 'DELETE') return word(tokens[1]) === 'FROM' ? 2 : -1
  if (verb !== 'SELECT') return -1
  const from = tokens.findIndex((token) => word(token) === 'FROM')
  return from < 0 ? -1 : from + 1
}

function integerAt(
  tokens: readonly Token[],
  at: number,
  params: Statement['params']
): bigint | null {
  const token = tokens[at]
  if (token?.kind === TokenKinds.Number) {
    return /^[0-9]{1,18}$/.test(token.value) ? BigInt(token.value) : null
  }
  if (token?.kind !== TokenKinds.Variable || params === undefined) return null
  if (!Array.isArray(params)) {
    const named = params as Readonly<Record<string, unknown>>
    return toInteger(named[token.value.slice(1)])
  }
  // Numbered ones share places with the others: only plain question marks are counted.
  const variables = tokens.filter(({ kind }) => kind === TokenKinds.Variable)
  if (variables.some(({ value }) => value !== '?')) return null
  return toInteger(params[variables.indexOf(token)])
}

function toInteger(value: unknown): bigint | null {
  if (typeof value === 'bigint') return value
  return typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : null
}

const word = (token: Token | undefined): string | null =>
  token?.kind === TokenKinds.Word ? token.value : null

const mark = (token: Token | undefined): string | null =>
  token?.kind === TokenKinds.Punctuation ? token.value : null

const nameOf = (token: Token | undefined): string | null =>
  token?.kind === TokenKinds.Word || token?.kind === TokenKinds.Quoted ? token.value : null
