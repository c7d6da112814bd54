import { SqlError } from '../../core/errors.js'

export const TokenKinds = {
  Word: 'word',
  /** "a", `a` or [a]: always a name. */
  Quoted: 'quoted',
  /** 'a': a value, and in some places SQLite takes it for a name. */
  String: 'string',
  Blob: 'blob',
  Number: 'number',
  Variable: 'variable',
  Punctuation: 'punctuation'
} as const
export type TokenKind = (typeof TokenKinds)[keyof typeof TokenKinds]

export interface Token {
  readonly kind: TokenKind
  /** A word in upper case; a name or string without quotes; the text itself otherwise. */
  readonly value: string
  readonly start: number
  readonly end: number
}

const SPACE = /[ \t\n\f\r]/
const WORD_START = /[A-Za-z_\u0080-\uffff]/
const WORD = /[A-Za-z0-9_$\u0080-\uffff]/
const DIGIT = /[0-9]/
const NUMBER = /0[xX][0-9A-Fa-f_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9_]+)?/y

/**
 * The tokens of SQLite's language, comments left out. It decides nothing about grammar: text that
 * is no SQL passes when its tokens are whole.
 * @throws SqlError when a quote is not closed or a NUL character would end the text early
 */
export function tokenize(sql: string): Token[] {
  if (sql.includes('\0')) throw new SqlError('the statement contains a NUL character')
  const tokens: Token[] = []
  let at = 0
  while (at < sql.length) {
    const skipped = skipBlank(sql, at)
    if (skipped > at) {
      at = skipped
      continue
    }
    const token = tokenAt(sql, at)
    tokens.push(token)
    at = token.end
  }
  return tokens
}

function skipBlank(sql: string, start: number): number {
  if (SPACE.test(sql.charAt(start))) return start + 1
  if (sql.startsWith('--', start)) {
    const end = sql.indexOf('\n', start)
    return end < 0 ? sql.length : end + 1
  }
  if (sql.startsWith('/*', start)) {
    const end = sql.indexOf('*/', start + 2)
    return end < 0 ? sql.length : end + 2
  }
  return start
}

function tokenAt(sql: string, start: number): Token {
  const char = sql.charAt(start)
  if (char === "'") return quoted(sql, start, "'", TokenKinds.String)
  if (char === '"' || char === '`') return quoted(sql, start, char, TokenKinds.Quoted)
  if (char === '[') return bracketed(sql, start)
  if ((char === 'x' || char === 'X') && sql.charAt(start + 1) === "'") {
    const { end } = quoted(sql, start + 1, "'", TokenKinds.String)
    return { kind: TokenKinds.Blob, value: sql.slice(start, end), start, end }
  }
  if (WORD_START.test(char)) {
    const end = endOfWord(sql, start)
    return { kind: TokenKinds.Word, value: sql.slice(start, end).toUpperCase(), start, end }
  }
  if (DIGIT.test(char) || (char === '.' && DIGIT.test(sql.charAt(start + 1)))) {
    return numberAt(sql, start)
  }
  if (/[?:@$#]/.test(char)) {
    const end = endOfWord(sql, start + 1)
    return { kind: TokenKinds.Variable, value: sql.slice(start, end), start, end }
  }
  return { kind: TokenKinds.Punctuation, value: char, start, end: start + 1 }
}

function numberAt(sql: string, start: number): Token {
  NUMBER.lastIndex = start
  const end = start + (NUMBER.exec(sql)?.[0].length ?? 1)
  return { kind: TokenKinds.Number, value: sql.slice(start, end), start, end }
}

function endOfWord(sql: string, start: number): number {
  let end = start
  while (end < sql.length && WORD.test(sql.charAt(end))) end++
  return end
}

/** A doubled quote stands for one. */
function quoted(sql: string, start: number, quote: string, kind: TokenKind): Token {
  let value = ''
  let at = start + 1
  for (;;) {
    const close = sql.indexOf(quote, at)
    if (close < 0) throw new SqlError(`unterminated ${quote} in the statement`)
    value += sql.slice(at, close)
    if (sql.charAt(close + 1) !== quote) return { kind, value, start, end: close + 1 }
    value += quote
    at = close + 2
  }
}

function bracketed(sql: string, start: number): Token {
  const close = sql.indexOf(']', start)
  if (close < 0) throw new SqlError('unterminated [ in the statement')
  return { kind: TokenKinds.Quoted, value: sql.slice(start + 1, close), start, end: close + 1 }
}
