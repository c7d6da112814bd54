export { type AdoptedDatabase, adoptDatabase } from './sqlite/adopt-store.js'
export { databaseFile } from './sqlite/copier-store.js'
export { type Isolation, Isolations, type SqliteEngineOptions } from './sqlite/options.js'
export {
  expectIntact,
  type GroupCopy,
  makePlain,
  mergeSpread,
  type SpreadTable,
  syncFile
} from './sqlite/plain-store.js'
export { sqliteEngine } from './sqlite/provider.js'
