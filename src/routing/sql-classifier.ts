/**
 * Tells reads from writes by the text of one statement, and refuses what a replicated engine cannot
 * take. It is a router's view: names and types are not checked, the engine has the last word.
 *
 * 1. A statement that changes anything is never called a read: what is not known to be one is a
 *    write or refused.
 * 2. One text is one statement; several statements travel as a list.
 * 3. Statements that open, close or steer a transaction or connection are refused: those belong to
 *    the engine's own connections.
 */
import { InvalidArgumentError, SqlError, SqlRefusedError } from '../core/errors.js'
import { sqlTextBytesMax } from '../core/limits.js'
import { type StatementKind, StatementKinds } from '../core/ports/engine-provider.js'
import { isSymbol, isWord, SqlTokenizer, type Token, TokenKinds } from './sql-tokens.js'

/** Classified texts that are remembered; the one used longest ago is forgotten. */
export const classifiedTextsMax = 1_024
/** Longer texts are classified each time. */
export const classifiedTextLengthMax = 4_096

const list = 'send the statements as a list: they are one atomic command'

const refusals: Readonly<Record<string, string>> = {
  BEGIN: list,
  COMMIT: list,
  END: list,
  ROLLBACK: list,
  SAVEPOINT: list,
  RELEASE: list,
  ATTACH: 'one database per group',
  DETACH: 'one database per group',
  VACUUM: 'it changes the file and not the content; maintenance is the engine’s own'
}

const writes = new Set([
  'INSERT',
  'UPDATE',
  'DELETE',
  'REPLACE',
  'CREATE',
  'DROP',
  'ALTER',
  'REINDEX',
  'ANALYZE'
])

/** Pragmas that only tell; with a value in parentheses they still only tell. */
const tellingPragmas = new Set([
  'COLLATION_LIST',
  'COMPILE_OPTIONS',
  'DATABASE_LIST',
  'FOREIGN_KEY_CHECK',
  'FOREIGN_KEY_LIST',
  'FUNCTION_LIST',
  'INDEX_INFO',
  'INDEX_LIST',
  'INDEX_XINFO',
  'INTEGRITY_CHECK',
  'MODULE_LIST',
  'PRAGMA_LIST',
  'QUICK_CHECK',
  'TABLE_INFO',
  'TABLE_LIST',
  'TABLE_XINFO'
])

/** Pragmas that tell without a value and change something with one. */
const readablePragmas = new Set([
  'APPLICATION_ID',
  'ENCODING',
  'FOREIGN_KEYS',
  'FREELIST_COUNT',
  'PAGE_COUNT',
  'PAGE_SIZE',
  'SCHEMA_VERSION',
  'USER_VERSION'
])

export class SqlClassifier {
  readonly #known = new Map<string, StatementKind>()

  /** @throws SqlError, SqlRefusedError, InvalidArgumentError */
  classify(sql: string): StatementKind {
    const known = this.#known.get(sql)
    if (known !== undefined) {
      this.#known.delete(sql)
      this.#known.set(sql, known)
      return known
    }
    const kind = classifyText(sql)
    if (sql.length <= classifiedTextLengthMax) this.#remember(sql, kind)
    return kind
  }

  get remembered(): number {
    return this.#known.size
  }

  #remember(sql: string, kind: StatementKind): void {
    this.#known.set(sql, kind)
    if (this.#known.size <= classifiedTextsMax) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      return
    }
  }
}

function classifyText(sql: string): StatementKind {
  if (sql.length > sqlTextBytesMax) {
    throw new InvalidArgumentError('sql', `at most ${sqlTextBytesMax} bytes`)
  }
  const tokens = tokensOf(sql)
  const first = tokens[0]
  if (first === undefined) throw new SqlError('the statement is empty')
  if (first.kind !== TokenKinds.Word) throw new SqlError(`near "${first.text}": syntax error`)
  refuseDangerousCalls(tokens)
  return kindOf(tokens, first.text)
}

/** The tokens of the one statement, without its semicolon. */
function tokensOf(sql: string): Token[] {
  const tokenizer = new SqlTokenizer(sql)
  const tokens: Token[] = []
  let ended = false
  for (let token = tokenizer.next(); token !== null; token = tokenizer.next()) {
    if (isSymbol(token, ';') && (tokens.length === 0 || endsHere(tokens))) {
      ended = tokens.length > 0
      continue
    }
    if (ended) throw new SqlRefusedError(`more than one statement in one text; ${list}`)
    tokens.push(token)
  }
  return tokens
}

/** The body of a trigger has semicolons of its own, and ends with `; END`. */
function endsHere(tokens: readonly Token[]): boolean {
  if (!isTrigger(tokens)) return true
  return isWord(tokens.at(-1), 'END') && isSymbol(tokens.at(-2), ';')
}

