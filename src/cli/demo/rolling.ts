/** `demo --rolling-restart`: every node is restarted under load, one after the other. */
import { randomBytes } from 'node:crypto'
import { type RestartPlan, type SessionList, SplittableRandom } from '../../core/index.js'
import { CliError } from '../exit-codes.js'
import type { Output } from '../output.js'
import type { ClusterClient } from './cluster-client.js'
import type { ElectionCount } from './election-count.js'
import { loadBank } from './load.js'
import { progressNotes } from './once.js'
import type { DemoOptions } from './options.js'
import { expectGoing, pause } from './pause.js'
import { rounded } from './report.js'
import { finishRollingReport, type RollingReport } from './rolling-report.js'
import { type SessionRecord, SessionsLoad } from './sessions-load.js'
import type { Supervisor } from './supervisor.js'
import { Tally } from './tally.js'
import { verifyBalances, verifyHistory } from './verify.js'

export interface RollingRun {
  readonly supervisor: Supervisor
  readonly options: DemoOptions
  readonly output: Output
  readonly signal: AbortSignal
  readonly elections: ElectionCount
  /** Nodes that came back, as they do. */
  readonly restarted: readonly string[]
}

const startTimeoutMs = 60_000
const planTimeoutMs = 600_000
const pollIntervalMs = 500
const compareTimeoutMs = 20_000
const thinkTimeMs = 2_000
const answerTimeoutMs = 60_000
/** Nobody may answer so long: the node that is asked may be the one that goes. */
const silenceMsMax = 20_000

const planOptions = { delayMs: 1_000, canaryDelayMs: 3_000, errorRateMax: 0.05 } as const

export async function runRollingRestart(run: RollingRun): Promise<RollingReport> {
  const { supervisor, options, output, signal } = run
  output.note(`starting ${options.nodes} nodes`)
  await supervisor.start(startTimeoutMs)
  const cluster = await supervisor.connectClients(options.sessions)
  try {
    output.note(`${options.sessions} sessions are connected`)
    await loadBank(cluster, options.scale, progressNotes(output), signal)
    return await restartUnderLoad(run, cluster)
  } finally {
    await cluster.close()
  }
}

async function restartUnderLoad(run: RollingRun, cluster: ClusterClient): Promise<RollingReport> {
  const { supervisor, options, output, signal, elections } = run
  const { sessions, scale, seed } = options
  const tally = new Tally()
  const load = new SessionsLoad(
    { cluster, tally, random: SplittableRandom.fromSeed(seed).split('sessions') },
    { sessions, scale, runId: randomBytes(4).toString('hex'), thinkTimeMs }
  )
  load.start()
  const startedAt = performance.now()
  try {
    if (!(await load.untilAllAnswered(answerTimeoutMs))) {
      throw new CliError('not every session was answered before the first restart')
    }
    expectGoing(signal)
    elections.reset()
    load.beginPart()
    const before = await sessionsOf(supervisor)
    const plan = await restartAll(run)
    const longestPauseMs = load.longestPauseMs
    load.beginPart()
    output.note('every session asks once more')
    await load.untilAllAnswered(answerTimeoutMs)
    const after = await sessionsOf(supervisor)
    const kept = new Set(after.sessions.map(({ id }) => id))
    const isLost = ({ sql, answered, errors }: SessionRecord) =>
      answered === 0 || errors > 0 || sql === null || !kept.has(sql.id)
    await load.stop()
    const seconds = (performance.now() - startedAt) / 1_000
    output.note('reading everything back')
    const history = await verifyHistory(cluster, tally.clients)
    const { figures } = tally
    return finishRollingReport({
      nodes: options.nodes,
      sessions,
      seconds: rounded(seconds),
      plan: plan.id,
      plan_status: plan.status,
      plan_reason: plan.reason,
      restarted: [...run.restarted],
      leaders_moved: sum(plan, 'leadersMoved'),
      writes_acknowledged: figures.writes,
      writes_lost: history.lost,
      writes_unexpected: history.unexpected,
      writes_repeated: history.repeated,
      reads: figures.reads,
      client_errors: figures.writeErrors + figures.writesIndeterminate + figures.readErrors,
      sessions_moved: after.totals.moved - before.totals.moved,
      sessions_refused: sum(plan, 'sessionsRefused'),
      sessions_reattached: after.totals.reattached - before.totals.reattached,
      sessions_lost: load.sessions.filter(isLost).length,
      longest_pause_ms: rounded(longestPauseMs),
      elections_by_timeout: elections.byTimeout,
      write_p50_ms: rounded(tally.writeLatencyMs(50)),
      write_p99_ms: rounded(tally.writeLatencyMs(99)),
      balances_consistent: await verifyBalances(cluster),
      replicas_identical: await supervisor.replicasIdentical(compareTimeoutMs),
      failures: Object.fromEntries([...tally.reasons].sort())
    })
  } finally {
    await load.stop()
  }
}

async function sessionsOf(supervisor: Supervisor): Promise<SessionList> {
  return (await supervisor.askAny((admin, timeoutMs) =>
    admin.get('/v1/sessions', timeoutMs)
  )) as SessionList
}

/** Resolves with the plan when it is at its end, whatever that is. */
async function restartAll({ supervisor, output, signal }: RollingRun): Promise<RestartPlan> {
  await abortFormer(supervisor)
  const started = await supervisor.askAny((admin, timeoutMs) =>
    admin.post('/v1/rolling_restart', planOptions, timeoutMs)
  )
  const { id } = started as { readonly id: string }
  output.note(`rolling restart ${id}`)
  const begunAt = performance.now()
  let heardAt = begunAt
  let told = ''
  while (performance.now() - begunAt < planTimeoutMs) {
    await pause(pollIntervalMs, signal)
    const plan = await planOf(supervisor, id).catch((error: unknown) => {
      if (performance.now() - heardAt > silenceMsMax) throw error
      return null
    })
    if (plan === null) continue
    heardAt = performance.now()
    const text = describe(plan)
    if (text !== told) output.note(text)
    told = text
    if (plan.status !== 'running') return plan
  }
  throw new CliError(`the rolling restart was not over after ${planTimeoutMs / 1_000} s`)
}

/** One that an earlier run in the same directory has left halted. */
async function abortFormer(supervisor: Supervisor): Promise<void> {
  const answer = await supervisor.askAny((admin, timeoutMs) =>
    admin.get('/v1/rolling_restart', timeoutMs)
  )
  const { plans } = answer as { readonly plans: readonly RestartPlan[] }
  const former = plans.find(({ status }) => status !== 'finished' && status !== 'aborted')
  if (former === undefined) return
  const path = `/v1/rolling_restart/${former.id}/abort`
  await supervisor.askAny((admin, timeoutMs) => admin.post(path, {}, timeoutMs))
}

async function planOf(supervisor: Supervisor, id: string): Promise<RestartPlan> {
  const path = `/v1/rolling_restart/${id}`
  return (await supervisor.askAny((admin, timeoutMs) => admin.get(path, timeoutMs))) as RestartPlan
}

function describe({ steps, status, reason }: RestartPlan): string {
  if (status !== 'running') return `${status}: ${reason}`
  const out = steps.find(({ phase }) => phase !== 'pending' && phase !== 'done')
  const done = steps.filter(({ phase }) => phase === 'done').length
  return `${done} of ${steps.length}${out === undefined ? '' : `, ${out.node}: ${out.phase}`}`
}

const sum = ({ steps }: RestartPlan, field: 'leadersMoved' | 'sessionsRefused'): number =>
  steps.reduce((total, { report }) => total + report[field], 0)
