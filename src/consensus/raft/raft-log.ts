/**
 * The log in memory, and the configurations in it.
 *
 * Invariants:
 * 1. Indexes are contiguous from 1, terms never fall.
 * 2. `configuration` is the newest one in the log, committed or not; truncation brings back the one
 *    before (R-M10). Without any, nobody votes.
 */
import { assert } from '../../core/assert.js'
import type { LogIndex, ReplicaId, Term } from '../../core/ids.js'
import type { LogEntry } from '../../core/ports/log-store.js'
import { type Configuration, membersOf, noConfiguration } from '../configuration.js'
import { configurationIn } from '../entry.js'

interface LoggedConfiguration {
  readonly index: LogIndex
  readonly configuration: Configuration
}

export class RaftLog {
  readonly #entries: LogEntry[] = []
  readonly #configurations: LoggedConfiguration[] = []

  constructor(entries: readonly LogEntry[]) {
    this.append(entries)
  }

  get lastIndex(): LogIndex {
    return this.#entries.length as LogIndex
  }

  get lastTerm(): Term {
    return this.#entries.at(-1)?.term ?? (0 as Term)
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
    const newest = this.#configurations.findLast((logged) => logged.index <= index)
    return newest?.index ?? (0 as LogIndex)
  }

  /** Where `replica` was left out; null when it is a member still, or never was one. */
  removalOf(replica: ReplicaId): LogIndex | null {
    const isIn = ({ configuration }: LoggedConfiguration) =>
      membersOf(configuration).includes(replica)
    const last = this.#configurations.findLastIndex(isIn)
    return last < 0 ? null : (this.#configurations[last + 1]?.index ?? null)
  }

  /** 0 for index 0; undefined beyond the end. */
  termAt(index: LogIndex): Term | undefined {
    return index === 0 ? (0 as Term) : this.#entries[index - 1]?.term
  }

  append(entries: readonly LogEntry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} behind ${this.lastIndex}`)
      assert(entry.term >= this.lastTerm, `term ${entry.term} behind ${this.lastTerm}`)
      const configuration = configurationIn(entry.payload)
      this.#entries.push(entry)
      if (configuration !== null) this.#configurations.push({ index: entry.index, configuration })
    }
  }

  /** Removes `index` and everything behind it. */
  truncateFrom(index: LogIndex): void {
    assert(index >= 1 && index <= this.lastIndex, `truncation at ${index} of ${this.lastIndex}`)
    this.#entries.length = index - 1
    while ((this.#configurations.at(-1)?.index ?? 0) >= index) this.#configurations.pop()
  }

  /** Entries from `from` on, at least one when there is one, by size and count. */
  page(from: LogIndex, sizeBytesMax: number, countMax: number): LogEntry[] {
    const page: LogEntry[] = []
    let sizeBytes = 0
    for (let at = from - 1; at < this.#entries.length && page.length < countMax; at++) {
      const entry = this.#entries[at] as LogEntry
      sizeBytes += entry.payload.length
      if (sizeBytes > sizeBytesMax && page.length > 0) break
      page.push(entry)
    }
    return page
  }

  /** From `from` to `to`, both included. */
  between(from: LogIndex, to: LogIndex): LogEntry[] {
    return this.#entries.slice(from - 1, to)
  }

  /** The first of `entries` that is not in this log as it is; null when all are. */
  firstDifferent(entries: readonly LogEntry[]): LogEntry | null {
    return entries.find((entry) => this.termAt(entry.index) !== entry.term) ?? null
  }

  /**
   * The last index at or below `index` whose term is at or below `term`. A log that has `term` at
   * `index` cannot agree with this one above it, so one round trip skips a whole term.
   */
  lastIndexBelowTerm(index: LogIndex, term: Term): LogIndex {
    let low = 0
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
}
