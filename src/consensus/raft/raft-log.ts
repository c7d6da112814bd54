/**
 * The log in memory, and the configurations in it. What lies at and below its base is in the
 * engine, and here no longer.
 *
 * Invariants:
 * 1. Indexes are contiguous from the one behind the base, terms never fall.
 * 2. `configuration` is the newest one in the log, committed or not; truncation brings back the one
 *    before (R-M10), and the base keeps the one in force at it. Without any, nobody votes.
 * 3. Of what the base stands for the term at the base alone is known.
 */
import { assert } from '../../core/assert.js'
import type { LogIndex, ReplicaId, Term } from '../../core/ids.js'
import type { LogBase, LogEntry } from '../../core/ports/log-store.js'
import { type Configuration, membersOf, noConfiguration } from '../configuration.js'
import { configurationIn, encodeConfiguration } from '../entry.js'

interface LoggedConfiguration {
  readonly index: LogIndex
  readonly configuration: Configuration
}

/** What a compaction leaves behind the last applied entry, for followers that are a bit behind. */
export interface LogTail {
  readonly entriesMax: number
  readonly bytesMax: number
}

export class RaftLog {
  #baseIndex = 0 as LogIndex
  #baseTerm = 0 as Term
  #entries: LogEntry[] = []
  #configurations: LoggedConfiguration[] = []
  #sizeBytes = 0

  constructor(base: LogBase | null, entries: readonly LogEntry[]) {
    if (base !== null) this.reset(base)
    this.append(entries)
  }

  /** Everything up to here is in the engine alone; 0: nothing. */
  get baseIndex(): LogIndex {
    return this.#baseIndex
  }

