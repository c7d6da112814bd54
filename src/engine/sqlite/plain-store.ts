import Database from 'better-sqlite3'
import { ExportRefusedError } from '../../core/errors.js'
import type { GroupId } from '../../core/ids.js'
import { isInternalName, quoteName, quoteText, stateTable, systemTable } from './names.js'
import { unguardTrigger } from './trigger-guard.js'

/** A copy of a group's database, no journal beside it. */
export interface GroupCopy {
  readonly group: GroupId
  readonly file: string
}

/** A table with rows in several groups. */
export interface SpreadTable {
  readonly table: string
  readonly groups: readonly GroupId[]
}

/**
 * Takes out of a copy what this engine has put in: its tables, and the guards of triggers. What is
 * left is a database for any program.
 */
export function makePlain(file: string): void {
  const db = new Database(file)
  try {
    db.pragma('journal_mode = DELETE')
    db.pragma('synchronous = FULL')
    // Answers to clients must not stay in pages that are free.
    db.pragma('secure_delete = ON')
    db.transaction(() => {
      const triggers = db
        .prepare<[], { name: string; sql: string }>(
          "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' ORDER BY rowid"
        )
        .all()
      for (const { name } of triggers) db.exec(`DROP TRIGGER main.${quoteName(name)}`)
      for (const { sql } of triggers) db.exec(unguardTrigger(sql))
      for (const table of [systemTable, stateTable]) db.exec(`DROP TABLE IF EXISTS main.${table}`)
    })()
  } finally {
    db.close()
  }
}

/**
 * Brings the rows of spread tables into `into`, a plain copy of group 0. Rows keep their keys;
 * those of tables without a key of their own get new rowids.
 * @throws ExportRefusedError the parts of a table do not make one
 */
export function mergeSpread(
  into: string,
  copies: readonly GroupCopy[],
  tables: readonly SpreadTable[]
): void {
  const db = new Database(into)
  try {
    db.pragma('synchronous = FULL')
    db.pragma('foreign_keys = OFF')
    for (const { group, file } of copies) {
      db.exec(`ATTACH ${quoteText(file)} AS part`)
      try {
        db.transaction(() => {
          for (const { table, groups } of tables) {
            if (groups.includes(group)) mergePart(db, table, group)
          }
        })()
      } finally {
        db.exec('DETACH part')
      }
    }
  } finally {
    db.close()
  }
}

/**
 * How many tables it has.
 * @throws ExportRefusedError it is not whole
 */
export function checkPlain(file: string): number {
  const db = new Database(file, { readonly: true })
  try {
    const found = db.pragma('integrity_check', { simple: true })
    if (found !== 'ok') throw new ExportRefusedError(`${file}: integrity_check: ${found}`)
    const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
    return names.filter((name) => !isInternalName(String(name))).length
  } finally {
    db.close()
  }
}

interface PartObject {
  readonly type: 'table' | 'index'
  readonly name: string
  readonly sql: string
}

function mergePart(db: Database.Database, table: string, group: GroupId): void {
  const objects = objectsOf(db, 'part', table)
  const [made] = objects.filter(({ type }) => type === 'table')
  // It was declared, and not created yet.
  if (made === undefined) return
  const known = objectsOf(db, 'main', table)
  for (const { name, sql } of objects) {
    const same = known.find((other) => other.name === name)
    if (same === undefined) db.exec(sql)
    else if (same.sql !== sql) {
      throw new ExportRefusedError(
        `table ${table}: ${name} is another in group ${group}; export one group each: --group`
      )
    }
  }
  copyRows(db, made.name, group)
  copySequence(db, made.name)
}

const objectsOf = (db: Database.Database, schema: string, table: string): PartObject[] =>
  db
    .prepare<[string], PartObject>(
      `SELECT type, name, sql FROM ${schema}.sqlite_schema
       WHERE lower(tbl_name) = lower(?) AND sql IS NOT NULL AND type IN ('table', 'index')
       ORDER BY rowid`
    )
    .all(table)

function copyRows(db: Database.Database, table: string, group: GroupId): void {
  const columns = (
    db.pragma(`part.table_xinfo(${quoteName(table)})`) as { name: string; hidden: number }[]
  )
    .filter(({ hidden }) => hidden === 0)
    .map(({ name }) => quoteName(name))
    .join(', ')
  try {
    db.exec(
      `INSERT INTO main.${quoteName(table)} (${columns})
       SELECT ${columns} FROM part.${quoteName(table)}`
    )
  } catch (cause) {
    const why = (cause as Error).message
    throw new ExportRefusedError(
      `table ${table}: rows of group ${group} do not fit beside those of others: ${why}; ` +
        'export one group each: --group',
      { cause }
    )
  }
}

function copySequence(db: Database.Database, table: string): void {
  const isThere = (schema: string) =>
    db.prepare(`SELECT 1 FROM ${schema}.sqlite_schema WHERE name = 'sqlite_sequence'`).get()
  if (!isThere('part') || !isThere('main')) return
  db.prepare(
    `UPDATE main.sqlite_sequence
     SET seq = max(seq, (SELECT seq FROM part.sqlite_sequence WHERE name = @table))
     WHERE name = @table
       AND EXISTS (SELECT 1 FROM part.sqlite_sequence WHERE name = @table)`
  ).run({ table })
}
