/**
 * A fourth node comes in while all data are written over again and again, by a snapshot, for the
 * log is kept short; it is killed with SIGKILL in the midst of it, several times, and arrives.
 * Real processes, mutual TLS, the SQLite engine.
 */
import type { ConfigInput } from '../../src/core/index.js'
import { connectTo, issueClient } from '../support/process-clients.js'
import { ProcessCluster, pause, shippedEngine } from '../support/process-cluster.js'
import { Newcomer } from './newcomer.js'
import { Overwriter } from './overwriter.js'

export interface CatchUpOptions {
  /** Written over in all, at least, while the node comes in. */
  readonly bytes: number
  /** What there is to write over. */
  readonly dataBytes: number
  readonly interruptions: number
}

export interface CatchUpReport {
  readonly ok: boolean
  readonly bytes: number
  readonly data_bytes: number
  readonly interruptions: number
  /** At the newcomer, in all of its lives, by what the others sent. */
  readonly snapshot_bytes_received: number
  /** Of those that a life before had received, what did not have to be sent again. */
  readonly bytes_resumed: number
  /** Beyond the snapshots that were taken in. */
  readonly bytes_resent: number
  readonly snapshots_installed: number
  /** Until it votes and has what was committed then. */
  readonly arrived_after_seconds: number
  readonly seconds: number
  readonly writes: number
  readonly failed_writes: number
  readonly rows_lost: number
  readonly replicas_identical: boolean
  readonly unexpected_exits: readonly string[]
}

type Owner = { teardown(handler: () => unknown): void }
type Tell = (line: string) => void

const founders = ['n1', 'n2', 'n3']
const newcomer = 'n4'
const rowBytes = 32 * 1_024
/**
 * The log is kept so short beside the data that it brings nobody up to date from the beginning; a
 * leader keeps four times as much while a snapshot is on its way, and what is written in that time
 * must fit.
 */
const logShare = 2
const logSegmentBytes = 1 << 20
const writers = 4
const timeoutMs = 60_000
const pollMs = 100
const tellMs = 10_000
/** All processes share one machine, and are as busy as they can be. */
const timing = {
  heartbeatIntervalMs: 100,
  electionTimeoutMinMs: 1_500,
  electionTimeoutMaxMs: 3_000
}

export async function catchUp(
  owner: Owner,
  options: CatchUpOptions,
  tell: Tell
): Promise<CatchUpReport> {
  const begun = performance.now()
  const rows = Math.max(writers, Math.round(options.dataBytes / rowBytes))
  const dataBytes = rows * rowBytes
  const consensus = {
    ...timing,
    logSegmentBytes,
    logBytesMax: Math.round(dataBytes / logShare)
  } satisfies ConfigInput['consensus']
  const cluster = await ProcessCluster.start(owner, 4, {
    cluster: { bootstrap: { voters: founders } },
    consensus,
    engine: shippedEngine
  })
  const addresses = founders.map((id) => `localhost:${cluster.port(id)}`)
  const files = await issueClient(cluster, 'overwriter')
  const client = await connectTo(cluster, 'n1', files, { addresses })
  owner.teardown(() => client.close())
  const overwriter = new Overwriter(client, { rows, rowBytes, writers, timeoutMs })
  tell(`loading ${rows} rows of ${rowBytes} bytes`)
  await overwriter.load()
  overwriter.start()
  const joining = new Newcomer(cluster, { id: newcomer, founders }, tell)
  const cameInAt = performance.now()
  await joining.comeIn(options.interruptions)
  const arrivedAfterMs = performance.now() - cameInAt
  tell(`arrived after ${seconds(arrivedAfterMs)} s`)
  for (let told = 0; overwriter.bytes < options.bytes && overwriter.failures.length === 0; ) {
    await pause(pollMs)
    if (performance.now() - told < tellMs) continue
    told = performance.now()
    tell(`${overwriter.bytes} of ${options.bytes} bytes written over`)
  }
  await overwriter.stop()
  for (const failure of overwriter.failures) tell(failure)
  const sent = await joining.bytesSent()
  const { installed, installedBytes, interruptions } = joining
  const report = {
    bytes: overwriter.bytes,
    data_bytes: dataBytes,
    interruptions,
    snapshot_bytes_received: sent,
    bytes_resumed: joining.resumedBytes,
    bytes_resent: Math.max(0, sent - installedBytes),
    snapshots_installed: installed,
    arrived_after_seconds: seconds(arrivedAfterMs),
    writes: overwriter.writes,
    failed_writes: overwriter.failures.length,
    rows_lost: await rowsLost(cluster, overwriter),
    replicas_identical: await cluster.supervisor.replicasIdentical(timeoutMs),
    unexpected_exits: cluster.unexpectedExits,
    seconds: seconds(performance.now() - begun)
  }
  const ok =
    report.failed_writes === 0 &&
    report.rows_lost === 0 &&
    report.replicas_identical &&
    report.interruptions === options.interruptions &&
    report.snapshots_installed > 0 &&
    report.unexpected_exits.length === 0
  return { ok, ...report }
}

/** Rows that hold another version at the newcomer than the one that was acknowledged last. */
async function rowsLost(cluster: ProcessCluster, { versions }: Overwriter): Promise<number> {
  await cluster.supervisor.untilCaughtUp(newcomer, timeoutMs)
  const sql = 'SELECT id, version FROM page'
  const { rows } = await cluster.run(newcomer, sql, { timeoutMs, consistency: 'local' })
  const found = new Map(rows.map(([id, version]) => [Number(id), Number(version)]))
  return versions.filter((version, id) => found.get(id) !== version).length
}

const seconds = (ms: number): number => Math.round(ms / 100) / 10
