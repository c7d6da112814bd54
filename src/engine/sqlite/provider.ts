import {
  type EngineProvider,
  type StatementKind,
  StatementKinds
} from '../../core/ports/engine-provider.js'
import { channelOpener } from './channels-worker.js'
import { KnownShapes } from './known-shapes.js'
import { resolveSettings, type SqliteEngineOptions } from './options.js'
import { SqliteEngineDriver } from './sqlite-engine-driver.js'

/**
 * SQLite as the engine of a cluster: a writer and readers of its own for each group.
 * @throws InvalidArgumentError
 */
export function sqliteEngine(options: SqliteEngineOptions = {}): EngineProvider {
  const settings = resolveSettings(options)
  const shapes = new KnownShapes(settings.statementCacheMax)
  return {
    create: ({ directory, clock, logger }) =>
      new SqliteEngineDriver(
        { clock, logger, openChannel: channelOpener(directory, settings) },
        settings
      ),
    classify(statement): StatementKind {
      return shapes.of(statement).kind === 'read' ? StatementKinds.Read : StatementKinds.Write
    }
  }
}
