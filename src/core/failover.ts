/** Leaderships that nobody asked to move, as values. What decides is the room `failover`. */
import type { GroupId, LogIndex, NodeId, Term, WallMs } from './ids.js'

/** Append only: the position is the number in the log. */
export const failoverReasons = [
  /** Raft has elected another leader: the one before was silent. */
  'elected',
  /** Its leader was degraded for long. */
  'degraded',
  /** Its leader led more than others. */
  'spread',
  /** Its leader handed over: it was asked to, drains, stops, or leads more than others. */
  'transferred'
] as const
export type FailoverReason = (typeof failoverReasons)[number]

/** A node that could have taken a group over, as it was looked at. */
export interface FailoverOption {
  readonly node: NodeId
  readonly priority: number
  readonly leads: number
  /** Null: it could. */
  readonly fault: string | null
}

/** One leadership that moved, or was to move, and why. */
export interface Failover {
  /** Counts those of the cluster. */
  readonly id: number
  /** By the control group's log time. */
  readonly at: WallMs
  readonly group: GroupId
  /** Of the leader that came; for a move that the coordinator asked for, the term that it ended. */
  readonly term: Term
  readonly reason: FailoverReason
  readonly from: NodeId | null
  readonly to: NodeId
  readonly why: string
  /** What was done, and what came of it. */
  readonly action: string
  /** Among which the coordinator chose; empty for what it did not ask for. */
  readonly options: readonly FailoverOption[]
  /** Who led the control group. */
  readonly by: NodeId
}

export interface FailoverStatus {
  /** Whose word it is: it leads the control group; null: nobody does now. */
  readonly coordinator: NodeId | null
  /** Nothing is moved unasked; null: it may be. */
  readonly pausedBy: string | null
  /** Since the cluster was founded. */
  readonly count: number
}

/**
 * A proof of how new a leadership is, for what lies outside: storage, queues, other systems that a
 * former leader may still talk to. Who holds the newest token that was seen may act.
 */
export interface FencingToken {
  readonly group: GroupId
  readonly term: Term
  /** Of an entry that was committed in this term. */
  readonly index: LogIndex
}

export interface FailoverAskOptions {
  /** Default: 5,000. */
  readonly timeoutMs?: number | undefined
}

/**
 * Why leaderships moved, and whether they may: `manager.failover`. Answers as of now, wherever the
 * control group is.
 * @throws NoLeaderError, RequestTimeoutError it cannot be asked
 */
export interface Failovers {
  status(options?: FailoverAskOptions): Promise<FailoverStatus>
  /** Oldest first; the last 128 are remembered. */
  history(options?: FailoverAskOptions): Promise<readonly Failover[]>
  /** @throws NotFoundError */
  explain(id: number, options?: FailoverAskOptions): Promise<Failover>
  /**
   * Nothing is moved unasked until `resume`, whoever coordinates meanwhile; elections go on.
   * @throws IndeterminateError it may be paused
   */
  pause(by: string, options?: FailoverAskOptions): Promise<FailoverStatus>
  resume(options?: FailoverAskOptions): Promise<FailoverStatus>
  /**
   * Of a group that this node leads, confirmed by a quorum after the call.
   * @throws NotLeaderError; RequestTimeoutError no quorum confirmed it
   */
  fencingToken(group: GroupId, options?: FailoverAskOptions): Promise<FencingToken>
}
