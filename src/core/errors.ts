/**
 * Every operating error of the house: one class per code, codes in one tuple, facts a caller acts
 * on. `docs/errors.md` documents each; a tidy test holds the three together. Broken invariants
 * are not here: they are `InvariantError` and stop the core.
 */
import type { NodeId } from './brands.js'

export const errorCodes = [
  'ERR_SKEIN_INVALID_ARGUMENT',
  'ERR_SKEIN_INVALID_CONFIG',
  'ERR_SKEIN_NOT_STARTED',
  'ERR_SKEIN_STOPPED',
  'ERR_SKEIN_NOT_LEADER',
  'ERR_SKEIN_NO_LEADER',
  'ERR_SKEIN_INDETERMINATE',
  'ERR_SKEIN_TIMEOUT',
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_UNDELIVERED',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_ATTEMPT_GIVEN_UP',
  'ERR_SKEIN_STREAM_RESET',
  'ERR_SKEIN_DIAL_FAILED',
  'ERR_SKEIN_LISTEN_FAILED',
  'ERR_SKEIN_PEER_IDENTITY',
  'ERR_SKEIN_HANDSHAKE_REFUSED',
  'ERR_SKEIN_UNKNOWN_NODE',
  'ERR_SKEIN_UNKNOWN_MESSAGE',
  'ERR_SKEIN_NOT_AUTHORIZED',
  'ERR_SKEIN_PROTOCOL',
  'ERR_SKEIN_MESSAGE_TOO_LARGE',
  'ERR_SKEIN_BACKPRESSURE',
  'ERR_SKEIN_OVERLOADED',
  'ERR_SKEIN_BUFFER_FULL',
  'ERR_SKEIN_STALE_ROUTE',
  'ERR_SKEIN_CANCELLED',
  'ERR_SKEIN_JOIN_FAILED',
  'ERR_SKEIN_NO_ELIGIBLE_NODE',
  'ERR_SKEIN_NO_QUORUM',
  'ERR_SKEIN_DRAINING',
  'ERR_SKEIN_MEMBER_CHANGE_FAILED',
  'ERR_SKEIN_TRANSFER_FAILED',
  'ERR_SKEIN_NOT_A_VOTER',
  'ERR_SKEIN_FENCED',
  'ERR_SKEIN_PLAN_REFUSED',
  'ERR_SKEIN_CONTINUED_ELSEWHERE',
  'ERR_SKEIN_CHANGE_REFUSED',
  'ERR_SKEIN_FILE_TRANSFER',
  'ERR_SKEIN_STATE_CONFLICT',
  'ERR_SKEIN_CIRCUIT_OPEN',
  'ERR_SKEIN_SESSION_MOVED',
  'ERR_SKEIN_SESSION_DETACHED',
  'ERR_SKEIN_SESSION_ENDED',
  'ERR_SKEIN_CLIENT_EXPIRED',
  'ERR_SKEIN_SERIAL_FORGOTTEN',
  'ERR_SKEIN_RESULT_NOT_KEPT',
  'ERR_SKEIN_RESULT_TOO_LARGE',
  'ERR_SKEIN_COMMAND_TOO_LARGE',
  'ERR_SKEIN_SQL',
  'ERR_SKEIN_SQL_CONSTRAINT',
  'ERR_SKEIN_SQL_REFUSED',
  'ERR_SKEIN_SHARD_KEY_REQUIRED',
  'ERR_SKEIN_LOCKED',
  'ERR_SKEIN_TOO_STALE',
  'ERR_SKEIN_TRANSACTION_ABORTED',
  'ERR_SKEIN_STATEMENT_TIMEOUT',
  'ERR_SKEIN_ENGINE_FAILED',
  'ERR_SKEIN_SNAPSHOT_REFUSED',
  'ERR_SKEIN_BACKUP_FAILED',
  'ERR_SKEIN_BACKUP_DAMAGED',
  'ERR_SKEIN_BACKUP_FORMAT',
  'ERR_SKEIN_ADOPTION_REFUSED',
  'ERR_SKEIN_EXPORT_REFUSED',
  'ERR_SKEIN_TARGET_NOT_EMPTY',
  'ERR_SKEIN_RECOVERY_REFUSED',
  'ERR_SKEIN_DISK_FAILED',
  'ERR_SKEIN_LOG_CORRUPTED',
  'ERR_SKEIN_DATA_DIRECTORY_IN_USE',
  'ERR_SKEIN_DATA_DIRECTORY_FOREIGN',
  'ERR_SKEIN_ROLLED_BACK',
  'ERR_SKEIN_REPLICA_FAILED',
  'ERR_SKEIN_DIVERGED',
  'ERR_SKEIN_CERTIFICATE',
  'ERR_SKEIN_KEY_CHANGE_REFUSED',
  'ERR_SKEIN_UNAUTHENTICATED',
  'ERR_SKEIN_NOT_FOUND',
  'ERR_SKEIN_METHOD_NOT_ALLOWED',
  'ERR_SKEIN_REQUEST_TOO_SLOW',
  'ERR_SKEIN_WORKER_LOST',
  'ERR_SKEIN_INTERNAL'
] as const
export type ErrorCode = (typeof errorCodes)[number]

