import type { Throughput } from '../core/health-views.js'
import type { MonotonicMs } from '../core/ids.js'

export interface ByteTotals {
  readonly bytesSent: number
  readonly bytesReceived: number
}

const mbpsOf = (bytes: number, ms: number): number => (bytes * 8) / 1_000 / ms

/**
 * Bandwidth in use, from the counters of what travels anyway: no byte is sent for it. Totals that
 * go back belong to a new connection and count from zero.
 */
export class ThroughputMeter {
  #last: (ByteTotals & { readonly at: MonotonicMs }) | null = null
  #throughput: Throughput | null = null

  push(totals: ByteTotals, now: MonotonicMs): void {
    const last = this.#last
    if (last !== null && now <= last.at) return
    this.#last = { ...totals, at: now }
    if (last === null) return
    const ms = now - last.at
    const sentMbps = mbpsOf(grownBy(last.bytesSent, totals.bytesSent), ms)
    const receivedMbps = mbpsOf(grownBy(last.bytesReceived, totals.bytesReceived), ms)
    const peakMbps = Math.max(sentMbps, receivedMbps, this.#throughput?.peakMbps ?? 0)
    this.#throughput = { sentMbps, receivedMbps, peakMbps }
  }

  /** Null before two readings. */
  get throughput(): Throughput | null {
    return this.#throughput
  }
}

const grownBy = (before: number, after: number): number =>
  after >= before ? after - before : after
