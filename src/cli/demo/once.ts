/** `demo --once`: load, kill a leader under load, restart it, verify, stop. */
import { randomBytes } from 'node:crypto'
import { type GroupId, SplittableRandom } from '../../core/index.js'
import { CliError } from '../exit-codes.js'
import type { Output } from '../output.js'
import type { ClusterClient } from './cluster-client.js'
import { loadBank } from './load.js'
import type { NodeProcess } from './node-process.js'
import type { DemoOptions } from './options.js'
import { pause } from './pause.js'
import { type DemoReport, finishReport, rounded } from './report.js'
import { type Shards, spreadBank } from './shards.js'
import { dataGroupsOf, leaderAmong, type NodeView, type Supervisor } from './supervisor.js'
import { Tally } from './tally.js'
import { verifyBalances, verifyHistory } from './verify.js'
import { Workload } from './workload.js'

const startTimeoutMs = 30_000
const leaderTimeoutMs = 10_000
const catchUpTimeoutMs = 30_000
const compareTimeoutMs = 20_000
const settleTimeoutMs = 20_000
/** The dead node stays away so long: the others must do without it. */
const downtimeMs = 1_000
export const writersPerNode = 4
export const readersPerNode = 2

interface Disturbance {
  readonly killed: string
  readonly led: readonly GroupId[]
  readonly orphaned: number
  /** Of all sessions, before. */
  readonly reattachments: number
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
    const { scale } = options
    const shards = await spreadBank(supervisor, cluster, scale, signal)
    await loadBank(cluster, scale, progressNotes(output), signal)
    return await runWorkload({ supervisor, cluster, shards, options, output, signal })
  } finally {
    await cluster.close()
  }
}

interface Run {
  readonly supervisor: Supervisor
  readonly cluster: ClusterClient
  readonly shards: Shards
  readonly options: DemoOptions
  readonly output: Output
  readonly signal: AbortSignal
}

async function runWorkload(run: Run): Promise<DemoReport> {
  const { supervisor, cluster, shards, options, output, signal } = run
  const tally = new Tally()
  const workload = new Workload(
    { cluster, tally, shards, random: SplittableRandom.fromSeed(options.seed).split('workload') },
    {
      nodes: options.nodes,
      scale: options.scale,
      runId: randomBytes(4).toString('hex'),
      writersPerNode,
      readersPerNode
    }
  )
  output.note(`${options.seconds} s of transfers and reads in sessions on all nodes`)
  const startedAt = performance.now()
  let disturbance: Disturbance
  // The counters of a killed process are gone: each half has its own two samples.
  const samples: SyncSample[] = []
  try {
    await workload.start()
    samples.push(await syncSample(supervisor, tally))
    await pause((options.seconds * 1_000) / 2, signal)
    samples.push(await syncSample(supervisor, tally))
    disturbance = await disturb(run, tally, workload)
    samples.push(await syncSample(supervisor, tally))
    await pause(startedAt + options.seconds * 1_000 - performance.now(), signal)
    samples.push(await syncSample(supervisor, tally))
  } finally {
    await workload.stop()
  }
  const elapsedSeconds = (performance.now() - startedAt) / 1_000
  output.note('reading everything back')
  const inDoubt = await supervisor.untilNoneInDoubt(settleTimeoutMs)
  const history = await verifyHistory(cluster, tally.clients, (record) => workload.sentBy(record))
  const { killed, led } = disturbance
  return finishReport({
    nodes: options.nodes,
    groups: shards.groups.length,
    seconds: rounded(elapsedSeconds),
    ...figuresOf(tally, elapsedSeconds),
    in_doubt: inDoubt,
    writes_lost: history.lost,
    writes_indeterminate_done: history.indeterminateDone,
    writes_unexpected: history.unexpected,
    writes_repeated: history.repeated,
    writes_altered: history.altered,
    killed,
    killed_was_leader: led.length > 0,
    killed_led: led,
    unavailable_ms: roundedOrNull(tally.unavailableMs()),
    new_leader: disturbance.newLeader,
    rejoined_ms: roundedOrNull(disturbance.rejoinedMs),
    sessions_orphaned: disturbance.orphaned,
    sessions_reattached: reattachments(workload) - disturbance.reattachments,
    balances_consistent: await verifyBalances(cluster),
    replicas_identical: await supervisor.replicasIdentical(compareTimeoutMs),
    writes_per_fsync: roundedOrNull(perSync(samples), 2),
    failures: Object.fromEntries([...tally.reasons].sort())
  })
}

