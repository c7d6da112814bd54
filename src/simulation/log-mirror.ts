import type { LogEntry } from '../core/index.js'

/**
 * What one replica's log holds, as numbers: per index its term and a hash of the entry and
 * everything before it, so that comparing two prefixes is comparing two numbers.
 */
export class LogMirror {
  #baseIndex = 0
  #baseTerm = 0
  #baseChain = 0
  #terms: number[] = []
  #chains: number[] = []

  /** What is at or below it is known of the last entry alone. */
  get baseIndex(): number {
    return this.#baseIndex
  }

  get lastIndex(): number {
    return this.#baseIndex + this.#chains.length
  }

  /** 0 where nothing is known. */
  termAt(index: number): number {
    if (index === this.#baseIndex) return this.#baseTerm
    return this.#terms[index - this.#baseIndex - 1] ?? 0
  }

  /** 0 at index 0; undefined below the base and beyond the end. */
  chainAt(index: number): number | undefined {
    if (index === this.#baseIndex) return this.#baseChain
    return this.#chains[index - this.#baseIndex - 1]
  }

  /** Goes on behind an entry of which this is known. */
  reset(index: number, term: number, chained: number): void {
    this.#baseIndex = index
    this.#baseTerm = term
    this.#baseChain = chained
    this.#terms = []
    this.#chains = []
  }

  /** Puts the entry at its index and drops what stood there and behind; false: it leaves a gap. */
  put(entry: LogEntry): boolean {
    if (entry.index > this.lastIndex + 1 || entry.index <= this.#baseIndex) return false
    this.#terms.length = entry.index - this.#baseIndex - 1
    this.#chains.length = entry.index - this.#baseIndex - 1
    const previous = this.chainAt(entry.index - 1) ?? 0
    this.#terms.push(entry.term)
    this.#chains.push(chain(previous, entry.term, entry.payload))
    return true
  }
}

/** 53 bits of the previous hash, the term and the payload. */
export function chain(previous: number, term: number, payload: Uint8Array): number {
  let a = (previous | 0) ^ Math.imul(term, 0x9e3779b1)
  let b = (previous / 0x1_0000_0000) | 0
  for (let i = 0; i < payload.length; i++) {
    a = Math.imul(a ^ (payload[i] as number), 0x01000193)
    b = Math.imul(b + a, 0x85ebca6b) ^ (b >>> 13)
  }
  a = Math.imul(a ^ payload.length, 0x01000193)
  b = Math.imul(b + a, 0x85ebca6b) ^ (b >>> 13)
  return (b >>> 11) * 0x1_0000_0000 + (a >>> 0)
}
