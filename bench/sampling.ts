/**
 * What measuring round trips costs: 100,000 samples a second through the shared ring, on the main
 * thread and in the worker, beside a histogram that is filled in place; and how the main loop fares
 * when the worker stands still and is replaced.
 */
import { build } from 'hdr-histogram-js'
import { configSchema } from '../src/core/config/schema.js'
import { silentLogger } from '../src/core/index.js'
import { Statistics } from '../src/health/statistics-driver.js'
import { NodeWorkers, nodeClock } from '../src/runtime/index.js'
import { type BenchFindings, type BenchRow, measure, round, rowOf } from './report.js'

const samplesPerSecond = 100_000
const tickMs = 10
const runs = 5
const secondsPerRun = 3

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const rows: BenchRow[] = []
  progress('sampling: one sample, alone')
  rows.push(...oneSample())
  const paced = await pacedRuns(progress)
  rows.push(...paced)
  const value = (name: string, subject: string) =>
    rows.find((row) => row.case === name && row.subject === subject)?.value ?? Number.NaN
  const ring = value('record', 'ring')
  return {
    rows,
    ratios: {
      'record ours/hdr-in-place': round(value('record', 'hdr-in-place') / ring),
      'record ours/T17-100ns': round(100 / ring)
    },
    skipped: []
  }
}

function statistics(): { readonly statistics: Statistics; close(): Promise<void> } {
  const workers = new NodeWorkers({ logger: silentLogger })
  const config = configSchema.shape.health.parse({})
  const made = new Statistics({ clock: nodeClock(), workers, logger: silentLogger }, config)
  return {
    statistics: made,
    async close() {
      await made.stop()
      await workers.close()
    }
  }
}

/** The consumer sleeps: what the producer pays, and nothing else. */
function oneSample(): BenchRow[] {
  const { statistics: ring, close } = statistics()
  const histogram = build({ useWebAssembly: false, highestTrackableValue: 60_000_000 })
  let i = 0
  const rows = measure('record', [
    { name: 'ring', run: () => ring.record(1 + (i++ & 15), 0.25 + (i & 255)) },
    { name: 'hdr-in-place', run: () => histogram.recordValue(250 + (i++ & 0xffff)) }
  ])
  void close()
  return rows
}

async function pacedRuns(progress: (line: string) => void): Promise<BenchRow[]> {
  const samples = new Map<string, number[]>()
  const keep = (name: string, value: number) => {
    samples.set(name, [...(samples.get(name) ?? []), value])
  }
  for (let i = 1; i <= runs; i++) {
    const found = await pacedRun()
    progress(`sampling: run ${i} of ${runs}: ${Math.round(found.mainNs)} ns a sample`)
    keep('main thread', found.mainNs)
    keep('worker', found.workerNs)
    keep('late by at most', found.lateMs)
    keep('lost', found.lost)
  }
  const row = (subject: string, unit: string) =>
    rowOf('100,000 per second', subject, samples.get(subject) ?? [], unit)
  return [
    row('main thread', 'ns'),
    row('worker', 'ns'),
    row('late by at most', 'ms'),
    row('lost', 'samples')
  ]
}

async function pacedRun() {
  const { statistics: ring, close } = statistics()
  const perTick = (samplesPerSecond * tickMs) / 1_000
  let recordedNs = 0n
  let recorded = 0
  let lateMs = 0
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  const busyBefore = performance.eventLoopUtilization()
  for (let tick = 1; tick <= (secondsPerRun * 1_000) / tickMs; tick++) {
    const dueAt = startedAt + tick * tickMs
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueAt - performance.now())))
    lateMs = Math.max(lateMs, performance.now() - dueAt)
    const before = process.hrtime.bigint()
    for (let i = 0; i < perTick; i++) ring.record(1 + (i & 15), 0.25 + (i & 255))
    recordedNs += process.hrtime.bigint() - before
    recorded += perTick
  }
  const mainMs = performance.eventLoopUtilization(busyBefore).active
  const { user, system } = process.cpuUsage(cpuBefore)
  await ring.distributions()
  const { samples, samplesLost } = ring.counts
  await close()
  if (samples + samplesLost !== recorded) {
    throw new Error(`${samples} taken and ${samplesLost} lost of ${recorded} samples`)
  }
  return {
    mainNs: Number(recordedNs) / recorded,
    /** All that the process used and the main loop did not. */
    workerNs: Math.max(0, (user + system) * 1_000 - mainMs * 1e6) / recorded,
    lateMs,
    lost: samplesLost
  }
}
