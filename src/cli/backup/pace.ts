import { setTimeout as sleep } from 'node:timers/promises'

/** Told so often how far it is. */
const tellIntervalMs = 5_000

export interface PaceOptions {
  /** Undefined: as fast as it goes. */
  readonly bytesPerSecondMax: number | undefined
  readonly bytesTotal: number
  tell(line: string): void
}

export interface PaceTime {
  nowMs(): number
  sleep(ms: number): Promise<unknown>
}

const processTime: PaceTime = { nowMs: () => performance.now(), sleep }

/** Bytes that are fetched one part after the other: not too fast, and not in silence. */
export class Pace {
  readonly #options: PaceOptions
  readonly #time: PaceTime
  readonly #begunAt: number
  #toldAt: number
  #bytes = 0

  constructor(options: PaceOptions, time: PaceTime = processTime) {
    this.#options = options
    this.#time = time
    this.#begunAt = time.nowMs()
    this.#toldAt = this.#begunAt
  }

  /** No part takes longer than a second, so that whoever serves it knows that it is wanted. */
  get partBytesMax(): number {
    return this.#options.bytesPerSecondMax ?? Number.POSITIVE_INFINITY
  }

  /** So many have come; resolves when more may. */
  async note(bytes: number): Promise<void> {
    this.#bytes += bytes
    const { bytesPerSecondMax, bytesTotal, tell } = this.#options
    if (bytesPerSecondMax !== undefined) {
      const dueAt = this.#begunAt + (this.#bytes / bytesPerSecondMax) * 1_000
      const waitMs = dueAt - this.#time.nowMs()
      if (waitMs > 0) await this.#time.sleep(waitMs)
    }
    const now = this.#time.nowMs()
    if (now - this.#toldAt < tellIntervalMs) return
    this.#toldAt = now
    tell(`${this.#bytes} of ${bytesTotal} bytes`)
  }
}
