/** The one line of `--once --json`; the names are stable. */
export interface DemoReport {
  readonly ok: boolean
  readonly reasons: readonly string[]
  readonly nodes: number
  /** That the tables are spread over. */
  readonly groups: number
  readonly seconds: number
  readonly writes_acknowledged: number
  /** Of several groups, committed; they are among the acknowledged. */
  readonly distributed_transactions: number
  /** Branches that all nodes together hold prepared at the end; null: a node did not answer. */
  readonly in_doubt: number | null
  readonly writes_lost: number
  readonly writes_indeterminate: number
  readonly writes_indeterminate_done: number
  readonly writes_unexpected: number
  /** History rows beyond one per write. */
  readonly writes_repeated: number
  /** History rows that say something else than was sent. */
  readonly writes_altered: number
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
  /** Groups that were led by it. */
  readonly killed_led: readonly number[]
  /** Until all of them had acknowledged a write again. */
  readonly unavailable_ms: number | null
  readonly new_leader: string | null
  readonly rejoined_ms: number | null
  /** SQL sessions that were at home on the killed node. */
  readonly sessions_orphaned: number
  /** How often sessions were taken over by another home since. */
  readonly sessions_reattached: number
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
  expect(report.writes_altered === 0, `${report.writes_altered} writes are not as they were sent`)
  expect(report.client_errors === 0, `${report.client_errors} requests failed`)
  expect(report.groups > 1, 'the tables are not spread over groups')
  expect(report.distributed_transactions > 0, 'no distributed transaction was committed')
  expect(report.in_doubt !== null, 'a node did not tell what is in doubt')
  expect((report.in_doubt ?? 0) === 0, `${report.in_doubt} branches stay in doubt`)
  expect(report.killed_was_leader, `${report.killed} was not the leader when it was killed`)
  expect(report.new_leader !== null, 'no other node came to lead')
  expect(report.unavailable_ms !== null, 'no write was acknowledged after the leader was killed')
  expect(report.rejoined_ms !== null, `${report.killed} did not catch up after its restart`)
  const { sessions_reattached, sessions_orphaned } = report
  const areBack = sessions_reattached >= sessions_orphaned && sessions_reattached > 0
  expect(areBack, `${sessions_reattached} of ${sessions_orphaned} sessions were taken over`)
  expect(report.balances_consistent, 'the balances do not add up')
  expect(report.replicas_identical, 'the replicas differ')
  return reasons
}

export function finishReport(report: Omit<DemoReport, 'ok' | 'reasons'>): DemoReport {
  const reasons = reasonsAgainst(report)
  return { ok: reasons.length === 0, reasons, ...report }
}

export const rounded = (value: number, digits = 1): number => Number(value.toFixed(digits))
