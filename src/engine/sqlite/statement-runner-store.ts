import { unreachable } from '../../core/assert.js'
import { ResultTooLargeError, SqlError, StatementTimeoutError } from '../../core/errors.js'
import { resultSizeBytesMax } from '../../core/limits.js'
import type { SqlValue, Statement, StatementResult } from '../../core/sql.js'
import type { StatementShape } from './classifier.js'
import type { Connection, Prepared, Row } from './connection-store.js'
import { KnownShapes } from './known-shapes.js'
import { sizeOf, toBinding, toSqlValue } from './stored-value.js'

const rowsPerClockRead = 128

export interface RunBudget {
  /** By the clock of `now`. */
  readonly deadline: number
  now(): number
  /** Of all results of the request. */
  resultBytesLeft: number
}

export const newBudget = (deadline: number, now: () => number): RunBudget => ({
  deadline,
  now,
  resultBytesLeft: resultSizeBytesMax
})

/**
 * Runs accepted statements and turns rows into results; remembers what texts were classified as.
 */
export class StatementRunner {
  readonly #connection: Connection
  readonly #shapes: KnownShapes

  constructor(connection: Connection, classifiedMax: number) {
    this.#connection = connection
    this.#shapes = new KnownShapes(classifiedMax)
  }

  /** @throws SqlError, SqlRefusedError */
  classify(sql: string): StatementShape {
    return this.#shapes.of(sql)
  }

  run(statement: Statement, shape: StatementShape, budget: RunBudget): StatementResult {
    if (budget.now() > budget.deadline) throw timedOut()
    switch (shape.kind) {
      case 'ddl':
        this.#connection.db.prepare(shape.sql).run()
        this.#connection.forgetStatements()
        return { columns: [], rows: [], rowsAffected: 0, lastInsertRowid: null }
      case 'read':
        return { ...this.#query(statement, budget), rowsAffected: 0, lastInsertRowid: null }
      case 'write':
        return this.#write(statement, shape.inserts, budget)
      default:
        return unreachable(shape)
    }
  }

  #write(statement: Statement, inserts: boolean, budget: RunBudget): StatementResult {
    const prepared = this.#connection.prepare(statement.sql)
    if (!prepared.reader) {
      const { changes, lastInsertRowid } = prepared.run(...bindings(statement))
      return {
        columns: [],
        rows: [],
        rowsAffected: changes,
        lastInsertRowid: inserts ? (toSqlValue(BigInt(lastInsertRowid)) as number | bigint) : null
      }
    }
    const found = this.#query(statement, budget)
    const [counts] = this.#connection.rows('SELECT changes(), last_insert_rowid()')
    return {
      ...found,
      rowsAffected: Number(counts?.[0]),
      lastInsertRowid: inserts ? (toSqlValue(counts?.[1] as bigint) as number | bigint) : null
    }
  }

  #query(statement: Statement, budget: RunBudget): Pick<StatementResult, 'columns' | 'rows'> {
    const prepared = this.#connection.prepare(statement.sql)
    if (!prepared.reader) throw new SqlError('the statement answers no rows')
    const rows: SqlValue[][] = []
    for (const row of prepared.iterate(...bindings(statement)) as IterableIterator<Row>) {
      rows.push(chargedRow(row, budget))
      if (rows.length % rowsPerClockRead === 0 && budget.now() > budget.deadline) throw timedOut()
    }
    return { columns: columnsOf(prepared), rows }
  }
}

function chargedRow(row: Row, budget: RunBudget): SqlValue[] {
  const values = row.map(toSqlValue)
  for (const value of values) budget.resultBytesLeft -= sizeOf(value)
  budget.resultBytesLeft -= 2
  if (budget.resultBytesLeft >= 0) return values
  throw new ResultTooLargeError(`the results of the request exceed ${resultSizeBytesMax} bytes`)
}

const columnsOf = (prepared: Prepared): string[] => prepared.columns().map(({ name }) => name)

function bindings({ params }: Statement): unknown[] {
  if (params === undefined) return []
  if (Array.isArray(params)) return params.map(toBinding)
  const named: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(params)) named[name] = toBinding(value as SqlValue)
  return [named]
}

const timedOut = (): StatementTimeoutError =>
  new StatementTimeoutError('the request ran beyond its deadline')
