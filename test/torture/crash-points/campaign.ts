/**
 * Nodes die at each of the named crash points, with what they had not synced, while clients are
 * told what became of their writes; what was acknowledged must be there.
 */
import { must, SplittableRandom, shuffle } from '../../../src/core/index.js'
import { putBack } from '../engine-keeper.js'
import { type Judgement, judge } from '../judgement.js'
import { Ledger, type LedgerVerdict } from '../ledger.js'
import { Load } from '../load.js'
import { Recorder } from '../recorder.js'
import { adminOf, connectClients, type TortureClient } from '../torture-client.js'
import { poll, TortureCluster } from '../torture-cluster.js'
import { makeWorkload, type WorkloadName } from '../workloads.js'
import type { CrashPoint } from './crash-points.js'
import { strikeAt, strikeFounding } from './strikes.js'

export interface CrashPointOptions {
  /** So often each point is struck, but for those of the founding, of which there is one. */
  readonly rounds: number
  readonly seed: number
  readonly nodes: number
  readonly points: readonly CrashPoint[]
  readonly workloads: readonly WorkloadName[]
  readonly processesPerWorkload: number
  readonly historyFile: string
}

export interface CrashPointReport {
  readonly ok: boolean
  readonly seed: number
  readonly rounds: number
  readonly operations: number
  readonly acknowledged: number
  readonly acknowledged_lost: number
  readonly indeterminate: number
  readonly consistent: boolean
  /** How often a node died at each. */
  readonly struck: Readonly<Partial<Record<CrashPoint, number>>>
  readonly never_struck: readonly CrashPoint[]
  /** Engines whose files were put back to their last sync. */
  readonly engines_put_back: number
  readonly histories: Readonly<Partial<Record<WorkloadName, Judgement>>>
  readonly ledger: LedgerVerdict
  readonly crashes: readonly string[]
  readonly history: string
}

type Tell = (line: string) => void

const wholeTimeoutMs = 180_000
const identicalTimeoutMs = 60_000
const knownTimeoutMs = 60_000
const patienceMs = 20_000
/** A node may never come to its point, because another died or leads. */
const attemptsMax = 3
const groups = 3
/** So short that segments, compactions and snapshots come all the time. */
const consensus = { logSegmentBytes: 1 << 16, logEntriesMax: 128 }

export async function runCrashPoints(
  options: CrashPointOptions,
  tell: Tell
): Promise<CrashPointReport> {
  const { nodes, seed, points } = options
  const struck = new Map<CrashPoint, number>()
  const note = (point: CrashPoint) => void struck.set(point, (struck.get(point) ?? 0) + 1)
  const founding = {
    nodes,
    hosts: null,
    volatileSeed: seed,
    changes: { cluster: { groups }, consensus },
    beforeStart: (founded: TortureCluster) => strikeFounding(founded, points, note)
  }
  return TortureCluster.during(founding, tell, (cluster) =>
    new Campaign(cluster, options, tell, struck).run()
  )
}

class Campaign {
  readonly #cluster: TortureCluster
  readonly #options: CrashPointOptions
  readonly #tell: Tell
  readonly #struck: Map<CrashPoint, number>
  readonly #random: SplittableRandom
  #enginesPutBack = 0

  constructor(
    cluster: TortureCluster,
    options: CrashPointOptions,
    tell: Tell,
    struck: Map<CrashPoint, number>
  ) {
    this.#cluster = cluster
    this.#options = options
    this.#tell = tell
    this.#struck = struck
    this.#random = SplittableRandom.fromSeed(options.seed)
  }

