/** A branch between what a coordinator sends, what the engine says, and what the log is to hold. */
import { SkeinError } from '../../core/errors.js'
import { commandSizeBytesMax, keptResultSizeBytesMax } from '../../core/limits.js'
import type { PrepareOutcome } from '../../core/ports/engine-prepare.js'
import { hasCode } from '../../core/remote-error.js'
import type { Statement, StatementResult } from '../../core/sql.js'
import {
  branchEntryBytesMax,
  decodeWork,
  encodeFailure,
  encodeResults,
  locksOf
} from './branch-work.js'
import type { Planned } from './participant.js'

/** What a peer sends must not stop the replica. */
export function statementsIn(data: Uint8Array): readonly Statement[] | null {
  try {
    return decodeWork(data)
  } catch (error) {
    if (error instanceof SkeinError) return null
    throw error
  }
}

/** Null: it does not fit a message. */
function answerOf(results: readonly StatementResult[]): Uint8Array | null {
  try {
    return encodeResults(results)
  } catch (error) {
    if (hasCode(error, 'ERR_SKEIN_MESSAGE_TOO_LARGE')) return null
    throw error
  }
}

export function plannedOf(outcome: PrepareOutcome): Planned {
  if (outcome.kind === 'failed') {
    const { failure } = outcome
    const reason = failure.message.slice(0, 128)
    return { kind: 'failed', reason, details: encodeFailure(failure) }
  }
  const { command, results, readOnly } = outcome
  const commandBytes = readOnly ? 0 : command.bytes.length
  if (commandBytes > commandSizeBytesMax) {
    return { kind: 'failed', reason: `a branch changes ${commandBytes} bytes` }
  }
  const encoded = answerOf(results)
  if (encoded === null || encoded.length > branchEntryBytesMax) {
    return { kind: 'failed', reason: 'what a branch answers is too large' }
  }
  const kept = encoded.length > keptResultSizeBytesMax ? null : encoded
  const room = branchEntryBytesMax - commandBytes - (kept?.length ?? 0)
  const locks = locksOf(outcome, room)
  return { kind: 'planned', locks, command: readOnly ? null : command, results: encoded, kept }
}
