import type { LogIndex, NodeId } from '../core/ids.js'
import type { SeenIndex } from '../core/sql-sessions.js'
import type { QueryAnswer } from './messages.js'

/** A query's end at the node that executed it. */
export interface Answered {
  readonly results: QueryAnswer['results']
  readonly index: LogIndex
  readonly node: NodeId
  /** Of a local read: no older is what it saw. */
  readonly stalenessMs?: number | undefined
  /** Of other groups that a transaction wrote to. */
  readonly seen?: readonly SeenIndex[] | undefined
}