/** The facts of an error as they cross the wire and the admin API. */
export interface ErrorFacts {
  readonly code: ErrorCode
  readonly message: string
  /** Whether the same call may succeed later, and is safe to make again. */
  readonly retryable: boolean
  /** Who leads, as far as the answering node knows. */
  readonly leaderHint?: NodeId
  /** The node that the error is about. */
  readonly nodeId?: NodeId
  readonly details?: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

export type ErrorOptions = Partial<Pick<ErrorFacts, 'leaderHint' | 'nodeId' | 'details'>> & {
  readonly cause?: unknown
}

export abstract class SkeinError extends Error {
  abstract readonly code: ErrorCode
  /** Whether the same call may succeed later, and is safe to make again. */
  readonly retryable: boolean = false
  readonly leaderHint?: NodeId
  readonly nodeId?: NodeId
  readonly details?: ErrorFacts['details']

  constructor(message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    if (options.leaderHint !== undefined) this.leaderHint = options.leaderHint
    if (options.nodeId !== undefined) this.nodeId = options.nodeId
    if (options.details !== undefined) this.details = options.details
  }

  toFacts(): ErrorFacts {
    return {
      code: this.code,
      message: this.message,
      retryable: this.retryable,
      ...(this.leaderHint === undefined ? {} : { leaderHint: this.leaderHint }),
      ...(this.nodeId === undefined ? {} : { nodeId: this.nodeId }),
      ...(this.details === undefined ? {} : { details: this.details })
    }
  }
}

export class InvalidArgumentError extends SkeinError {
  readonly code = 'ERR_SKEIN_INVALID_ARGUMENT'
  readonly field: string
  /** `faults`: one line per fault, where several fields are wrong; `field` is the first of them. */
  constructor(field: string, reason: string, faults?: readonly string[]) {
    super(`${field}: ${reason}`, { details: faults === undefined ? { field } : { field, faults } })
    this.field = field
  }
}

export interface ConfigFault {
  /** Dotted path into the configuration, such as `membership.probeIntervalMs`. */
  readonly path: string
  readonly message: string
}

export class InvalidConfigError extends SkeinError {
  readonly code = 'ERR_SKEIN_INVALID_CONFIG'
  readonly faults: readonly ConfigFault[]
  constructor(faults: readonly ConfigFault[]) {
    const lines = faults.map((fault) => `${fault.path}: ${fault.message}`)
    super(`${faults.length} fault(s) in the configuration\n  ${lines.join('\n  ')}`, {
      details: { faults: lines }
    })
    this.faults = faults
  }
}

export class NotStartedError extends SkeinError {
  readonly code = 'ERR_SKEIN_NOT_STARTED'
}

export class StoppedError extends SkeinError {
  readonly code = 'ERR_SKEIN_STOPPED'
}

/** Nothing was proposed: safe to send again, to `leaderHint` when given. */
export class NotLeaderError extends SkeinError {
  readonly code = 'ERR_SKEIN_NOT_LEADER'
  override readonly retryable = true
}

/** No leader is known; nothing was proposed. */
export class NoLeaderError extends SkeinError {
  readonly code = 'ERR_SKEIN_NO_LEADER'
  override readonly retryable = true
}

/**
 * It may have been executed or not; only a read, or a retry with client id and serial, can tell.
 */
export class IndeterminateError extends SkeinError {
  readonly code = 'ERR_SKEIN_INDETERMINATE'
}

/** The deadline passed before anything with an effect was done. */
export class RequestTimeoutError extends SkeinError {
  readonly code = 'ERR_SKEIN_TIMEOUT'
}

/** It never left this node. */
export class NotSentError extends SkeinError {
  readonly code = 'ERR_SKEIN_NOT_SENT'
  override readonly retryable = true
}

/** A message to be acknowledged never left this node, so it was not handled for certain. */
export class UndeliveredError extends SkeinError {
  readonly code = 'ERR_SKEIN_UNDELIVERED'
  override readonly retryable = true
}

/** The node that was asked had not answered when it was left for another one. */
export class AttemptGivenUpError extends SkeinError {
  readonly code = 'ERR_SKEIN_ATTEMPT_GIVEN_UP'
}

/** The connection broke after the request was sent: the remote side may have acted. */
export class ConnectionLostError extends SkeinError {
  readonly code = 'ERR_SKEIN_CONNECTION_LOST'
}

/** One end gave the stream up; `details.reason` says why. What was written may have been read. */
export class StreamResetError extends SkeinError {
  readonly code = 'ERR_SKEIN_STREAM_RESET'
}

export class DialFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_DIAL_FAILED'
  override readonly retryable = true
}

