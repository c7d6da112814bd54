/**
 * The closed world: which statements a replicated SQLite takes. It looks at tokens alone, refuses
 * by name what rows or a statement from the list could not carry to the other replicas, and
 * leaves every other fault to SQLite's own parser.
 *
 * 1. What is not on the list is refused; nothing passes because it was not thought of.
 * 2. A statement names neither Skein's own objects nor, where it writes, SQLite's.
 * 3. Nothing ends the open transaction: it belongs to the batch, not to the statement.
 */
import { SqlError, SqlRefusedError } from '../../core/errors.js'
import { sqlTextBytesMax } from '../../core/limits.js'
import { isInternalName, isReservedName } from './names.js'
import { type Token, TokenKinds, tokenize } from './tokenizer.js'
import { guardTrigger } from './trigger-guard.js'

/** `aside`: no table and no unique index changes, so capture stays as it is. */
export type DdlAction = 'create-table-as' | 'alter' | 'other' | 'aside'

export type StatementShape =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly inserts: boolean; readonly mayReplace: boolean }
  | {
      readonly kind: 'ddl'
      readonly action: DdlAction
      /** What is created or changed, where the statement names it. */
      readonly name: string | null
      /** The text to execute: the statement's own, or a trigger's with its guard. */
      readonly sql: string
      readonly mayReplace: boolean
    }

/** Asked without an argument that would set it, each answers and changes nothing. */
const pragmasWithoutArgument = new Set(
  `application_id collation_list compile_options data_version database_list encoding foreign_keys
   freelist_count function_list journal_mode module_list page_count page_size pragma_list
   schema_version synchronous table_list user_version`.split(/\s+/)
)
const pragmasWithArgument = new Set(
  `foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check quick_check
   table_info table_list table_xinfo`.split(/\s+/)
)

const refusals: Readonly<Record<string, string>> = {
  BEGIN: "a request's statements are one transaction",
  COMMIT: "a request's statements are one transaction",
  END: "a request's statements are one transaction",
  ROLLBACK: "a request's statements are one transaction",
  SAVEPOINT: "a request's statements are one transaction",
  RELEASE: "a request's statements are one transaction",
  ATTACH: 'a group has one database',
  DETACH: 'a group has one database',
  VACUUM: 'it is not replicated',
  REINDEX: 'it is not replicated'
}

const dmlVerbs = new Set(['INSERT', 'REPLACE', 'UPDATE', 'DELETE'])
const readVerbs = new Set(['SELECT', 'VALUES'])
/** After these a string is taken for a name. */
const nameKeywords = new Set(
  `INTO UPDATE FROM JOIN TABLE VIEW INDEX TRIGGER ON EXISTS REFERENCES OR REPLACE IGNORE ABORT FAIL
   TO ADD COLUMN RENAME DROP`.split(/\s+/)
)

/**
 * @throws SqlError when the text is no statement
 * @throws SqlRefusedError when it is one that a replicated engine does not take, or several
 */
export function classify(sql: string): StatementShape {
  if (sql.length > sqlTextBytesMax) throw new SqlError(`longer than ${sqlTextBytesMax} bytes`)
  const tokens = withoutEnd(tokenize(sql))
  const first = tokens[0]
  if (first === undefined) throw new SqlError('there is no statement in the text')
  refuseNames(tokens)
  const verb = first.kind === TokenKinds.Word ? first.value : ''
  const reason = refusals[verb]
  if (reason !== undefined) throw refused(verb, reason)
  if (verb === 'PRAGMA') return classifyPragma(tokens)
  const shape = verb === 'EXPLAIN' ? explained(tokens) : classifyBody(sql, tokens)
  refuseSecond(shape.kind === 'ddl' && isTrigger(tokens) ? afterTrigger(tokens) : tokens)
  if (shape.kind !== 'read') refuseInWrites(tokens)
  return shape
}

/** Whether anything in it may remove rows that stand in the way of new ones. */
export function mayReplace(tokens: readonly Token[]): boolean {
  return tokens.some(
    (token, i) =>
      isWord(token, 'REPLACE') &&
      (isWord(tokens[i + 1], 'INTO') ||
        isWord(tokens[i - 1], 'OR') ||
        isWord(tokens[i - 1], 'CONFLICT'))
  )
}

