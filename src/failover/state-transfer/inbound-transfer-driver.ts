import { must } from '../../core/assert.js'
import { after } from '../../core/deadlines.js'
import {
  CancelledError,
  type ErrorCode,
  FileTransferError,
  NotFoundError,
  SkeinError
} from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Random } from '../../core/ports/random.js'
import { TransferStates } from '../../core/state-sync.js'
import type { TypeOf } from '../../wire/index.js'
import { chunkCount } from './chunk-map.js'
import type { StateSyncCounters } from './counters.js'
import { isDigest } from './file-name.js'
import {
  type FileFacts,
  FileReceiver,
  type FileReceiverOptions,
  type TransferFault,
  TransferFaults
} from './file-receiver.js'
import type { FileShelf } from './file-shelf-driver.js'
import type { GuardedRequestsDriver } from './guarded-requests-driver.js'
import {
  chunkBitmapBytesMax,
  fileChunkBytesMax,
  fileChunksMax,
  fileTransfer,
  type fileTransferChunk
} from './messages.js'
import { equalBytes, type PartialFile } from './partial-file-driver.js'
import type { TransferRecord } from './transfer-records.js'
import { Wake } from './wake-driver.js'

/** The sender reads the file whole before it answers, and remembers what it found. */
const answerTimeoutMs = 30_000
const askPauseMinMs = 100
const askPauseMaxMs = 5_000
/** Damaged chunks in a row. */
const damagedFileChunksMax = 64
/** The sender names another file than before. */
const restartsMax = 3
/** What was written does not read as it came. */
const verificationsMax = 8

type Chunk = TypeOf<(typeof fileTransferChunk)['codec']>

export interface InboundTransferParts {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly requests: GuardedRequestsDriver
  readonly shelf: FileShelf
  readonly counters: StateSyncCounters
  readonly onChanged: () => void
}

export interface InboundTransferOptions
  extends Pick<FileReceiverOptions, 'stallTimeoutMs' | 'giveUpAfterMs'> {
  /** Its name on this node's shelf. */
  readonly as: string
  readonly chunkBytes: number
  /** What it must be; null: whatever the sender says that it is. */
  readonly sha256: Uint8Array | null
  readonly sizeBytesMax: number
}

/** One file on its way to this node: the loop around a `FileReceiver`. */
export class InboundTransfer {
  readonly record: TransferRecord
  readonly #parts: InboundTransferParts
  readonly #options: InboundTransferOptions
  readonly #core: FileReceiver
  readonly #wake: Wake
  readonly #abort = new AbortController()
  readonly #writes = new Set<Promise<void>>()
  #partial: PartialFile | null = null
  #failure: unknown = null
  /** The very file stands on the shelf already. */
  #isHeld = false
  #isOver = false

  constructor(
    parts: InboundTransferParts,
    record: TransferRecord,
    options: InboundTransferOptions
  ) {
    this.record = record
    this.#parts = parts
    this.#options = options
    this.#wake = new Wake(parts.clock)
    const { stallTimeoutMs, giveUpAfterMs } = options
    const core: FileReceiverOptions = {
      stallTimeoutMs,
      giveUpAfterMs,
      pauseMinMs: askPauseMinMs,
      pauseMaxMs: askPauseMaxMs,
      refusalsMax: damagedFileChunksMax,
      restartsMax,
      verificationsMax
    }
    this.#core = new FileReceiver(parts.random, core, parts.clock.now())
  }

