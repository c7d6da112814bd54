/**
 * Messages and bytes between two processes over mutual TLS 1.3: ours as every room uses it, beside
 * plain frames over `node:tls` (small ones of a tick copied into one chunk), HTTP/2 and gRPC.
 * Medians of short runs, the subjects in turn.
 *
 * For work on one case: `BENCH_CASES` (a part of the case's name), `BENCH_SUBJECTS`
 * (comma-separated), `BENCH_RUNS`, `BENCH_SAMPLE_MS`, `BENCH_EXEC_ARGV` (of the
 * subjects' processes).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { must, type NodeId, type WallMs } from '../src/core/index.js'
import { authorityFiles, createAuthority, issuePeer } from '../src/network/index.js'
import { type BenchFindings, type BenchRow, round, rowOf, type SkippedPeer } from './report.js'
import type { CostedSample, Task } from './transport/load.js'
import { type SubjectFiles, SubjectProcesses } from './transport/subject.js'

interface Case {
  readonly name: string
  readonly unit: string
  readonly subjects: readonly string[]
  readonly task: Task
}

const env = process.env
const runs = Number(env.BENCH_RUNS ?? 5)
const sampleMs = Number(env.BENCH_SAMPLE_MS ?? 400)
const warmUpMs = 1_500
const wantedCase = env.BENCH_CASES ?? ''
const wantedSubjects = env.BENCH_SUBJECTS?.split(',')
const clusterName = 'bench'

const sizes = [
  ['64 B', 64],
  ['1 KiB', 1_024],
  ['64 KiB', 65_536]
] as const
const askers = ['ours', 'node:tls', 'http2 stream', 'http2 unary', 'grpc-js unary', 'grpc-js bidi']
const senders = ['ours', 'node:tls', 'http2 stream']

const ms = sampleMs
const cases: readonly Case[] = [
  ...sizes.flatMap(([name, sizeBytes]) =>
    [1, 64, 1_024].map((inFlight): Case => {
      const task: Task = { kind: 'request', sizeBytes, inFlight, ms }
      return { name: `request ${name} x ${inFlight}`, unit: '1/s', subjects: askers, task }
    })
  ),
  ...sizes.slice(0, 2).map(([name, sizeBytes]): Case => {
    const task: Task = { kind: 'oneWay', sizeBytes, ms }
    return { name: `one way ${name}`, unit: '1/s', subjects: senders, task }
  }),
  { name: 'bulk', unit: 'Gbit/s', subjects: senders, task: { kind: 'bulk', ms } },
  ...[false, true].map(
    (besideBulk): Case => ({
      name: besideBulk ? 'critical under bulk' : 'critical unloaded',
      unit: '1/s',
      subjects: ['ours'],
      task: { kind: 'urgent', besideBulk, ms: 2 * ms }
    })
  )
]

export async function run(progress: (line: string) => void): Promise<BenchFindings> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-bench-'))
  const subjects = new Map<string, SubjectProcesses>()
  try {
    const files = await certificates(directory)
    for (const name of askers) subjects.set(name, new SubjectProcesses(name, files))
    return await measureAll(subjects, progress)
  } finally {
    for (const subject of subjects.values()) subject.stop()
    await rm(directory, { recursive: true })
  }
}

async function measureAll(
  subjects: ReadonlyMap<string, SubjectProcesses>,
  progress: (line: string) => void
): Promise<BenchFindings> {
  const rows: BenchRow[] = []
  const skipped: SkippedPeer[] = []
  for (const one of cases.filter(({ name }) => name.includes(wantedCase))) {
    progress(`transport: ${one.name}`)
    const wanted = one.subjects.filter((name) => wantedSubjects?.includes(name) ?? true)
    const samples = new Map<string, CostedSample[]>(wanted.map((name) => [name, []]))
    for (let taken = 0; taken <= runs; taken++) {
      for (const [name, kept] of samples) {
        const task = taken === 0 ? { ...one.task, ms: warmUpMs } : one.task
        try {
          const sample = await must(subjects.get(name), 'subject').measure(task)
          if (taken > 0) kept.push(sample)
        } catch (error) {
          skipped.push({ peer: `${name}, ${one.name}`, why: (error as Error).message })
          samples.delete(name)
        }
      }
    }
    for (const [name, kept] of samples) rows.push(rowOfSamples(one, name, kept))
  }
  return { rows, ratios: ratiosOf(rows), skipped }
}

function rowOfSamples(
  { name, unit }: Case,
  subject: string,
  samples: readonly CostedSample[]
): BenchRow {
  const isBulk = unit === 'Gbit/s'
  const scale = isBulk ? 8e-9 : 1
  const perMiB = isBulk ? 2 ** 20 : 1
  const row = rowOf(
    name,
    subject,
    samples.map(({ rate }) => rate * scale),
    unit
  )
  const p50 = medianOf(samples.flatMap(({ p50Ms }) => p50Ms ?? []))
  const p99 = medianOf(samples.flatMap(({ p99Ms }) => p99Ms ?? []))
  const cpuUs = medianOf(samples.map((sample) => sample.cpuUs))
  const costed = cpuUs === null ? row : { ...row, cpu_us: round(cpuUs * perMiB) }
  if (p50 === null || p99 === null) return costed
  return { ...costed, p50_ms: round(p50), p99_ms: round(p99) }
}

function ratiosOf(rows: readonly BenchRow[]): Record<string, number> {
  const ratios: Record<string, number> = {}
  for (const row of rows) {
    const ours = rows.find((one) => one.case === row.case && one.subject === 'ours')
    if (ours === undefined || ours === row) continue
    ratios[`${row.case} ours/${row.subject}`] = round(ours.value / row.value)
    if (ours.cpu_us !== undefined && row.cpu_us !== undefined) {
      ratios[`${row.case} cpu ours/${row.subject}`] = round(row.cpu_us / ours.cpu_us)
    }
    const [a, b] = [ours.p50_ms, row.p50_ms]
    if (row.case.endsWith('x 1') && a !== undefined && b !== undefined) {
      ratios[`${row.case} p50 ours/${row.subject}`] = round(b / a)
    }
  }
  const p99Of = (name: string) => rows.find((row) => row.case === name)?.p99_ms
  const [alone, loaded] = [p99Of('critical unloaded'), p99Of('critical under bulk')]
  if (alone !== undefined && loaded !== undefined) {
    ratios['critical under bulk p99 ours/unloaded'] = round(alone / loaded)
  }
  return ratios
}

function medianOf(values: number[]): number | null {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? null
}

async function certificates(directory: string): Promise<SubjectFiles> {
  const validity = { now: Date.now() as WallMs, days: 2 }
  await createAuthority(directory, clusterName, validity)
  const { caFile } = authorityFiles(directory)
  const issue = async (name: string) => {
    const peer = { kind: 'node' as const, nodeId: name as NodeId, clusterName }
    return { ...(await issuePeer(directory, { peer, hosts: ['127.0.0.1'] }, validity)), caFile }
  }
  return { server: await issue('server'), client: await issue('client') }
}