  async run(): Promise<CrashPointReport> {
    const { workloads, processesPerWorkload, historyFile } = this.#options
    const cluster = this.#cluster
    const recorder = new Recorder()
    const ledger = new Ledger()
    const { clients, close } = await connectClients(cluster)
    const load = new Load(
      { recorder, ledger, clients },
      workloads.map(makeWorkload),
      this.#random.split('load')
    )
    try {
      if (workloads.includes('bank')) await shardAccounts(cluster, clients)
      await load.open()
      load.start(processesPerWorkload)
      await this.#strikeAll()
      await cluster.untilWhole(wholeTimeoutMs)
      await load.stop()
      await load.readLast(cluster.ids.map((id) => adminOf(cluster.admin(id))))
      const found = await ledger.verify(must(clients[0], 'a client'))
      const isIdentical = await cluster.replicasIdentical(identicalTimeoutMs)
      const histories = judge(recorder, workloads)
      return this.#report({ ledger, load, found, isIdentical, histories })
    } finally {
      await load.stop()
      await recorder.write(historyFile)
      await close()
    }
  }

  async #strikeAll(): Promise<void> {
    const { points, rounds } = this.#options
    const running = points.filter((point) => !point.startsWith('identity_'))
    for (let round = 1; round <= rounds; round++) {
      const ofRound = this.#random.split(`round ${round}`)
      for (const point of shuffle(ofRound, [...running])) {
        await this.#strike(point, ofRound.split(point), round)
      }
    }
  }

  async #strike(point: CrashPoint, random: SplittableRandom, round: number): Promise<void> {
    for (let attempt = 1; attempt <= attemptsMax; attempt++) {
      const isStruck = await strikeAt(this.#cluster, point, random)
      if (isStruck) this.#struck.set(point, (this.#struck.get(point) ?? 0) + 1)
      await this.#heal(random)
      this.#tell(`round ${round}: ${point} ${isStruck ? 'struck' : 'was not reached'}`)
      if (isStruck) return
    }
  }

  /** The dead start again, half of them with what their engines had synced alone. */
  async #heal(random: SplittableRandom): Promise<void> {
    const cluster = this.#cluster
    for (const { isRunning, options } of cluster.nodes) {
      if (isRunning || random.nextInt(2) === 0) continue
      this.#enginesPutBack += await putBack(options.dataDirectory)
    }
    await cluster.startAll()
    await cluster.untilWhole(wholeTimeoutMs)
  }

  #report(results: {
    readonly ledger: Ledger
    readonly load: Load
    readonly found: LedgerVerdict
    readonly isIdentical: boolean
    readonly histories: CrashPointReport['histories']
  }): CrashPointReport {
    const { ledger, load, found, isIdentical, histories } = results
    const { seed, rounds, points, historyFile } = this.#options
    const { crashes } = this.#cluster
    const areAccepted = Object.values(histories).every(({ verdict }) => verdict === 'accepted')
    const consistent = isIdentical && areAccepted
    const isClean = found.lost === 0 && found.unexpected === 0 && found.repeated === 0
    const neverStruck = points.filter((point) => !this.#struck.has(point))
    return {
      ok: consistent && isClean && crashes.length === 0 && neverStruck.length === 0,
      seed,
      rounds,
      operations: load.done,
      acknowledged: ledger.count('ok'),
      acknowledged_lost: found.lost,
      indeterminate: ledger.count('info'),
      consistent,
      struck: Object.fromEntries(points.map((point) => [point, this.#struck.get(point) ?? 0])),
      never_struck: neverStruck,
      engines_put_back: this.#enginesPutBack,
      histories,
      ledger: found,
      crashes,
      history: historyFile
    }
  }
}

/** Over all groups but the ledger's, so that each transfer is a transaction of several groups. */
async function shardAccounts(
  cluster: TortureCluster,
  clients: readonly TortureClient[]
): Promise<void> {
  const admin = cluster.admin(must(cluster.ids[0], 'a node'))
  await poll('the table is sharded', knownTimeoutMs, async () => {
    const body = { shardKey: 'id', groups: [1, 2] }
    const outcome = await admin.change('PUT', '/v1/placement/tables/account', body, patienceMs)
    return outcome.kind === 'answer'
  })
  for (const client of clients) {
    await poll('a client knows it', knownTimeoutMs, async () => {
      const sql = 'SELECT * FROM account ORDER BY 1'
      const outcome = await client.call([{ sql }], patienceMs)
      return outcome.kind !== 'ok' && outcome.code === 'ERR_SKEIN_SHARD_KEY_REQUIRED'
    })
  }
}