function classifyBody(sql: string, tokens: readonly Token[]): StatementShape {
  const at = isWord(tokens[0], 'WITH') ? mainVerbOf(tokens) : 0
  const token = tokens[at]
  const verb = token?.kind === TokenKinds.Word ? token.value : ''
  if (readVerbs.has(verb)) return { kind: 'read' }
  if (dmlVerbs.has(verb)) {
    const inserts = verb === 'INSERT' || verb === 'REPLACE'
    return { kind: 'write', inserts, mayReplace: mayReplace(tokens) }
  }
  if (at === 0 && ['CREATE', 'DROP', 'ALTER', 'ANALYZE'].includes(verb)) {
    return classifyDdl(sql, tokens, verb)
  }
  throw new SqlError(`near "${textOf(sql, token)}": syntax error`)
}

/** The index of the verb after the common table expressions. */
function mainVerbOf(tokens: readonly Token[]): number {
  let at = isWord(tokens[1], 'RECURSIVE') ? 2 : 1
  for (;;) {
    at++
    if (isMark(tokens[at], '(')) at = afterParentheses(tokens, at)
    if (!isWord(tokens[at], 'AS')) break
    at++
    if (isWord(tokens[at], 'NOT')) at++
    if (isWord(tokens[at], 'MATERIALIZED')) at++
    if (!isMark(tokens[at], '(')) break
    at = afterParentheses(tokens, at)
    if (!isMark(tokens[at], ',')) return at
    at++
  }
  throw new SqlError('syntax error in the WITH clause')
}

function afterParentheses(tokens: readonly Token[], open: number): number {
  let depth = 0
  for (let at = open; at < tokens.length; at++) {
    if (isMark(tokens[at], '(')) depth++
    if (isMark(tokens[at], ')') && --depth === 0) return at + 1
  }
  throw new SqlError('a parenthesis is not closed')
}

/** Without its effects a statement is only looked at. */
function explained(tokens: readonly Token[]): StatementShape {
  const at = isWord(tokens[1], 'QUERY') && isWord(tokens[2], 'PLAN') ? 3 : 1
  const token = tokens[at]
  const verb = token?.kind === TokenKinds.Word ? token.value : ''
  if (verb === 'WITH' || readVerbs.has(verb) || dmlVerbs.has(verb)) return { kind: 'read' }
  throw refused(`EXPLAIN ${verb}`, 'only queries and row changes can be explained')
}

function classifyDdl(sql: string, tokens: readonly Token[], verb: string): StatementShape {
  const replaces = mayReplace(tokens)
  const ddl = (action: DdlAction, name: string | null, text = sql): StatementShape => ({
    kind: 'ddl',
    action,
    name,
    sql: text,
    mayReplace: replaces
  })
  if (verb === 'ANALYZE') return ddl('aside', null)
  if (verb === 'DROP') {
    const isAside = isWord(tokens[1], 'TRIGGER') || isWord(tokens[1], 'VIEW')
    return ddl(isAside ? 'aside' : 'other', null)
  }
  if (verb === 'ALTER') {
    if (!isWord(tokens[1], 'TABLE')) throw new SqlError('near "ALTER": syntax error')
    return ddl('alter', null)
  }
  const at = isWord(tokens[1], 'UNIQUE') ? 2 : 1
  const what = tokens[at]?.kind === TokenKinds.Word ? (tokens[at]?.value ?? '') : ''
  if (what === 'TEMP' || what === 'TEMPORARY') {
    throw refused(`CREATE ${what}`, 'temporary objects live on one replica')
  }
  if (what === 'VIRTUAL') {
    throw refused('CREATE VIRTUAL TABLE', 'row capture does not see into virtual tables')
  }
  if (!['TABLE', 'INDEX', 'VIEW', 'TRIGGER'].includes(what)) {
    throw new SqlError(`near "${textOf(sql, tokens[at])}": syntax error`)
  }
  const { name, next } = createdName(tokens, at + 1)
  if (what === 'TRIGGER') return ddl('aside', name, guardTrigger(sql, tokens, next))
  const isFilled = what === 'TABLE' && isWord(tokens[next], 'AS')
  const isAside = what === 'VIEW' || (what === 'INDEX' && at === 1)
  return ddl(isFilled ? 'create-table-as' : isAside ? 'aside' : 'other', name)
}

