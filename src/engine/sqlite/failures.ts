/** Whose fault an error of SQLite is: the caller's statement, or this replica's engine. */
import { EngineFailedError, SkeinError } from '../../core/errors.js'
import type { StatementFailure } from '../../core/ports/engine.js'

/**
 * Primary codes that the statement itself causes. FULL is among them: a table whose largest rowid
 * is taken answers it too, and a disk that is full fails the commit as well.
 */
const callersCodes =
  /^SQLITE_(ERROR|CONSTRAINT|MISMATCH|RANGE|TOOBIG|READONLY|AUTH|MISUSE|FULL)(_|$)/

/**
 * @throws EngineFailedError when the caller did not cause it; the replica must stop
 */
export function failureOf(thrown: unknown, statement: number): StatementFailure {
  if (thrown instanceof SkeinError && thrown.code !== 'ERR_SKEIN_ENGINE_FAILED') {
    return { code: thrown.code, message: thrown.message, statement }
  }
  const engineCode = engineCodeOf(thrown)
  if (engineCode !== null && callersCodes.test(engineCode)) {
    const isConstraint = engineCode.startsWith('SQLITE_CONSTRAINT')
    const code = isConstraint ? 'ERR_SKEIN_SQL_CONSTRAINT' : 'ERR_SKEIN_SQL'
    return { code, message: (thrown as Error).message, statement, engineCode }
  }
  // The binding's own complaints about parameters are of these kinds.
  if (engineCode === null && (thrown instanceof TypeError || thrown instanceof RangeError)) {
    return { code: 'ERR_SKEIN_SQL', message: thrown.message, statement }
  }
  throw engineFailed(thrown)
}

export function engineFailed(thrown: unknown): EngineFailedError {
  if (thrown instanceof EngineFailedError) return thrown
  const engineCode = engineCodeOf(thrown)
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new EngineFailedError(`SQLite failed: ${message}`, {
    cause: thrown,
    ...(engineCode === null ? {} : { details: { engineCode } })
  })
}

function engineCodeOf(thrown: unknown): string | null {
  if (!(thrown instanceof Error) || !('code' in thrown)) return null
  const { code } = thrown
  return typeof code === 'string' && code.startsWith('SQLITE_') ? code : null
}
