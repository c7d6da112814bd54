import { build, type Histogram } from 'hdr-histogram-js'

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
  #reads = 0
  #writesIndeterminate = 0
  #writeErrors = 0
  #readErrors = 0
  #writeLatency = newHistogram()
  #killedAt: number | null = null
  #firstWriteAfterKillAt: number | null = null

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
      reads: this.#reads,
      writesIndeterminate: this.#writesIndeterminate,
      writeErrors: this.#writeErrors,
      readErrors: this.#readErrors
    }
  }

  onWriteAcknowledged(startedAt: number, now: number): void {
    this.#writes++
    recordLatency(this.#writeLatency, now - startedAt)
    const isAfterKill = this.#killedAt !== null && startedAt > this.#killedAt
    if (isAfterKill) this.#firstWriteAfterKillAt ??= now
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

  onLeaderKilled(now: number): void {
    this.#killedAt = now
    this.#firstWriteAfterKillAt = null
  }

  /** From the kill to the first acknowledgement of a write that began after it; null: none yet. */
  unavailableMs(): number | null {
    if (this.#killedAt === null || this.#firstWriteAfterKillAt === null) return null
    return this.#firstWriteAfterKillAt - this.#killedAt
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
