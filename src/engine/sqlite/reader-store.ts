import { createHash, type Hash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { SqlRefusedError } from '../../core/errors.js'
import type { LogIndex } from '../../core/ids.js'
import type { ReadOutcome } from '../../core/ports/engine.js'
import type { Statement, StatementResult } from '../../core/sql.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import { selectAll } from './capture-sql.js'
import { Connection, type Row } from './connection-store.js'
import { databaseFile } from './copier-store.js'
import { engineFailed, failureOf } from './failures.js'
import { isInternalName, isReservedName, stateTable } from './names.js'
import type { SqliteEngineSettings } from './options.js'
import { RowReader } from './row-reader-store.js'
import { hasSequences, shapeOf, userTables } from './schema-store.js'
import { newBudget, StatementRunner } from './statement-runner-store.js'
import { type StoredValue, storedValue } from './stored-value.js'

const hashBufferBytes = 64 * 1024

/** One reading connection: every call is one snapshot of what was applied. */
export class ReaderStore {
  readonly #connection: Connection
  readonly #runner: StatementRunner
  readonly #now: () => number
  readonly #tables = new Map<string, TableReader>()
  #schemaVersion = -1n

  constructor(directory: string, settings: SqliteEngineSettings, now: () => number) {
    const file = join(directory, databaseFile)
    if (!existsSync(file)) throw engineFailed(new Error(`${file} does not exist`))
    this.#connection = new Connection(file, { ...settings, readonly: true })
    this.#connection.db.pragma('query_only = ON')
    this.#connection.db.pragma('temp_store = MEMORY')
    this.#connection.db.pragma(`cache_size = -${settings.cacheSizeKib}`)
    this.#runner = new StatementRunner(this.#connection, settings.statementCacheMax)
    this.#now = now
  }

  read(statements: readonly Statement[], deadline: number): ReadOutcome {
    let at = 0
    try {
      return this.#snapshot((index) => {
        const budget = newBudget(deadline, this.#now)
        const results: StatementResult[] = []
        for (const statement of statements) {
          const shape = this.#runner.classify(statement.sql)
          if (shape.kind !== 'read') throw new SqlRefusedError('a read changes nothing')
          results.push(this.#runner.run(statement, shape, budget))
          at++
        }
        return { kind: 'rows', results, index }
      })
    } catch (thrown) {
      return { kind: 'failed', failure: failureOf(thrown, at) }
    }
  }

  /** Of schema and rows, whatever the order in which they came about. */
  checksum(): { index: LogIndex; hash: string } {
    try {
      return this.#snapshot((index) => {
        const hash = createHash('sha256')
        this.#hashSchema(hash)
        for (const [name, table] of this.#tableReaders()) {
          hashRows(hash, name, exactRows(table))
        }
        return { index, hash: hash.digest('hex') }
      })
    } catch (thrown) {
      throw engineFailed(thrown)
    }
  }

  close(): void {
    this.#connection.close()
  }

  #snapshot<T>(body: (index: LogIndex) => T): T {
    this.#connection.run('BEGIN')
    try {
      const [row] = this.#connection.rows(`SELECT applied_index FROM ${stateTable}`)
      this.#noticeSchema()
      return body(Number(row?.[0]) as LogIndex)
    } finally {
      if (this.#connection.db.inTransaction) this.#connection.run('COMMIT')
    }
  }

  /** A prepared statement knows the columns of the schema it was prepared for. */
  #noticeSchema(): void {
    const version = this.#connection.rows('PRAGMA schema_version')[0]?.[0] as bigint
    if (version === this.#schemaVersion) return
    this.#schemaVersion = version
    this.#connection.forgetStatements()
    this.#tables.clear()
  }

  #hashSchema(hash: Hash): void {
    const rows = this.#connection
      .rows('SELECT type, name, sql FROM main.sqlite_schema ORDER BY type, name')
      .filter(([, name]) => !isInternalName(String(name)) && !isReservedName(String(name)))
    const sequences = hasSequences(this.#connection)
      ? this.#connection.rows('SELECT name, seq FROM main.sqlite_sequence ORDER BY name')
      : []
    hashRows(hash, 'schema', rows)
    hashRows(hash, 'sequences', sequences)
  }

  #tableReaders(): Map<string, TableReader> {
    if (this.#tables.size > 0) return this.#tables
    for (const name of userTables(this.#connection)) {
      const shape = shapeOf(this.#connection, name)
      const rows = this.#connection.db.prepare<[], Row>(selectAll(shape)).raw(true)
      this.#tables.set(name, { rows, exact: new RowReader(this.#connection, shape) })
    }
    return this.#tables
  }
}

interface TableReader {
  readonly rows: { iterate(): IterableIterator<Row> }
  readonly exact: RowReader
}

function* exactRows({ rows, exact }: TableReader): Generator<readonly StoredValue[]> {
  for (const row of rows.iterate()) yield exact.exact(row)
}

function hashRows(hash: Hash, name: string, rows: Iterable<readonly StoredValue[]>): void {
  const writer = new ByteWriter(Number.MAX_SAFE_INTEGER)
  writer.text(name)
  let count = 0
  for (const row of rows) {
    count++
    for (const value of row) storedValue.write(writer, value)
    if (writer.length < hashBufferBytes) continue
    hash.update(writer.peek())
    writer.reset()
  }
  writer.u64(count)
  hash.update(writer.peek())
}
