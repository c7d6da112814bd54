/**
 * All nodes die at once, and with them every byte and name that was not synced: what was
 * acknowledged before must be there when the power is back.
 */
import { must, SplittableRandom } from '../../src/core/index.js'
import { putBack } from './engine-keeper.js'
import { type Judgement, judge } from './judgement.js'
import { Ledger } from './ledger.js'
import { Load } from './load.js'
import { Recorder } from './recorder.js'
import { connectClients, type TortureClient } from './torture-client.js'
import { pause, TortureCluster } from './torture-cluster.js'
import { makeWorkload, type WorkloadName } from './workloads.js'

export interface PowerFailureOptions {
  readonly rounds: number
  readonly seed: number
  readonly nodes: number
  readonly workloads: readonly WorkloadName[]
  readonly historyFile: string
}

export interface PowerFailureReport {
  readonly ok: boolean
  readonly seed: number
  readonly rounds: number
  readonly operations: number
  readonly acknowledged: number
  readonly acknowledged_lost: number
  readonly indeterminate: number
  readonly consistent: boolean
  readonly nemeses: { readonly power_failure: number }
  /** Engines whose files were put back to their last sync. */
  readonly engines_put_back: number
  readonly histories: Readonly<Partial<Record<WorkloadName, Judgement>>>
  readonly crashes: readonly string[]
  readonly history: string
}

type Tell = (line: string) => void

const processesPerWorkload = 3
const wholeTimeoutMs = 180_000
const identicalTimeoutMs = 60_000
/** Writes that are acknowledged in each round, on a machine that is fast enough. */
const writesPerRound = { min: 20, max: 120 } as const
const powerMsMax = 10_000
const lookIntervalMs = 20

export async function runPowerFailures(
  options: PowerFailureOptions,
  tell: Tell
): Promise<PowerFailureReport> {
  const { nodes, seed } = options
  const founding = { nodes, hosts: null, volatileSeed: seed }
  return TortureCluster.during(founding, tell, (cluster) => runOn(cluster, options, tell))
}

async function runOn(
  cluster: TortureCluster,
  options: PowerFailureOptions,
  tell: Tell
): Promise<PowerFailureReport> {
  const random = SplittableRandom.fromSeed(options.seed)
  const recorder = new Recorder()
  const ledger = new Ledger()
  const { clients, close } = await connectClients(cluster)
  const client = must(clients[0], 'a client')
  const load = new Load(
    { recorder, ledger, clients },
    options.workloads.map(makeWorkload),
    random.split('load')
  )
  let lost = 0
  let faults = 0
  let putBackCount = 0
  try {
    await load.open()
    load.start(processesPerWorkload)
    for (let round = 1; round <= options.rounds; round++) {
      const ofRound = random.split(`round ${round}`)
      await untilAcknowledged(ledger, ofRound)
      const found = await failPower(cluster, { ledger, client, random: ofRound })
      lost += found.lost
      faults += found.unexpected + found.repeated
      putBackCount += found.putBack
      tell(`round ${round}: ${found.acknowledged} writes acknowledged, ${found.lost} lost`)
    }
    await load.stop()
    await load.readLast(clients.slice(0, 1))
    const isIdentical = await cluster.replicasIdentical(identicalTimeoutMs)
    const histories = judge(recorder, options.workloads)
    const areAccepted = Object.values(histories).every(({ verdict }) => verdict === 'accepted')
    const consistent = isIdentical && areAccepted
    return {
      ok: lost === 0 && faults === 0 && consistent && cluster.crashes.length === 0,
      seed: options.seed,
      rounds: options.rounds,
      operations: load.done,
      acknowledged: ledger.count('ok'),
      acknowledged_lost: lost,
      indeterminate: ledger.count('info'),
      consistent,
      nemeses: { power_failure: options.rounds },
      engines_put_back: putBackCount,
      histories,
      crashes: cluster.crashes,
      history: options.historyFile
    }
  } finally {
    await load.stop()
    await recorder.write(options.historyFile)
    await close()
  }
}

/** As many as the round draws, and a little longer, so that something is under way. */
async function untilAcknowledged(ledger: Ledger, random: SplittableRandom): Promise<void> {
  const { min, max } = writesPerRound
  const wanted = ledger.count('ok') + min + random.nextInt(max - min)
  const deadline = performance.now() + powerMsMax
  while (ledger.count('ok') < wanted && performance.now() < deadline) await pause(lookIntervalMs)
  await pause(random.nextInt(lookIntervalMs))
}

/** The load goes on all the while. */
async function failPower(
  cluster: TortureCluster,
  {
    ledger,
    client,
    random
  }: {
    readonly ledger: Ledger
    readonly client: TortureClient
    readonly random: SplittableRandom
  }
) {
  await Promise.all(cluster.nodes.map((node) => node.kill()))
  const acknowledged = ledger.acknowledged()
  let putBackCount = 0
  for (const { options } of cluster.nodes) {
    if (random.nextInt(2) === 0) continue
    putBackCount += await putBack(options.dataDirectory)
  }
  await cluster.startAll()
  await cluster.untilWhole(wholeTimeoutMs)
  const verdict = await ledger.verify(client, acknowledged)
  return { ...verdict, acknowledged: acknowledged.length, putBack: putBackCount }
}
