/**
 * One file on its way to this node: when its sender is asked, which chunks are taken, when it is
 * whole and when it has failed.
 *
 * The sender is asked what the file is, then for the chunks that are missing, and sends them until
 * all are there or something breaks; then it is asked again, for what is missing then. So neither
 * end remembers what the other did, and a cut at any moment costs at most the chunks on the way.
 *
 * 1. A chunk is written only if its place and length are those that the file's size gives it, and
 *    its bytes have the digest that came with them. Whatever lies outside ends the transfer.
 * 2. The file is done only when every chunk on disk has the digest that it came with and the whole
 *    has the digest that the sender named before. A chunk that has not is asked for again, alone.
 * 3. When the sender names another digest than before, what arrived is of another file: it begins
 *    anew, at most `restartsMax` times.
 * 4. Questions without progress between them are ever further apart, from `pauseMinMs` to
 *    `pauseMaxMs`.
 * 5. Without progress for `giveUpAfterMs` it has failed.
 *
 * Owner's duties: do what `step` says, tell the outcome, and call `step` again whenever something
 * was told and when the time it named has come.
 */
import { assert } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import type { MonotonicMs } from '../../core/ids.js'
import type { Random } from '../../core/ports/random.js'
import { type ChunkMap, chunkSpan } from './chunk-map.js'

export interface FileFacts {
  readonly sizeBytes: number
  readonly sha256: Uint8Array
}

export const TransferFaults = {
  /** It got no further for too long. */
  Stalled: 'stalled',
  /** The sender named another file again and again. */
  Changing: 'changing',
  /** Chunks came damaged however often they were sent. */
  Damaged: 'damaged',
  /** The sender sent what is no part of the file. */
  OutOfBounds: 'outOfBounds',
  /** What was written does not read the same, again and again. */
  Unsound: 'unsound'
} as const
export type TransferFault = (typeof TransferFaults)[keyof typeof TransferFaults]

export type ReceiverStep =
  /** Ask the sender: what the file is, while `facts` is null, else for what is missing. */
  | { readonly kind: 'ask' }
  | { readonly kind: 'wait'; readonly until: MonotonicMs }
  /** Compare what is on disk with the digests. */
  | { readonly kind: 'verify' }
  | { readonly kind: 'fail'; readonly fault: TransferFault }

export type ChunkVerdict = 'write' | 'duplicate' | 'damaged' | 'outOfBounds'

export interface ArrivedChunk {
  readonly chunk: number
  readonly offset: number
  readonly lengthBytes: number
  readonly last: boolean
  /** Its bytes have the digest that came with them. */
  readonly isSound: boolean
}

export interface FileReceiverOptions {
  readonly stallTimeoutMs: number
  readonly giveUpAfterMs: number
  readonly pauseMinMs: number
  readonly pauseMaxMs: number
  /** Damaged chunks without a sound one between them. */
  readonly refusalsMax: number
  readonly restartsMax: number
  readonly verificationsMax: number
}

interface Receiving {
  readonly facts: FileFacts
  readonly chunkBytes: number
  readonly map: ChunkMap
}

export class FileReceiver {
  readonly #random: Random
  readonly #options: FileReceiverOptions
  #receiving: Receiving | null = null
  #isAsking = false
  /** Since then the sender may be sending, and has not; null: it is not. */
  #quietSince: MonotonicMs | null = null
  #askNotBefore: MonotonicMs
  #progressAt: MonotonicMs
  #asksInVain = 0
  #damagedInRow = 0
  #damaged = 0
  #restarts = 0
  #verifications = 0
  #fault: TransferFault | null = null

  constructor(random: Random, options: FileReceiverOptions, now: MonotonicMs) {
    this.#random = random
    this.#options = options
    this.#askNotBefore = now
    this.#progressAt = now
  }

  get facts(): FileFacts | null {
    return this.#receiving?.facts ?? null
  }

  get map(): ChunkMap | null {
    return this.#receiving?.map ?? null
  }

  /** Chunks that came damaged. */
  get damaged(): number {
    return this.#damaged
  }

