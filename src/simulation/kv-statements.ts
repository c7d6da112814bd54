/**
 * The language of the key-value engine, one statement a text; keys have no spaces, values may.
 *
 *   set KEY VALUE       get KEY             delete KEY
 *   append KEY VALUE    add KEY INTEGER     cas KEY OLD NEW (OLD and NEW without spaces)
 *   expect KEY VALUE    fails the whole command when KEY holds something else
 *
 * And as much SQL as tells by its text which group a row belongs to, of one table, `ledger`. It is
 * there, in each group that has a part of it, when it was created.
 *
 *   CREATE TABLE ledger (id INTEGER PRIMARY KEY, value)
 *   SELECT value FROM ledger WHERE id = 1
 *   UPDATE ledger SET value = value + 5 WHERE id = 1        a row that is not there yet is made
 *   UPDATE ledger SET value = value || ',a' WHERE id = 1
 */
import type { StatementFailure } from '../core/ports/engine.js'
import { type StatementKind, StatementKinds } from '../core/ports/engine-provider.js'
import type { StatementResult } from '../core/sql.js'

export interface KvView {
  get(key: string): string | null
  /** Null deletes. */
  set(key: string, value: string | null): void
}

type Outcome =
  | { readonly kind: 'result'; readonly result: StatementResult }
  | { readonly kind: 'failed'; readonly failure: Omit<StatementFailure, 'statement'> }

const verbs = ['set', 'get', 'delete', 'append', 'add', 'cas', 'expect'] as const
type Verb = (typeof verbs)[number]

export const ledger = 'ledger'
export const createLedger = `CREATE TABLE ${ledger} (id INTEGER PRIMARY KEY, value)`
export const readLedger = (id: number): string => `SELECT value FROM ${ledger} WHERE id = ${id}`
export const addToLedger = (id: number, amount: number): string =>
  `UPDATE ${ledger} SET value = value + ${amount} WHERE id = ${id}`
export const appendToLedger = (id: number, element: string): string =>
  `UPDATE ${ledger} SET value = value || ',${element}' WHERE id = ${id}`

export const classifyKv = (statement: string): StatementKind =>
  /^(get|SELECT) /.test(statement) ? StatementKinds.Read : StatementKinds.Write

export function runKv(statement: string, view: KvView): Outcome {
  if (/^(SELECT|UPDATE|CREATE) /.test(statement)) return runLedger(statement, view)
  const parsed = /^(\S+) (\S+)(?: (.*))?$/s.exec(statement)
  const verb = parsed?.[1] as Verb
  const key = parsed?.[2]
  if (key === undefined || !verbs.includes(verb)) return wrong(`not understood: ${statement}`)
  return runVerb(verb, key, parsed?.[3] ?? '', view)
}

const createdKey = `${ledger}/`
const ledgerRead = /^SELECT value FROM ledger WHERE id = (\d+)$/
const ledgerAdd = /^UPDATE ledger SET value = value \+ (-?\d+) WHERE id = (\d+)$/
const ledgerAppend = /^UPDATE ledger SET value = value \|\| '([^']*)' WHERE id = (\d+)$/

function runLedger(statement: string, view: KvView): Outcome {
  if (statement === createLedger) return written(view, createdKey, 'created')
  if (view.get(createdKey) === null) return wrong(`no such table: ${ledger}`)
  const keyOf = (id: string | undefined) => `${ledger}/${id}`
  const read = ledgerRead.exec(statement)
  if (read !== null) return runVerb('get', keyOf(read[1]), '', view)
  const added = ledgerAdd.exec(statement)
  if (added !== null) return runVerb('add', keyOf(added[2]), added[1] ?? '', view)
  const appended = ledgerAppend.exec(statement)
  if (appended !== null) return runVerb('append', keyOf(appended[2]), appended[1] ?? '', view)
  return wrong(`not understood: ${statement}`)
}

function runVerb(verb: Verb, key: string, rest: string, view: KvView): Outcome {
  const held = view.get(key)
  switch (verb) {
    case 'get':
      return rows(held === null ? [] : [[held]])
    case 'set':
      return written(view, key, rest)
    case 'delete':
      return held === null ? rows([]) : written(view, key, null)
    case 'append':
      return written(view, key, (held ?? '') + rest)
    case 'add': {
      const sum = Number(held ?? '0') + Number(rest)
      if (!Number.isSafeInteger(sum)) return wrong(`no integer: ${held} + ${rest}`)
      return written(view, key, String(sum))
    }
    case 'cas': {
      const [expected, next] = rest.split(' ')
      if (next === undefined) return wrong('cas needs KEY OLD NEW')
      return held === expected ? written(view, key, next) : rows([])
    }
    case 'expect': {
      if (held === rest) return rows([])
      const message = `${key} is ${held}, expected ${rest}`
      return { kind: 'failed', failure: { code: 'ERR_SKEIN_SQL_CONSTRAINT', message } }
    }
  }
}

function written(view: KvView, key: string, value: string | null): Outcome {
  view.set(key, value)
  return {
    kind: 'result',
    result: { columns: [], rows: [], rowsAffected: 1, lastInsertRowid: null }
  }
}

const rows = (found: readonly (readonly string[])[]): Outcome => ({
  kind: 'result',
  result: { columns: ['value'], rows: found, rowsAffected: 0, lastInsertRowid: null }
})

const wrong = (message: string): Outcome => ({
  kind: 'failed',
  failure: { code: 'ERR_SKEIN_SQL', message }
})