  get #from(): NodeId {
    return this.record.peer
  }

  /**
   * Until the file stands on the shelf.
   * @throws FileTransferError, CancelledError, NotFoundError, DiskFailedError
   */
  async run(): Promise<void> {
    try {
      await this.#runToEnd()
    } finally {
      this.#isOver = true
      await Promise.allSettled(this.#writes)
      // What arrived is worth keeping unless it is known to be wrong.
      if (this.#partial !== null) await this.#parts.shelf.release(this.#partial, true)
    }
  }

  cancel(reason: SkeinError = new CancelledError('the transfer was cancelled')): void {
    this.#fail(reason)
    this.#abort.abort()
  }

  /** False: it is to be sent again. @throws NotFoundError nothing of the kind is under way */
  async take(chunk: Chunk): Promise<boolean> {
    const { counters, crypto, clock } = this.#parts
    const partial = this.#partial
    if (partial === null || this.#isOver) throw notUnderWay(this.record.id)
    const isSound = equalBytes(crypto.sha256(chunk.data), chunk.sha256)
    const arrived = { ...chunk, lengthBytes: chunk.data.length, isSound }
    const verdict = this.#core.judge(arrived, clock.now())
    if (verdict === 'damaged') counters.add('chunks_damaged')
    if (verdict === 'duplicate') counters.add('chunks_duplicate')
    if (verdict === 'write') await this.#write(partial, chunk)
    this.record.chunksDamaged = this.#core.damaged
    this.#wake.wake()
    if (verdict === 'outOfBounds') {
      throw new FileTransferError(`chunk ${chunk.chunk} is no part of the file`, {
        details: { reason: 'outOfBounds' }
      })
    }
    return verdict !== 'damaged'
  }

  handlePeer(connected: boolean): void {
    const now = this.#parts.clock.now()
    if (connected) this.#core.handleConnected(now)
    else this.#core.handleLost(now)
    this.#wake.wake()
  }

  async #runToEnd(): Promise<void> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure
      if (this.#isHeld) return
      const { clock } = this.#parts
      const step = this.#core.step(clock.now())
      if (step.kind === 'wait') await this.#wake.wait(step.until)
      else if (step.kind === 'fail') throw faultOf(step.fault, this.record)
      else if (step.kind === 'ask') await this.#ask()
      else if (await this.#verify()) return
    }
  }

  async #ask(): Promise<void> {
    this.#core.handleAsking()
    const { clock } = this.#parts
    try {
      const facts = this.#core.facts
      if (facts === null) await this.#describe()
      else await this.#askForMissing(facts)
    } catch (error) {
      if (this.#failure !== null) throw this.#failure
      if (!isPassing(error)) throw error
      this.#core.handleAskFailed(clock.now(), Number(error.details?.retryAfterMs ?? 0))
    }
  }

  async #describe(): Promise<void> {
    const { clock, shelf } = this.#parts
    const answer = await this.#request(null, this.#options.chunkBytes)
    const facts = { sizeBytes: answer.sizeBytes, sha256: answer.sha256.slice() }
    const { sha256, sizeBytesMax } = this.#options
    if (!isDigest(facts.sha256)) {
      throw new FileTransferError('the sender names no digest', {
        details: { reason: TransferFaults.OutOfBounds }
      })
    }
    if (sha256 !== null && !equalBytes(sha256, facts.sha256)) return this.#restart()
    if (facts.sizeBytes > sizeBytesMax) throw tooLarge(facts.sizeBytes)
    const chunkBytes = chunkBytesFor(facts.sizeBytes, this.#options.chunkBytes)
    this.record.sizeBytes = facts.sizeBytes
    if (await shelf.holds(this.#options.as, facts)) {
      this.record.doneBytes = facts.sizeBytes
      this.record.resumedBytes = facts.sizeBytes
      this.#isHeld = true
      return
    }
    const partial = await shelf.openPartial(facts, chunkBytes, this.#abort.signal)
    if (partial === null) {
      throw new FileTransferError('the same content is on its way here already', {
        details: { reason: 'busy' }
      })
    }
    this.#partial = partial
    if (partial.resumedBytes > 0) this.#parts.counters.add('files_resumed')
    this.record.resumedBytes = partial.resumedBytes
    this.#core.handleDescribed(facts, partial.chunkBytes, partial.map, clock.now())
    this.#tell()
  }

  async #askForMissing(facts: FileFacts): Promise<void> {
    const { clock } = this.#parts
    const chunkBytes = this.#partial?.chunkBytes ?? this.#options.chunkBytes
    const answer = await this.#request(facts, chunkBytes)
    if (isSame(facts, answer)) this.#core.handleBegun(clock.now())
    else await this.#restart()
  }

  #request(facts: FileFacts | null, chunkBytes: number) {
    const { clock, requests } = this.#parts
    const { firstChunk, have } = this.#core.map?.toHave(chunkBitmapBytesMax) ?? nothingYet
    const body = {
      transfer: this.record.id,
      file: this.record.file,
      sha256: facts?.sha256 ?? null,
      firstChunk,
      have,
      chunkBytes
    }
    const deadline = after(clock.now(), answerTimeoutMs)
    const { signal } = this.#abort
    return requests.request(this.#from, fileTransfer, body, { deadline, signal })
  }

  /** What is here is of another file than the sender's. */
  async #restart(): Promise<void> {
    const partial = this.#partial
    this.#partial = null
    await Promise.allSettled(this.#writes)
    if (partial !== null) await this.#parts.shelf.release(partial, false)
    this.#core.handleChanged(this.#parts.clock.now())
    this.#tell()
  }

  /** True: the file stands on the shelf. */
  async #verify(): Promise<boolean> {
    const { shelf, clock } = this.#parts
    const partial = must(this.#partial, 'the file that is whole')
    this.record.state = TransferStates.Verifying
    this.#parts.onChanged()
    const { unsound, isWhole } = await partial.verify(this.#abort.signal)
    if (this.#failure !== null) throw this.#failure
    if (unsound.length > 0) this.#core.handleUnsound(unsound, clock.now())
    else if (isWhole) {
      await shelf.finish(partial, this.#options.as)
      this.#partial = null
      return true
    } else await this.#restart()
    this.#tell()
    return false
  }

  async #write(partial: PartialFile, { chunk, data, sha256 }: Chunk): Promise<void> {
    const { counters, clock } = this.#parts
    const write = partial.write(chunk, data, sha256)
    this.#writes.add(write)
    try {
      await write
    } catch (error) {
      this.#fail(error)
      throw error
    } finally {
      this.#writes.delete(write)
    }
    counters.add('chunks_received')
    counters.add('chunk_bytes_received', data.length)
    if (partial !== this.#partial) return
    this.#core.handleWritten(chunk, clock.now())
    this.#tell()
  }

  #fail(error: unknown): void {
    this.#failure ??= error
    this.#wake.wake()
  }

  #tell(): void {
    this.record.state = this.#core.facts === null ? TransferStates.Asking : TransferStates.Moving
    this.record.doneBytes = this.#core.doneBytes
    this.record.chunksDamaged = this.#core.damaged
    this.#parts.onChanged()
  }
}

const nothingYet = { firstChunk: 0, have: new Uint8Array(0) }

const isSame = (a: FileFacts, b: FileFacts): boolean =>
  a.sizeBytes === b.sizeBytes && equalBytes(a.sha256, b.sha256)

/** As it is configured, or larger where a file would have too many. */
function chunkBytesFor(sizeBytes: number, configured: number): number {
  if (chunkCount(sizeBytes, configured) <= fileChunksMax) return configured
  if (chunkCount(sizeBytes, fileChunkBytesMax) <= fileChunksMax) return fileChunkBytesMax
  throw tooLarge(sizeBytes)
}

const tooLarge = (sizeBytes: number): FileTransferError =>
  new FileTransferError(`${sizeBytes} bytes are more than may be transferred`, {
    details: { reason: 'tooLarge' }
  })

const passing = new Set<ErrorCode>([
  'ERR_SKEIN_NOT_SENT',
  'ERR_SKEIN_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_STOPPED'
])

/** It may go better the next time. */
export const isPassing = (error: unknown): error is SkeinError =>
  error instanceof SkeinError &&
  (passing.has(error.code) || (error.retryable && error.code !== 'ERR_SKEIN_FILE_TRANSFER'))

const notUnderWay = (transfer: string): NotFoundError =>
  new NotFoundError(`no transfer ${JSON.stringify(transfer)} is under way`)

function faultOf(fault: TransferFault, { file, peer }: TransferRecord): FileTransferError {
  return new FileTransferError(`${JSON.stringify(file)} did not arrive from ${peer}: ${fault}`, {
    nodeId: peer,
    details: { reason: fault }
  })
}