  get doneBytes(): number {
    if (this.#receiving === null) return 0
    const { facts, chunkBytes, map } = this.#receiving
    const whole = map.present * chunkBytes
    const last = map.count - 1
    if (map.count === 0 || !map.has(last)) return whole
    return whole - chunkBytes + chunkSpan(last, facts.sizeBytes, chunkBytes).length
  }

  step(now: MonotonicMs): ReceiverStep {
    const { giveUpAfterMs, stallTimeoutMs } = this.#options
    if (this.#fault !== null) return { kind: 'fail', fault: this.#fault }
    const giveUpAt = after(this.#progressAt, giveUpAfterMs)
    if (now >= giveUpAt) return { kind: 'fail', fault: TransferFaults.Stalled }
    if (this.#receiving?.map.isComplete) return { kind: 'verify' }
    if (this.#isAsking) return { kind: 'wait', until: giveUpAt }
    if (this.#quietSince !== null) {
      const stalledAt = after(this.#quietSince, stallTimeoutMs)
      if (now < stalledAt) return { kind: 'wait', until: earlier(stalledAt, giveUpAt) }
      this.#pause(now)
    }
    if (now < this.#askNotBefore)
      return { kind: 'wait', until: earlier(this.#askNotBefore, giveUpAt) }
    return { kind: 'ask' }
  }

  handleAsking(): void {
    this.#isAsking = true
  }

  /** The sender said what the file is, and `map` says what is here of it. */
  handleDescribed(facts: FileFacts, chunkBytes: number, map: ChunkMap, now: MonotonicMs): void {
    this.#isAsking = false
    this.#receiving = { facts, chunkBytes, map }
    this.#progressAt = now
    this.#askNotBefore = now
  }

  /** The sender has begun to send. */
  handleBegun(now: MonotonicMs): void {
    this.#isAsking = false
    this.#quietSince = now
  }

  /** @param retryAfterMs what the answer said of when to ask again */
  handleAskFailed(now: MonotonicMs, retryAfterMs = 0): void {
    this.#isAsking = false
    this.#pause(now)
    this.#askNotBefore = later(this.#askNotBefore, after(now, retryAfterMs))
  }

  /** The connection to the sender broke: whatever it was sending does not come. */
  handleLost(now: MonotonicMs): void {
    if (this.#quietSince !== null) this.#pause(now)
  }

  /** There is a way to the sender again. */
  handleConnected(now: MonotonicMs): void {
    if (this.#quietSince === null) this.#askNotBefore = earlier(this.#askNotBefore, now)
  }

  /** The sender names another digest now, or the whole had another than the one named. */
  handleChanged(now: MonotonicMs): void {
    this.#isAsking = false
    this.#receiving = null
    this.#restarts++
    if (this.#restarts > this.#options.restartsMax) this.#fault = TransferFaults.Changing
    this.#pause(now)
  }

  /** What to do with a chunk; the verdict counts. */
  judge(arrived: ArrivedChunk, now: MonotonicMs): ChunkVerdict {
    if (this.#receiving === null || this.#fault !== null) return 'outOfBounds'
    const { facts, chunkBytes, map } = this.#receiving
    const { chunk, offset, lengthBytes, last } = arrived
    const isKnown = Number.isInteger(chunk) && chunk >= 0 && chunk < map.count
    const span = isKnown ? chunkSpan(chunk, facts.sizeBytes, chunkBytes) : null
    const fits =
      span !== null &&
      offset === span.offset &&
      lengthBytes === span.length &&
      last === (chunk === map.count - 1)
    if (!fits) {
      this.#fault = TransferFaults.OutOfBounds
      return 'outOfBounds'
    }
    this.#handleHeard(now)
    if (!arrived.isSound) return this.#handleDamaged()
    this.#damagedInRow = 0
    return map.has(chunk) ? 'duplicate' : 'write'
  }

  handleWritten(chunk: number, now: MonotonicMs): void {
    // A chunk may have been under way to the disk when its file was given up for another.
    const { map } = this.#receiving ?? {}
    if (map === undefined || chunk >= map.count || !map.add(chunk)) return
    this.#progressAt = now
    this.#handleHeard(now)
    this.#asksInVain = 0
  }

  /** These chunks do not read as they came: they are asked for again. */
  handleUnsound(chunks: readonly number[], now: MonotonicMs): void {
    assert(chunks.length > 0, 'some chunk is unsound')
    for (const chunk of chunks) this.#receiving?.map.remove(chunk)
    this.#verifications++
    if (this.#verifications >= this.#options.verificationsMax) this.#fault = TransferFaults.Unsound
    this.#quietSince = null
    this.#askNotBefore = now
  }

  /** What comes after the run was given up was on its way before: nothing follows it. */
  #handleHeard(now: MonotonicMs): void {
    if (this.#quietSince !== null) this.#quietSince = now
  }

  #handleDamaged(): ChunkVerdict {
    this.#damaged++
    this.#damagedInRow++
    if (this.#damagedInRow >= this.#options.refusalsMax) this.#fault = TransferFaults.Damaged
    return 'damaged'
  }

  #pause(now: MonotonicMs): void {
    const { pauseMinMs, pauseMaxMs } = this.#options
    const doubled = Math.min(pauseMinMs * 2 ** Math.min(this.#asksInVain, 30), pauseMaxMs)
    this.#asksInVain++
    this.#quietSince = null
    this.#askNotBefore = after(now, doubled * (0.5 + this.#random.nextFloat() / 2))
  }
}

const earlier = (a: MonotonicMs, b: MonotonicMs): MonotonicMs => (a < b ? a : b)
const later = (a: MonotonicMs, b: MonotonicMs): MonotonicMs => (a > b ? a : b)
