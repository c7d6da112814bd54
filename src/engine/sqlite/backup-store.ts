import Database from 'better-sqlite3'
import { SnapshotRefusedError } from '../../core/errors.js'
import type { LogIndex } from '../../core/ids.js'
import { appliedIndexOf } from './copier-store.js'
import { isInternalName, isReservedName, systemTable } from './names.js'

/** What a copy of a group says of itself, when SQLite finds nothing wrong with it. */
export interface CheckedCopy {
  readonly index: LogIndex
  readonly tables: number
}

/** @throws SnapshotRefusedError it is damaged, or no database of this engine */
export function checkCopy(file: string): CheckedCopy {
  return withDatabase(file, { readonly: true, fileMustExist: true }, (db) => {
    const found = db.pragma('integrity_check', { simple: true })
    if (found !== 'ok') throw new SnapshotRefusedError(`integrity_check: ${found}`)
    const index = appliedIndexOf(db) as LogIndex
    const names = db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
    const own = names.map(String).filter((name) => !isInternalName(name) && !isReservedName(name))
    return { index, tables: own.length }
  })
}

/** Takes out of a copy what another cluster knew; keys that begin with one of `prefixes`. */
export function dropSystemKeys(file: string, prefixes: readonly string[]): void {
  withDatabase(file, {}, (db) => {
    db.pragma('synchronous = FULL')
    const drop = db.prepare(`DELETE FROM ${systemTable} WHERE substr(key, 1, ?) = ?`)
    db.transaction(() => {
      for (const prefix of prefixes) drop.run(prefix.length, prefix)
    })()
  })
}

function withDatabase<T>(
  file: string,
  options: Database.Options,
  body: (db: Database.Database) => T
): T {
  try {
    const db = new Database(file, options)
    try {
      return body(db)
    } finally {
      db.close()
    }
  } catch (thrown) {
    if (thrown instanceof SnapshotRefusedError) throw thrown
    throw new SnapshotRefusedError((thrown as Error).message, { cause: thrown })
  }
}
