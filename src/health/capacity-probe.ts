/**
 * How much a path can carry, on demand: chunks are sent, a few at a time, until the byte cap or the
 * deadline. The first window fills the pipe and is not counted: the rate is taken between its last
 * answer and the last answer of all.
 */
import { assert } from '../core/assert.js'
import type { Capacity } from '../core/health-views.js'
import type { MonotonicMs } from '../core/ids.js'

export interface CapacityProbeOptions {
  readonly bytesMax: number
  readonly chunkBytes: number
  readonly chunksInFlight: number
}

export class CapacityProbe {
  readonly #options: CapacityProbeOptions
  readonly #startedAt: MonotonicMs
  #sent = 0
  #answers = 0
  #answered = 0
  #warmAnswered = 0
  #warmAt: MonotonicMs | null = null
  #lastAt: MonotonicMs

  constructor(options: CapacityProbeOptions, now: MonotonicMs) {
    assert(options.bytesMax >= options.chunkBytes, 'the cap is below one chunk')
    this.#options = options
    this.#startedAt = now
    this.#lastAt = now
  }

  /** Takes leave to send one chunk; its size, or zero when the cap is reached. */
  takeChunk(): number {
    const { bytesMax, chunkBytes } = this.#options
    if (this.#sent + chunkBytes > bytesMax) return 0
    this.#sent += chunkBytes
    return chunkBytes
  }

  handleAnswer(bytes: number, now: MonotonicMs): void {
    this.#answers++
    this.#answered += bytes
    this.#lastAt = now
    if (this.#answers !== this.#options.chunksInFlight) return
    this.#warmAt = now
    this.#warmAnswered = this.#answered
  }

  result(): Capacity {
    const { bytesMax, chunkBytes } = this.#options
    const ms = this.#warmAt === null ? 0 : this.#lastAt - this.#warmAt
    const bytes = this.#answered - this.#warmAnswered
    return {
      mbps: ms > 0 ? (bytes * 8) / 1_000 / ms : null,
      bytesSent: this.#sent,
      bytesAnswered: this.#answered,
      durationMs: this.#lastAt - this.#startedAt,
      reachedCap: this.#sent + chunkBytes > bytesMax
    }
  }
}