  get lastIndex(): LogIndex {
    return (this.#baseIndex + this.#entries.length) as LogIndex
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? this.#baseTerm
  }

  /** Payloads of the entries that are here. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get configuration(): Configuration {
    return this.#configurations.at(-1)?.configuration ?? noConfiguration
  }

  /** Where `configuration` stands; 0 without any. */
  get configurationIndex(): LogIndex {
    return this.#configurations.at(-1)?.index ?? (0 as LogIndex)
  }

  /** What held before `configuration`. */
  get configurationBefore(): Configuration {
    return this.#configurations.at(-2)?.configuration ?? noConfiguration
  }

  /** Where the newest configuration at or below `index` stands; 0 without any. */
  configurationIndexAt(index: LogIndex): LogIndex {
    return this.#configurationAt(index)?.index ?? (0 as LogIndex)
  }

  /** Where `replica` was left out; null when it is a member still, or no member since the base. */
  removalOf(replica: ReplicaId): LogIndex | null {
    const isIn = ({ configuration }: LoggedConfiguration) =>
      membersOf(configuration).includes(replica)
    const last = this.#configurations.findLastIndex(isIn)
    return last < 0 ? null : (this.#configurations[last + 1]?.index ?? null)
  }

  /** 0 for index 0; undefined below the base and beyond the end. */
  termAt(index: LogIndex): Term | undefined {
    return index === this.#baseIndex
      ? this.#baseTerm
      : this.#entries[index - this.#baseIndex - 1]?.term
  }

  append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} behind ${this.lastIndex}`)
      assert(entry.term >= this.lastTerm, `term ${entry.term} behind ${this.lastTerm}`)
      const configuration = configurationIn(entry.payload)
      this.#entries.push(entry)
      this.#sizeBytes += entry.payload.length
      if (configuration !== null) this.#configurations.push({ index: entry.index, configuration })
    }
  }

  /** Removes `index` and everything behind it. */
  truncateFrom(index: LogIndex): void {
    assert(
      index > this.#baseIndex && index <= this.lastIndex,
      `truncation at ${index} of ${this.#baseIndex}…${this.lastIndex}`
    )
    this.#forget(this.#entries.splice(index - this.#baseIndex - 1))
    while ((this.#configurations.at(-1)?.index ?? 0) >= index) this.#configurations.pop()
  }

  /** What stands for everything up to `index`, when that is gone. */
  baseAt(index: LogIndex): LogBase {
    const term = this.termAt(index)
    assert(term !== undefined, `base ${index} of ${this.#baseIndex}…${this.lastIndex}`)
    const newest = this.#configurationAt(index)
    return {
      index,
      term,
      configurationIndex: newest?.index ?? (0 as LogIndex),
      configuration:
        newest === undefined ? new Uint8Array() : encodeConfiguration(newest.configuration)
    }
  }

  /** Forgets everything up to `index`, which becomes the base. */
  compactTo(index: LogIndex): void {
    const term = this.termAt(index)
    assert(term !== undefined, `compaction to ${index} of ${this.#baseIndex}…${this.lastIndex}`)
    this.#forget(this.#entries.splice(0, index - this.#baseIndex))
    const last = this.#configurations.findLastIndex((logged) => logged.index <= index)
    if (last > 0) this.#configurations.splice(0, last)
    this.#baseIndex = index
    this.#baseTerm = term
  }

  /** Forgets everything; goes on behind `base`. */
  reset(base: LogBase): void {
    const configuration = configurationIn(base.configuration)
    this.#entries = []
    this.#sizeBytes = 0
    this.#configurations =
      configuration === null ? [] : [{ index: base.configurationIndex, configuration }]
    this.#baseIndex = base.index
    this.#baseTerm = base.term
  }

  /** The highest index that may be the base, so that this tail stays below and at `applied`. */
  tailBelow(applied: LogIndex, { entriesMax, bytesMax }: LogTail): LogIndex {
    let index = applied
    let bytes = 0
    while (index > this.#baseIndex && applied - index < entriesMax) {
      bytes += this.#entries[index - this.#baseIndex - 1]?.payload.length ?? 0
      if (bytes > bytesMax) break
      index = (index - 1) as LogIndex
    }
    return index
  }

  /** Entries from `from` on, at least one when there is one, by size and count. */
  page(from: LogIndex, sizeBytesMax: number, countMax: number): LogEntry[] {
    const page: LogEntry[] = []
    let sizeBytes = 0
    let at = this.#positionOf(from)
    for (; at < this.#entries.length && page.length < countMax; at++) {
      const entry = this.#entries[at] as LogEntry
      sizeBytes += entry.payload.length
      if (sizeBytes > sizeBytesMax && page.length > 0) break
      page.push(entry)
    }
    return page
  }

  /** From `from` to `to`, both included. */
  between(from: LogIndex, to: LogIndex): LogEntry[] {
    return this.#entries.slice(this.#positionOf(from), Math.max(0, to - this.#baseIndex))
  }

  /** The first of `entries` that is not in this log as it is; null when all are. */
  firstDifferent(entries: readonly LogEntry[]): LogEntry | null {
    return entries.find((entry) => this.termAt(entry.index) !== entry.term) ?? null
  }

  /**
   * The last index at or below `index` whose term is at or below `term`. A log that has `term` at
   * `index` cannot agree with this one above it, so one round trip skips a whole term. Where that
   * is not at or above the base, only that the two agree below it is known.
   */
  lastIndexBelowTerm(index: LogIndex, term: Term): LogIndex {
    if (index < this.#baseIndex) return index
    if (this.#baseTerm > term) return (this.#baseIndex - 1) as LogIndex
    let low: number = this.#baseIndex
    let high = Math.min(index, this.lastIndex)
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.termAt(middle as LogIndex) as Term) <= term) low = middle
      else high = middle - 1
    }
    return low as LogIndex
  }

  /** Whether a log that ends so has everything that could be committed here. */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    return lastTerm > this.lastTerm || (lastTerm === this.lastTerm && lastIndex >= this.lastIndex)
  }

  #configurationAt(index: LogIndex): LoggedConfiguration | undefined {
    return this.#configurations.findLast((logged) => logged.index <= index)
  }

  #positionOf(index: LogIndex): number {
    assert(index > this.#baseIndex, `entry ${index} is not behind the base ${this.#baseIndex}`)
    return index - this.#baseIndex - 1
  }

  #forget(entries: readonly LogEntry[]): void {
    for (const { payload } of entries) this.#sizeBytes -= payload.length
  }
}
