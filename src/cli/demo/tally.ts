import { build, type Histogram } from 'hdr-histogram-js'
import { DEFAULT_GROUP, type GroupId } from '../../core/index.js'

/** Latencies are kept in tenths of a millisecond. */
const ticksPerMs = 10
const longestLatencyMs = 60_000
/** Writes of one client that are not acknowledged, kept for the look-up. */
export const exceptionsMax = 100_000

/** What one client did. Serials are consecutive: those not listed here were acknowledged. */
export interface ClientRecord {
  readonly client: string
  lastSerial: number
  readonly indeterminate: Set<number>
  readonly failed: Set<number>
}

export interface TallyFigures {
  readonly writes: number
  /** Of several groups; they are among `writes`. */
  readonly distributed: number
  readonly reads: number
  readonly writesIndeterminate: number
  readonly writeErrors: number
  readonly readErrors: number
}

/** Counts what the workload's clients were told, and how long nothing could be written. */
export class Tally {
  readonly clients: ClientRecord[] = []
  /** The latest reason of each kind of failure, with how often. */
  readonly reasons = new Map<string, number>()
  #writes = 0
  #distributed = 0
  #reads = 0
  #writesIndeterminate = 0
  #writeErrors = 0
  #readErrors = 0
  #writeLatency = newHistogram()
  #killedAt: number | null = null
  /** Those that the killed node led, and that nothing was written to since. */
  readonly #silent = new Set<GroupId>()
  #lastHeardAt: number | null = null

  addClient(client: string): ClientRecord {
    const record = {
      client,
      lastSerial: 0,
      indeterminate: new Set<number>(),
      failed: new Set<number>()
    }
    this.clients.push(record)
    return record
  }

  get figures(): TallyFigures {
    return {
      writes: this.#writes,
      distributed: this.#distributed,
      reads: this.#reads,
      writesIndeterminate: this.#writesIndeterminate,
      writeErrors: this.#writeErrors,
      readErrors: this.#readErrors
    }
  }

  /** @param groups that it wrote to */
  onWriteAcknowledged(
    startedAt: number,
    now: number,
    groups: readonly GroupId[] = [DEFAULT_GROUP]
  ): void {
    this.#writes++
    if (groups.length > 1) this.#distributed++
    recordLatency(this.#writeLatency, now - startedAt)
    if (this.#silent.size === 0 || this.#killedAt === null || startedAt <= this.#killedAt) return
    for (const group of groups) this.#silent.delete(group)
    if (this.#silent.size === 0) this.#lastHeardAt = now
  }

  /** False: there is no room to remember it, and the workload must end. */
  onWriteIndeterminate(record: ClientRecord, serial: number, reason: string): boolean {
    this.#writesIndeterminate++
    this.#because(reason)
    record.indeterminate.add(serial)
    return record.indeterminate.size < exceptionsMax
  }

  /** False: there is no room to remember it, and the workload must end. */
  onWriteFailed(record: ClientRecord, serial: number, reason: string): boolean {
    this.#writeErrors++
    this.#because(reason)
    record.failed.add(serial)
    return record.failed.size < exceptionsMax
  }

  onReadAnswered(): void {
    this.#reads++
  }

  onReadFailed(reason: string): void {
    this.#readErrors++
    this.#because(reason)
  }

  /** @param led the groups that it led */
  onLeaderKilled(now: number, led: readonly GroupId[] = [DEFAULT_GROUP]): void {
    this.#killedAt = now
    this.#lastHeardAt = null
    this.#silent.clear()
    for (const group of led) this.#silent.add(group)
  }

  /**
   * From the kill until each group that was led there had acknowledged a write that began after it;
   * null: one has not.
   */
  unavailableMs(): number | null {
    if (this.#killedAt === null || this.#lastHeardAt === null) return null
    return this.#lastHeardAt - this.#killedAt
  }

  writeLatencyMs(percentile: number): number {
    return this.#writeLatency.getValueAtPercentile(percentile) / ticksPerMs
  }

  /** The latencies from here on stand for themselves: a live view shows the last seconds. */
  resetLatency(): void {
    this.#writeLatency = newHistogram()
  }

  #because(reason: string): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1)
  }
}

function newHistogram(): Histogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: longestLatencyMs * ticksPerMs,
    numberOfSignificantValueDigits: 3
  })
}

function recordLatency(histogram: Histogram, ms: number): void {
  histogram.recordValue(
    Math.min(Math.max(1, Math.round(ms * ticksPerMs)), longestLatencyMs * ticksPerMs)
  )
}
