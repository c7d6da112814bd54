import { availableParallelism } from 'node:os'

/** What a bench tells: the last line of its output is this as one JSON object. */
export interface BenchReport {
  readonly bench: string
  readonly node: string
  readonly cpus: number
  readonly rows: readonly BenchRow[]
  /** `CASE ours/PEER`, oriented so that at least 1 means that ours is better. */
  readonly ratios: Readonly<Record<string, number>>
  readonly skipped: readonly SkippedPeer[]
}

export interface BenchRow {
  readonly case: string
  readonly subject: string
  /** Median of the runs. */
  readonly value: number
  readonly unit: string
  readonly p50_ms?: number
  readonly p99_ms?: number
  /** CPU time of all processes for one of what is counted, or for a MiB. */
  readonly cpu_us?: number
  readonly runs: number
  /** (greatest - smallest) / median of the runs. */
  readonly spread: number
}

export interface SkippedPeer {
  readonly peer: string
  readonly why: string
}

/** A file `bench/NAME.ts` exports this as `run`. */
export type Bench = (progress: (line: string) => void) => Promise<BenchFindings>
export type BenchFindings = Pick<BenchReport, 'rows' | 'ratios' | 'skipped'>

export const reportOf = (bench: string, findings: BenchFindings): BenchReport => ({
  bench,
  node: process.version,
  cpus: availableParallelism(),
  ...findings
})

export interface Subject {
  readonly name: string
  readonly run: () => void
}

/** Nanoseconds per call of each subject: medians of `runs` short runs, the subjects in turn. */
export function measure(name: string, subjects: readonly Subject[], runs = 7): BenchRow[] {
  const iterations = subjects.map(({ run }) => calibrate(run))
  const samples = subjects.map((): number[] => [])
  for (let round = 0; round < runs; round++) {
    subjects.forEach(({ run }, i) => {
      samples[i]?.push(nanosecondsPerCall(run, iterations[i] ?? 1))
    })
  }
  return subjects.map((subject, i) => rowOf(name, subject.name, samples[i] ?? [], 'ns'))
}

export function rowOf(name: string, subject: string, values: number[], unit: string): BenchRow {
  const sorted = [...values].sort((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0
  const spread = median === 0 ? 0 : ((sorted.at(-1) ?? 0) - (sorted[0] ?? 0)) / median
  return {
    case: name,
    subject,
    value: round(median),
    unit,
    runs: values.length,
    spread: round(spread)
  }
}

export const round = (value: number): number => Number(value.toPrecision(4))

/** Warms up, and answers how many calls take about a twentieth of a second. */
function calibrate(run: () => void): number {
  let iterations = 64
  for (;;) {
    const ns = nanosecondsPerCall(run, iterations)
    if (ns * iterations > 200e6) return Math.max(64, Math.round(50e6 / ns))
    iterations *= 4
  }
}

function nanosecondsPerCall(run: () => void, iterations: number): number {
  const start = process.hrtime.bigint()
  for (let i = 0; i < iterations; i++) run()
  return Number(process.hrtime.bigint() - start) / iterations
}
