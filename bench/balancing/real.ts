import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BenchRow, round, rowOf } from '../report.js'
import { medianOf, p99Of } from './measures.js'
import { SlowedCluster } from './slowed-cluster.js'

const strategies = ['round-robin', 'least-connections', 'adaptive'] as const
const rounds = 3
const secondsPerRound = 5
/** 34 a second and node, of which the slow one can serve 40. */
const queriesPerSecond = 170
const service = { serviceMs: 20, workers: 4, slowness: 5 }

/** Each strategy in turn on the same cluster, the rounds interleaved. */
export async function realCluster(
  progress: (line: string) => void
): Promise<{ rows: BenchRow[]; ratios: Record<string, number> }> {
  const directory = await mkdtemp(join(tmpdir(), 'skein-balancing-'))
  const samples = new Map<string, { p99: number[]; p50: number[]; share: number[] }>()
  for (const name of strategies) samples.set(name, { p99: [], p50: [], share: [] })
  try {
    const cluster = await SlowedCluster.start({ directory, ...service })
    try {
      for (let i = 0; i < rounds; i++) {
        for (const name of strategies) {
          progress(`balancing: five real nodes, ${name}, round ${i + 1} of ${rounds}`)
          const { tookMs, share } = await cluster.load(name, queriesPerSecond, secondsPerRound)
          const of = samples.get(name)
          of?.p99.push(p99Of(Float64Array.from(tookMs)))
          of?.p50.push(medianOf(tookMs))
          of?.share.push(100 * share)
        }
      }
    } finally {
      await cluster.stop()
    }
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
  const rows = [...samples].flatMap(([name, { p99, p50, share }]) => [
    {
      ...rowOf('real: p99', name, p99, 'ms'),
      p50_ms: round(medianOf(p50)),
      p99_ms: round(medianOf(p99))
    },
    rowOf('real: share', name, share, '%')
  ])
  const p99Median = (name: string) => medianOf(samples.get(name)?.p99 ?? [])
  const ratio = round(p99Median('round-robin') / p99Median('adaptive'))
  return { rows, ratios: { 'real: p99 adaptive/round-robin': ratio } }
}
