import { must } from '../../core/assert.js'
import { CommandTooLargeError, StatementTimeoutError } from '../../core/errors.js'
import { commandSizeBytesMax } from '../../core/limits.js'
import { captureTriggers, keyPositions, touchAll, triggerPrefix } from './capture-sql.js'
import type { Connection } from './connection-store.js'
import { firesFunction, quoteName, touchFunction, touchKeyFunction } from './names.js'
import type { ChangePart, StoredRow } from './row-change.js'
import { RowReader, textOf } from './row-reader-store.js'
import { schemaMayReplace, shapeOf, userTables } from './schema-store.js'
import { keyTextOf, type StoredValue } from './stored-value.js'
import { type TableShape, valuesPerRow } from './table-shape.js'

interface CapturedTable {
  readonly number: number
  readonly shape: TableShape
  readonly reader: RowReader
  readonly rowids: Set<bigint>
  readonly keys: Map<string, readonly StoredValue[]>
}

/** Keys that one request may touch: each takes at least two bytes of its command. */
const touchedKeysMax = commandSizeBytesMax / 2
const touchesPerClockRead = 256

/**
 * The capture triggers of one connection and what they told. They are there from the first plan
 * until rows of another leader are applied.
 */
export class Capture {
  readonly #connection: Connection
  readonly #now: () => number
  #isInstalled = false
  #replaces = false
  #fires = false
  #deadline = Number.POSITIVE_INFINITY
  #touches = 0
  #touched = 0
  #byNumber: (CapturedTable | undefined)[] = []
  #sequences: Map<string, bigint> | null = null

