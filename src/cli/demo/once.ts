/** `demo --once`: load, kill the leader under load, restart it, verify, stop. */
import { randomBytes } from 'node:crypto'
import { SplittableRandom } from '../../core/index.js'
import { CliError } from '../exit-codes.js'
import type { Output } from '../output.js'
import type { ClusterClient } from './cluster-client.js'
import { loadBank } from './load.js'
import type { NodeProcess } from './node-process.js'
import type { DemoOptions } from './options.js'
import { pause } from './pause.js'
import { type DemoReport, finishReport, rounded } from './report.js'
import type { Supervisor } from './supervisor.js'
import { Tally } from './tally.js'
import { verifyBalances, verifyHistory } from './verify.js'
import { Workload } from './workload.js'

const startTimeoutMs = 30_000
const leaderTimeoutMs = 10_000
const catchUpTimeoutMs = 30_000
const compareTimeoutMs = 20_000
/** The dead node stays away so long: the others must do without it. */
const downtimeMs = 1_000
export const writersPerNode = 4
export const readersPerNode = 2

interface Disturbance {
  readonly killed: string
  readonly killedWasLeader: boolean
  readonly newLeader: string | null
  readonly rejoinedMs: number | null
}

export async function runOnce(
  supervisor: Supervisor,
  options: DemoOptions,
  output: Output,
  signal: AbortSignal
): Promise<DemoReport> {
  output.note(`starting ${options.nodes} nodes`)
  await supervisor.start(startTimeoutMs)
  const cluster = await supervisor.connectClients()
  try {
    await loadBank(cluster, options.scale, progressNotes(output), signal)
    return await runWorkload(supervisor, cluster, options, output, signal)
  } finally {
    await cluster.close()
  }
}

async function runWorkload(
  supervisor: Supervisor,
  cluster: ClusterClient,
  options: DemoOptions,
  output: Output,
  signal: AbortSignal
): Promise<DemoReport> {
  const tally = new Tally()
  const workload = new Workload(
    { cluster, tally, random: SplittableRandom.fromSeed(options.seed).split('workload') },
    {
      nodes: options.nodes,
      scale: options.scale,
      runId: randomBytes(4).toString('hex'),
      writersPerNode,
      readersPerNode
    }
  )
  output.note(`${options.seconds} s of transfers and reads through all nodes`)
  const startedAt = performance.now()
  workload.start()
  let disturbance: Disturbance
  // The counters of a killed process are gone: each half has its own two samples.
  const samples: (SyncSample | null)[] = []
  try {
    samples.push(await syncSample(supervisor, tally))
    await pause((options.seconds * 1_000) / 2, signal)
    samples.push(await syncSample(supervisor, tally))
    disturbance = await disturb(supervisor, tally, output, signal)
    samples.push(await syncSample(supervisor, tally))
    await pause(startedAt + options.seconds * 1_000 - performance.now(), signal)
    samples.push(await syncSample(supervisor, tally))
  } finally {
    await workload.stop()
  }
  const writesPerSync = perSync(samples)
  const elapsedSeconds = (performance.now() - startedAt) / 1_000
  output.note('reading everything back')
  const history = await verifyHistory(cluster, tally.clients)
  const { figures } = tally
  return finishReport({
    nodes: options.nodes,
    seconds: rounded(elapsedSeconds),
    writes_acknowledged: figures.writes,
    writes_lost: history.lost,
    writes_indeterminate: figures.writesIndeterminate,
    writes_indeterminate_done: history.indeterminateDone,
    writes_unexpected: history.unexpected,
    writes_repeated: history.repeated,
    write_errors: figures.writeErrors,
    reads: figures.reads,
    read_errors: figures.readErrors,
    client_errors: figures.writeErrors + figures.writesIndeterminate + figures.readErrors,
    writes_per_second: rounded(figures.writes / elapsedSeconds),
    reads_per_second: rounded(figures.reads / elapsedSeconds),
    write_p50_ms: rounded(tally.writeLatencyMs(50)),
    write_p99_ms: rounded(tally.writeLatencyMs(99)),
    killed: disturbance.killed,
    killed_was_leader: disturbance.killedWasLeader,
    unavailable_ms: roundedOrNull(tally.unavailableMs()),
    new_leader: disturbance.newLeader,
    rejoined_ms: roundedOrNull(disturbance.rejoinedMs),
    balances_consistent: await verifyBalances(cluster),
    replicas_identical: await supervisor.replicasIdentical(compareTimeoutMs),
    writes_per_fsync: writesPerSync === null ? null : rounded(writesPerSync, 2),
    failures: Object.fromEntries([...tally.reasons].sort())
  })
}

async function disturb(
  supervisor: Supervisor,
  tally: Tally,
  output: Output,
  signal: AbortSignal
): Promise<Disturbance> {
  const victim = await supervisor.untilLeader(null, leaderTimeoutMs)
  if (victim === null) throw new CliError('no node led when one was to be killed')
  const killed = victim.options.id
  const killedWasLeader = (await supervisor.leader()) === victim
  output.note(`kill -9 of the leader, ${killed} (process ${victim.pid})`)
  tally.onLeaderKilled(performance.now())
  victim.kill()
  await victim.exited()
  const leader = await supervisor.untilLeader(killed, leaderTimeoutMs)
  const newLeader = leader?.options.id ?? null
  output.note(newLeader === null ? 'nobody came to lead' : `${newLeader} leads`)
  await pause(downtimeMs, signal)
  return {
    killed,
    killedWasLeader,
    newLeader,
    rejoinedMs: await restart(supervisor, victim, output)
  }
}

/** How long the node took to come back and catch up; null: it did not. */
async function restart(
  supervisor: Supervisor,
  node: NodeProcess,
  output: Output
): Promise<number | null> {
  const { id } = node.options
  const from = performance.now()
  await node.start()
  const isBack = await supervisor.untilCaughtUp(id, catchUpTimeoutMs)
  const tookMs = performance.now() - from
  output.note(isBack ? `${id} is back after ${Math.round(tookMs)} ms` : `${id} did not catch up`)
  return isBack ? tookMs : null
}

export interface SyncSample {
  readonly leader: string
  readonly writes: number
  readonly syncs: number
}

async function syncSample(supervisor: Supervisor, tally: Tally): Promise<SyncSample | null> {
  const leader = (await supervisor.leader())?.options.id
  if (leader === undefined) return null
  const syncs = (await supervisor.metricsOf(leader))?.consensus?.log_syncs
  return syncs === undefined ? null : { leader, writes: tally.figures.writes, syncs }
}

/**
 * Acknowledged writes per fsync of the leader's log, between each two consecutive samples that one
 * leader gave; null: there are none.
 */
export function perSync(samples: readonly (SyncSample | null)[]): number | null {
  let writes = 0
  let syncs = 0
  for (const [i, after] of samples.entries()) {
    const before = samples[i - 1] ?? null
    const isPair = after !== null && before !== null && after.leader === before.leader
    if (!isPair || after.syncs < before.syncs) continue
    writes += after.writes - before.writes
    syncs += after.syncs - before.syncs
  }
  return syncs > 0 ? writes / syncs : null
}

export function progressNotes(output: Output): (share: number) => void {
  let told = -1
  return (share) => {
    const quarter = Math.floor(share * 4)
    if (quarter > told) output.note(`loading accounts: ${quarter * 25} %`)
    told = quarter
  }
}

const roundedOrNull = (value: number | null): number | null =>
  value === null ? null : rounded(value)
