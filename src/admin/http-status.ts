import type { ErrorCode, ErrorFacts } from '../core/index.js'

/**
 * The status that fits each error. An unknown outcome is 500: no proxy sends that again by
 * itself.
 */
export const statusOf: Readonly<Record<ErrorCode, number>> = {
  ERR_SKEIN_INVALID_ARGUMENT: 400,
  ERR_SKEIN_INVALID_CONFIG: 400,
  ERR_SKEIN_NOT_STARTED: 503,
  ERR_SKEIN_STOPPED: 503,
  ERR_SKEIN_NOT_LEADER: 503,
  ERR_SKEIN_NO_LEADER: 503,
  ERR_SKEIN_INDETERMINATE: 500,
  ERR_SKEIN_TIMEOUT: 504,
  ERR_SKEIN_UNDELIVERED: 503,
  ERR_SKEIN_NOT_SENT: 503,
  ERR_SKEIN_CONNECTION_LOST: 502,
  ERR_SKEIN_STREAM_RESET: 502,
  ERR_SKEIN_DIAL_FAILED: 502,
  ERR_SKEIN_PEER_IDENTITY: 502,
  ERR_SKEIN_HANDSHAKE_REFUSED: 502,
  ERR_SKEIN_UNKNOWN_NODE: 404,
  ERR_SKEIN_UNKNOWN_MESSAGE: 502,
  ERR_SKEIN_NOT_AUTHORIZED: 403,
  ERR_SKEIN_PROTOCOL: 502,
  ERR_SKEIN_MESSAGE_TOO_LARGE: 413,
  ERR_SKEIN_BACKPRESSURE: 429,
  ERR_SKEIN_OVERLOADED: 429,
  ERR_SKEIN_BUFFER_FULL: 503,
  ERR_SKEIN_STALE_ROUTE: 503,
  ERR_SKEIN_CANCELLED: 499,
  ERR_SKEIN_JOIN_FAILED: 503,
  ERR_SKEIN_NO_ELIGIBLE_NODE: 503,
  ERR_SKEIN_NO_QUORUM: 503,
  ERR_SKEIN_DRAINING: 503,
  ERR_SKEIN_TRANSFER_FAILED: 503,
  ERR_SKEIN_CLIENT_EXPIRED: 409,
  ERR_SKEIN_SERIAL_FORGOTTEN: 409,
  ERR_SKEIN_RESULT_NOT_KEPT: 409,
  ERR_SKEIN_RESULT_TOO_LARGE: 422,
  ERR_SKEIN_COMMAND_TOO_LARGE: 413,
  ERR_SKEIN_SQL: 400,
  ERR_SKEIN_SQL_CONSTRAINT: 409,
  ERR_SKEIN_SQL_REFUSED: 422,
  ERR_SKEIN_STATEMENT_TIMEOUT: 504,
  ERR_SKEIN_ENGINE_FAILED: 500,
  ERR_SKEIN_DISK_FAILED: 500,
  ERR_SKEIN_LOG_CORRUPTED: 500,
  ERR_SKEIN_DATA_DIRECTORY_IN_USE: 500,
  ERR_SKEIN_DATA_DIRECTORY_FOREIGN: 500,
  ERR_SKEIN_REPLICA_FAILED: 503,
  ERR_SKEIN_DIVERGED: 503,
  ERR_SKEIN_CERTIFICATE: 500,
  ERR_SKEIN_KEY_CHANGE_REFUSED: 409,
  ERR_SKEIN_UNAUTHENTICATED: 401,
  ERR_SKEIN_NOT_FOUND: 404,
  ERR_SKEIN_LISTEN_FAILED: 500,
  ERR_SKEIN_METHOD_NOT_ALLOWED: 405,
  ERR_SKEIN_WORKER_LOST: 503,
  ERR_SKEIN_INTERNAL: 500
}

/** An error as the API answers it. */
export interface ErrorBody {
  readonly code: ErrorCode
  readonly message: string
  readonly retryable: boolean
  readonly leader?: string
  readonly details?: object
}

export function errorBodyOf({ code, message, retryable, ...facts }: ErrorFacts): ErrorBody {
  const details = { ...facts.details, ...(facts.nodeId ? { nodeId: facts.nodeId } : {}) }
  return {
    code,
    message,
    retryable,
    ...(facts.leaderHint === undefined ? {} : { leader: facts.leaderHint }),
    ...(Object.keys(details).length === 0 ? {} : { details })
  }
}
