import type { Outcome } from '../admin-client.js'

export const Verdicts = {
  Done: 'done',
  /** Nothing was done: the same again, elsewhere. */
  Retry: 'retry',
  /** A write that may have been done: not again, look it up. */
  Indeterminate: 'indeterminate',
  /** Nothing was done and it would fail again. */
  Failed: 'failed'
} as const
export type Verdict = (typeof Verdicts)[keyof typeof Verdicts]

/** The caller's own mistakes: refused before anything was done. */
const refusedCodes: ReadonlySet<string> = new Set([
  'ERR_SKEIN_INVALID_ARGUMENT',
  'ERR_SKEIN_SQL',
  'ERR_SKEIN_SQL_CONSTRAINT',
  'ERR_SKEIN_SQL_REFUSED',
  'ERR_SKEIN_STATEMENT_TIMEOUT',
  'ERR_SKEIN_COMMAND_TOO_LARGE',
  'ERR_SKEIN_NOT_AUTHORIZED',
  'ERR_SKEIN_UNAUTHENTICATED',
  'ERR_SKEIN_NOT_FOUND'
])

/** What a client that wants each write at most once may do with an outcome. */
export function verdictOfWrite(outcome: Outcome): Verdict {
  switch (outcome.kind) {
    case 'answer':
      return Verdicts.Done
    case 'notSent':
      return Verdicts.Retry
    case 'unknown':
      return Verdicts.Indeterminate
    case 'refused': {
      const { code, retryable } = outcome.error
      // A time-out is defined as: before anything with an effect was done.
      if (retryable || code === 'ERR_SKEIN_TIMEOUT') return Verdicts.Retry
      return refusedCodes.has(code) ? Verdicts.Failed : Verdicts.Indeterminate
    }
  }
}

/** Nothing more can be learned by sending it again: the cluster has forgotten the client. */
const forgottenCodes: ReadonlySet<string> = new Set([
  'ERR_SKEIN_CLIENT_EXPIRED',
  'ERR_SKEIN_SERIAL_FORGOTTEN',
  'ERR_SKEIN_RESULT_NOT_KEPT'
])

/** A write that carries client and serial is executed once, however often it is sent. */
export function verdictOfTaggedWrite(outcome: Outcome): Verdict {
  const verdict = verdictOfWrite(outcome)
  if (verdict !== Verdicts.Indeterminate) return verdict
  const isForgotten = outcome.kind === 'refused' && forgottenCodes.has(outcome.error.code)
  return isForgotten ? Verdicts.Indeterminate : Verdicts.Retry
}

/** Whether the attempt may have been executed although it was not answered. */
export const leavesDoubt = (outcome: Outcome): boolean =>
  verdictOfWrite(outcome) === Verdicts.Indeterminate

/** A read has no effect: everything but a mistake may be tried again. */
export function verdictOfRead(outcome: Outcome): Verdict {
  const verdict = verdictOfWrite(outcome)
  return verdict === Verdicts.Indeterminate ? Verdicts.Retry : verdict
}

export function reasonOf(outcome: Outcome): string {
  switch (outcome.kind) {
    case 'answer':
      return 'answered'
    case 'refused':
      return outcome.error.code
    default:
      return `${outcome.kind}: ${outcome.reason}`
  }
}
