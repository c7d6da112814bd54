/**
 * One run of a file to one receiver: which chunk goes next, and when it is over. The receiver said
 * what it has; whatever breaks ends the run, and the receiver asks again with what it has then.
 *
 * 1. Not more than the window is on the way.
 * 2. Chunks go in rising order; one that was refused goes again before others.
 * 3. A chunk that is refused `refusalsMax` times ends the run: what is read here is not what the
 *    receiver gets, however often it is sent.
 *
 * Owner's duties: call `next` until it answers null, send what it answers, and tell the outcome of
 * each.
 */
import type { ChunkMap } from './chunk-map.js'

export interface FileSenderOptions {
  readonly refusalsMax: number
}

export class FileSender {
  /** Chunks that the receiver has, or that were sent. */
  readonly #sent: ChunkMap
  readonly #options: FileSenderOptions
  readonly #again: number[] = []
  /** Of the chunks on the way: how often each was refused. */
  readonly #refusals = new Map<number, number>()
  readonly #inFlight = new Set<number>()
  #from = 0
  #isBroken = false

  /** @param have what the receiver has; it is the sender's from now on */
  constructor(have: ChunkMap, options: FileSenderOptions) {
    this.#sent = have
    this.#options = options
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Everything was taken. */
  get isDone(): boolean {
    return (
      !this.#isBroken &&
      this.#sent.isComplete &&
      this.#inFlight.size === 0 &&
      this.#again.length === 0
    )
  }

  /** Nothing more is sent in this run. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** The chunk to send now; null: none, until an outcome is told. */
  next(window: number): number | null {
    if (this.#isBroken || this.#inFlight.size >= window) return null
    const chunk = this.#again.shift() ?? this.#nextUnsent()
    if (chunk === null) return null
    this.#inFlight.add(chunk)
    return chunk
  }

  handleTaken(chunk: number): void {
    this.#inFlight.delete(chunk)
    this.#refusals.delete(chunk)
  }

  handleRefused(chunk: number): void {
    this.#inFlight.delete(chunk)
    const refusals = (this.#refusals.get(chunk) ?? 0) + 1
    this.#refusals.set(chunk, refusals)
    if (refusals >= this.#options.refusalsMax) this.#isBroken = true
    else this.#again.push(chunk)
  }

  /** Nobody knows whether it arrived; the receiver does. */
  handleFailed(chunk: number): void {
    this.#inFlight.delete(chunk)
    this.#isBroken = true
  }

  #nextUnsent(): number | null {
    const chunk = this.#sent.nextMissing(this.#from)
    if (chunk === null) return null
    this.#sent.add(chunk)
    this.#from = chunk + 1
    return chunk
  }
}
