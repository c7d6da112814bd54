/** What an error says of a change that was sent with a client's id and serial. */
import { type ErrorCode, SkeinError } from '../core/errors.js'

/** Beside those that say themselves that they may be tried again. */
const nothingDone: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_CLIENT_EXPIRED',
  'ERR_SKEIN_COMMAND_TOO_LARGE',
  'ERR_SKEIN_INVALID_ARGUMENT',
  'ERR_SKEIN_MESSAGE_TOO_LARGE',
  'ERR_SKEIN_NOT_AUTHORIZED',
  'ERR_SKEIN_NOT_FOUND',
  'ERR_SKEIN_SQL_REFUSED',
  'ERR_SKEIN_STOPPED',
  'ERR_SKEIN_TIMEOUT',
  'ERR_SKEIN_UNKNOWN_MESSAGE',
  'ERR_SKEIN_UNKNOWN_NODE'
])

/** Another attempt would meet it too. */
const final: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_COMMAND_TOO_LARGE',
  'ERR_SKEIN_INVALID_ARGUMENT',
  'ERR_SKEIN_MESSAGE_TOO_LARGE',
  'ERR_SKEIN_NOT_AUTHORIZED',
  'ERR_SKEIN_RESULT_NOT_KEPT',
  'ERR_SKEIN_SERIAL_FORGOTTEN',
  'ERR_SKEIN_SQL_REFUSED'
])

/** This attempt was not executed, and never will be. */
export const isNothingDone = (error: unknown): boolean =>
  error instanceof SkeinError && (error.retryable || nothingDone.has(error.code))

/** A defect of ours is nothing to be tried again either. */
export const isFinal = (error: unknown): boolean =>
  !(error instanceof SkeinError) || final.has(error.code)
