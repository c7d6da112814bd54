import { closeSync, fsyncSync, openSync } from 'node:fs'
import Database from 'better-sqlite3'
import { AdoptionRefusedError } from '../../core/errors.js'
import type { LogIndex } from '../../core/ids.js'
import { commandSizeBytesMax } from '../../core/limits.js'
import { factsOf } from '../../core/remote-error.js'
import { classify } from './classifier.js'
import { Connection } from './connection-store.js'
import { isInternalName, isReservedName, quoteName } from './names.js'
import { shapeOf, userTables } from './schema-store.js'
import { createStateTables } from './state-tables-store.js'

export interface AdoptedDatabase {
  readonly tables: number
  readonly sizeBytes: number
  /** What is taken, and will behave in another way than before; one sentence each. */
  readonly warnings: readonly string[]
}

/** Faults named by one refusal; further ones are counted. */
export const adoptionFaultsMax = 32
/** All pages in one step, so that no writer comes between. */
const pagesPerStep = 0x7fff_ffff
/** SQLite says so where a function, module or collation comes from an extension or a program. */
const foreignCode = /no such (function|module|collation sequence|tokenizer)/

interface SchemaObject {
  readonly type: string
  readonly name: string
  readonly table: string
  readonly sql: string
}

/**
 * Copies the database file `from`, journal included, to `to`, which must not exist, and makes it
 * the content of a group that has applied `index`. The original is only read.
 *
 * @throws AdoptionRefusedError naming everything in it that cannot be replicated
 */
export async function adoptDatabase(
  from: string,
  to: string,
  index: LogIndex
): Promise<AdoptedDatabase> {
  await copyDatabase(from, to)
  const connection = opened(() => new Connection(to, { readonly: false, statementCacheMax: 64 }))
  let adopted: AdoptedDatabase
  try {
    adopted = adoptCopy(connection, index)
  } catch (thrown) {
    if (thrown instanceof AdoptionRefusedError) throw thrown
    throw damaged(thrown)
  } finally {
    connection.close()
  }
  syncFile(to)
  return adopted
}

async function copyDatabase(from: string, to: string): Promise<void> {
  const source = opened(() => new Database(from, { readonly: true, fileMustExist: true }))
  try {
    await source.backup(to, { progress: () => pagesPerStep })
  } catch (thrown) {
    throw damaged(thrown)
  } finally {
    source.close()
  }
}

function adoptCopy(connection: Connection, index: LogIndex): AdoptedDatabase {
  const { db } = connection
  db.pragma('journal_mode = DELETE')
  db.pragma('foreign_keys = ON')
  const objects = schemaOf(db)
  const warnings: string[] = []
  const refusals = [
    ...encodingFaults(db),
    ...objects.flatMap((object) => faultsOf(object)),
    ...compileFaults(db, objects, warnings),
    ...shapeFaults(connection, objects)
  ]
  if (refusals.length > 0) throw refusedFor(refusals)
  expectIntact(db)
  warnings.push(...foreignKeyWarnings(db), ...sizeWarnings(connection))
  db.transaction(() => {
    guardTriggers(db, objects)
    createStateTables(connection, index)
  })()
  const [pages, pageSize] = ['page_count', 'page_size'].map((name) =>
    Number(db.pragma(name, { simple: true }))
  ) as [number, number]
  return { tables: userTables(connection).length, sizeBytes: pages * pageSize, warnings }
}

/** In the order in which they were created. */
function schemaOf(db: Database.Database): SchemaObject[] {
  return db
    .prepare<[], SchemaObject>(
      `SELECT type, name, tbl_name AS "table", sql FROM main.sqlite_schema
       WHERE sql IS NOT NULL ORDER BY rowid`
    )
    .all()
    .filter(({ name }) => !isInternalName(name))
}

/** Bytes of text are compared and replicated as UTF-8. */
function encodingFaults(db: Database.Database): string[] {
  const encoding = String(db.pragma('encoding', { simple: true }))
  if (encoding === 'UTF-8') return []
  return [`the text is encoded in ${encoding}; dump it into a new database, which is UTF-8`]
}

/** By the same closed list as statements of clients. */
function faultsOf({ type, name, sql }: SchemaObject): string[] {
  if (isReservedName(name)) {
    return [`${type} ${name}: the name is reserved; a database of Skein's is exported first`]
  }
  try {
    classify(sql)
    return []
  } catch (error) {
    return [`${type} ${name}: ${factsOf(error).message}`]
  }
}

