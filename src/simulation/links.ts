/**
 * The wires between hosts, one per ordered pair: what gets through, and how late. Both networks ask
 * here, so a cut is a cut for streams and datagrams alike.
 */
import type { Random } from '../core/index.js'
import type { FaultCounts } from './fault-counts.js'

export interface LinkOptions {
  readonly latencyMinMs: number
  /** Mean of what an exponential distribution adds to the minimum. */
  readonly latencyMeanMs: number
  /** Of datagrams; a stream's segment is sent again, which takes time. */
  readonly lossProbability: number
  readonly duplicateProbability: number
  /** A datagram is held back so that later ones overtake it. */
  readonly reorderProbability: number
  /** A message is late by up to `delaySpikeMsMax`. */
  readonly delayProbability: number
  readonly delaySpikeMsMax: number
  /** A chunk of a stream is cut in two on its way. */
  readonly splitProbability: number
  /** A chunk is the last one of its stream, and arrives in part. */
  readonly breakProbability: number
}

export const CutKinds = { Partition: 'partition', OneWay: 'one_way', Swizzle: 'swizzle' } as const
export type CutKind = (typeof CutKinds)[keyof typeof CutKinds]

export interface Cut {
  readonly kind: CutKind
  /**
   * What was sent on streams while cut: kept and sent again when healed, or gone with its stream.
   */
  readonly streams: 'held' | 'lost'
}

export class Links {
  /** Calm weather: no fault but the latency. */
  calm = false
  readonly #options: LinkOptions
  readonly #random: Random
  readonly #faults: FaultCounts
  readonly #cuts = new Map<number, Cut>()
  readonly #added = new Map<number, number>()
  readonly #onHeal: (() => void)[] = []

  constructor(options: LinkOptions, random: Random, faults: FaultCounts) {
    this.#options = options
    this.#random = random
    this.#faults = faults
  }

  cut(from: number, to: number, cut: Cut): void {
    this.#cuts.set(pairOf(from, to), cut)
  }

  heal(pairs: readonly (readonly [number, number])[]): void {
    for (const [from, to] of pairs) this.#cuts.delete(pairOf(from, to))
    for (const callback of this.#onHeal) callback()
  }

  healAll(): void {
    this.#cuts.clear()
    for (const callback of this.#onHeal) callback()
  }

  onHeal(callback: () => void): void {
    this.#onHeal.push(callback)
  }

  /** The cut that a message from one host to another meets now; it counts as hit. */
  meetCut(from: number, to: number): Cut | null {
    const cut = this.#cuts.get(pairOf(from, to))
    if (cut === undefined) return null
    this.#faults[cut.kind]++
    return cut
  }

  isCut(from: number, to: number): boolean {
    return this.#cuts.has(pairOf(from, to))
  }

  /** Makes one way slower by so much for all that is sent from now on; 0: as the others. */
  lengthen(from: number, to: number, byMs: number): void {
    this.#added.set(pairOf(from, to), byMs)
  }

  /** What a way takes beyond the latency of all. */
  addedMs(from: number, to: number): number {
    return this.#added.get(pairOf(from, to)) ?? 0
  }

  latencyMs(): number {
    const { latencyMinMs, latencyMeanMs, delaySpikeMsMax } = this.#options
    const base = latencyMinMs - latencyMeanMs * Math.log(1 - this.#random.nextFloat())
    if (!this.#happens(this.#options.delayProbability)) return base
    this.#faults.delay++
    return base + this.#random.nextFloat() * delaySpikeMsMax
  }

  losesDatagram(): boolean {
    return this.#count('loss', this.#options.lossProbability)
  }

  duplicatesDatagram(): boolean {
    return this.#count('duplicate', this.#options.duplicateProbability)
  }

  reordersDatagram(): boolean {
    return this.#count('reorder', this.#options.reorderProbability)
  }

  /** How much later a stream's segment arrives because it was lost and sent again. */
  resendDelayMs(): number {
    return this.#count('loss', this.#options.lossProbability)
      ? 20 + this.#random.nextFloat() * 200
      : 0
  }

  /** How long after a cut a stream's sender tries again. */
  resendBackoffMs(): number {
    return this.#random.nextFloat() * resendBackoffMsMax
  }

  /** Where to cut a chunk in two; zero: nowhere. */
  splitsChunk(length: number): number {
    if (length < 2 || !this.#happens(this.#options.splitProbability)) return 0
    return 1 + this.#random.nextInt(length - 1)
  }

  /** How many bytes of a chunk arrive before its stream breaks; null: it does not. */
  breaksStream(length: number): number | null {
    return this.#happens(this.#options.breakProbability) ? this.#random.nextInt(length + 1) : null
  }

  #count(kind: 'loss' | 'duplicate' | 'reorder', probability: number): boolean {
    if (!this.#happens(probability)) return false
    this.#faults[kind]++
    return true
  }

  #happens(probability: number): boolean {
    return !this.calm && probability > 0 && this.#random.nextFloat() < probability
  }
}

const resendBackoffMsMax = 1_000

const pairOf = (from: number, to: number): number => from * 1024 + to
