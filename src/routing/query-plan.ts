/** Checks what a caller gave and brings it into one form. */

import { InvalidArgumentError, MessageTooLargeError } from '../core/errors.js'
import { DEFAULT_GROUP, type GroupId, toGroupId } from '../core/ids.js'
import { sqlTextBytesMax } from '../core/limits.js'
import { type StatementKind, StatementKinds } from '../core/ports/engine-provider.js'
import { Priorities } from '../core/ports/messenger.js'
import { Consistencies, type Consistency, type QueryOptions } from '../core/queries.js'
import type { RequestBranch } from '../core/request-branch.js'
import type { SqlValue, Statement, StatementResult } from '../core/sql.js'
import { encodedSizeOf, parametersMax, statementsMax, utf8Length } from '../wire/index.js'
import type { QueryKeys } from './hotspots/query-key.js'
import { requestValuesBytesMax, routeTextLengthMax } from './messages.js'
import type { QueryHome } from './sessions/sql-session.js'

export interface QueryPlan {
  readonly group: GroupId
  readonly kind: StatementKind
  readonly consistency: Consistency
  readonly statements: readonly Statement[]
  /** What it is about. */
  readonly key: string | null
  readonly session: string | null
  /** Of a local read; null: it may be as old as it is. */
  readonly maxStalenessMs: number | null
  /** Of texts and values, about. */
  readonly sizeBytes: number
  /** Of a SQL session's query: where it goes, whatever else is decided. */
  readonly home?: QueryHome
  /** Of a transaction over several groups, which `group` coordinates; absent: of one. */
  readonly branches?: readonly RequestBranch[]
}

const consistencies: readonly string[] = Object.values(Consistencies)
const priorities: readonly number[] = Object.values(Priorities)

/** `maxStalenessMs` at most: an hour. */
export const boundedStalenessMsMax = 3_600_000

type PlannedOptions = Pick<
  QueryOptions,
  'params' | 'consistency' | 'key' | 'session' | 'priority' | 'group' | 'maxStalenessMs'
>

type Classify = (sql: string) => StatementKind

/** @throws InvalidArgumentError, MessageTooLargeError, SqlError, SqlRefusedError */
export function planQuery(
  given: string | readonly Statement[],
  options: PlannedOptions,
  classify: Classify,
  keys: QueryKeys
): QueryPlan {
  const statements = statementsOf(given, options)
  if (statements.length === 0) throw new InvalidArgumentError('statements', 'must not be empty')
  if (statements.length > statementsMax) {
    throw new InvalidArgumentError('statements', `at most ${statementsMax}`)
  }
  const consistency = options.consistency ?? Consistencies.Linearizable
  if (!consistencies.includes(consistency)) {
    throw new InvalidArgumentError('consistency', `must be one of ${consistencies.join(', ')}`)
  }
  const { priority } = options
  if (priority !== undefined && !priorities.includes(priority)) {
    throw new InvalidArgumentError('priority', 'must be one of 0 (critical) to 3 (low)')
  }
  checkStaleness(options.maxStalenessMs, consistency)
  checkRouteText('key', options.key)
  checkRouteText('session', options.session)
  const sizeBytes = checkedSizeOf(statements)
  return {
    group: groupFrom(options.group),
    kind: kindOfAll(statements, classify),
    consistency,
    statements,
    key: options.key ?? keys.of(statements),
    session: options.session ?? null,
    maxStalenessMs: options.maxStalenessMs ?? null,
    sizeBytes
  }
}

function groupFrom(given: GroupId | undefined): GroupId {
  return given === undefined ? DEFAULT_GROUP : toGroupId(given)
}

function checkStaleness(given: number | undefined, consistency: Consistency): void {
  if (given === undefined) return
  if (!Number.isSafeInteger(given) || given < 1 || given > boundedStalenessMsMax) {
    const range = `must be an integer from 1 to ${boundedStalenessMsMax}`
    throw new InvalidArgumentError('maxStalenessMs', range)
  }
  if (consistency === Consistencies.Local) return
  throw new InvalidArgumentError('maxStalenessMs', 'is for reads of consistency local')
}

