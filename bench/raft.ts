/**
 * Durable puts replicated by three processes on one machine, each with its log on the same file
 * system and an fsync before it counts: ours with mutual TLS everywhere and a key-value engine,
 * the same with SQLite, and etcd when it is on the path, once in the clear as it comes and once
 * with TLS between its members and to its clients. Clients are loops in this process with one put
 * on its way each, over connections that stay; both go straight to the leader. Ours through
 * `SkeinClient`, etcd by its gRPC over plain `node:http2`.
 *
 * What has just started is slower for some thousand puts, until its code is compiled; that is no
 * property of a cluster that runs. So each subject has one client for a while before it counts.
 *
 * About five minutes with etcd, three without. `BENCH_RUNS` (5), `BENCH_SAMPLE_MS` (1,500),
 * `BENCH_WARM_UP_MS` (15,000), `BENCH_CASES` (a part of the case's name), `BENCH_SUBJECTS`
 * (comma-separated).
 */
import { join } from 'node:path'
import { withDirectory } from './query/alone.js'
import { load, rowOfSamples, type Sample } from './query/load.js'
import { cpuMsOf, ownCpuMs } from './raft/cpu.js'
import { engineNames } from './raft/engine.js'
import { findEtcd } from './raft/etcd.js'
import { EtcdSubject } from './raft/etcd-subject.js'
import { OurCluster } from './raft/ours.js'
import type { LeaderCounts, RaftSubject } from './raft/subject.js'
import { type BenchFindings, type BenchRow, round, rowOf, type SkippedPeer } from './report.js'

const env = process.env
const runs = Number(env.BENCH_RUNS ?? 5)
const sampleMs = Number(env.BENCH_SAMPLE_MS ?? 1_500)
const longWarmUpMs = Number(env.BENCH_WARM_UP_MS ?? 15_000)
const warmUpMs = 1_500
const wantedCase = env.BENCH_CASES ?? ''
const wantedSubjects = env.BENCH_SUBJECTS?.split(',')
const keys = 10_000
/** Clients share so many connections, whoever is asked. */
const connectionsMax = 8

interface Case {
  readonly name: string
  readonly sizeBytes: number
  readonly clients: number
}

interface Costed {
  readonly sample: Sample
  /** CPU time of the three processes and of the clients for one put. */
  readonly cpuUs: number
  readonly writesPerSync: number
  readonly entriesPerSync: number
}

type Samples = ReadonlyMap<RaftSubject, Costed[]>

const cases: readonly Case[] = [
  ...[1, 16, 64, 256].map((clients) => ({
    sizeBytes: 256,
    clients,
    name: nameOf('256 B', clients)
  })),
  ...[1, 64].map((clients) => ({ sizeBytes: 1_024, clients, name: nameOf('1 KiB', clients) }))
]

const crowd: Case = { name: '', sizeBytes: 256, clients: 64 }
const single: Case = { name: '', sizeBytes: 256, clients: 1 }

function nameOf(size: string, clients: number): string {
  return `put ${size}, ${clients} ${clients === 1 ? 'client' : 'clients'}`
}

export function run(progress: (line: string) => void): Promise<BenchFindings> {
  return withDirectory(async (directory) => {
    const subjects: RaftSubject[] = []
    const skipped: SkippedPeer[] = [
      { peer: 'hashicorp/raft', why: 'a library of Go without a program of its own' }
    ]
    try {
      for (const start of await starters(directory, skipped)) subjects.push(await start())
      const rows: BenchRow[] = []
      for (const subject of subjects) {
        await warmUp(subject, crowd, warmUpMs)
        await warmUp(subject, single, longWarmUpMs)
      }
      for (const one of cases.filter(({ name }) => name.includes(wantedCase))) {
        progress(`raft: ${one.name}`)
        rows.push(...rowsOf(one, await measureCase(one, subjects, skipped)))
      }
      return { rows, ratios: ratiosOf(rows), skipped }
    } finally {
      await Promise.all(subjects.map((subject) => subject.stop()))
    }
  })
}

