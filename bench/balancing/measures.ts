import type { RoomResult } from './simulation.js'

/** The slowest hundredth begins here; of an empty list 0. */
export function p99Of(values: Float64Array): number {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0
}

/** Of the queries that began in this span: how long each took, and the first server's share. */
export function between(
  { beganAt, tookMs, toFirst }: RoomResult,
  fromMs: number,
  toMs: number
): { readonly tookMs: Float64Array; readonly share: number } {
  const from = firstAtOrAfter(beganAt, fromMs)
  const to = firstAtOrAfter(beganAt, toMs)
  let first = 0
  for (let i = from; i < to; i++) first += toFirst[i] as number
  return { tookMs: tookMs.subarray(from, to), share: to === from ? 0 : first / (to - from) }
}

function firstAtOrAfter(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}

export function medianOf(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}