  constructor(connection: Connection, now: () => number) {
    this.#connection = connection
    this.#now = now
    const { db } = connection
    const touch = (number: bigint, rowid: bigint) => this.#touchRowid(Number(number), rowid)
    const touchKey = (number: bigint, ...parts: StoredValue[]) =>
      this.#touchKey(Number(number), parts)
    db.function(firesFunction, { deterministic: false }, () => (this.#fires ? 1 : 0))
    db.function(touchFunction, { deterministic: false, safeIntegers: true }, touch)
    db.function(touchKeyFunction, { varargs: true, safeIntegers: true }, touchKey)
  }

  get isInstalled(): boolean {
    return this.#isInstalled
  }

  /** Triggers for every table as the schema is now. */
  install(): void {
    this.remove()
    this.#replaces = this.#replaces || schemaMayReplace(this.#connection)
    for (const name of userTables(this.#connection)) this.#add(name)
    this.#isInstalled = true
  }

  remove(): void {
    const { db } = this.#connection
    const names = db
      .prepare<[], { name: string }>("SELECT name FROM temp.sqlite_schema WHERE type = 'trigger'")
      .all()
    for (const { name } of names) {
      if (name.startsWith(triggerPrefix)) db.exec(`DROP TRIGGER temp.${quoteName(name)}`)
    }
    this.#connection.forgetStatements()
    this.#byNumber = []
    this.#touched = 0
    this.#isInstalled = false
  }

  /** A statement may remove rows in its way from now on; answers whether triggers were changed. */
  expectReplace(): boolean {
    if (this.#replaces) return false
    this.#replaces = true
    this.install()
    return true
  }

  /** Triggers of users fire and changes are noted, until `stop`. */
  start(deadline: number): void {
    this.#fires = true
    this.#deadline = deadline
    this.#forgetTouched()
  }

  stop(): void {
    this.#fires = false
    this.#forgetTouched()
  }

  touchTable(name: string): void {
    const table = this.#byNumber.find(
      (table) => table?.shape.name.toLowerCase() === name.toLowerCase()
    )
    if (table !== undefined) this.#connection.rows(touchAll(table.shape, table.number))
  }

  /** What the touched keys stand for now; forgets them. */
  take(): ChangePart[] {
    if (this.#touched === 0) return []
    const parts: ChangePart[] = []
    for (const table of this.#byNumber) {
      if (table === undefined || table.rowids.size + table.keys.size === 0) continue
      parts.push(rowsOf(table))
      if (table.shape.isAutoincrement) parts.push(this.#sequenceOf(table.shape.name))
    }
    this.#forgetTouched()
    return parts
  }

  /** Counters that moved since the last call, those of statements without effect included. */
  takeSequences(hasSequences: boolean): ChangePart[] {
    const before = this.#sequences
    const now = hasSequences ? this.#readSequences() : new Map<string, bigint>()
    this.#sequences = now
    if (before === null) {
      return [...now].map(([table, value]) => ({ kind: 'sequence', table, value }))
    }
    const parts: ChangePart[] = []
    for (const [table, value] of now) {
      if (before.get(table) !== value) parts.push({ kind: 'sequence', table, value })
    }
    for (const table of before.keys()) {
      if (!now.has(table)) parts.push({ kind: 'sequence', table, value: null })
    }
    return parts
  }

  /** As they are before a batch begins, or after something was rolled back. */
  readSequences(hasSequences: boolean): void {
    this.#sequences = hasSequences ? this.#readSequences() : new Map()
  }

  #add(name: string): void {
    const shape = shapeOf(this.#connection, name)
    const number = this.#byNumber.length
    const { db } = this.#connection
    for (const sql of captureTriggers(shape, number, this.#replaces)) db.exec(sql)
    const reader = new RowReader(this.#connection, shape)
    this.#byNumber.push({ number, shape, reader, rowids: new Set(), keys: new Map() })
  }

  #touchRowid(number: number, rowid: bigint): null {
    const table = must(this.#byNumber[number], 'captured table')
    table.rowids.add(rowid)
    this.#noteTouch()
    return null
  }

  #touchKey(number: number, parts: readonly StoredValue[]): null {
    const key: StoredValue[] = []
    for (let i = 0; i < parts.length; i += 2) {
      const bytes = parts[i + 1]
      const value = parts[i] ?? null
      key.push(
        bytes instanceof Uint8Array
          ? textOf(bytes)
          : value instanceof Uint8Array
            ? value.slice()
            : value
      )
    }
    const table = must(this.#byNumber[number], 'captured table')
    table.keys.set(key.map(keyTextOf).join(), key)
    this.#noteTouch()
    return null
  }

  /** The one place where a statement that changes many rows can be stopped. */
  #noteTouch(): void {
    this.#touched++
    if (this.#touched > touchedKeysMax) {
      throw new CommandTooLargeError('the request touches too many rows')
    }
    if (++this.#touches % touchesPerClockRead === 0 && this.#now() > this.#deadline) {
      throw new StatementTimeoutError('the statement ran beyond its deadline')
    }
  }

  #forgetTouched(): void {
    if (this.#touched === 0) return
    this.#touched = 0
    for (const table of this.#byNumber) {
      table?.rowids.clear()
      table?.keys.clear()
    }
  }

  #sequenceOf(table: string): ChangePart {
    const row = this.#connection
      .prepare('SELECT seq FROM main.sqlite_sequence WHERE name = ?')
      .get(table)
    const value = row?.[0]
    return { kind: 'sequence', table, value: typeof value === 'bigint' ? value : null }
  }

  #readSequences(): Map<string, bigint> {
    const rows = this.#connection.rows('SELECT name, seq FROM main.sqlite_sequence')
    return new Map(rows.map(([name, value]) => [String(name), value as bigint]))
  }
}

function rowsOf({ shape, reader, rowids, keys }: CapturedTable): ChangePart {
  const gone: StoredRow[] = []
  const there: StoredRow[] = []
  const look = (key: readonly StoredValue[]) => {
    const row = reader.byKey(key)
    if (row === undefined) gone.push(key)
    else there.push(row)
  }
  for (const rowid of rowids) look([rowid])
  for (const key of keys.values()) look(key)
  const rows = keys.size > 1 ? withoutRepeats(shape, there) : there
  return { kind: 'rows', table: shape.name, valuesPerRow: valuesPerRow(shape), gone, there: rows }
}

/** Keys that a collation or a type tells apart no more than the index does lead to the same row. */
function withoutRepeats(shape: TableShape, rows: readonly StoredRow[]): StoredRow[] {
  const positions = keyPositions(shape)
  const byKey = new Map<string, StoredRow>()
  for (const row of rows) byKey.set(positions.map((at) => keyTextOf(row[at] ?? null)).join(), row)
  return [...byKey.values()]
}
