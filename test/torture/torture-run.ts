import { must, SplittableRandom } from '../../src/core/index.js'
import { Namespaces, namespacesRefused } from '../netns/namespaces.js'
import { type Judgement, judge } from './judgement.js'
import { Ledger, type LedgerVerdict } from './ledger.js'
import { Load } from './load.js'
import {
  type NemesisKind,
  nemesisKinds,
  planStrikes,
  type Strike,
  skippedKinds,
  strike
} from './nemesis.js'
import { Recorder } from './recorder.js'
import { adminOf, connectClients } from './torture-client.js'
import { pause, TortureCluster } from './torture-cluster.js'
import { makeWorkload, type WorkloadName } from './workloads.js'

export interface TortureOptions {
  readonly minutes: number
  readonly seed: number
  readonly nodes: number
  readonly workloads: readonly WorkloadName[]
  readonly historyFile: string
  /** Null: all that the machine permits. */
  readonly nemeses: readonly NemesisKind[] | null
}

export interface TortureReport {
  readonly ok: boolean
  readonly seed: number
  readonly minutes: number
  /** Calls that were answered. */
  readonly operations: number
  /** Writes. */
  readonly acknowledged: number
  readonly acknowledged_lost: number
  readonly indeterminate: number
  /** All replicas hold the same, and every history is accepted. */
  readonly consistent: boolean
  readonly nemeses: Counts
  /** Kinds that could not strike here, and why. */
  readonly skipped: Skipped
  readonly histories: Readonly<Partial<Record<WorkloadName, Judgement>>>
  readonly ledger: LedgerVerdict
  /** Processes that ended, and nobody had asked for it. */
  readonly crashes: readonly string[]
  readonly history: string
}

type Tell = (line: string) => void

const processesPerWorkload = 4
const wholeTimeoutMs = 180_000
const settleMs = 1_000
const identicalTimeoutMs = 60_000

/** Load, strikes, healing, last reads, judgement. */
export async function runTorture(options: TortureOptions, tell: Tell): Promise<TortureReport> {
  const refused = await namespacesRefused()
  const hosts = refused === null ? await Namespaces.create(options.nodes) : null
  if (refused !== null) tell(`no partitions: network namespaces are not permitted: ${refused}`)
  const cluster = await TortureCluster.start({ nodes: options.nodes, hosts, volatileSeed: null })
  let isSound = false
  try {
    const report = await runOn(cluster, options, tell)
    isSound = report.ok
    return report
  } finally {
    await cluster.stop({ keepsFiles: !isSound })
    if (!isSound) tell(`logs and data are kept in ${cluster.directory}`)
  }
}

async function runOn(
  cluster: TortureCluster,
  options: TortureOptions,
  tell: Tell
): Promise<TortureReport> {
  const random = SplittableRandom.fromSeed(options.seed)
  const recorder = new Recorder()
  const ledger = new Ledger()
  const { clients, close } = await connectClients(cluster)
  const workloads = options.workloads.map(makeWorkload)
  const parts = { recorder, ledger, clients }
  const load = new Load(parts, workloads, random.split('load'))
  try {
    await load.open()
    load.start(processesPerWorkload)
    const skipped = await skippedIn(cluster)
    const striking = { options, skipped, random: random.split('nemesis'), load }
    const nemeses = await strikeAll(cluster, striking, tell)
    tell('healed: waiting until all nodes are ready and have caught up')
    await cluster.untilWhole(wholeTimeoutMs)
    await pause(settleMs)
    await load.stop()
    tell(`${load.done} operations; reading everything on every node`)
    await load.readLast(cluster.ids.map((id) => adminOf(cluster.admin(id))))
    const found = await ledger.verify(must(clients[0], 'a client'))
    const isIdentical = await cluster.replicasIdentical(identicalTimeoutMs)
    if (!isIdentical) tell('replicas differ')
    const results = { recorder, ledger, load, nemeses, skipped, found, isIdentical }
    return report(options, cluster, results)
  } finally {
    await load.stop()
    await recorder.write(options.historyFile)
    await close()
  }
}

type Counts = Readonly<Partial<Record<NemesisKind, number>>>
type Skipped = Readonly<Partial<Record<NemesisKind, string>>>

async function strikeAll(
  cluster: TortureCluster,
  {
    options,
    skipped,
    random,
    load
  }: {
    readonly options: TortureOptions
    readonly skipped: Skipped
    readonly random: SplittableRandom
    readonly load: Load
  },
  tell: Tell
): Promise<Counts> {
  const durationMs = options.minutes * 60_000
  const kinds = (options.nemeses ?? nemesisKinds).filter((kind) => skipped[kind] === undefined)
  const counts: Partial<Record<NemesisKind, number>> = {}
  const startedAt = performance.now()
  for (const planned of planStrikes(random, kinds, durationMs)) {
    // On a machine that is too slow for all of them the last ones are left out.
    if (performance.now() - startedAt > durationMs) break
    await pause(Math.max(0, planned.atMs - (performance.now() - startedAt)))
    const before = load.done
    const whom = await strike(cluster, planned, random.split(planned.name))
    counts[planned.kind] = (counts[planned.kind] ?? 0) + 1
    tell(lineOf(planned, whom, load.done - before))
  }
  await pause(Math.max(0, durationMs - (performance.now() - startedAt)))
  return counts
}

const skippedIn = async (cluster: TortureCluster): Promise<Skipped> =>
  skippedKinds({
    hasHosts: cluster.hosts !== null,
    changesMembers: await cluster.changesMembers(),
    nodes: cluster.ids.length
  })

const lineOf = ({ kind, atMs, holdMs }: Strike, whom: string, done: number): string =>
  `${Math.round(atMs / 1_000)} s ${kind} ${whom} for ${holdMs} ms: ${done} operations meanwhile`

function report(
  { minutes, seed, workloads, historyFile }: TortureOptions,
  cluster: TortureCluster,
  results: {
    readonly recorder: Recorder
    readonly ledger: Ledger
    readonly load: Load
    readonly nemeses: Counts
    readonly skipped: Skipped
    readonly found: LedgerVerdict
    readonly isIdentical: boolean
  }
): TortureReport {
  const { recorder, ledger, load, nemeses, skipped, found, isIdentical } = results
  const histories = judge(recorder, workloads)
  const areAccepted = Object.values(histories).every(({ verdict }) => verdict === 'accepted')
  const consistent = isIdentical && areAccepted
  const isClean = found.lost === 0 && found.unexpected === 0 && found.repeated === 0
  return {
    ok: consistent && isClean && cluster.crashes.length === 0 && load.done > 0,
    seed,
    minutes,
    operations: load.done,
    acknowledged: ledger.count('ok'),
    acknowledged_lost: found.lost,
    indeterminate: ledger.count('info'),
    consistent,
    nemeses,
    skipped,
    histories,
    ledger: found,
    crashes: cluster.crashes,
    history: historyFile
  }
}
