/**
 * SQL sessions as values: what one is, where it is, and what became of an attempt to move it. A
 * session is the settings and prepared statements of one program, what it has seen and who it is;
 * it has one home among the nodes, through which all of its queries go.
 */
import type { GroupId, LogIndex, NodeId, WallMs } from './ids.js'

/** Why a session is to go elsewhere. Append only: the position is the number on the wire. */
export const migrationReasons = [
  'drain',
  'restart',
  'failover',
  'rebalance',
  'maintenance',
  'requested'
] as const
export type MigrationReason = (typeof migrationReasons)[number]

/**
 * Why a session stays where it is. Those up to `engineState` an engine says of a session
 * (`EngineSessions`). Append only: the position is the number on the wire.
 */
export const migrationRefusals = [
  'openTransaction',
  'openCursor',
  'temporaryTables',
  'locksHeld',
  'listening',
  'largeObjects',
  'engineState',
  /** A request of it did not end in time. */
  'requestUnderWay',
  /** No other node takes sessions. */
  'noTarget',
  /** The target drains, or is stopping. */
  'targetDraining',
  /** The target has as many as it may. */
  'targetFull',
  /** The target's engine or classifier does not take a prepared statement. */
  'statementRefused',
  /** The target does not know a setting, or not the value. */
  'settingRefused',
  'tooLarge',
  /** The target did not answer, and is not the home for certain. */
  'unreachable',
  /** Somebody else moved it meanwhile. */
  'fenced',
  /** It is on no node: its program is gone, or is coming back. */
  'detached'
] as const
export type MigrationRefusal = (typeof migrationRefusals)[number]

/** Append only: the position is the number in the log. */
export const sessionStates = [
  'attached',
  /** Its program was not heard of for a while; it is kept for it to come back. */
  'detached'
] as const
export type SessionState = (typeof sessionStates)[number]

export interface SessionSetting {
  readonly name: string
  readonly value: string
}

export interface PreparedStatement {
  readonly name: string
  readonly sql: string
}

/** The session has seen everything of the group up to the index. */
export interface SeenIndex {
  readonly group: GroupId
  readonly index: LogIndex
}

export interface SessionView {
  readonly id: string
  /** Whose it is: the name in the certificate that opened it. */
  readonly client: string
  readonly home: NodeId
  readonly state: SessionState
  /** Rises whenever the home may have become another; the highest one's is the only home. */
  readonly epoch: number
  readonly settings: readonly SessionSetting[]
  /** Names of its prepared statements. */
  readonly prepared: readonly string[]
  /** As it was last captured. */
  readonly seen: readonly SeenIndex[]
  readonly lastInsertRowid: number | bigint | null
  /** Log times. */
  readonly openedAt: WallMs
  readonly heardAt: WallMs
  readonly moves: number
  readonly reattachments: number
}

export const moveOutcomes = ['moved', 'refused'] as const
export type MoveOutcome = (typeof moveOutcomes)[number]

/** What became of one attempt to move one session. */
export interface SessionMoveReport {
  readonly session: string
  readonly client: string
  readonly origin: NodeId
  /** Null: there was none. */
  readonly target: NodeId | null
  readonly reason: MigrationReason
  readonly outcome: MoveOutcome
  /** Null: it moved. */
  readonly refusal: MigrationRefusal | null
  readonly detail: string
  readonly epoch: number
  readonly tookMs: number
  readonly at: WallMs
}

/** What the cluster's sessions came to since it was founded. */
export interface SessionTotals {
  readonly opened: number
  readonly closed: number
  readonly moved: number
  readonly reattached: number
  /** Detached ones whose program did not come back in time. */
  readonly expired: number
  /** The same of sessions that were attached when they were last heard of: their home was lost. */
  readonly lost: number
}

export interface SessionList {
  readonly sessions: readonly SessionView[]
  readonly totals: SessionTotals
}

export interface SessionMoveRequest {
  /** Default: the node with the fewest sessions that takes some. */
  readonly target?: NodeId | undefined
  /** Default: `requested`. */
  readonly reason?: MigrationReason | undefined
  readonly timeoutMs?: number | undefined
}

/** SQL sessions of the cluster: `manager.sessions`. */
export interface SqlSessions {
  /** As the cluster has agreed on them, oldest first. @throws NoLeaderError, RequestTimeoutError */
  list(): Promise<SessionList>
  /**
   * Moves one, wherever it is. A refusal is an outcome, not an error.
   * @throws NotFoundError there is no such session
   */
  move(id: string, request?: SessionMoveRequest): Promise<SessionMoveReport>
  /** Ends one; its program is told ERR_SKEIN_SESSION_ENDED. @throws NotFoundError */
  close(id: string): Promise<void>
  /** What became of the newest attempts to move a session away from this node, newest last. */
  reports(): readonly SessionMoveReport[]
}
