import { closeSync, existsSync, fdatasyncSync, mkdirSync, openSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { assert } from '../../core/assert.js'
import { EngineFailedError, SnapshotRefusedError } from '../../core/errors.js'
import type { LogIndex } from '../../core/ids.js'
import type {
  Command,
  EngineState,
  PlanOutcome,
  StatementFailure,
  SystemWrite
} from '../../core/ports/engine.js'
import type { PrepareOutcome } from '../../core/ports/engine-prepare.js'
import type { Statement, StatementResult } from '../../core/sql.js'
import { Applier } from './apply-store.js'
import { Capture } from './capture-store.js'
import type { StatementShape } from './classifier.js'
import { Connection } from './connection-store.js'
import { databaseFile, incomingFile } from './copier-store.js'
import { engineFailed, failureOf } from './failures.js'
import { quoteName, stateTable, systemTable } from './names.js'
import type { SqliteEngineSettings } from './options.js'
import { RequestLocks } from './request-locks-store.js'
import { type ChangePart, encodeCommand } from './row-change.js'
import { hasSequences, userTables } from './schema-store.js'
import { refuseShift, shiftingNames } from './shifting-names-store.js'
import { createStateTables } from './state-tables-store.js'
import { newBudget, StatementRunner } from './statement-runner-store.js'
import { syncDirectory } from './sync-directory-store.js'

/** How long a swap waits for readers that were told to end. */
const swapPatienceMs = 1_000

/**
 * The one writer of a database. A batch is an open transaction: `plan` runs a request in it once
 * and answers what it changed, `apply` of just these commands commits it. Rows of another leader
 * are applied with triggers silent and constraints off, for they are the outcome of both.
 */
export class WriterStore {
  readonly #connection: Connection
  readonly #capture: Capture
  readonly #applier: Applier
  readonly #runner: StatementRunner
  readonly #now: () => number
  readonly #walFd: number
  readonly #directory: string
  #mode: 'unset' | 'plan' | 'apply' = 'unset'
  #appliedIndex: number
  #hasSequences = false
  /** The commands of the open batch, as they were answered. */
  #planned: Command[] = []
  #isBatchOpen = false
  /** The batch changed tables or capture; rolled back, both are unknown. */
  #batchChangedSchema = false
  #requestChangedSchema = false

  constructor(directory: string, settings: SqliteEngineSettings, now: () => number) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const file = join(directory, databaseFile)
    this.#now = now
    this.#directory = directory
    this.#connection = new Connection(file, { ...settings, readonly: false })
    const { db } = this.#connection
    db.pragma('journal_mode = WAL')
    db.pragma('synchronous = NORMAL')
    db.pragma('temp_store = MEMORY')
    db.pragma(`cache_size = -${settings.cacheSizeKib}`)
    db.pragma(`wal_autocheckpoint = ${settings.walAutocheckpointPages}`)
    createStateTables(this.#connection, 0 as LogIndex)
    this.#appliedIndex = Number(
      this.#connection.rows(`SELECT applied_index FROM ${stateTable}`)[0]?.[0]
    )
    this.#walFd = openSync(`${file}-wal`, 'r+')
    syncDirectory(directory)
    this.#capture = new Capture(this.#connection, now)
    this.#applier = new Applier(this.#connection)
    this.#runner = new StatementRunner(this.#connection, settings.statementCacheMax)
  }

  /** Makes durable what a process before this one left in the cache of the operating system. */
  open(): EngineState {
    return { appliedIndex: this.#appliedIndex as LogIndex, durableIndex: this.flush() }
  }

  /** `deadline` by the clock of this store. */
  plan(
    statements: readonly Statement[],
    deadline: number,
    onPrepared: ((parts: readonly ChangePart[]) => void) | null = null
  ): PlanOutcome {
    const shapes: StatementShape[] = []
    for (const [i, { sql }] of statements.entries()) {
      try {
        shapes.push(this.#runner.classify(sql))
      } catch (thrown) {
        return { kind: 'failed', failure: failureOf(thrown, i) }
      }
    }
    this.#beginPlan(shapes)
    this.#connection.run('SAVEPOINT _skein_request')
    this.#requestChangedSchema = false
    let at = 0
    try {
      this.#capture.start(deadline)
      const budget = newBudget(deadline, this.#now)
      const results: StatementResult[] = []
      const parts: ChangePart[] = []
      for (const statement of statements) {
        results.push(this.#runStatement(statement, shapes[at] as StatementShape, budget, parts))
        at++
      }
      at = Math.max(0, at - 1)
      parts.push(...this.#capture.take())
      if (this.#hasSequences) parts.push(...this.#capture.takeSequences(true))
      const command = encodeCommand(parts)
      if (onPrepared === null) this.#connection.run('RELEASE _skein_request')
      else {
        onPrepared(parts)
        this.#rollBackRequest()
      }
      this.#planned.push(command)
      return { kind: 'planned', command, results }
    } catch (thrown) {
      return { kind: 'failed', failure: this.#undoRequest(thrown, at) }
    } finally {
      this.#capture.stop()
    }
  }

  /** As `plan`, and rolled back; which rows it rests on is told. */
  prepare(statements: readonly Statement[], deadline: number): PrepareOutcome {
    const hadBatch = this.#isBatchOpen
    const locks = new RequestLocks(this.#connection)
    const before = this.#planned.length
    const outcome = this.plan(statements, deadline, (parts) => locks.note(statements, parts))
    this.#planned.length = before
    if (!hadBatch) this.discard()
    if (outcome.kind === 'failed') return outcome
    const { command, results } = outcome
    return { kind: 'prepared', command, results, ...locks.keys(), readOnly: locks.isReadOnly }
  }

  /** Applies the first `count` commands of the open batch. */
  commit(count: number, writes: readonly SystemWrite[], index: number): void {
    assert(count <= this.#planned.length, `commit of ${count} planned commands`)
    this.apply(this.#planned.slice(0, count), writes, index)
  }

  apply(commands: readonly Command[], writes: readonly SystemWrite[], index: number): void {
    assert(index > this.#appliedIndex, `apply ${index} after ${this.#appliedIndex}`)
    try {
      if (!this.#isPlanned(commands)) {
        this.discard()
        this.#beginApply(commands.length > 0)
        for (const command of commands) this.#applier.apply(command)
      }
      if (!this.#connection.db.inTransaction) this.#connection.run('BEGIN IMMEDIATE')
      this.#writeSystem(writes)
      this.#connection.run(`UPDATE ${stateTable} SET applied_index = ? WHERE id = 0`, BigInt(index))
      this.#connection.run('COMMIT')
    } catch (thrown) {
      throw engineFailed(thrown)
    }
    this.#closeBatch()
    this.#appliedIndex = index
  }

  /**
   * A plan of nothing, rolled back: triggers are installed, and code and statements compiled, which
   * takes several times as long as a plan does that is not the first.
   */
  rehearse(): void {
    const [table] = userTables(this.#connection)
    if (this.#isBatchOpen || table === undefined) return
    this.plan([{ sql: `DELETE FROM ${quoteName(table)} WHERE 0` }], Number.POSITIVE_INFINITY)
    this.discard()
  }

  /** Rolls the open batch back. */
  discard(): void {
    if (this.#connection.db.inTransaction) this.#connection.run('ROLLBACK')
    if (this.#isBatchOpen && this.#batchChangedSchema) this.#forgetSchema()
    this.#closeBatch()
  }

  readSystem(prefix: string): SystemWrite[] {
    const found: SystemWrite[] = []
    const rows = this.#connection
      .prepare(`SELECT key, value FROM ${systemTable} WHERE key >= ? ORDER BY key`)
      .iterate(prefix)
    for (const [key, value] of rows) {
      if (typeof key !== 'string' || !key.startsWith(prefix)) break
      found.push({ key, value: Uint8Array.from(value as Uint8Array) })
    }
    return found
  }

  /**
   * Syncs the write-ahead file: each commit is in it, or was synced into the database by the
   * checkpoint that emptied it.
   */
  flush(): LogIndex {
    const index = this.#appliedIndex
    try {
      fdatasyncSync(this.#walFd)
    } catch (thrown) {
      throw engineFailed(thrown)
    }
    return index as LogIndex
  }

  /** Gathers statistics here alone, between batches. */
  analyze(): void {
    this.discard()
    this.#connection.db.exec('ANALYZE')
  }

  close(): void {
    this.discard()
    closeSync(this.#walFd)
    this.#connection.close()
  }

  /**
   * Closes the database, which the incoming one then replaces: a crash leaves the one or the other.
   * No journal may be left beside it: SQLite would bring the old one's pages into the new.
   * @throws SnapshotRefusedError somebody else has it open; this writer goes on
   */
  giveWay(): void {
    this.discard()
    const file = join(this.#directory, databaseFile)
    const { db } = this.#connection
    this.#connection.forgetStatements()
    db.pragma(`busy_timeout = ${swapPatienceMs}`)
    try {
      db.pragma('journal_mode = DELETE')
    } catch (cause) {
      throw new SnapshotRefusedError('a reader holds the database', { cause })
    }
    this.close()
    if (existsSync(`${file}-wal`)) throw new EngineFailedError('a journal is left')
    syncDirectory(this.#directory)
    renameSync(join(this.#directory, incomingFile), file)
    syncDirectory(this.#directory)
  }

  #runStatement(
    statement: Statement,
    shape: StatementShape,
    budget: ReturnType<typeof newBudget>,
    parts: ChangePart[]
  ): StatementResult {
    if (shape.kind !== 'ddl') return this.#runner.run(statement, shape, budget)
    parts.push(...this.#capture.take())
    this.#batchChangedSchema = true
    this.#requestChangedSchema = true
    // ALTER checks every trigger that names a changed column, and ours name all.
    if (shape.action === 'alter') this.#capture.remove()
    const names = shape.action === 'alter' ? shiftingNames(this.#connection) : null
    const before = shape.action === 'create-table-as' ? this.#textOf(shape.name) : null
    const result = this.#runner.run(statement, shape, budget)
    if (names !== null) refuseShift(names, shiftingNames(this.#connection))
    // Dropping a table may have changed rows of others by foreign keys.
    const cascades = this.#capture.isInstalled ? this.#capture.take() : []
    if (shape.action !== 'aside') {
      this.#capture.install()
      this.#hasSequences = hasSequences(this.#connection)
      this.#applier.forgetShapes()
    }
    this.#pushDdl(shape, before, parts)
    parts.push(...cascades)
    return result
  }

  /** A table made from a query is replicated as its text and its rows. */
  #pushDdl(
    shape: Extract<StatementShape, { kind: 'ddl' }>,
    before: string | null,
    parts: ChangePart[]
  ): void {
    if (shape.action !== 'create-table-as' || shape.name === null) {
      parts.push({ kind: 'ddl', sql: shape.sql })
      return
    }
    const sql = this.#textOf(shape.name)
    if (sql === null || before !== null) return
    parts.push({ kind: 'ddl', sql })
    this.#capture.touchTable(shape.name)
    parts.push(...this.#capture.take())
  }

  #textOf(table: string | null): string | null {
    const row = this.#connection
      .prepare("SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND lower(name) = lower(?)")
      .get(table)
    return row === undefined ? null : String(row[0])
  }

  #undoRequest(thrown: unknown, statement: number): StatementFailure {
    if (!this.#connection.db.inTransaction) {
      throw new EngineFailedError('SQLite ended the open batch', { cause: thrown })
    }
    this.#rollBackRequest()
    return failureOf(thrown, statement)
  }

  #rollBackRequest(): void {
    this.#connection.run('ROLLBACK TO _skein_request')
    this.#connection.run('RELEASE _skein_request')
    if (this.#requestChangedSchema) {
      this.#capture.install()
      this.#connection.forgetStatements()
      this.#hasSequences = hasSequences(this.#connection)
    }
    this.#capture.readSequences(this.#hasSequences)
  }

  #beginPlan(shapes: readonly StatementShape[]): void {
    try {
      if (!this.#isBatchOpen) {
        this.#enterMode('plan')
        if (!this.#capture.isInstalled) {
          this.#capture.install()
          this.#hasSequences = hasSequences(this.#connection)
        }
        this.#connection.run('BEGIN IMMEDIATE')
        this.#isBatchOpen = true
        this.#capture.readSequences(this.#hasSequences)
      }
      if (shapes.some((shape) => shape.kind !== 'read' && shape.mayReplace)) {
        if (this.#capture.expectReplace()) this.#batchChangedSchema = true
      }
    } catch (thrown) {
      throw engineFailed(thrown)
    }
  }

  #beginApply(hasCommands: boolean): void {
    if (hasCommands) {
      this.#enterMode('apply')
      if (this.#capture.isInstalled) this.#capture.remove()
    }
    this.#connection.run('BEGIN IMMEDIATE')
    this.#isBatchOpen = true
    this.#batchChangedSchema = false
  }

  /** Both pragmas do nothing within a transaction. */
  #enterMode(mode: 'plan' | 'apply'): void {
    if (mode === this.#mode) return
    const { db } = this.#connection
    db.pragma(`foreign_keys = ${mode === 'plan' ? 'ON' : 'OFF'}`)
    db.pragma(`ignore_check_constraints = ${mode === 'plan' ? 'OFF' : 'ON'}`)
    if (mode === 'apply') this.#applier.forgetShapes()
    this.#mode = mode
  }

  #isPlanned(commands: readonly Command[]): boolean {
    return (
      this.#planned.length > 0 &&
      this.#planned.length === commands.length &&
      commands.every((command, i) => isSame(command, this.#planned[i] as Command))
    )
  }

  #writeSystem(writes: readonly SystemWrite[]): void {
    for (const { key, value } of writes) {
      if (value === null) this.#connection.run(`DELETE FROM ${systemTable} WHERE key = ?`, key)
      else this.#connection.run(`INSERT OR REPLACE INTO ${systemTable} VALUES (?, ?)`, key, value)
    }
  }

  #forgetSchema(): void {
    this.#capture.remove()
    this.#connection.forgetStatements()
    this.#applier.forgetShapes()
  }

  #closeBatch(): void {
    this.#isBatchOpen = false
    this.#batchChangedSchema = false
    this.#planned = []
  }
}

const isSame = (one: Command, other: Command): boolean =>
  one === other || Buffer.compare(one.bytes, other.bytes) === 0
