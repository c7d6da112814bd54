import { type Random, SplittableRandom } from '../../../src/core/index.js'
import { type Target, targets } from './targets.js'

/** One input may take so much of a processor. */
const inputCpuMsMax = 10
/** What was slow is fed again to a fresh reader so often: another's work, or a collection, is not
 * its fault. */
const repeats = 5

export interface WireOutcome {
  readonly runs: number
  /** By target: inputs, and how many of them were taken. */
  readonly inputs: Readonly<Record<string, number>>
  readonly accepted: Readonly<Record<string, number>>
  /** Inputs that were slow once, and were not when they were fed again. */
  readonly slowOnce: number
  readonly slowestMs: number
  readonly fault: string | null
}

/** `runs` inputs, all from one seed; ends at the first fault. */
export function fuzzWire(seed: number, runs: number, all = targets()): WireOutcome {
  const random = SplittableRandom.fromSeed(seed)
  const inputs: Record<string, number> = {}
  const accepted: Record<string, number> = {}
  let slowOnce = 0
  let slowestMs = 0
  const result = (done: number, fault: string | null): WireOutcome => {
    return {
      runs: done,
      inputs,
      accepted,
      slowOnce,
      slowestMs: Math.round(slowestMs * 10) / 10,
      fault
    }
  }
  for (let run = 0; run < runs; run++) {
    const target = all[random.nextInt(all.length)] as Target
    const chunks = target.make(random.split(`${run}`) as Random)
    inputs[target.name] = (inputs[target.name] ?? 0) + 1
    const startedAt = performance.now()
    try {
      if (target.feed(chunks)) accepted[target.name] = (accepted[target.name] ?? 0) + 1
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      return result(run + 1, `${target.name}, run ${run}: ${text}\ninput ${toHex(chunks)}`)
    }
    const tookMs = performance.now() - startedAt
    if (tookMs <= inputCpuMsMax) {
      slowestMs = Math.max(slowestMs, tookMs)
      continue
    }
    const cpuMs = leastCpuMs(target, chunks)
    if (cpuMs > inputCpuMsMax) {
      return result(
        run + 1,
        `${target.name}, run ${run}: ${cpuMs} ms of processor\ninput ${toHex(chunks)}`
      )
    }
    slowOnce++
  }
  return result(runs, null)
}

function leastCpuMs(target: Target, chunks: readonly Uint8Array[]): number {
  let least = Number.POSITIVE_INFINITY
  for (let i = 0; i < repeats; i++) {
    target.reset()
    const before = process.cpuUsage()
    target.feed(chunks)
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, (user + system) / 1_000)
  }
  target.reset()
  return least
}

const toHex = (chunks: readonly Uint8Array[]): string =>
  chunks.map((chunk) => Buffer.from(chunk).toString('hex')).join(' ')
