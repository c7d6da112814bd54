export { type AdoptedDatabase, adoptDatabase } from './sqlite/adopt-store.js'
export { type CheckedCopy, checkCopy, dropSystemKeys } from './sqlite/backup-store.js'
export { databaseFile, snapshotFormat } from './sqlite/copier-store.js'
export { type Isolation, Isolations, type SqliteEngineOptions } from './sqlite/options.js'
export {
  checkPlain,
  type GroupCopy,
  makePlain,
  mergeSpread,
  type SpreadTable
} from './sqlite/plain-store.js'
export { sqliteEngine } from './sqlite/provider.js'
