/** What an error of a change of members says about the group: whether it may be asked again. */
import type { ErrorCode } from '../../core/errors.js'
import { factsOf } from '../../core/remote-error.js'

/** Reasons of ERR_SKEIN_MEMBER_CHANGE_FAILED that pass by themselves. */
const passingReasons: readonly unknown[] = [
  'changePending',
  'termNotCommitted',
  'transferring',
  'notCaughtUp',
  'leadershipLost'
]

const passingCodes: readonly ErrorCode[] = [
  'ERR_SKEIN_NOT_LEADER',
  'ERR_SKEIN_NO_LEADER',
  'ERR_SKEIN_NOT_FOUND',
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_UNKNOWN_NODE',
  'ERR_SKEIN_BACKPRESSURE',
  'ERR_SKEIN_TRANSFER_FAILED'
]

const unknownCodes: readonly ErrorCode[] = [
  'ERR_SKEIN_INDETERMINATE',
  'ERR_SKEIN_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_CANCELLED'
]

/** The group is as it was for certain, and may change when it is asked later or elsewhere. */
export function isNothingChanged(error: unknown): boolean {
  const { code, details } = factsOf(error)
  if (code === 'ERR_SKEIN_MEMBER_CHANGE_FAILED') return passingReasons.includes(details?.reason)
  return passingCodes.includes(code)
}

/** The group may have changed or not. */
export const isOutcomeUnknown = (error: unknown): boolean =>
  unknownCodes.includes(factsOf(error).code)
