import type { GroupId } from '../ids.js'
import type { Clock } from './clock.js'
import type { Engine } from './engine.js'
import type { EngineSessions } from './engine-sessions.js'
import type { Logger } from './logger.js'

export const StatementKinds = { Read: 'read', Write: 'write' } as const
export type StatementKind = (typeof StatementKinds)[keyof typeof StatementKinds]

export interface EngineContext {
  readonly group: GroupId
  /** The engine's own, below the node's data directory; absolute. */
  readonly directory: string
  readonly clock: Clock
  readonly logger: Logger
}

/** What an embedder hands to the facade: how to make the engine of a group. */
export interface EngineProvider {
  create(context: EngineContext): Engine
  /**
   * Reads may run on any replica, writes go to the leader. For engines whose language is not SQL;
   * without it the SQL classifier decides.
   * @throws SqlError, SqlRefusedError
   */
  classify?(statement: string): StatementKind
  /** What it keeps of SQL sessions on this node; absent: nothing. */
  readonly sessions?: EngineSessions
}
