import { SqlError } from '../core/errors.js'

export const TokenKinds = {
  /** A keyword or a bare name; `text` is in upper case, as SQLite folds it: ASCII alone. */
  Word: 'word',
  /** A name in quotes, brackets or backticks. */
  QuotedName: 'quotedName',
  /** A literal in single quotes, without them. */
  Text: 'text',
  Number: 'number',
  /** A blob literal; `text` is its hex digits. */
  Blob: 'blob',
  /** `?`, `?3`, `:name`, `@name` or `$name`. */
  Parameter: 'parameter',
  /** One character. */
  Symbol: 'symbol'
} as const
export type TokenKind = (typeof TokenKinds)[keyof typeof TokenKinds]

export interface Token {
  readonly kind: TokenKind
  readonly text: string
}

const space = /[ \t\n\f\r]*/y
const word = /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y
const number = /(?:\d|\.\d)(?:[eE][+-]?\d|[A-Za-z0-9_.])*/y
const parameter = /\?\d*|[:@$#][A-Za-z0-9_$\u0080-\uffff]+(?:::[A-Za-z0-9_$\u0080-\uffff]+)*/y

const closing: Readonly<Record<string, string>> = { "'": "'", '"': '"', '`': '`', '[': ']' }

const beyondAscii = /[^ -~]/

const folded = (name: string): string =>
  beyondAscii.test(name)
    ? name.replace(/[a-z]+/g, (letters) => letters.toUpperCase())
    : name.toUpperCase()

/**
 * The lexical grammar of SQLite, as far as a classifier needs it: where comments, texts and names
 * end. Statements are not parsed.
 */
export class SqlTokenizer {
  readonly #sql: string
  #at = 0

  constructor(sql: string) {
    this.#sql = sql
  }

  /** Null at the end. @throws SqlError a quote is not closed */
  next(): Token | null {
    this.#skipSpaceAndComments()
    const char = this.#sql.charAt(this.#at)
    if (char === '') return null
    if ((char === 'x' || char === 'X') && this.#sql.charAt(this.#at + 1) === "'") {
      this.#at++
      return { kind: TokenKinds.Blob, text: this.#quoted("'").text }
    }
    if (char in closing) return this.#quoted(char)
    const name = this.#take(word)
    if (name !== null) return { kind: TokenKinds.Word, text: folded(name) }
    const value = this.#take(number)
    if (value !== null) return { kind: TokenKinds.Number, text: value }
    const placeholder = this.#take(parameter)
    if (placeholder !== null) return { kind: TokenKinds.Parameter, text: placeholder }
    this.#at++
    return { kind: TokenKinds.Symbol, text: char }
  }

  #skipSpaceAndComments(): void {
    for (;;) {
      this.#take(space)
      if (this.#sql.startsWith('--', this.#at)) this.#skipTo('\n')
      else if (this.#sql.startsWith('/*', this.#at)) this.#skipTo('*/')
      else return
    }
  }

  /** As in SQLite, an unclosed comment ends with the text. */
  #skipTo(end: string): void {
    const found = this.#sql.indexOf(end, this.#at + 2)
    this.#at = found < 0 ? this.#sql.length : found + end.length
  }

  #quoted(open: string): Token {
    const close = closing[open] ?? open
    const start = this.#at
    let end = this.#sql.indexOf(close, start + 1)
    while (end >= 0 && close !== ']' && this.#sql.charAt(end + 1) === close) {
      end = this.#sql.indexOf(close, end + 2)
    }
    if (end < 0) throw new SqlError(`${open} at position ${start} is not closed`)
    this.#at = end + 1
    const kind = open === "'" ? TokenKinds.Text : TokenKinds.QuotedName
    return { kind, text: this.#sql.slice(start + 1, end) }
  }

  #take(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#sql)
    if (found === null || found[0] === '') return null
    this.#at = pattern.lastIndex
    return found[0]
  }
}

export const isSymbol = (token: Token | undefined, text: string): boolean =>
  token?.kind === TokenKinds.Symbol && token.text === text

export const isWord = (token: Token | undefined, text: string): boolean =>
  token?.kind === TokenKinds.Word && token.text === text

/** @throws SqlError a quote is not closed */
export function tokensOf(sql: string): Token[] {
  const tokenizer = new SqlTokenizer(sql)
  const tokens: Token[] = []
  for (let token = tokenizer.next(); token !== null; token = tokenizer.next()) tokens.push(token)
  return tokens
}

/** Of a name, as SQLite folds it; null: it is none. */
export function nameIn(token: Token | undefined): string | null {
  if (token?.kind !== TokenKinds.Word && token?.kind !== TokenKinds.QuotedName) return null
  return token.text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