function checkRouteText(field: string, given: unknown): void {
  if (given === undefined) return
  if (typeof given === 'string' && given.length > 0 && given.length <= routeTextLengthMax) return
  throw new InvalidArgumentError(field, `must be 1 to ${routeTextLengthMax} characters`)
}

function statementsOf(
  given: string | readonly Statement[],
  { params }: Pick<QueryOptions, 'params'>
): readonly Statement[] {
  if (typeof given === 'string')
    return [params === undefined ? { sql: given } : { sql: given, params }]
  if (!Array.isArray(given)) throw new InvalidArgumentError('sql', 'must be a text or a list')
  if (params !== undefined) {
    throw new InvalidArgumentError('params', 'belong to each statement of a list')
  }
  return given
}

/** A list with one write is one write. */
function kindOfAll(statements: readonly Statement[], classify: Classify): StatementKind {
  let kind: StatementKind = StatementKinds.Read
  for (const { sql } of statements) {
    if (classify(sql) === StatementKinds.Write) kind = StatementKinds.Write
  }
  return kind
}

function checkedSizeOf(statements: readonly Statement[]): number {
  let sizeBytes = 0
  for (const [i, statement] of statements.entries()) {
    const { sql, params } = statement
    if (typeof sql !== 'string')
      throw new InvalidArgumentError(`statements[${i}].sql`, 'must be text')
    const textBytes = utf8Length(sql)
    if (textBytes > sqlTextBytesMax) {
      throw new InvalidArgumentError(`statements[${i}].sql`, `at most ${sqlTextBytesMax} bytes`)
    }
    sizeBytes += textBytes + 8
    if (params !== undefined) sizeBytes += sizeOfParams(params, `statements[${i}].params`)
  }
  if (sizeBytes > requestValuesBytesMax) {
    throw new MessageTooLargeError(
      `statements of ${sizeBytes} bytes, at most ${requestValuesBytesMax}`
    )
  }
  return sizeBytes
}

function sizeOfParams(params: NonNullable<Statement['params']>, field: string): number {
  if (typeof params !== 'object' || params === null) {
    throw new InvalidArgumentError(field, 'must be a list or an object')
  }
  if (Array.isArray(params)) return sizeOfValues(params, (i) => `${field}[${i}]`, field)
  const names = Object.keys(params)
  const values: SqlValue[] = Object.values(params)
  const valuesBytes = sizeOfValues(values, (i) => `${field}.${names[i]}`, field)
  let namesBytes = 0
  for (const name of names) {
    const nameBytes = utf8Length(name)
    if (nameBytes > 255) throw new InvalidArgumentError(field, 'names of at most 255 bytes')
    namesBytes += nameBytes + 2
  }
  return namesBytes + valuesBytes
}

/** @param nameOf the nth, when something is wrong with it */
function sizeOfValues(
  values: readonly SqlValue[],
  nameOf: (nth: number) => string,
  field: string
): number {
  if (values.length > parametersMax) {
    throw new InvalidArgumentError(field, `at most ${parametersMax}`)
  }
  for (let i = 0; i < values.length; i++) checkValue(values[i] as SqlValue, () => nameOf(i))
  return encodedSizeOf(values)
}

function checkValue(value: unknown, nameOf: () => string): void {
  if (value === null || typeof value === 'string' || value instanceof Uint8Array) return
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return
    throw new InvalidArgumentError(nameOf(), 'must be finite')
  }
  if (typeof value === 'bigint') {
    if (BigInt.asIntN(64, value) === value) return
    throw new InvalidArgumentError(nameOf(), 'must fit 64 bits')
  }
  throw new InvalidArgumentError(nameOf(), 'must be null, number, bigint, string or Uint8Array')
}

/** Encoded size of results, at most a few bytes a value above the truth. */
export function resultsSizeOf(results: readonly StatementResult[]): number {
  let sizeBytes = 16
  for (const { columns, rows } of results) {
    sizeBytes += 32 + encodedSizeOf(columns)
    for (const row of rows) sizeBytes += 2 + encodedSizeOf(row)
  }
  return sizeBytes
}