function isTrigger(tokens: readonly Token[]): boolean {
  let at = 0
  if (isWord(tokens[at], 'EXPLAIN')) {
    at++
    if (isWord(tokens[at], 'QUERY')) at += 2
  }
  if (!isWord(tokens[at], 'CREATE')) return false
  at++
  if (isWord(tokens[at], 'TEMP') || isWord(tokens[at], 'TEMPORARY')) at++
  return isWord(tokens[at], 'TRIGGER')
}

function kindOf(tokens: readonly Token[], verb: string): StatementKind {
  const refusal = refusals[verb]
  if (refusal !== undefined) throw new SqlRefusedError(`${verb} is not taken: ${refusal}`)
  if (verb === 'SELECT' || verb === 'VALUES') return StatementKinds.Read
  if (verb === 'EXPLAIN') return kindOfExplained(tokens)
  if (verb === 'WITH') return kindOf(tokens, verbAfterWith(tokens))
  if (verb === 'PRAGMA') return kindOfPragma(tokens)
  if (verb === 'CREATE') refuseCreation(tokens)
  if (writes.has(verb)) return StatementKinds.Write
  throw new SqlError(`near "${verb}": syntax error`)
}

/** It tells what would be done, and does nothing; what is refused is refused here too. */
function kindOfExplained(tokens: readonly Token[]): StatementKind {
  const at = isWord(tokens[1], 'QUERY') && isWord(tokens[2], 'PLAN') ? 3 : 1
  const rest = tokens.slice(at)
  const verb = rest[0]
  if (verb === undefined || verb.kind !== TokenKinds.Word || verb.text === 'EXPLAIN') {
    throw new SqlError('near "EXPLAIN": syntax error')
  }
  kindOf(rest, verb.text)
  return StatementKinds.Read
}

/** WITH [RECURSIVE] name [(columns)] AS [NOT] [MATERIALIZED] (…) [, …] verb */
function verbAfterWith(tokens: readonly Token[]): string {
  let at = 1
  const startsName = !isWord(tokens[2], 'AS') && !isSymbol(tokens[2], '(')
  if (isWord(tokens[at], 'RECURSIVE') && startsName) at++
  for (;;) {
    at++
    if (isSymbol(tokens[at], '(')) at = afterGroup(tokens, at)
    if (!isWord(tokens[at], 'AS')) throw syntaxErrorAt(tokens[at])
    at++
    if (isWord(tokens[at], 'NOT')) at++
    if (isWord(tokens[at], 'MATERIALIZED')) at++
    if (!isSymbol(tokens[at], '(')) throw syntaxErrorAt(tokens[at])
    at = afterGroup(tokens, at)
    if (!isSymbol(tokens[at], ',')) break
    at++
  }
  const verb = tokens[at]
  const allowed = ['SELECT', 'VALUES', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE']
  if (verb?.kind === TokenKinds.Word && allowed.includes(verb.text)) return verb.text
  throw syntaxErrorAt(verb)
}

function afterGroup(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at++) {
    if (isSymbol(tokens[at], '(')) depth++
    if (isSymbol(tokens[at], ')') && --depth === 0) return at + 1
  }
  throw new SqlError('incomplete input')
}

/** PRAGMA [schema .] name [= value | (value)] */
function kindOfPragma(tokens: readonly Token[]): StatementKind {
  const at = isSymbol(tokens[2], '.') ? 3 : 1
  const name = tokens[at]?.text.toUpperCase() ?? ''
  const follows = tokens[at + 1]
  if (tellingPragmas.has(name) && !isSymbol(follows, '=')) return StatementKinds.Read
  if (readablePragmas.has(name) && follows === undefined) return StatementKinds.Read
  const how = follows === undefined ? '' : ' with a value'
  throw new SqlRefusedError(
    `PRAGMA ${name.toLowerCase()}${how} is not taken: it would change one connection or replica`
  )
}

function refuseCreation(tokens: readonly Token[]): void {
  const what = tokens[1]
  if (isWord(what, 'TEMP') || isWord(what, 'TEMPORARY')) {
    throw new SqlRefusedError('temporary objects are not taken: they live in one connection only')
  }
  if (isWord(what, 'VIRTUAL')) {
    throw new SqlRefusedError('virtual tables are not taken: their changes cannot be captured')
  }
}

function refuseDangerousCalls(tokens: readonly Token[]): void {
  for (const [i, token] of tokens.entries()) {
    const isName = token.kind === TokenKinds.Word || token.kind === TokenKinds.QuotedName
    if (!isName || !isSymbol(tokens[i + 1], '(')) continue
    if (token.text.toUpperCase() === 'LOAD_EXTENSION') {
      throw new SqlRefusedError('load_extension is not taken: extensions are the engine’s own')
    }
  }
}

const syntaxErrorAt = (token: Token | undefined): SqlError =>
  token === undefined
    ? new SqlError('incomplete input')
    : new SqlError(`near "${token.text}": syntax error`)
