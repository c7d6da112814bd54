/** The one line of `--once --json`; the names are stable. */
export interface DemoReport {
  readonly ok: boolean
  readonly reasons: readonly string[]
  readonly nodes: number
  readonly seconds: number
  readonly writes_acknowledged: number
  readonly writes_lost: number
  readonly writes_indeterminate: number
  readonly writes_indeterminate_done: number
  readonly writes_unexpected: number
  /** History rows beyond one per write. */
  readonly writes_repeated: number
  readonly write_errors: number
  readonly reads: number
  readonly read_errors: number
  /** Operations that `SkeinClient` could not bring to an answer within their deadline. */
  readonly client_errors: number
  readonly writes_per_second: number
  readonly reads_per_second: number
  readonly write_p50_ms: number
  readonly write_p99_ms: number
  readonly killed: string
  readonly killed_was_leader: boolean
  readonly unavailable_ms: number | null
  readonly new_leader: string | null
  readonly rejoined_ms: number | null
  readonly balances_consistent: boolean
  readonly replicas_identical: boolean
  readonly writes_per_fsync: number | null
  /** How often each kind of failure was met by the clients. */
  readonly failures: Readonly<Record<string, number>>
}

/** Why the run is no success; empty: it is one. */
export function reasonsAgainst(report: Omit<DemoReport, 'ok' | 'reasons'>): string[] {
  const reasons: string[] = []
  const expect = (holds: boolean, reason: string) => {
    if (!holds) reasons.push(reason)
  }
  expect(report.writes_acknowledged > 0, 'no write was acknowledged')
  expect(report.reads > 0, 'no read was answered')
  expect(report.writes_lost === 0, `${report.writes_lost} acknowledged writes are lost`)
  expect(
    report.writes_unexpected === 0,
    `${report.writes_unexpected} writes nobody made were found`
  )
  expect(report.writes_repeated === 0, `${report.writes_repeated} writes were executed again`)
  expect(report.killed_was_leader, `${report.killed} was not the leader when it was killed`)
  expect(report.new_leader !== null, 'no other node came to lead')
  expect(report.unavailable_ms !== null, 'no write was acknowledged after the leader was killed')
  expect(report.rejoined_ms !== null, `${report.killed} did not catch up after its restart`)
  expect(report.balances_consistent, 'the balances do not add up')
  expect(report.replicas_identical, 'the replicas differ')
  return reasons
}

export function finishReport(report: Omit<DemoReport, 'ok' | 'reasons'>): DemoReport {
  const reasons = reasonsAgainst(report)
  return { ok: reasons.length === 0, reasons, ...report }
}

export const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits))
