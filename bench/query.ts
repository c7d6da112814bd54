/**
 * SQL through a cluster of three with mutual TLS, beside the same engine alone and SQLite itself in
 * the same run. Clients are loops in this process, which embeds one of the nodes: it leads in the
 * first half of the run, another node in the second.
 */
import { join } from 'node:path'
import type { Consistency } from '../src/core/index.js'
import { EngineAlone, SqliteAlone, withDirectory } from './query/alone.js'
import { BenchCluster } from './query/cluster.js'
import { load, loadInProcess, rowOfSamples, type Sample } from './query/load.js'
import { Draws } from './query/transactions.js'
import { type BenchFindings, type BenchRow, round, rowOf } from './report.js'

const clientCounts = [1, 16, 64] as const
const clientCountMax = 64
/** Ours too, by another way: a row, and no ratio. */
const outside = 'SkeinClient'
const runs = 3
const sampleMs = 800
const warmUpMs = 1_000
const attemptsMax = 5

interface Subjects {
  readonly cluster: BenchCluster
  readonly engine: EngineAlone
  readonly sqlite: SqliteAlone
  readonly draws: Draws
}

/** Samples by case and subject, in the order in which they first came. */
type Samples = Map<string, Map<string, Sample[]>>

export function run(progress: (line: string) => void): Promise<BenchFindings> {
  return withDirectory(async (directory) => {
    progress('query: loading 100,000 accounts three times')
    const cluster = await BenchCluster.start()
    try {
      const draws = new Draws(1)
      const engine = await EngineAlone.open(join(directory, 'engine'))
      const sqlite = new SqliteAlone(join(directory, 'sqlite'), draws)
      const findings = await measureAll({ cluster, engine, sqlite, draws }, progress)
      sqlite.close()
      await engine.close()
      return findings
    } finally {
      await cluster.stop()
    }
  })
}

async function measureAll(
  subjects: Subjects,
  progress: (line: string) => void
): Promise<BenchFindings> {
  const samples: Samples = new Map()
  const batching: BenchRow[] = []
  for (const where of ['here', 'elsewhere'] as const) {
    await subjects.cluster.lead(where)
    await load(64, warmUpMs, () => subjects.cluster.execute(subjects.draws.transaction()))
    await load(64, warmUpMs, () => readThrough(subjects, 'linearizable'))
    const before = subjects.cluster.consensusCounters()
    for (let i = 1; i <= runs; i++) {
      progress(`query: leader ${where}, run ${i} of ${runs}`)
      await subjects.cluster.lead(where)
      for (const clients of clientCounts) await measureOnce(subjects, where, clients, samples)
    }
    if (where === 'here') batching.push(...batchingRows(before, subjects.cluster))
  }
  const rows = [...samples].flatMap(([name, bySubject]) =>
    [...bySubject].map(([subject, values]) => rowOfSamples(name, subject, values))
  )
  return {
    rows: [...rows, ...batching],
    ratios: ratiosOf(rows),
    skipped: [
      { peer: 'dqlite', why: 'no package of the registry: a C library with its own server' },
      { peer: 'etcd, hashicorp/raft', why: 'other programs than SQL engines; see the raft bench' }
    ]
  }
}

async function measureOnce(
  subjects: Subjects,
  where: 'here' | 'elsewhere',
  clients: number,
  samples: Samples
): Promise<void> {
  const { cluster, engine, sqlite, draws } = subjects
  const note = (kind: string, subject: string, sample: Sample) => {
    const name = `${kind}, ${clients} clients, leader ${where}`
    const bySubject = samples.get(name) ?? new Map<string, Sample[]>()
    samples.set(name, bySubject.set(subject, [...(bySubject.get(subject) ?? []), sample]))
  }
  const through = (operation: () => Promise<unknown>) => load(clients, sampleMs, operation)
  const led = (operation: () => Promise<unknown>) =>
    whileLed(cluster, where, () => through(operation))
  note('write', 'ours', await led(() => cluster.execute(draws.transaction())))
  if (clients === clientCountMax) {
    note('write', outside, await led(() => cluster.executeOutside(draws.transaction())))
  }
  engine.isDurable = true
  note('write', 'engine', await through(() => engine.write(draws.transaction())))
  engine.isDurable = false
  note('write', 'engine unsynced', await through(() => engine.write(draws.transaction())))
  note('write', 'better-sqlite3', await loadInProcess(sampleMs / 2, sqlite.write))
  for (const consistency of ['linearizable', 'local'] as const) {
    const kind = `${consistency} read`
    note(kind, 'ours', await led(() => readThrough(subjects, consistency)))
    if (clients === clientCountMax) {
      const read = () => cluster.executeOutside(draws.read(), { consistency })
      note(kind, outside, await led(read))
    }
    note(kind, 'engine', await through(() => engine.read(draws.read())))
    note(kind, 'better-sqlite3', await loadInProcess(sampleMs / 4, sqlite.read))
  }
}

/** A sample in which leadership moved is of another case: it is taken again. */
async function whileLed(
  cluster: BenchCluster,
  where: 'here' | 'elsewhere',
  take: () => Promise<Sample>
): Promise<Sample> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    await cluster.lead(where)
    const sample = await take()
    if (cluster.isLed(where)) return sample
  }
  throw new Error(`the leader does not stay ${where}`)
}

const readThrough = ({ cluster, draws }: Subjects, consistency: Consistency) =>
  cluster.execute(draws.read(), { consistency })

function batchingRows(before: Readonly<Record<string, number>>, cluster: BenchCluster): BenchRow[] {
  const now = cluster.consensusCounters()
  const grown = (name: string) => (now[name] ?? 0) - (before[name] ?? 0)
  const perSync = grown('batch_commands') / grown('log_syncs')
  return [rowOf('writes per fsync of the leader', 'ours', [perSync], 'writes')]
}

function ratiosOf(rows: readonly BenchRow[]): Record<string, number> {
  const ratios: Record<string, number> = {}
  for (const row of rows) {
    const ours = rows.find((one) => one.case === row.case && one.subject === 'ours')
    if (ours === undefined || ours === row || row.subject === outside) continue
    ratios[`${row.case} ours/${row.subject}`] = round(ours.value / row.value)
  }
  return ratios
}