/** `[IF NOT EXISTS] [schema.]name`; the index after it. */
function createdName(tokens: readonly Token[], start: number): { name: string; next: number } {
  let at = start
  if (isWord(tokens[at], 'IF') && isWord(tokens[at + 1], 'NOT')) at += 3
  if (isMark(tokens[at + 1], '.')) {
    if (tokens[at]?.value.toLowerCase() !== 'main') {
      throw refused(`schema ${tokens[at]?.value}`, 'a group has one database')
    }
    at += 2
  }
  return { name: tokens[at]?.value ?? '', next: at + 1 }
}

function classifyPragma(tokens: readonly Token[]): StatementShape {
  refuseSecond(tokens)
  const at = isMark(tokens[2], '.') ? 3 : 1
  const name = (tokens[at]?.value ?? '').toLowerCase()
  const isMain = at === 1 || tokens[1]?.value.toLowerCase() === 'main'
  const rest = tokens.slice(at + 1)
  const isListed =
    rest.length === 0
      ? pragmasWithoutArgument.has(name) || pragmasWithArgument.has(name)
      : pragmasWithArgument.has(name) && isMark(rest[0], '(')
  if (isMain && isListed) return { kind: 'read' }
  throw refused(`PRAGMA ${name}`, 'only pragmas that read are taken')
}

function refuseNames(tokens: readonly Token[]): void {
  tokens.forEach((token, i) => {
    const before = tokens[i - 1]
    const isName =
      token.kind === TokenKinds.Word ||
      token.kind === TokenKinds.Quoted ||
      (token.kind === TokenKinds.String && isNamePlace(before))
    if (!isName) return
    if (isReservedName(token.value)) throw refused(token.value, 'the name is reserved')
    if (token.value.toLowerCase() === 'load_extension' && isMark(tokens[i + 1], '(')) {
      throw refused('load_extension', 'extensions are not loaded')
    }
  })
}

const isNamePlace = (before: Token | undefined): boolean =>
  isMark(before, '.') || (before?.kind === TokenKinds.Word && nameKeywords.has(before.value))

function refuseInWrites(tokens: readonly Token[]): void {
  tokens.forEach((token, i) => {
    const before = tokens[i - 1]
    if (isWord(token, 'ROLLBACK') && (isWord(before, 'OR') || isWord(before, 'CONFLICT'))) {
      throw refused(
        `${before?.value} ROLLBACK`,
        'it would end the batch; a failed request is undone'
      )
    }
    if (isWord(token, 'ROLLBACK') && isMark(before, '(') && isWord(tokens[i - 2], 'RAISE')) {
      throw refused('RAISE(ROLLBACK)', 'it would end the batch; use RAISE(ABORT)')
    }
    if (isWord(token, 'DEFERRED') && isWord(before, 'INITIALLY')) {
      throw refused('INITIALLY DEFERRED', 'constraints are checked by each statement')
    }
    const isName = token.kind === TokenKinds.Word || token.kind === TokenKinds.Quoted
    const isText = token.kind === TokenKinds.String && isNamePlace(before)
    if ((isName || isText) && isInternalName(token.value) && !isMark(tokens[i + 1], '(')) {
      throw refused(token.value, "a statement that writes may not name SQLite's own tables")
    }
  })
}

function withoutEnd(tokens: readonly Token[]): readonly Token[] {
  let end = tokens.length
  while (end > 0 && isMark(tokens[end - 1], ';')) end--
  return tokens.slice(0, end)
}

function refuseSecond(tokens: readonly Token[]): void {
  if (tokens.some((token) => isMark(token, ';'))) {
    throw refused('more than one statement in one text', 'send a list, it is one transaction')
  }
}

/** The body of a trigger has semicolons of its own, and ends with `; END`. */
function afterTrigger(tokens: readonly Token[]): readonly Token[] {
  const end = tokens.findIndex((token, i) => isWord(token, 'END') && isMark(tokens[i - 1], ';'))
  return end < 0 ? [] : tokens.slice(end + 1)
}

const isTrigger = (tokens: readonly Token[]): boolean =>
  isWord(tokens[0], 'CREATE') && isWord(tokens[1], 'TRIGGER')

const isWord = (token: Token | undefined, word: string): boolean =>
  token?.kind === TokenKinds.Word && token.value === word

const isMark = (token: Token | undefined, mark: string): boolean =>
  token?.kind === TokenKinds.Punctuation && token.value === mark

const textOf = (sql: string, token: Token | undefined): string =>
  token === undefined ? sql : sql.slice(token.start, token.end)

const refused = (what: string, why: string): SqlRefusedError =>
  new SqlRefusedError(`${what} is refused: ${why}`)
