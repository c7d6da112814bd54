export {
  type Isolation,
  Isolations,
  type SqliteEngineOptions,
  sqliteEngine
} from '../src/engine/index.js'
