/**
 * Triggers fire where a request is planned and stay silent where its rows are applied: their
 * effects are among the rows. SQLite has no switch for that which a library could reach, so each
 * trigger carries one, in its WHEN clause. INSTEAD OF triggers need none: rows are never applied
 * to views.
 */
import { SqlError } from '../../core/errors.js'
import { firesFunction } from './names.js'
import { type Token, TokenKinds, tokenize } from './tokenizer.js'

/**
 * `next` is the index after the trigger's name.
 * @throws SqlError when its head cannot be told
 */
export function guardTrigger(sql: string, tokens: readonly Token[], next: number): string {
  const on = find(tokens, next, 'ON')
  if (tokens.slice(next, on).some((token) => isWord(token, 'INSTEAD'))) return sql
  let at = on + 2
  if (tokens[at]?.value === '.') at += 2
  if (isWord(tokens[at], 'FOR')) at += 3
  const begin = find(tokens, at, 'BEGIN')
  const head = sql.slice(0, tokens[at]?.start)
  const body = sql.slice(tokens[begin]?.start)
  if (begin === at) return `${head}WHEN ${firesFunction}() ${body}`
  if (!isWord(tokens[at], 'WHEN')) throw new SqlError('syntax error in the head of the trigger')
  // Comments end with their line, so that none swallows the parenthesis.
  const condition = sql.slice(tokens[at]?.end, tokens[begin - 1]?.end)
  return `${head}WHEN ${firesFunction}() AND (${condition}\n) ${body}`
}

/** The text as its author wrote it, up to blanks before BEGIN; another's is answered as it is. */
export function unguardTrigger(sql: string): string {
  const tokens = tokenize(sql)
  const at = tokens.findIndex(
    (token, i) => isWord(token, 'WHEN') && isWord(tokens[i + 1], firesFunction.toUpperCase())
  )
  const when = tokens[at]
  const then = tokens[at + 4]
  if (when === undefined || then === undefined) return sql
  const head = sql.slice(0, when.start)
  if (!isWord(then, 'AND')) return head + sql.slice(then.start)
  const open = at + 5
  const close = closingOf(tokens, open)
  const [from, to] = [tokens[open]?.end, tokens[close]?.start]
  const condition = sql.slice(from, to).replace(/\n$/, '')
  return `${head}WHEN${condition} ${sql.slice(tokens[close + 1]?.start)}`
}

function closingOf(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at++) {
    const { kind, value } = tokens[at] as Token
    if (kind !== TokenKinds.Punctuation) continue
    if (value === '(') depth++
    if (value === ')' && --depth === 0) return at
  }
  throw new SqlError('a parenthesis in the head of the trigger is not closed')
}

/** Outside of parentheses. */
function find(tokens: readonly Token[], start: number, word: string): number {
  let depth = 0
  for (let at = start; at < tokens.length; at++) {
    const token = tokens[at] as Token
    if (token.kind === TokenKinds.Punctuation && token.value === '(') depth++
    if (token.kind === TokenKinds.Punctuation && token.value === ')') depth--
    if (depth === 0 && isWord(token, word)) return at
  }
  throw new SqlError(`the trigger has no ${word}`)
}

const isWord = (token: Token | undefined, word: string): boolean =>
  token?.kind === TokenKinds.Word && token.value === word
