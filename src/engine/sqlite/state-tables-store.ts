import type { LogIndex } from '../../core/ids.js'
import type { Connection } from './connection-store.js'
import { stateTable, systemTable } from './names.js'

/** The tables of this engine in a database that has none: it has applied `index`. */
export function createStateTables({ db }: Connection, index: LogIndex): void {
  db.exec(`CREATE TABLE IF NOT EXISTS ${systemTable}
    (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT`)
  db.exec(`CREATE TABLE IF NOT EXISTS ${stateTable}
    (id INTEGER PRIMARY KEY CHECK (id = 0), applied_index INTEGER NOT NULL) STRICT`)
  db.prepare(`INSERT OR IGNORE INTO ${stateTable} VALUES (0, ?)`).run(BigInt(index))
}
