/** What an engine makes of a request: a change, or the reason why there is none. */

/** What one command would change, opaque outside the engine that made it. */
export interface Command {
  /** Distinguishes formats: rows | ddl | system, or an embedder's own. */
  readonly tag: string
  readonly bytes: Uint8Array
}

/** The caller's own error (constraint, syntax, type, refused SQL), as data that crosses threads. */
export interface StatementFailure {
  /**
   * ERR_SKEIN_SQL, or one that says more: …_SQL_CONSTRAINT, …_SQL_REFUSED, …_STATEMENT_TIMEOUT,
   * …_COMMAND_TOO_LARGE, …_RESULT_TOO_LARGE, …_BACKPRESSURE. Any other is told as ERR_SKEIN_SQL.
   */
  readonly code: string
  readonly message: string
  /** Which statement of the request, from 0. */
  readonly statement: number
  /** The engine's own code, such as SQLITE_CONSTRAINT_UNIQUE. */
  readonly engineCode?: string
}
