/**
 * What this node executed lately: how many queries, how many of them only a leader can do, and the
 * busiest keys, over a rolling window that is a ring of parts. Each part has a sketch of its own,
 * so that what is old leaves the sketches too.
 *
 * Two rates are told. `window` is over the whole ring; `burst` over the newest two parts, the last
 * of which has only begun: it sees a step of load after at most two parts, where the window would
 * take most of its length.
 *
 * 1. A key's rate is of its certain counts (count - error), so it is never above the truth.
 * 2. Time that has not been yet counts for nothing: a node that runs for ten seconds has a
 *    window of ten.
 */
import { must } from '../../core/assert.js'
import { compareText, type MonotonicMs } from '../../core/ids.js'
import { SpaceSaving } from './space-saving.js'

/** Parts of the window. */
export const windowParts = 24

export interface Rates {
  readonly burstPerSecond: number
  readonly windowPerSecond: number
}

export interface KeyRates extends Rates {
  readonly key: string
}

export interface Load extends Rates {
  /** The part of `burstPerSecond` that only a leader can do. */
  readonly leaderPerSecond: number
  /** The busiest, the busiest first. */
  readonly keys: readonly KeyRates[]
}

interface Part {
  /** Which part of time it counts; -1: none yet. */
  number: number
  total: number
  ofLeader: number
  readonly keys: SpaceSaving
}

export class LoadWindow {
  readonly #partMs: number
  readonly #parts: readonly Part[]
  readonly #begunAt: MonotonicMs

  constructor(
    options: { readonly windowMs: number; readonly keysMax: number },
    begunAt: MonotonicMs
  ) {
    this.#partMs = options.windowMs / windowParts
    this.#begunAt = begunAt
    this.#parts = Array.from({ length: windowParts }, () => ({
      number: -1,
      total: 0,
      ofLeader: 0,
      keys: new SpaceSaving(options.keysMax)
    }))
  }

  record(key: string | null, isForLeader: boolean, now: MonotonicMs): void {
    const part = this.#partAt(this.#numberAt(now))
    part.total++
    if (isForLeader) part.ofLeader++
    if (key !== null) part.keys.add(key)
  }

  load(now: MonotonicMs, keysToldMax: number): Load {
    const last = this.#numberAt(now)
    const burstMs = this.#lengthOf(last - 1, now)
    const windowMs = this.#lengthOf(last - windowParts + 1, now)
    const keys = new Map<string, { burst: number; window: number }>()
    let [burst, window, ofLeader] = [0, 0, 0]
    for (const part of this.#parts) {
      if (part.number <= last - windowParts || part.number > last) continue
      const isNew = part.number >= last - 1
      window += part.total
      if (isNew) burst += part.total
      if (isNew) ofLeader += part.ofLeader
      addKeys(keys, part.keys, isNew)
    }
    const told = [...keys].map(([key, counts]) => ({
      key,
      burstPerSecond: perSecond(counts.burst, burstMs),
      windowPerSecond: perSecond(counts.window, windowMs)
    }))
    return {
      burstPerSecond: perSecond(burst, burstMs),
      windowPerSecond: perSecond(window, windowMs),
      leaderPerSecond: perSecond(ofLeader, burstMs),
      keys: told.sort(byBusiest).slice(0, keysToldMax)
    }
  }

  #numberAt(now: MonotonicMs): number {
    return Math.max(0, Math.floor((now - this.#begunAt) / this.#partMs))
  }

  #partAt(number: number): Part {
    const part = must(this.#parts[number % windowParts], 'part')
    if (part.number !== number) {
      part.number = number
      part.total = 0
      part.ofLeader = 0
      part.keys.clear()
    }
    return part
  }

  /** From the beginning of a part until now; never less than one part. */
  #lengthOf(first: number, now: MonotonicMs): number {
    const from = Math.max(0, first) * this.#partMs
    return Math.max(this.#partMs, now - this.#begunAt - from)
  }
}

/** Busier over either time; then by name. */
const byBusiest = (one: KeyRates, other: KeyRates): number =>
  heatOf(other) - heatOf(one) || compareText(one.key, other.key)

export const heatOf = ({ burstPerSecond, windowPerSecond }: Rates): number =>
  Math.max(burstPerSecond, windowPerSecond)

function addKeys(
  sums: Map<string, { burst: number; window: number }>,
  sketch: SpaceSaving,
  isNew: boolean
): void {
  sketch.visit((key, count, error) => {
    const certain = count - error
    const sum = sums.get(key)
    if (sum === undefined) sums.set(key, { burst: isNew ? certain : 0, window: certain })
    else {
      sum.window += certain
      if (isNew) sum.burst += certain
    }
  })
}

const perSecond = (count: number, ms: number): number => (count * 1_000) / ms
