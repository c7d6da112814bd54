/** How queries of a SQL session differ from others: at the program that asks, and at its home. */
import type { GroupId, LogIndex, MonotonicMs, NodeId } from '../../core/ids.js'
import type { Statement } from '../../core/sql.js'
import type { Answered } from '../answered.js'

/** Where the queries of a session go, whatever the strategy says. At the program. */
export interface QueryHome {
  readonly session: string
  /** Null: it is being looked for. */
  node(): NodeId | null
  /** Settles when it is known again, or is known to be lost. */
  found(): Promise<unknown>
  /** Why the session has ended; null: it has not, as far as is known. */
  fault(): Error | null
  /** Rises when the session was taken over: what an attempt of before answers does not count. */
  generation(): number
  handleFailure(node: NodeId, thrown: unknown): void
  /**
   * Prepared statements by the place of the statement that each stands for, whose text then does
   * not travel.
   */
  readonly prepared: readonly (string | null)[]
}

/** A query of a session as it came over the wire. */
export interface SessionCall {
  readonly session: string
  /** Whose certificate it came with. */
  readonly client: string
  readonly statements: readonly Statement[]
  readonly prepared: readonly (string | null)[]
}

/** What its home adds to it. */
export interface SessionRun {
  readonly id: string
  /** With the texts of prepared statements. */
  readonly statements: readonly Statement[]
  /** Reads of the group see at least this. */
  seenIndexOf(group: GroupId): LogIndex
  /** It may not write. */
  readonly readOnly: boolean
}

/** The home's part. */
export interface SessionGate {
  /**
   * Runs it when the session may run here.
   * @throws SessionMovedError, SessionDetachedError: nothing was done
   * @throws SessionEndedError, BackpressureError, RequestTimeoutError, InvalidArgumentError
   */
  run(
    call: SessionCall,
    group: GroupId,
    until: { readonly deadline: MonotonicMs; readonly signal?: AbortSignal | undefined },
    run: (session: SessionRun) => Promise<Answered>
  ): Promise<Answered>
}
