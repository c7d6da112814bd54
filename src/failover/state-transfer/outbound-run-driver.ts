import { after } from '../../core/deadlines.js'
import { CancelledError, type SkeinError, StoppedError } from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { DiskReader } from '../../core/ports/disk.js'
import type { Messenger } from '../../core/ports/messenger.js'
import { type ChunkMap, chunkSpan } from './chunk-map.js'
import type { StateSyncCounters } from './counters.js'
import { FileSender } from './file-sender.js'
import { fileTransferChunk } from './messages.js'
import type { ThrottleDriver } from './throttle-driver.js'

/** The receiver writes a chunk before it answers. */
const chunkTimeoutMs = 30_000
/** A chunk that is refused so often is not what the receiver gets. */
const chunkRefusalsMax = 8

export interface OutboundRunParts {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly messenger: Messenger
  readonly throttle: ThrottleDriver
  readonly counters: StateSyncCounters
  readonly window: () => number
  /** Another chunk was taken or refused. */
  readonly onChunk: (outcome: { readonly taken: boolean; readonly lengthBytes: number }) => void
  /** Null: the receiver has everything. */
  readonly onOver: (error: unknown) => void
}

export interface OutboundRunOptions {
  readonly to: NodeId
  readonly transfer: string
  readonly chunkBytes: number
  readonly have: ChunkMap
}

/** One run of a file to one receiver: the loop around a `FileSender`. It owns the reader. */
export class OutboundRun {
  readonly #parts: OutboundRunParts
  readonly #options: OutboundRunOptions
  readonly #reader: DiskReader
  readonly #core: FileSender
  /** One for each chunk on the way. */
  readonly #aborts = new Set<AbortController>()
  readonly #chunks: number
  /** Sent and not answered. */
  #unanswered = 0
  #failure: unknown = null
  #isOver = false

  constructor(parts: OutboundRunParts, reader: DiskReader, options: OutboundRunOptions) {
    this.#parts = parts
    this.#reader = reader
    this.#options = options
    this.#chunks = options.have.count
    this.#core = new FileSender(options.have, { refusalsMax: chunkRefusalsMax })
  }

  /**
   * All that was sent was answered, and what comes next waits for its turn: a receiver that asks
   * again has grown impatient, and lacks nothing that this run does not know of.
   */
  get isHeldUp(): boolean {
    const isAlive = !this.#isOver && this.#failure === null && !this.#core.isBroken
    return isAlive && this.#core.inFlight > 0 && this.#unanswered === 0
  }

  start(): void {
    this.#pump()
  }

  stop(reason: SkeinError = new StoppedError('this node stops')): void {
    if (this.#isOver) return
    this.#failure ??= reason
    for (const abort of [...this.#aborts]) abort.abort()
    this.#pump()
  }

  #pump(): void {
    if (this.#isOver) return
    if (this.#failure === null) {
      const window = this.#parts.window()
      for (let chunk = this.#core.next(window); chunk !== null; chunk = this.#core.next(window)) {
        void this.#send(chunk)
      }
    }
    const isEnding = this.#core.isDone || this.#core.isBroken || this.#failure !== null
    if (isEnding && this.#core.inFlight === 0) void this.#end()
  }

  async #send(chunk: number): Promise<void> {
    const abort = new AbortController()
    this.#aborts.add(abort)
    try {
      const { lengthBytes, taken } = await this.#sendNow(chunk, abort.signal)
      if (taken) this.#core.handleTaken(chunk)
      else this.#core.handleRefused(chunk)
      this.#parts.onChunk({ taken, lengthBytes })
    } catch (error) {
      this.#failure ??= error
      this.#core.handleFailed(chunk)
    }
    this.#aborts.delete(abort)
    this.#pump()
  }

  async #sendNow(
    chunk: number,
    signal: AbortSignal
  ): Promise<{ taken: boolean; lengthBytes: number }> {
    const { clock, crypto, messenger, throttle, counters } = this.#parts
    const { to, transfer, chunkBytes } = this.#options
    const { offset, length } = chunkSpan(chunk, this.#reader.sizeBytes, chunkBytes)
    await throttle.turn(length, signal)
    if (signal.aborted) throw new CancelledError('the run is over')
    const data = await this.#reader.read(offset, length)
    const body = {
      transfer,
      chunk,
      offset,
      data,
      sha256: crypto.sha256(data),
      last: chunk === this.#chunks - 1
    }
    const deadline = after(clock.now(), chunkTimeoutMs)
    this.#unanswered++
    const answer = await messenger
      .request(to, fileTransferChunk, body, { deadline, signal })
      .finally(() => this.#unanswered--)
    counters.add('chunks_sent')
    counters.add('chunk_bytes_sent', length)
    return { taken: answer.accepted, lengthBytes: length }
  }

  async #end(): Promise<void> {
    this.#isOver = true
    const error = this.#core.isDone && this.#failure === null ? null : this.#failure
    await this.#reader.close()
    this.#parts.onOver(this.#core.isDone ? error : (error ?? new StoppedError('refused too often')))
  }
}
