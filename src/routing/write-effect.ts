/** What became of a write that was answered with an error, for whoever has to go on from there. */
import { hasCode } from '../core/remote-error.js'
import { Outcomes, outcomeOf, provesExecution } from './retry-policy.js'

export const WriteEffects = {
  /** It was not executed and will not be. */
  None: 'none',
  /** It was executed, once; its answer is lost. */
  Done: 'done',
  /** It may have been executed, or may still be. */
  Unknown: 'unknown'
} as const
export type WriteEffect = (typeof WriteEffects)[keyof typeof WriteEffects]

/**
 * `thrown`: by a query, or a call of `execute`, that writes. What is no error of the house is
 * `unknown`, and so is what a code does not rule out.
 */
export function writeEffectOf(thrown: unknown): WriteEffect {
  if (provesExecution(thrown)) return WriteEffects.Done
  // Thrown in place of `ERR_SKEIN_INDETERMINATE` only when no attempt is in doubt.
  if (hasCode(thrown, 'ERR_SKEIN_TIMEOUT') || hasCode(thrown, 'ERR_SKEIN_STOPPED')) {
    return WriteEffects.None
  }
  if (outcomeOf(thrown) === Outcomes.Unknown || isOfItsNumber(thrown)) return WriteEffects.Unknown
  return WriteEffects.None
}

/** This attempt was refused for what is known of the write's number, not for the write. */
const isOfItsNumber = (thrown: unknown): boolean =>
  hasCode(thrown, 'ERR_SKEIN_CLIENT_EXPIRED') || hasCode(thrown, 'ERR_SKEIN_SERIAL_FORGOTTEN')
