import {
  BackpressureError,
  CommandTooLargeError,
  type ErrorOptions,
  ResultTooLargeError,
  type SkeinError,
  SqlConstraintError,
  SqlError,
  SqlRefusedError,
  StatementTimeoutError
} from '../../core/errors.js'
import type { StatementFailure } from '../../core/ports/engine.js'

/** The caller's own error, made of what crossed the engine's threads as data. */
export function statementError(failure: StatementFailure): SkeinError {
  const options: ErrorOptions = {
    details: {
      statement: failure.statement,
      ...(failure.engineCode === undefined ? {} : { engineCode: failure.engineCode })
    }
  }
  switch (failure.code) {
    case 'ERR_SKEIN_SQL_CONSTRAINT':
      return new SqlConstraintError(failure.message, options)
    case 'ERR_SKEIN_SQL_REFUSED':
      return new SqlRefusedError(failure.message, options)
    case 'ERR_SKEIN_STATEMENT_TIMEOUT':
      return new StatementTimeoutError(failure.message, options)
    case 'ERR_SKEIN_COMMAND_TOO_LARGE':
      return new CommandTooLargeError(failure.message, options)
    case 'ERR_SKEIN_RESULT_TOO_LARGE':
      return new ResultTooLargeError(failure.message, options)
    case 'ERR_SKEIN_BACKPRESSURE':
      return new BackpressureError(failure.message, options)
    default:
      return new SqlError(failure.message, options)
  }
}
