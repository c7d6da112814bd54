/**
 * How long writes do not succeed when the leader is lost: three processes, a client that starts a
 * write every 5 ms, and the longest time without an acknowledgement around each loss. Ours are
 * `skein node` processes with SQLite and mutual TLS, asked through one `SkeinClient`; etcd, when it
 * is on the path, without TLS and asked at the members that follow, in turn.
 *
 * A black hole is SIGSTOP: connections stay open and nothing is answered. What the kernel still
 * acknowledges on the process's behalf no protocol here looks at.
 *
 * Fifty losses of each kind and timing of ours, ten of etcd's: about twelve minutes. `BENCH_RUNS`
 * (50), `BENCH_PEER_RUNS` (10), `BENCH_CASES` (a part of the case's name).
 */
import { join } from 'node:path'
import type { PresetName } from '../src/core/index.js'
import { EtcdFailover, type EtcdTiming } from './failover/etcd.js'
import { OurFailover } from './failover/ours.js'
import { type FailoverSubject, type Loss, losses } from './failover/subject.js'
import { withDirectory } from './query/alone.js'
import { findEtcd } from './raft/etcd.js'
import { type BenchFindings, type BenchRow, round, rowOf, type SkippedPeer } from './report.js'

const env = process.env
const runs = Number(env.BENCH_RUNS ?? 50)
const peerRuns = Number(env.BENCH_PEER_RUNS ?? 10)
const wantedCase = env.BENCH_CASES ?? ''
/** Of writes before a loss, and after the first that succeeds. */
const calmMs = 250
const succeedsWithinMs = 30_000

interface Timing {
  readonly preset: PresetName
  readonly etcd: EtcdTiming
  /** docs/performance.md: of etcd at these timings, the median of ten kills. */
  readonly publishedKillMs: number
  /** The targets, by loss. */
  readonly targetsMs: Readonly<Record<Loss, number>>
}

const timings: readonly Timing[] = [
  {
    preset: 'local',
    etcd: { heartbeatMs: 20, electionMs: 200 },
    publishedKillMs: 234,
    targetsMs: { 'kill -9': 200, 'black hole': 250, switchover: 50, stop: 50 }
  },
  {
    preset: 'lan',
    etcd: { heartbeatMs: 100, electionMs: 1_000 },
    publishedKillMs: 1_323,
    targetsMs: { 'kill -9': 400, 'black hole': 700, switchover: 50, stop: 50 }
  }
]

interface Rounds {
  readonly gapsMs: readonly number[]
  /** From the loss until the first node told of another leader; empty where nobody tells. */
  readonly ledAgainMs: readonly number[]
  readonly failed: number
}

type Progress = (line: string) => void

export function run(progress: Progress): Promise<BenchFindings> {
  return withDirectory(async (directory) => {
    const rows: BenchRow[] = []
    const skipped: SkippedPeer[] = []
    const etcd = await findEtcd()
    if (etcd === null) skipped.push({ peer: 'etcd', why: 'it is not on the path' })
    for (const timing of timings) {
      const ours = losses.filter((loss) => nameOf(loss, timing).includes(wantedCase))
      if (ours.length === 0) continue
      rows.push(...(await measure(() => OurFailover.start(timing.preset), runs, timing, progress)))
      if (etcd === null) continue
      const folder = join(directory, `etcd-${timing.preset}`)
      const start = () => EtcdFailover.start(etcd, folder, timing.etcd)
      rows.push(...(await measure(start, peerRuns, timing, progress)))
    }
    rows.push(...publishedRows())
    return { rows, ratios: ratiosOf(rows), skipped }
  })
}

/** All kinds of loss, one after the other, of one cluster. */
async function measure(
  start: () => Promise<FailoverSubject>,
  rounds: number,
  timing: Timing,
  progress: Progress
): Promise<BenchRow[]> {
  const subject = await start()
  try {
    subject.writer.start()
    const rows: BenchRow[] = []
    for (const loss of losses) {
      const name = nameOf(loss, timing)
      if (!name.includes(wantedCase)) continue
      await subject.untilWell()
      const { gapsMs, ledAgainMs, failed } = await roundsOf(subject, loss, rounds)
      const row = rowOf(name, subject.name, [...gapsMs], 'ms')
      progress(`failover: ${name}, ${subject.name}: ${row.value} ms in the median of ${rounds}`)
      const led = rowOf(`${name}: another leader after`, subject.name, [...ledAgainMs], 'ms')
      rows.push(
        row,
        ...(ledAgainMs.length === 0 ? [] : [led]),
        { ...row, case: `${name}: p90`, value: round(quantile(gapsMs, 0.9)) },
        { ...row, case: `${name}: longest`, value: round(Math.max(...gapsMs)) },
        { ...rowOf(`${name}: failed writes`, subject.name, [failed], 'writes'), runs: rounds }
      )
    }
    for (const [reason, count] of subject.writer.failures) {
      progress(`failover: ${count} writes of ${subject.name} failed: ${reason}`)
    }
    return rows
  } finally {
    await subject.stop()
  }
}

async function roundsOf(subject: FailoverSubject, loss: Loss, rounds: number): Promise<Rounds> {
  const { writer } = subject
  const gapsMs: number[] = []
  const ledAgainMs: number[] = []
  const failedBefore = writer.failed
  for (let taken = 0; taken < rounds; taken++) {
    await subject.untilWhole()
    await writer.untilAcknowledged(performance.now(), succeedsWithinMs)
    await pause(calmMs)
    const lostAt = performance.now()
    await subject.lose(loss)
    // Until it has been moved the old leader still answers.
    const isPlanned = loss === 'switchover' || loss === 'stop'
    await writer.untilAcknowledged(isPlanned ? performance.now() : lostAt, succeedsWithinMs)
    await pause(calmMs)
    gapsMs.push(writer.longestGapMs(lostAt))
    if (subject.ledAgainAt !== null) ledAgainMs.push(subject.ledAgainAt - lostAt)
    await subject.mend()
  }
  return { gapsMs, ledAgainMs, failed: writer.failed - failedBefore }
}

const nameOf = (loss: Loss, { preset }: Timing): string => `${loss}, ${preset}`

/** Measured once in the same way, elsewhere. */
function publishedRows(): BenchRow[] {
  return timings
    .filter((timing) => nameOf('kill -9', timing).includes(wantedCase))
    .map((timing) => ({
      ...rowOf(nameOf('kill -9', timing), 'etcd published', [timing.publishedKillMs], 'ms'),
      runs: 10
    }))
}

/** By the median: how many times longer the other one takes. */
function ratiosOf(rows: readonly BenchRow[]): Record<string, number> {
  const ratios: Record<string, number> = {}
  for (const timing of timings) {
    for (const loss of losses) {
      const name = nameOf(loss, timing)
      const found = rows.filter((row) => row.case === name)
      const ours = found.find(({ subject }) => subject === 'ours')
      if (ours === undefined) continue
      for (const peer of found) {
        if (peer !== ours) ratios[`${name} ours/${peer.subject}`] = round(peer.value / ours.value)
      }
      ratios[`${name} ours/T11`] = round(timing.targetsMs[loss] / ours.value)
    }
  }
  return ratios
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
