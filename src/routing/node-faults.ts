/**
 * Which errors of an attempt count against the node that was asked.
 *
 * | counts | because |
 * |---|---|
 * | connection lost, dial failed, not sent | it cannot be reached, or breaks off |
 * | time-out | it did not answer in time |
 * | engine, disk, log, replica failed; diverged, worker lost, internal | it is broken |
 * | protocol, peer identity, handshake refused | what answers there is no sound node |
 *
 * | never counts | because |
 * |---|---|
 * | SQL, refused, constraint, statement time-out, too large, argument | the caller's doing |
 * | not leader, stale route, no leader, no quorum, indeterminate | the group's state |
 * | back-pressure, overloaded, draining, stopped, not started | it works, and says so |
 * | cancelled, client expired, serial forgotten, not authorized | the caller's own |
 * | given up | left for another node, which says nothing about its answers |
 *
 * A code in neither table counts as no evidence.
 */
import { type ErrorCode, SkeinError } from '../core/errors.js'

const against: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_DIAL_FAILED',
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_TIMEOUT',
  'ERR_SKEIN_ENGINE_FAILED',
  'ERR_SKEIN_DISK_FAILED',
  'ERR_SKEIN_LOG_CORRUPTED',
  'ERR_SKEIN_REPLICA_FAILED',
  'ERR_SKEIN_DIVERGED',
  'ERR_SKEIN_ROLLED_BACK',
  'ERR_SKEIN_WORKER_LOST',
  'ERR_SKEIN_PROTOCOL',
  'ERR_SKEIN_PEER_IDENTITY',
  'ERR_SKEIN_HANDSHAKE_REFUSED',
  'ERR_SKEIN_INTERNAL'
])

/** The node answered, and what it answered says that it works. */
const answers: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'ERR_SKEIN_SQL',
  'ERR_SKEIN_SQL_CONSTRAINT',
  'ERR_SKEIN_SQL_REFUSED',
  'ERR_SKEIN_RESULT_TOO_LARGE'
])

export const FaultVerdicts = { Success: 'success', Fault: 'fault', None: 'none' } as const
export type FaultVerdict = (typeof FaultVerdicts)[keyof typeof FaultVerdicts]

export function faultVerdictOf(thrown: unknown): FaultVerdict {
  if (!(thrown instanceof SkeinError)) return FaultVerdicts.None
  if (against.has(thrown.code)) return FaultVerdicts.Fault
  return answers.has(thrown.code) ? FaultVerdicts.Success : FaultVerdicts.None
}
