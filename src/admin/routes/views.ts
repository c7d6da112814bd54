/** Values of the house as the API shows them. */
import {
  type JsonSqlValue,
  type Member,
  type MonotonicMs,
  type NodeId,
  type QueryResult,
  sqlValueToJson,
  toSeedNodeState,
  toServerStatus,
  toServiceNodeState
} from '../../core/index.js'

export interface ResultView {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly JsonSqlValue[])[]
  readonly rowsAffected: number
  readonly lastInsertRowid: JsonSqlValue
  readonly index: number
  readonly group: number
  readonly node: string
  readonly stalenessMs?: number
}

export const resultView = (result: QueryResult): ResultView => ({
  columns: result.columns,
  rows: result.rows.map((row) => row.map(sqlValueToJson)),
  rowsAffected: result.rowsAffected,
  lastInsertRowid: sqlValueToJson(result.lastInsertRowid),
  index: result.index,
  group: result.group,
  node: result.node,
  ...(result.stalenessMs === undefined ? {} : { stalenessMs: result.stalenessMs })
})

/** The three axes, the single-axis names, and how long ago it was heard of; a node hears itself. */
export function memberView({ lastSeen, ...member }: Member, now: MonotonicMs, self: NodeId) {
  return {
    ...member,
    state: toSeedNodeState(member),
    serviceState: toServiceNodeState(member),
    serverStatus: toServerStatus(member),
    lastSeenAgoMs: member.nodeId === self ? 0 : Math.max(0, Math.round(now - lastSeen))
  }
}
