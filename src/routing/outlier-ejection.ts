/**
 * Takes nodes out of routing for a while that fail more than they may (Envoy's outlier detection).
 *
 * 1. Two grounds: `consecutiveErrorsMax` faults in a row, at once; or, looked at once per
 *    `sweepIntervalMs`, a share of successes more than `successDeviations` standard deviations
 *    below the mean of all nodes with at least `requestsMin` requests in that time (three such
 *    nodes at least: of two nobody can say which one is odd).
 * 2. The n-th ejection lasts n times `baseMs`, `maxMs` at most, and up to `jitterShare` longer,
 *    so that routers do not send a node everything again in the same moment.
 * 3. At most `shareMax` of the nodes are out at a time, but one always may be; further ones stay in
 *    and are counted.
 * 4. Each interval without an ejection takes one from n.
 * 5. Nothing here is told to others: each router ejects by its own experience.
 *
 * Whether ejections are heeded is the owner's to say: see the panic threshold in eligibility. The
 * owner calls `handleResult` for each attempt, `ejectionOf` for each choice; time is an argument,
 * no timer is needed.
 */
import type { NodeId } from '../core/ids.js'
import type { Random } from '../core/ports/random.js'

export interface OutlierEjectionOptions {
  /** Zero: never for errors in a row. */
  readonly consecutiveErrorsMax: number
  readonly sweepIntervalMs: number
  readonly baseMs: number
  readonly maxMs: number
  /** 0…1 */
  readonly shareMax: number
  /** Zero: never for the share of successes. */
  readonly requestsMin: number
  readonly successDeviations: number
}

export const jitterShare = 0.1
/** Nodes that must have been asked often enough to compare their successes. */
export const comparedNodesMin = 3

export interface Ejection {
  readonly node: NodeId
  readonly reason: string
  readonly until: number
  /** How often in a row, as far as remembered. */
  readonly times: number
}

interface Entry {
  consecutive: number
  successes: number
  faults: number
  times: number
  ejection: Ejection | null
}

export class OutlierEjection {
  readonly #options: OutlierEjectionOptions
  readonly #random: Random
  readonly #entries = new Map<NodeId, Entry>()
  readonly #returned: NodeId[] = []
  readonly #noNodes: readonly NodeId[] = []
  readonly #noEjections: readonly Ejection[] = []
  #sweptAt = Number.NaN
  #ejectedCount = 0
  #total = 0
  #version = 0
  #refused = 0

  constructor(components: { readonly random: Random }, options: OutlierEjectionOptions) {
    this.#random = components.random
    this.#options = options
  }

  /** Another one whenever one is ejected or comes back. */
  get version(): number {
    return this.#version
  }

