/**
 * The sliding window of RFC 4303 section 3.4.3: remembers which of the newest counters were seen.
 *
 * 1. A counter is accepted at most once.
 * 2. A counter older than the window is refused, seen or not.
 */
export const replayWindowCounters = 1_024

const WORD_BITS = 32

export class ReplayWindow {
  readonly #seen = new Uint32Array(replayWindowCounters / WORD_BITS)
  #highest = -1

  /** Whether `accept` would take it; changes nothing. */
  isFresh(counter: number): boolean {
    if (counter > this.#highest) return true
    if (this.#highest - counter >= replayWindowCounters) return false
    return !this.#isSet(counter)
  }

  /** False: seen before, or too old to tell. */
  accept(counter: number): boolean {
    if (!this.isFresh(counter)) return false
    if (counter > this.#highest) this.#slideTo(counter)
    const slot = counter % replayWindowCounters
    const word = Math.floor(slot / WORD_BITS)
    this.#seen[word] = ((this.#seen[word] as number) | (1 << (slot % WORD_BITS))) >>> 0
    return true
  }

  #isSet(counter: number): boolean {
    const slot = counter % replayWindowCounters
    return ((this.#seen[Math.floor(slot / WORD_BITS)] as number) & (1 << (slot % WORD_BITS))) !== 0
  }

  #slideTo(counter: number): void {
    if (counter - this.#highest >= replayWindowCounters) {
      this.#seen.fill(0)
    } else {
      for (let passed = this.#highest + 1; passed <= counter; passed++) {
        const slot = passed % replayWindowCounters
        const word = Math.floor(slot / WORD_BITS)
        this.#seen[word] = ((this.#seen[word] as number) & ~(1 << (slot % WORD_BITS))) >>> 0
      }
    }
    this.#highest = counter
  }
}
