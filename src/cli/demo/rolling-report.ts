/** The one line of `--rolling-restart --json`; the names are stable. */
export interface RollingReport {
  readonly ok: boolean
  readonly reasons: readonly string[]
  readonly nodes: number
  readonly sessions: number
  readonly seconds: number
  readonly plan: string
  readonly plan_status: string
  readonly plan_reason: string
  /** In the order in which they came back. */
  readonly restarted: readonly string[]
  readonly leaders_moved: number
  readonly writes_acknowledged: number
  readonly writes_lost: number
  readonly writes_unexpected: number
  readonly writes_repeated: number
  readonly reads: number
  /** Operations that `SkeinClient` could not bring to an answer within their deadline. */
  readonly client_errors: number
  /** Moves of sessions from nodes that drained, as the cluster counted them. */
  readonly sessions_moved: number
  /** That a node could not give away when it drained. */
  readonly sessions_refused: number
  /** That their programs took over because their home was gone. */
  readonly sessions_reattached: number
  /** That met an error, were not answered after the last restart, or that the cluster has not. */
  readonly sessions_lost: number
  /** The longest that a session waited for one answer while nodes were restarted. */
  readonly longest_pause_ms: number
  readonly elections_by_timeout: number
  readonly write_p50_ms: number
  readonly write_p99_ms: number
  readonly balances_consistent: boolean
  readonly replicas_identical: boolean
  /** How often each kind of failure was met by the sessions. */
  readonly failures: Readonly<Record<string, number>>
}

export type RollingFacts = Omit<RollingReport, 'ok' | 'reasons'>

/** Why the run is no success; empty: it is one. */
export function rollingFaults(report: RollingFacts): string[] {
  const reasons: string[] = []
  const expect = (holds: boolean, reason: string) => {
    if (!holds) reasons.push(reason)
  }
  const { nodes, plan_status, plan_reason, elections_by_timeout } = report
  expect(plan_status === 'finished', `the plan is ${plan_status}: ${plan_reason}`)
  const times = new Set(report.restarted).size
  const isEachOnce = times === nodes && report.restarted.length === nodes
  expect(isEachOnce, `restarted were ${report.restarted.join(', ') || 'none'}`)
  expect(report.writes_acknowledged > 0, 'no write was acknowledged')
  expect(report.reads > 0, 'no read was answered')
  expect(report.client_errors === 0, `${report.client_errors} requests failed`)
  expect(report.sessions_moved > 0, 'no session was moved')
  expect(report.sessions_lost === 0, `${report.sessions_lost} sessions were lost`)
  expect(elections_by_timeout === 0, `${elections_by_timeout} elections were held by time-out`)
  expect(report.writes_lost === 0, `${report.writes_lost} acknowledged writes are lost`)
  expect(report.writes_unexpected === 0, `${report.writes_unexpected} unknown writes were found`)
  expect(report.writes_repeated === 0, `${report.writes_repeated} writes were executed again`)
  expect(report.balances_consistent, 'the balances do not add up')
  expect(report.replicas_identical, 'the replicas differ')
  return reasons
}

export function finishRollingReport(report: RollingFacts): RollingReport {
  const reasons = rollingFaults(report)
  return { ok: reasons.length === 0, reasons, ...report }
}