  /** When the next ejection after `now` is over; infinite: none is. */
  nextEnd(now: number): number {
    let next = Number.POSITIVE_INFINITY
    if (this.#ejectedCount === 0) return next
    for (const { ejection } of this.#entries.values()) {
      if (ejection !== null && ejection.until > now && ejection.until < next) next = ejection.until
    }
    return next
  }

  /** Ejections so far. */
  get total(): number {
    return this.#total
  }

  /** Ejections that were due and not made, because too many were out. */
  get refused(): number {
    return this.#refused
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * @param nodes that may be asked for the same things; the share is reckoned of them
   * @returns the ejection that this result led to
   */
  handleResult(node: NodeId, isFault: boolean, nodes: number, now: number): Ejection | null {
    const entry = this.#entryOf(node)
    if (!isFault) {
      entry.consecutive = 0
      entry.successes++
      return null
    }
    entry.faults++
    entry.consecutive++
    const { consecutiveErrorsMax } = this.#options
    if (consecutiveErrorsMax === 0 || entry.consecutive < consecutiveErrorsMax) return null
    if (entry.ejection !== null) return null
    return this.#maybeEject(node, entry, `${entry.consecutive} errors in a row`, nodes, now)
  }

  /** Compares shares of successes when it is time; answers who was ejected for it. */
  sweep(nodes: number, now: number): readonly Ejection[] {
    const { sweepIntervalMs } = this.#options
    if (Number.isNaN(this.#sweptAt)) this.#sweptAt = now
    if (now - this.#sweptAt < sweepIntervalMs) return this.#noEjections
    this.#sweptAt = now
    const ejected = this.#ejectOdd(nodes, now)
    for (const entry of this.#entries.values()) {
      entry.successes = 0
      entry.faults = 0
      if (entry.ejection === null && entry.times > 0) entry.times--
    }
    return ejected
  }

  /** Null: it takes part. An ejection that is over ends with this call. */
  ejectionOf(node: NodeId, now: number): Ejection | null {
    if (this.#ejectedCount === 0) return null
    const entry = this.#entries.get(node)
    if (entry === undefined || entry.ejection === null) return null
    if (now < entry.ejection.until) return entry.ejection
    this.#release(node, entry)
    return null
  }

  /** Who is out, by node id. */
  ejections(now: number): Ejection[] {
    const out: Ejection[] = []
    for (const node of [...this.#entries.keys()].sort()) {
      const ejection = this.ejectionOf(node, now)
      if (ejection !== null) out.push(ejection)
    }
    return out
  }

  /** Nodes whose ejection has ended since the last call: they come back slowly. */
  takeReturned(): readonly NodeId[] {
    return this.#returned.length === 0 ? this.#noNodes : this.#returned.splice(0)
  }

  /** It left, died, or began anew: what it did before says nothing about it. */
  forget(node: NodeId): void {
    const entry = this.#entries.get(node)
    if (entry?.ejection != null) {
      this.#ejectedCount--
      this.#version++
    }
    this.#entries.delete(node)
  }

  #ejectOdd(nodes: number, now: number): Ejection[] {
    const { requestsMin, successDeviations } = this.#options
    if (requestsMin === 0) return []
    const asked = [...this.#entries]
      .filter(([, { successes, faults, ejection }]) => {
        return ejection === null && successes + faults >= requestsMin
      })
      .map(([node, entry]) => {
        return { node, entry, rate: entry.successes / (entry.successes + entry.faults) }
      })
      .sort((one, other) => one.rate - other.rate || (one.node < other.node ? -1 : 1))
    if (asked.length < comparedNodesMin) return []
    const mean = asked.reduce((sum, { rate }) => sum + rate, 0) / asked.length
    const variance = asked.reduce((sum, { rate }) => sum + (rate - mean) ** 2, 0) / asked.length
    // With few nodes no single one can lie further away than this.
    const reachable = Math.sqrt(asked.length - 1)
    const deviations = Math.min(successDeviations, 0.9 * reachable)
    const least = mean - deviations * Math.sqrt(variance)
    const ejected: Ejection[] = []
    for (const { node, entry, rate } of asked) {
      if (rate >= least || mean - rate < successGapMin) break
      const reason = `${percent(rate)} of its answers good, ${percent(mean)} on average`
      const ejection = this.#maybeEject(node, entry, reason, nodes, now)
      if (ejection !== null) ejected.push(ejection)
    }
    return ejected
  }

  #maybeEject(
    node: NodeId,
    entry: Entry,
    reason: string,
    nodes: number,
    now: number
  ): Ejection | null {
    const { shareMax, baseMs, maxMs } = this.#options
    for (const [other, { ejection }] of this.#entries) {
      if (ejection !== null) this.ejectionOf(other, now)
    }
    if (this.#ejectedCount >= Math.max(1, Math.floor(nodes * shareMax))) {
      this.#refused++
      return null
    }
    entry.times++
    const lasts = Math.min(maxMs, baseMs * entry.times)
    const until = now + lasts * (1 + jitterShare * this.#random.nextFloat())
    entry.ejection = { node, reason, until, times: entry.times }
    entry.consecutive = 0
    this.#ejectedCount++
    this.#version++
    this.#total++
    return entry.ejection
  }

  #release(node: NodeId, entry: Entry): void {
    entry.ejection = null
    entry.consecutive = 0
    this.#ejectedCount--
    this.#version++
    this.#returned.push(node)
  }

  #entryOf(node: NodeId): Entry {
    const known = this.#entries.get(node)
    if (known !== undefined) return known
    const entry = { consecutive: 0, successes: 0, faults: 0, times: 0, ejection: null }
    this.#entries.set(node, entry)
    return entry
  }
}

/** Rates that differ less are alike, however small the deviation. */
export const successGapMin = 0.05

const percent = (rate: number): string => `${Math.round(100 * rate)} %`