/** Preparing a change compiles constraints, defaults, generated columns and triggers with it. */
function compileFaults(
  db: Database.Database,
  objects: readonly SchemaObject[],
  warnings: string[]
): string[] {
  const faults: string[] = []
  for (const { type, name } of objects) {
    for (const sql of probesOf(db, type, name)) {
      try {
        db.prepare(sql)
      } catch (error) {
        const { message } = error as Error
        if (foreignCode.test(message)) {
          faults.push(`${type} ${name}: ${message}: extensions are not loaded`)
        } else {
          warnings.push(`${type} ${name} does not compile: ${message}`)
        }
        break
      }
    }
  }
  return faults
}

function probesOf(db: Database.Database, type: string, name: string): string[] {
  const quoted = quoteName(name)
  if (type === 'view') return [`SELECT * FROM ${quoted}`]
  if (type !== 'table') return []
  const columns = db.pragma(`table_xinfo(${quoted})`) as {
    readonly name: string
    readonly hidden: bigint
  }[]
  const [column] = columns.filter(({ hidden }) => hidden === 0n)
  const reads = [`SELECT * FROM ${quoted}`, `DELETE FROM ${quoted}`]
  if (column === undefined) return reads
  const target = quoteName(column.name)
  return [
    ...reads,
    `INSERT INTO ${quoted} (${target}) VALUES (NULL)`,
    `UPDATE ${quoted} SET ${target} = ${target}`
  ]
}

function shapeFaults(connection: Connection, objects: readonly SchemaObject[]): string[] {
  return objects
    .filter(({ type, sql }) => type === 'table' && !/^\s*CREATE\s+VIRTUAL/i.test(sql))
    .flatMap(({ name }) => {
      try {
        shapeOf(connection, name)
        return []
      } catch (error) {
        return [factsOf(error).message]
      }
    })
}

function expectIntact(db: Database.Database): void {
  const found = db.pragma('integrity_check') as { readonly integrity_check: string }[]
  const faults = found.map((row) => row.integrity_check).filter((text) => text !== 'ok')
  if (faults.length > 0) throw refusedFor(faults.map((fault) => `integrity_check: ${fault}`))
}

function foreignKeyWarnings(db: Database.Database): string[] {
  const counts = new Map<string, number>()
  for (const { table } of db.pragma('foreign_key_check') as { readonly table: string }[]) {
    counts.set(table, (counts.get(table) ?? 0) + 1)
  }
  return [...counts].map(
    ([table, count]) =>
      `table ${table}: ${count} rows refer to rows that do not exist; ` +
      'foreign keys are enforced from now on'
  )
}

/** A change of a row states it whole, in one command. */
function sizeWarnings(connection: Connection): string[] {
  return userTables(connection).flatMap((name) => {
    const { storedColumns } = shapeOf(connection, name)
    const size = storedColumns.map((column) => `ifnull(octet_length(${quoteName(column)}), 0)`)
    const [row] = connection.rows(
      `SELECT count(*) FROM main.${quoteName(name)} WHERE ${size.join(' + ')} > ?`,
      commandSizeBytesMax
    )
    const count = Number(row?.[0])
    if (count === 0) return []
    return [
      `table ${name}: ${count} rows are larger than ${commandSizeBytesMax} bytes; ` +
        'they can be read and deleted, not changed'
    ]
  })
}

/** Made anew in their order, which is that in which SQLite fires them. */
function guardTriggers(db: Database.Database, objects: readonly SchemaObject[]): void {
  const triggers = objects.filter(({ type }) => type === 'trigger')
  for (const { name } of triggers) db.exec(`DROP TRIGGER main.${quoteName(name)}`)
  for (const { name, sql } of triggers) {
    const shape = classify(sql)
    if (shape.kind !== 'ddl') continue
    try {
      db.exec(shape.sql)
    } catch (error) {
      throw refusedFor([`trigger ${name}: ${(error as Error).message}`])
    }
  }
}

function opened<T>(open: () => T): T {
  try {
    return open()
  } catch (thrown) {
    throw damaged(thrown)
  }
}

function damaged(thrown: unknown): AdoptionRefusedError {
  const { code = '', message } = thrown as { readonly code?: string; readonly message: string }
  const why =
    code === 'SQLITE_NOTADB'
      ? 'it is no SQLite database, or an encrypted one'
      : code === 'SQLITE_READONLY_ROLLBACK'
        ? 'a program died while it wrote: open it once with sqlite3, which puts it right'
        : message
  return refusedFor([why], thrown)
}

function refusedFor(faults: readonly string[], cause?: unknown): AdoptionRefusedError {
  const named = faults.slice(0, adoptionFaultsMax)
  const rest = faults.length - named.length
  const lines = rest > 0 ? [...named, `and ${rest} more`] : named
  return new AdoptionRefusedError(`the database cannot be replicated: ${lines.join('; ')}`, {
    details: { faults: lines },
    ...(cause === undefined ? {} : { cause })
  })
}

function syncFile(file: string): void {
  const fd = openSync(file, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
