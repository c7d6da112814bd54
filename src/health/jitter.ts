/**
 * Interarrival jitter as RFC 3550, section 6.4.1 and appendix A.8 have it: the smoothed mean of
 * how much the transit time changes from one packet to the next, J += (|D| − J) / 16. The clocks of
 * the two sides need not agree: only differences of transit times count.
 */
export class Jitter {
  #jitterMs = 0
  #transitMs: number | null = null
  #count = 0

  /** @param transitMs received minus sent, each by its own side's clock */
  push(transitMs: number): void {
    if (this.#transitMs !== null) {
      this.#jitterMs += (Math.abs(transitMs - this.#transitMs) - this.#jitterMs) / 16
      this.#count++
    }
    this.#transitMs = transitMs
  }

  /** Null before two packets. */
  get ms(): number | null {
    return this.#count === 0 ? null : this.#jitterMs
  }

  /** The peer's clock began anew: its next transit time is compared with none before. */
  restart(): void {
    this.#transitMs = null
  }
}