/** The listen address is in use, or not this machine's. */
export class ListenFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_LISTEN_FAILED'
}

/** The certificate at the other end is not the expected node's, or of another cluster. */
export class PeerIdentityError extends SkeinError {
  readonly code = 'ERR_SKEIN_PEER_IDENTITY'
}

/** Another cluster id, no common version, or a node id that is taken. */
export class HandshakeRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_HANDSHAKE_REFUSED'
}

export class UnknownNodeError extends SkeinError {
  readonly code = 'ERR_SKEIN_UNKNOWN_NODE'
}

export class UnknownMessageError extends SkeinError {
  readonly code = 'ERR_SKEIN_UNKNOWN_MESSAGE'
}

export class NotAuthorizedError extends SkeinError {
  readonly code = 'ERR_SKEIN_NOT_AUTHORIZED'
}

/** Bytes that do not follow `docs/wire.md`; the connection is closed. */
export class ProtocolError extends SkeinError {
  readonly code = 'ERR_SKEIN_PROTOCOL'
}

export class MessageTooLargeError extends SkeinError {
  readonly code = 'ERR_SKEIN_MESSAGE_TOO_LARGE'
}

/** A bounded queue is full; nothing was done. */
export class BackpressureError extends SkeinError {
  readonly code = 'ERR_SKEIN_BACKPRESSURE'
  override readonly retryable = true
}

/**
 * The node has more work than it gets done, and turned this away by its priority; nothing was done.
 * `details.retryAfterMs` says when to try again, where that is known.
 */
export class OverloadedError extends SkeinError {
  readonly code = 'ERR_SKEIN_OVERLOADED'
  override readonly retryable = true
}

/** No leader is known, and as many queries wait for one as may; nothing was done. */
export class BufferFullError extends SkeinError {
  readonly code = 'ERR_SKEIN_BUFFER_FULL'
  override readonly retryable = true
}

/**
 * The query was routed in another term than the asked node is in; nothing was done.
 * `details.term` is that node's, `leaderHint` the leader it knows.
 */
export class StaleRouteError extends SkeinError {
  readonly code = 'ERR_SKEIN_STALE_ROUTE'
  override readonly retryable = true
}

export class CancelledError extends SkeinError {
  readonly code = 'ERR_SKEIN_CANCELLED'
}

export class JoinFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_JOIN_FAILED'
  override readonly retryable = true
}

export class NoEligibleNodeError extends SkeinError {
  readonly code = 'ERR_SKEIN_NO_ELIGIBLE_NODE'
  override readonly retryable = true
}

/** Too few voters are in reach; nothing was proposed. `details.missing` says whom to bring back. */
export class NoQuorumError extends SkeinError {
  readonly code = 'ERR_SKEIN_NO_QUORUM'
  override readonly retryable = true
}

export class DrainingError extends SkeinError {
  readonly code = 'ERR_SKEIN_DRAINING'
  override readonly retryable = true
}

/** The members of a group stay as they are; `details.reason` says why. */
export class MemberChangeFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_MEMBER_CHANGE_FAILED'
  override readonly retryable = true
}

export class TransferFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_TRANSFER_FAILED'
  override readonly retryable = true
}

/** Leadership was to go to a node without a vote in the group; nothing was done. */
export class NotVoterError extends SkeinError {
  readonly code = 'ERR_SKEIN_NOT_A_VOTER'
}

/** Somebody else has taken over what the asker believes to own; nothing was done. */
export class FencedError extends SkeinError {
  readonly code = 'ERR_SKEIN_FENCED'
}

