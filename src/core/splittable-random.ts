import { assert } from './assert.js'
import type { Random } from './ports/random.js'

/**
 * The generator behind the `Random` port, in production (seeded from the operating system) and in
 * the simulator (seeded by the run). sfc32 by Chris Doty-Humphrey: 128 bits of state, passes
 * PractRand; `split` hashes the purpose and 64 bits of the seed, not of the state.
 */
export class SplittableRandom implements Random {
  readonly #seedHigh: number
  readonly #seedLow: number
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seedHigh: number, seedLow: number) {
    this.#seedHigh = seedHigh >>> 0
    this.#seedLow = seedLow >>> 0
    this.#a = this.#seedHigh
    this.#b = this.#seedLow
    this.#c = 0x9e3779b9
    for (let i = 0; i < 12; i++) this.nextUint32()
  }

  static fromSeed(seed: number): SplittableRandom {
    return new SplittableRandom(Math.floor(seed / 0x1_0000_0000), seed >>> 0)
  }

  nextUint32(): number {
    return this.#nextInt32() >>> 0
  }

  nextInt(boundExclusive: number): number {
    assert(
      Number.isInteger(boundExclusive) && boundExclusive >= 1 && boundExclusive <= 0x1_0000_0000,
      'random bound'
    )
    const limit = 0x1_0000_0000 - (0x1_0000_0000 % boundExclusive)
    let drawn = this.#nextInt32() >>> 0
    while (drawn >= limit) drawn = this.#nextInt32() >>> 0
    return drawn % boundExclusive
  }

  nextFloat(): number {
    return (this.nextUint32() * 0x20_0000 + (this.nextUint32() >>> 11)) / 0x20_0000_0000_0000
  }

  split(purpose: string): SplittableRandom {
    let high = this.#seedHigh ^ 0x85ebca6b
    let low = this.#seedLow ^ 0xc2b2ae35
    for (let i = 0; i < purpose.length; i++) {
      high = Math.imul(high ^ purpose.charCodeAt(i), 0x9e3779b1)
      low = Math.imul(low ^ (high >>> 15), 0x85ebca77)
      high ^= low >>> 13
    }
    return new SplittableRandom(high, low)
  }

  /** 32 bits, signed: larger numbers than a small integer would be allocated by each call. */
  #nextInt32(): number {
    const t = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + t) | 0
    return t
  }
}

/** One of `items`, evenly. */
export function pick<T>(random: Random, items: readonly T[]): T {
  assert(items.length > 0, 'pick from nothing')
  return items[random.nextInt(items.length)] as T
}

/** Fisher–Yates, in place. */
export function shuffle<T>(random: Random, items: T[]): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = random.nextInt(i + 1)
    const held = items[i] as T
    items[i] = items[j] as T
    items[j] = held
  }
  return items
}
