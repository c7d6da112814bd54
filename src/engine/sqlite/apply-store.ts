import { assert, unreachable } from '../../core/assert.js'
import type { Command } from '../../core/ports/engine.js'
import { deleteByKey, insertRow, keyPositions } from './capture-sql.js'
import type { Connection } from './connection-store.js'
import { quoteName } from './names.js'
import { type ChangePart, decodeCommand, type RowsPart, type StoredRow } from './row-change.js'
import { hasSequences, shapeOf } from './schema-store.js'
import { RawText } from './stored-value.js'
import { type TableShape, valuesPerRow } from './table-shape.js'

/** A table with its statements for rows without raw text. */
interface KnownTable {
  readonly shape: TableShape
  readonly canReplace: boolean
  readonly positions: readonly number[]
  readonly insert: string
  readonly remove: string
}

/** Brings the changes of commands into the database, without planner, triggers or constraints. */
export class Applier {
  readonly #connection: Connection
  readonly #tables = new Map<string, KnownTable>()
  #hasSequences: boolean | null = null

  constructor(connection: Connection) {
    this.#connection = connection
  }

  /** The schema may have changed otherwise. */
  forgetShapes(): void {
    this.#tables.clear()
    this.#hasSequences = null
  }

  apply(command: Command): void {
    for (const part of decodeCommand(command)) this.#applyPart(part)
  }

  #applyPart(part: ChangePart): void {
    switch (part.kind) {
      case 'rows':
        this.#keepingSequences(() => this.#applyRowsAround(part))
        return
      case 'ddl':
        this.#connection.db.exec(part.sql)
        this.#connection.forgetStatements()
        this.forgetShapes()
        return
      case 'sequence':
        this.#applySequence(part.table, part.value)
        return
      default:
        unreachable(part)
    }
  }

  /**
   * Rows move no counter, the command states those that moved. SQLite would: for rowids that it is
   * given, and for tables that a silent trigger names.
   */
  #keepingSequences(body: () => void): void {
    this.#hasSequences ??= hasSequences(this.#connection)
    const before = this.#hasSequences ? this.#readSequences() : new Map<string, bigint>()
    body()
    if (!this.#hasSequences) return
    for (const [table, value] of this.#readSequences()) {
      const kept = before.get(table)
      if (kept !== value) this.#applySequence(table, kept ?? null)
      before.delete(table)
    }
    for (const [table, value] of before) this.#applySequence(table, value)
  }

  #readSequences(): Map<string, bigint> {
    const rows = this.#connection.rows('SELECT name, seq FROM main.sqlite_sequence')
    return new Map(rows.map(([table, value]) => [String(table), value as bigint]))
  }

  /**
   * SQLite compiles a silent trigger too, and one that names what is gone does not compile. It may
   * not have been in the leader's way, which made the same rows by another statement.
   */
  #applyRowsAround(part: RowsPart): void {
    try {
      this.#applyRows(part)
    } catch (thrown) {
      const triggers = this.#triggersOf(part.table)
      if (triggers.length === 0 || (thrown as { code?: unknown }).code !== 'SQLITE_ERROR')
        throw thrown
      for (const { name } of triggers) {
        this.#connection.db.exec(`DROP TRIGGER main.${quoteName(name)}`)
      }
      this.#applyRows(part)
      for (const { sql } of triggers) this.#connection.db.exec(sql)
      this.#connection.forgetStatements()
    }
  }

  #triggersOf(table: string): { name: string; sql: string }[] {
    return this.#connection.db
      .prepare<[string], { name: string; sql: string }>(
        `SELECT name, sql FROM main.sqlite_schema
         WHERE type = 'trigger' AND lower(tbl_name) = lower(?) ORDER BY rowid`
      )
      .all(table)
  }

  /**
   * A row is put over the one with its key. Where other unique indexes exist a row may want what
   * another one has not given up yet, so all of them go first; a conflict then is a divergence.
   */
  #applyRows({ table, valuesPerRow: count, gone, there }: RowsPart): void {
    const { shape, positions, canReplace, insert, remove } = this.#table(table)
    assert(count === valuesPerRow(shape), `rows of ${table} have ${count} values here`)
    const removeRaw = (raw: readonly boolean[]) => deleteByKey(shape, raw)
    for (const key of gone) this.#run(key, remove, removeRaw)
    if (!canReplace) {
      for (const row of there) {
        const key = positions.map((at) => row[at] ?? null)
        this.#run(key, remove, removeRaw)
      }
    }
    const insertRaw = (raw: readonly boolean[]) => insertRow(shape, canReplace, raw)
    for (const row of there) this.#run(row, insert, insertRaw)
  }

  #run(values: StoredRow, sql: string, sqlFor: (rawText: readonly boolean[]) => string): void {
    if (!values.some((value) => value instanceof RawText)) {
      this.#connection.run(sql, ...values)
      return
    }
    const raw = values.map((value) => value instanceof RawText)
    const bound = values.map((value) => (value instanceof RawText ? value.bytes : value))
    this.#connection.run(sqlFor(raw), ...bound)
  }

  #applySequence(table: string, value: bigint | null): void {
    this.#connection.run('DELETE FROM main.sqlite_sequence WHERE name = ?', table)
    if (value !== null) {
      this.#connection.run('INSERT INTO main.sqlite_sequence VALUES (?, ?)', table, value)
    }
  }

  #table(name: string): KnownTable {
    const known = this.#tables.get(name)
    if (known !== undefined) return known
    const shape = shapeOf(this.#connection, name)
    const canReplace = shape.uniques.length === 0
    const table = {
      shape,
      canReplace,
      positions: keyPositions(shape),
      insert: insertRow(shape, canReplace),
      remove: deleteByKey(shape)
    }
    this.#tables.set(name, table)
    return table
  }
}