async function starters(
  directory: string,
  skipped: SkippedPeer[]
): Promise<(() => Promise<RaftSubject>)[]> {
  const { keyValue, sqlite } = engineNames
  const found: [string, () => Promise<RaftSubject>][] = [
    ['ours', () => OurCluster.start(join(directory, 'ours'), keyValue)],
    ['ours with SQLite', () => OurCluster.start(join(directory, 'ours-sqlite'), sqlite)]
  ]
  const etcd = await findEtcd()
  if (etcd === null) skipped.push({ peer: 'etcd', why: 'it is not on the path' })
  else {
    found.push(
      ['etcd', () => EtcdSubject.start(etcd, join(directory, 'etcd'), false)],
      ['etcd with TLS', () => EtcdSubject.start(etcd, join(directory, 'etcd-tls'), true)]
    )
  }
  return found.flatMap(([name, start]) => (wantedSubjects?.includes(name) === false ? [] : [start]))
}

async function warmUp(subject: RaftSubject, one: Case, forMs: number): Promise<void> {
  await subject.connect(Math.min(one.clients, connectionsMax))
  await load(one.clients, forMs, putsOf(subject, one))
}

/** The subjects in turn, each warmed up for the case. */
async function measureCase(
  one: Case,
  subjects: readonly RaftSubject[],
  skipped: SkippedPeer[]
): Promise<Samples> {
  const samples = new Map(subjects.map((subject): [RaftSubject, Costed[]] => [subject, []]))
  for (const subject of subjects) await warmUp(subject, one, warmUpMs)
  for (let taken = 0; taken < runs; taken++) {
    for (const [subject, kept] of samples) {
      try {
        kept.push(await measureOnce(subject, one))
      } catch (error) {
        skipped.push({ peer: `${subject.name}, ${one.name}`, why: (error as Error).message })
        samples.delete(subject)
      }
    }
  }
  return samples
}

async function measureOnce(subject: RaftSubject, one: Case): Promise<Costed> {
  let puts = 0
  const put = putsOf(subject, one)
  const before = await subject.leaderCounts()
  const cpuBefore = (await cpuMsOf(subject.pids)) + ownCpuMs()
  const sample = await load(one.clients, sampleMs, (client) => {
    puts++
    return put(client)
  })
  const cpuMs = (await cpuMsOf(subject.pids)) + ownCpuMs() - cpuBefore
  const after = await subject.leaderCounts()
  const grown = (count: (counts: LeaderCounts) => number) => count(after) - count(before)
  const syncs = grown(({ syncs }) => syncs)
  return {
    sample,
    cpuUs: (cpuMs * 1_000) / puts,
    writesPerSync: grown(({ writes, entries }) => writes ?? entries) / syncs,
    entriesPerSync: grown(({ entries }) => entries) / syncs
  }
}

/** Keys in turn from as many as there are, the same in every run. */
function putsOf(subject: RaftSubject, { sizeBytes }: Case): (client: number) => Promise<void> {
  const value = new Uint8Array(sizeBytes).fill(120)
  let next = 0
  return (client) => {
    next = (next + 7_919) % keys
    return subject.put(client, `key-${next}`, value)
  }
}

function rowsOf({ name }: Case, samples: Samples): BenchRow[] {
  return [...samples].flatMap(([subject, costed]) => {
    const put = rowOfSamples(
      name,
      subject.name,
      costed.map(({ sample }) => sample)
    )
    const cpuUs = medianOf(costed.map((one) => one.cpuUs))
    const row = (what: string, value: (one: Costed) => number) =>
      rowOf(`${name}: ${what}`, subject.name, costed.map(value), 'per fsync')
    return [
      Number.isNaN(cpuUs) ? put : { ...put, cpu_us: round(cpuUs) },
      row('writes of the leader', (one) => one.writesPerSync),
      row('entries of the leader', (one) => one.entriesPerSync)
    ]
  })
}

/** Puts in a second, and the p99, of ours beside each etcd. */
function ratiosOf(rows: readonly BenchRow[]): Record<string, number> {
  const ratios: Record<string, number> = {}
  for (const { name } of cases) {
    const of = (subject: string) => rows.find((row) => row.case === name && row.subject === subject)
    for (const peer of ['etcd', 'etcd with TLS']) {
      for (const subject of ['ours', 'ours with SQLite']) {
        const [own, other] = [of(subject), of(peer)]
        if (own === undefined || other === undefined) continue
        ratios[`${name} ${subject}/${peer}`] = round(own.value / other.value)
        ratios[`${name} p99 ${subject}/${peer}`] = round((other.p99_ms ?? 0) / (own.p99_ms ?? 0))
      }
    }
  }
  return ratios
}

const medianOf = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
