import { must, SplittableRandom } from '../../src/core/index.js'
import { Namespaces, namespacesRefused } from '../netns/namespaces.js'
import { type Judgement, judge } from './judgement.js'
import { Ledger, type LedgerVerdict } from './ledger.js'
import { Load } from './load.js'
import { type NemesisKind, nemesisKinds, skippedKinds } from './nemesis.js'
import { Recorder } from './recorder.js'
import { type Counts, Striking } from './striking.js'
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
  /** Strikes that are under way at the same time. */
  readonly atOnce: number
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
  readonly at_once: number
  /** Strikes that began while another was under way. */
  readonly overlapped: number
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
  const founding = { nodes: options.nodes, hosts, volatileSeed: null }
  return TortureCluster.during(founding, tell, (cluster) => runOn(cluster, options, tell))
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
    const kinds = (options.nemeses ?? nemesisKinds).filter((kind) => skipped[kind] === undefined)
    const striking = new Striking(
      { cluster, load, random: random.split('nemesis'), tell },
      { kinds, durationMs: options.minutes * 60_000, atOnce: options.atOnce }
    )
    await striking.run()
    tell('healed: waiting until all nodes are ready and have caught up')
    await cluster.untilWhole(wholeTimeoutMs)
    await pause(settleMs)
    await load.stop()
    tell(`${load.done} operations; reading everything on every node`)
    await load.readLast(cluster.ids.map((id) => adminOf(cluster.admin(id))))
    const found = await ledger.verify(must(clients[0], 'a client'))
    const isIdentical = await cluster.replicasIdentical(identicalTimeoutMs)
    if (!isIdentical) tell('replicas differ')
    const results = { recorder, ledger, load, striking, skipped, found, isIdentical }
    return report(options, cluster, results)
  } finally {
    await load.stop()
    await recorder.write(options.historyFile)
    await close()
  }
}

type Skipped = Readonly<Partial<Record<NemesisKind, string>>>

const skippedIn = async (cluster: TortureCluster): Promise<Skipped> =>
  skippedKinds({
    hasHosts: cluster.hosts !== null,
    changesMembers: await cluster.changesMembers(),
    nodes: cluster.ids.length
  })

function report(
  { minutes, seed, workloads, historyFile, atOnce }: TortureOptions,
  cluster: TortureCluster,
  results: {
    readonly recorder: Recorder
    readonly ledger: Ledger
    readonly load: Load
    readonly striking: Striking
    readonly skipped: Skipped
    readonly found: LedgerVerdict
    readonly isIdentical: boolean
  }
): TortureReport {
  const { recorder, ledger, load, striking, skipped, found, isIdentical } = results
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
    nemeses: striking.counts,
    at_once: atOnce,
    overlapped: striking.overlapped,
    skipped,
    histories,
    ledger: found,
    crashes: cluster.crashes,
    history: historyFile
  }
}
