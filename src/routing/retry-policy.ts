/**
 * What an error says about the effect of an attempt, and hence whether another attempt is safe.
 *
 * 1. `nothingDone`: for certain not executed and not going to be. Anything may be sent again.
 * 2. `unknown`: may have been executed, or may still be. Reads may be sent again; writes only with
 *    their client id and serial.
 * 3. `final`: the statement's own answer, or a refusal that another attempt would meet too.
 *
 * A code that is not listed is `unknown`: a doubt is never taken for a certainty.
 */
import { type ErrorCode, SkeinError } from '../core/errors.js'
import { hasCode } from '../core/remote-error.js'

export const Outcomes = {
  NothingDone: 'nothingDone',
  Unknown: 'unknown',
  Final: 'final'
} as const
export type Outcome = (typeof Outcomes)[keyof typeof Outcomes]

const nothingDone: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_NOT_LEADER',
  'ERR_SKEIN_STALE_ROUTE',
  'ERR_SKEIN_OVERLOADED',
  'ERR_SKEIN_BUFFER_FULL',
  'ERR_SKEIN_NO_LEADER',
  'ERR_SKEIN_NO_QUORUM',
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_DIAL_FAILED',
  'ERR_SKEIN_UNKNOWN_NODE',
  'ERR_SKEIN_BACKPRESSURE',
  'ERR_SKEIN_DRAINING',
  'ERR_SKEIN_NO_ELIGIBLE_NODE',
  'ERR_SKEIN_NOT_STARTED',
  'ERR_SKEIN_SESSION_MOVED',
  'ERR_SKEIN_SESSION_DETACHED',
  'ERR_SKEIN_LOCKED',
  'ERR_SKEIN_TOO_STALE',
  'ERR_SKEIN_TRANSACTION_ABORTED'
])

const final: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_INVALID_ARGUMENT',
  'ERR_SKEIN_CLIENT_EXPIRED',
  'ERR_SKEIN_SERIAL_FORGOTTEN',
  'ERR_SKEIN_RESULT_NOT_KEPT',
  'ERR_SKEIN_RESULT_TOO_LARGE',
  'ERR_SKEIN_COMMAND_TOO_LARGE',
  'ERR_SKEIN_MESSAGE_TOO_LARGE',
  'ERR_SKEIN_SQL',
  'ERR_SKEIN_SQL_CONSTRAINT',
  'ERR_SKEIN_SQL_REFUSED',
  'ERR_SKEIN_SHARD_KEY_REQUIRED',
  'ERR_SKEIN_STATEMENT_TIMEOUT',
  'ERR_SKEIN_NOT_AUTHORIZED',
  'ERR_SKEIN_SESSION_ENDED',
  'ERR_SKEIN_UNKNOWN_MESSAGE'
])

/** Ends by itself when a leader is found or a node comes back; only the deadline bounds it. */
const waiting: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_NOT_LEADER',
  'ERR_SKEIN_STALE_ROUTE',
  'ERR_SKEIN_NO_LEADER',
  'ERR_SKEIN_NO_QUORUM',
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_DIAL_FAILED',
  'ERR_SKEIN_UNKNOWN_NODE',
  'ERR_SKEIN_DRAINING',
  'ERR_SKEIN_NO_ELIGIBLE_NODE',
  'ERR_SKEIN_SESSION_MOVED',
  'ERR_SKEIN_SESSION_DETACHED'
])

/** The node that was asked is lost to the query, and with it what it had taken. */
const lost: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_ATTEMPT_GIVEN_UP'
])

const leaderless: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_NOT_LEADER',
  'ERR_SKEIN_NO_LEADER',
  'ERR_SKEIN_STALE_ROUTE'
])

export function outcomeOf(thrown: unknown): Outcome {
  if (!(thrown instanceof SkeinError)) return Outcomes.Unknown
  if (nothingDone.has(thrown.code)) return Outcomes.NothingDone
  return final.has(thrown.code) ? Outcomes.Final : Outcomes.Unknown
}

/** Says that the command was executed, whatever became of earlier attempts. */
export const provesExecution = (thrown: unknown): boolean =>
  hasCode(thrown, 'ERR_SKEIN_RESULT_NOT_KEPT') ||
  (hasCode(thrown, 'ERR_SKEIN_RESULT_TOO_LARGE') && thrown.details?.executed === true)

export const isWaiting = (thrown: unknown): boolean =>
  thrown instanceof SkeinError && waiting.has(thrown.code)

export const isLoss = (thrown: unknown): boolean =>
  thrown instanceof SkeinError && lost.has(thrown.code)

/** Whoever answered knows of no leader, or of another one. */
export const lacksLeader = (thrown: unknown): boolean =>
  thrown instanceof SkeinError && leaderless.has(thrown.code)

/** The pause doubles from the configured one up to this. */
export const backoffFactorMax = 16

/** With equal jitter: between half of the pause and all of it. */
export function backoffMs(baseMs: number, failures: number, jitter: number): number {
  const pauseMs = baseMs * Math.min(2 ** Math.max(0, failures - 1), backoffFactorMax)
  return pauseMs / 2 + (pauseMs / 2) * jitter
}