/** A rolling restart does not begin, or is not in a state for this; `details.reason` says why. */
export class PlanRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_PLAN_REFUSED'
}

/** The node that was asked goes away itself; the plan goes on, and can be attached to by its id. */
export class ContinuedElsewhereError extends SkeinError {
  readonly code = 'ERR_SKEIN_CONTINUED_ELSEWHERE'
}

/**
 * The control group's state does not allow the change, and stays as it is. `details.section` and
 * `details.reason` say why.
 */
export class ChangeRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_CHANGE_REFUSED'
}

/**
 * A file did not arrive, `details.reason` says why; what did arrive of it is kept, so that the next
 * attempt goes on there.
 */
export class FileTransferError extends SkeinError {
  readonly code = 'ERR_SKEIN_FILE_TRANSFER'
  override readonly retryable = true
}

/** Two nodes changed a state apart, and its service rejects that; nothing was changed. */
export class StateConflictError extends SkeinError {
  readonly code = 'ERR_SKEIN_STATE_CONFLICT'
}

/**
 * The peer failed too often a moment ago to be asked again now; it was not asked.
 * `details.retryAfterMs` says when it will be.
 */
export class CircuitOpenError extends SkeinError {
  readonly code = 'ERR_SKEIN_CIRCUIT_OPEN'
  override readonly retryable = true
}

/** The SQL session is at home on `nodeId` now; nothing was done. `SkeinClient` follows. */
export class SessionMovedError extends SkeinError {
  readonly code = 'ERR_SKEIN_SESSION_MOVED'
  override readonly retryable = true
}

/**
 * The asked node is not the SQL session's home and knows of no other; nothing was done. With its
 * token the session is taken over at any node: `SkeinClient` does.
 */
export class SessionDetachedError extends SkeinError {
  readonly code = 'ERR_SKEIN_SESSION_DETACHED'
  override readonly retryable = true
}

/** The SQL session is no more: `details.reason` says why. Nothing of this request was done. */
export class SessionEndedError extends SkeinError {
  readonly code = 'ERR_SKEIN_SESSION_ENDED'
}

/** The client's registration expired by log time, or never was: register again, and know that
 * commands without an answer may have been executed. */
export class ClientExpiredError extends SkeinError {
  readonly code = 'ERR_SKEIN_CLIENT_EXPIRED'
}

/** The serial is below the client's own low-water mark: it said it had the answer. */
export class SerialForgottenError extends SkeinError {
  readonly code = 'ERR_SKEIN_SERIAL_FORGOTTEN'
}

/** The command was executed once, before; its answer was too large to keep for a retry. */
export class ResultNotKeptError extends SkeinError {
  readonly code = 'ERR_SKEIN_RESULT_NOT_KEPT'
}

export class ResultTooLargeError extends SkeinError {
  readonly code = 'ERR_SKEIN_RESULT_TOO_LARGE'
}

export class CommandTooLargeError extends SkeinError {
  readonly code = 'ERR_SKEIN_COMMAND_TOO_LARGE'
}

/** The statement is wrong: syntax, unknown names, types, ranges. */
export class SqlError extends SkeinError {
  readonly code: ErrorCode = 'ERR_SKEIN_SQL'
}

export class SqlConstraintError extends SkeinError {
  readonly code = 'ERR_SKEIN_SQL_CONSTRAINT'
}

/** A statement that a replicated engine does not take, named in the message. */
export class SqlRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_SQL_REFUSED'
}

/** A statement on a sharded table does not tell which rows it is about. */
export class ShardKeyRequiredError extends SkeinError {
  readonly code = 'ERR_SKEIN_SHARD_KEY_REQUIRED'
}

/** A distributed transaction holds rows that it needs; nothing was done. */
export class LockedError extends SkeinError {
  readonly code = 'ERR_SKEIN_LOCKED'
  override readonly retryable = true
}

/** A distributed transaction came to nothing, in every group. */
export class TransactionAbortedError extends SkeinError {
  readonly code = 'ERR_SKEIN_TRANSACTION_ABORTED'
  override readonly retryable = true
}

export class StatementTimeoutError extends SkeinError {
  readonly code = 'ERR_SKEIN_STATEMENT_TIMEOUT'
}

/** The engine failed where it may not: this replica stops serving. */
export class EngineFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_ENGINE_FAILED'
}

/**
 * A snapshot could not be taken, or not be taken in: damaged, of another format, no room. The
 * engine is what it was.
 */
