export { type Isolation, Isolations, type SqliteEngineOptions } from './sqlite/options.js'
export { sqliteEngine } from './sqlite/provider.js'