function figuresOf(tally: Tally, seconds: number) {
  const { figures } = tally
  const { writes, reads, distributed, writeErrors, readErrors, writesIndeterminate } = figures
  return {
    writes_acknowledged: writes,
    distributed_transactions: distributed,
    writes_indeterminate: writesIndeterminate,
    write_errors: writeErrors,
    reads,
    read_errors: readErrors,
    client_errors: writeErrors + writesIndeterminate + readErrors,
    writes_per_second: rounded(writes / seconds),
    reads_per_second: rounded(reads / seconds),
    write_p50_ms: rounded(tally.writeLatencyMs(50)),
    write_p99_ms: rounded(tally.writeLatencyMs(99))
  }
}

const reattachments = ({ sessions }: Workload): number =>
  sessions.reduce((sum, session) => sum + session.reattachments, 0)

async function disturb(run: Run, tally: Tally, workload: Workload): Promise<Disturbance> {
  const { supervisor, shards, output, signal } = run
  if (!(await supervisor.untilLed(shards.groups, null, leaderTimeoutMs))) {
    throw new CliError('not every group had a leader when one was to be killed')
  }
  const views = await supervisor.views()
  const killed = victimAmong(views, shards.groups, workload)
  const victim = supervisor.nodes.find(({ options }) => options.id === killed)
  if (killed === null || victim === undefined) throw new CliError('no node led')
  const led = shards.groups.filter((group) => leaderAmong(views, group) === killed)
  const before = {
    killed,
    led,
    orphaned: workload.sessions.filter(({ node }) => node === killed).length,
    reattachments: reattachments(workload)
  }
  const groups = `${led.length > 1 ? 'groups' : 'group'} ${led.join(', ')}`
  output.note(`kill -9 of ${killed} (process ${victim.pid}), which leads ${groups}`)
  tally.onLeaderKilled(performance.now(), led)
  victim.kill()
  await victim.exited()
  const isLed = await supervisor.untilLed(dataGroupsOf(views), killed, leaderTimeoutMs)
  const newLeader = isLed ? leaderAmong(await supervisor.views(), led[0]) : null
  output.note(newLeader === null ? 'a group has no leader' : 'every group is led again')
  await pause(downtimeMs, signal)
  return { ...before, newLeader, rejoinedMs: await restart(supervisor, victim, output) }
}

/** Of those that lead one of the groups, the home of the most sessions. */
function victimAmong(
  views: readonly NodeView[],
  groups: readonly GroupId[],
  { sessions }: Workload
): string | null {
  const homes = (id: string) => sessions.filter(({ node }) => node === id).length
  const leaders = groups.map((group) => leaderAmong(views, group)).filter((id) => id !== null)
  return leaders.sort((a, b) => homes(b) - homes(a))[0] ?? null
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
  readonly writes: number
  /** Of each node's log that could be asked. */
  readonly syncs: ReadonlyMap<string, number>
}

async function syncSample(supervisor: Supervisor, tally: Tally): Promise<SyncSample> {
  const syncs = new Map<string, number>()
  for (const { options } of supervisor.nodes) {
    const count = (await supervisor.metricsOf(options.id))?.consensus?.log_syncs
    if (count !== undefined) syncs.set(options.id, count)
  }
  return { writes: tally.figures.writes, syncs }
}

/**
 * Acknowledged writes per fsync of a node's log, on average over the nodes that ran between two
 * consecutive samples; null: there are none.
 */
export function perSync(samples: readonly SyncSample[]): number | null {
  let writes = 0
  let syncs = 0
  for (const [i, after] of samples.entries()) {
    const before = samples[i - 1]
    if (before === undefined) continue
    const counts: number[] = []
    for (const [node, count] of after.syncs) {
      const earlier = before.syncs.get(node)
      if (earlier !== undefined && count >= earlier) counts.push(count - earlier)
    }
    if (counts.length === 0) continue
    writes += after.writes - before.writes
    syncs += counts.reduce((sum, count) => sum + count, 0) / counts.length
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

const roundedOrNull = (value: number | null, digits = 1): number | null =>
  value === null ? null : rounded(value, digits)