export class SnapshotRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_SNAPSHOT_REFUSED'
  override readonly retryable = true
}

/** A write or sync of the log failed: this node stops, its durable state is unknown. */
export class DiskFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_DISK_FAILED'
}

/** Damage in the middle of the log: the replica must not serve from it. */
export class LogCorruptedError extends SkeinError {
  readonly code = 'ERR_SKEIN_LOG_CORRUPTED'
}

export class DataDirectoryInUseError extends SkeinError {
  readonly code = 'ERR_SKEIN_DATA_DIRECTORY_IN_USE'
}

/**
 * A read of what a replica has applied was to be at most `details.maxStalenessMs` old, and
 * `details.stalenessMs` is what could be proved; absent: nothing.
 */
export class TooStaleError extends SkeinError {
  readonly code = 'ERR_SKEIN_TOO_STALE'
  override readonly retryable = true
}

/** The data directory belongs to another node or cluster. */
export class DataDirectoryForeignError extends SkeinError {
  readonly code = 'ERR_SKEIN_DATA_DIRECTORY_FOREIGN'
}

/**
 * The data directory is older than what this node has told others: it was put back to a copy, and
 * nothing of this node counts any more. `details` says who proved it, and by what.
 */
export class RolledBackError extends SkeinError {
  readonly code = 'ERR_SKEIN_ROLLED_BACK'
}

/** No moment was found at which every group could be copied; nothing is kept. */
export class BackupFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_BACKUP_FAILED'
  override readonly retryable = true
}

/** `details.file` of a backup is not what was written; nothing was made of it. */
export class BackupDamagedError extends SkeinError {
  readonly code = 'ERR_SKEIN_BACKUP_DAMAGED'
}

/** The backup was made by later software; `details.field` of its manifest says so. */
export class BackupFormatError extends SkeinError {
  readonly code = 'ERR_SKEIN_BACKUP_FORMAT'
}

/**
 * A database file holds what cannot be replicated, or is damaged; nothing was made of it.
 * `details.faults` names everything found.
 */
export class AdoptionRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_ADOPTION_REFUSED'
}

/** The tables of several groups do not fit into one file. */
export class ExportRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_EXPORT_REFUSED'
}

/** What is to be made would lie where something is already; nothing was changed. */
export class TargetNotEmptyError extends SkeinError {
  readonly code = 'ERR_SKEIN_TARGET_NOT_EMPTY'
}

/** A cluster does not go on without its majority: nothing is lost, or somebody was forgotten. */
export class RecoveryRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_RECOVERY_REFUSED'
}

/** This replica has stopped after a fatal error; other nodes go on. */
export class ReplicaFailedError extends SkeinError {
  readonly code = 'ERR_SKEIN_REPLICA_FAILED'
  override readonly retryable = true
}

/** This replica's content differs from the majority's at the same index; it stopped serving. */
export class DivergedError extends SkeinError {
  readonly code = 'ERR_SKEIN_DIVERGED'
}

export class CertificateError extends SkeinError {
  readonly code = 'ERR_SKEIN_CERTIFICATE'
}

/**
 * The gossip keys stay as they are: a change is under way elsewhere, the key is the primary or not
 * installed everywhere. `details.missing` names members that lack it.
 */
export class KeyChangeRefusedError extends SkeinError {
  readonly code = 'ERR_SKEIN_KEY_CHANGE_REFUSED'
}

export class UnauthenticatedError extends SkeinError {
  readonly code = 'ERR_SKEIN_UNAUTHENTICATED'
}

export class NotFoundError extends SkeinError {
  readonly code = 'ERR_SKEIN_NOT_FOUND'
}

export class MethodNotAllowedError extends SkeinError {
  readonly code = 'ERR_SKEIN_METHOD_NOT_ALLOWED'
}

/** A request over HTTP that did not arrive whole in time; nothing of it was done. */
export class RequestTooSlowError extends SkeinError {
  readonly code = 'ERR_SKEIN_REQUEST_TOO_SLOW'
  override readonly retryable = true
}

/** A worker thread ended or stood still; it is replaced, what it remembered is gone. */
export class WorkerLostError extends SkeinError {
  readonly code = 'ERR_SKEIN_WORKER_LOST'
  override readonly retryable = true
}

/** A defect of ours met at a border; the cause says more. */
export class InternalError extends SkeinError {
  readonly code = 'ERR_SKEIN_INTERNAL'
}
