import { type BenchRow, round, rowOf } from '../report.js'

/** What one client, by number, does again and again. */
export type Operation = (client: number) => Promise<unknown>

export interface Sample {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Well below an election timeout. */
const sliceMs = 10

/** Concurrent loops, each with one operation on its way, for so long. */
export async function load(clients: number, ms: number, operation: Operation): Promise<Sample> {
  const latencies: number[] = []
  const begun = performance.now()
  const until = begun + ms
  const client = async (_: unknown, number: number) => {
    for (let at = performance.now(); at < until; ) {
      await operation(number)
      const done = performance.now()
      latencies.push(done - at)
      at = done
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
  return sampleOf(latencies, performance.now() - begun)
}

/**
 * One after the other in this thread. Between slices the event loop turns, because the embedded
 * node lives in it too; the time that takes does not count.
 */
export async function loadInProcess(ms: number, operation: () => void): Promise<Sample> {
  const latencies: number[] = []
  let spentMs = 0
  while (spentMs < ms) {
    const begun = performance.now()
    let at = begun
    while (at < begun + sliceMs) {
      operation()
      const done = performance.now()
      latencies.push(done - at)
      at = done
    }
    spentMs += at - begun
    await new Promise((resolve) => setImmediate(resolve))
  }
  return sampleOf(latencies, spentMs)
}

export function rowOfSamples(name: string, subject: string, samples: readonly Sample[]): BenchRow {
  const row = rowOf(
    name,
    subject,
    samples.map(({ perSecond }) => perSecond),
    '1/s'
  )
  return {
    ...row,
    p50_ms: median(samples.map(({ p50Ms }) => p50Ms)),
    p99_ms: median(samples.map(({ p99Ms }) => p99Ms))
  }
}

function sampleOf(latencies: number[], ms: number): Sample {
  latencies.sort((a, b) => a - b)
  const at = (share: number) => latencies[Math.floor(share * (latencies.length - 1))] ?? 0
  return { perSecond: (latencies.length / ms) * 1_000, p50Ms: at(0.5), p99Ms: at(0.99) }
}

const median = (values: number[]): number =>
  round(values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0)
