/**
 * What nodes were like when something was decided, without a copy of them all for each decision:
 * only what changes afterwards is kept, and only the first time.
 *
 * 1. `mark` is a moment to come back to. The first change of a load after it saves what the load
 *    was; further ones before the next mark save nothing.
 * 2. A load as of a mark is what the oldest entry of it since then tells, and without one the load
 *    as it is. Entries of one load are linked, the newest to the one before it.
 * 3. Entries older than the oldest moment that is still asked for (`forgetBefore`) give way to new
 *    ones. There are at most as many as marks kept times loads; between two marks mostly two loads
 *    change. Once grown, nothing is allocated.
 *
 * Loads call `save` before they change when they have not since the newest mark.
 */
import type { EligibleNode } from '../core/routing-strategy.js'

export interface SavedLoad extends EligibleNode {
  /** The newest entry that tells of it; -1: none. Only the history sets it. */
  savedAt: number
}

/** What an `EligibleNode` tells beside its id. */
const numbersPerNode = 9
/** And which entry told of the same load before. */
const numbersPerEntry = numbersPerNode + 1
/** At first; doubled when it is full. A power of two. */
const entriesAtFirst = 64

export class LoadHistory {
  /** Used in a circle: entry n is at n modulo their count. */
  #numbers = new Float64Array(entriesAtFirst * numbersPerEntry)
  #length = entriesAtFirst
  #next = 0
  #oldest = 0
  #marked = -1

  /** What was saved at or after it must not be saved again; -1: nothing was marked yet. */
  get marked(): number {
    return this.#marked
  }

  /** Now, as a moment that is not come back to. */
  get position(): number {
    return this.#next
  }

  /** How many entries there is room for. */
  get length(): number {
    return this.#length
  }

  mark(): number {
    this.#marked = this.#next
    return this.#next
  }

  forgetBefore(mark: number): void {
    this.#oldest = mark
  }

  save(load: SavedLoad): void {
    if (this.#next - this.#oldest === this.#length) this.#grow()
    const numbers = this.#numbers
    const at = (this.#next & (this.#length - 1)) * numbersPerEntry
    numbers[at] = load.inFlight
    numbers[at + 1] = load.latencyMs
    numbers[at + 2] = load.peakLatencyMs
    numbers[at + 3] = load.answeredAt
    numbers[at + 4] = load.utilisation
    numbers[at + 5] = load.queueDepth
    numbers[at + 6] = load.reportedAt
    numbers[at + 7] = load.locality
    numbers[at + 8] = load.weight
    numbers[at + numbersPerNode] = load.savedAt
    load.savedAt = this.#next++
  }

  /** Which entry told of the same load before this one; -1: none. */
  before(entry: number): number {
    return this.#numbers[this.#startOf(entry) + numbersPerNode] as number
  }

  stateIn(entry: number, { node }: EligibleNode): EligibleNode {
    const start = this.#startOf(entry)
    const number = (nth: number): number => this.#numbers[start + nth] as number
    return {
      node,
      inFlight: number(0),
      latencyMs: number(1),
      peakLatencyMs: number(2),
      answeredAt: number(3),
      utilisation: number(4),
      queueDepth: number(5),
      reportedAt: number(6),
      locality: number(7),
      weight: number(8)
    }
  }

  #startOf(entry: number): number {
    return (entry & (this.#length - 1)) * numbersPerEntry
  }

  #grow(): void {
    const [from, fromLength] = [this.#numbers, this.#length]
    this.#length = 2 * fromLength
    this.#numbers = new Float64Array(this.#length * numbersPerEntry)
    for (let entry = this.#oldest; entry < this.#next; entry++) {
      const start = (entry & (fromLength - 1)) * numbersPerEntry
      this.#numbers.set(from.subarray(start, start + numbersPerEntry), this.#startOf(entry))
    }
  }
}

/** Goes back from now: marks must be given the newest first, so each entry is passed once. */
export class LoadReader {
  readonly #history: LoadHistory
  /** The oldest entry passed so far. */
  readonly #passed = new Map<SavedLoad, number>()

  constructor(history: LoadHistory) {
    this.#history = history
  }

  /** Its own copy. */
  at(mark: number, load: SavedLoad): EligibleNode {
    let entry = this.#passed.get(load) ?? load.savedAt
    if (entry < mark) return copyOf(load)
    for (;;) {
      const before = this.#history.before(entry)
      if (before < mark) break
      entry = before
    }
    this.#passed.set(load, entry)
    return this.#history.stateIn(entry, load)
  }
}

const copyOf = (load: EligibleNode): EligibleNode => ({
  node: load.node,
  inFlight: load.inFlight,
  latencyMs: load.latencyMs,
  peakLatencyMs: load.peakLatencyMs,
  answeredAt: load.answeredAt,
  utilisation: load.utilisation,
  queueDepth: load.queueDepth,
  reportedAt: load.reportedAt,
  locality: load.locality,
  weight: load.weight
})
