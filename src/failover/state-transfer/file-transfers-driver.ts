/**
 * Files between this node and others. Whoever wants one asks, so that the end that has the map of
 * what is missing leads; a file that is to be sent is offered, and its receiver asks for it.
 */

import type { Config } from '../../core/config/schema.js'
import { after } from '../../core/deadlines.js'
import {
  BackpressureError,
  CancelledError,
  FileTransferError,
  InvalidArgumentError,
  NotAuthorizedError,
  NotFoundError,
  StoppedError
} from '../../core/errors.js'
import type { StateSyncEvent } from '../../core/events.js'
import type { NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { Random } from '../../core/ports/random.js'
import { factsOf } from '../../core/remote-error.js'
import {
  type FileOffer,
  type TransferOptions,
  TransferStates,
  type TransferView
} from '../../core/state-sync.js'
import type { StateSyncCounters } from './counters.js'
import { isServedName } from './file-name.js'
import type { FileFacts } from './file-receiver.js'
import { type FileShelf, hexOf } from './file-shelf-driver.js'
import type { GuardedRequestsDriver } from './guarded-requests-driver.js'
import { InboundTransfer, isPassing } from './inbound-transfer-driver.js'
import { IncomingOffers, type OfferAnswer } from './incoming-offers-driver.js'
import { fileOffer, fileTransferChunk } from './messages.js'
import { OutboundFiles } from './outbound-files-driver.js'
import { ThrottleDriver } from './throttle-driver.js'
import { type TransferRecord, TransferRecords, viewOf } from './transfer-records.js'
import { Wake } from './wake-driver.js'

/** An offer is answered at once. */
const offerTimeoutMs = 10_000
/** The receiver of an offer is asked how far it is, ever more seldom. */
const pollMinMs = 50
const pollMaxMs = 1_000
const reasonLengthMax = 255
const transferIdBytes = 16

export interface FileTransfersComponents {
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly messenger: Messenger
  readonly logger: Logger
  readonly shelf: FileShelf
  readonly requests: GuardedRequestsDriver
  readonly counters: StateSyncCounters
  readonly publish: (event: StateSyncEvent) => void
}

export interface InternalFetchOptions extends TransferOptions {
  readonly as: string
  readonly id?: string
  readonly sha256?: Uint8Array
  readonly sizeBytesMax?: number
}

export class FileTransfersDriver {
  readonly #components: FileTransfersComponents
  #config: Config['sync']
  readonly #records: TransferRecords
  readonly #throttle: ThrottleDriver
  readonly #outbound: OutboundFiles
  readonly #inbound = new Map<string, InboundTransfer>()
  /** Names on this shelf that something is on its way to. */
  readonly #names = new Set<string>()
  readonly #offers: IncomingOffers
  /** Transfers that this node offered, and waits for. */
  readonly #sending = new Map<string, Wake>()
  readonly #running = new Set<Promise<unknown>>()
  #isStopped = false

  constructor(components: FileTransfersComponents, config: Config['sync']) {
    const { clock, crypto, messenger, logger, shelf, counters } = components
    this.#components = components
    this.#config = config
    this.#records = new TransferRecords(config.recordsMax)
    this.#throttle = new ThrottleDriver(clock, config.bytesPerSecond)
    const { transfersServedMax } = config
    this.#outbound = new OutboundFiles(
      {
        ...{ clock, crypto, messenger, logger, shelf, counters },
        throttle: this.#throttle,
        records: this.#records
      },
      {
        transfersServedMax,
        window: () => this.#config.chunksInFlightMax,
        onRunOver: (transfer) => this.#handleRunOver(transfer)
      }
    )
    this.#offers = new IncomingOffers(
      { messenger, logger },
      {
        receive: (from, { offer, file, sha256 }, as) => {
          const options = { as, id: offer, sha256: sha256.slice() }
          return {
            arrived: this.receive(from, file, options),
            record: this.#records.find({ id: offer, direction: 'in', peer: from })
          }
        },
        cancel: (from, offer) => this.#inbound.get(keyOf(from, offer))?.cancel(),
        assertRoom: (as) => this.#assertRoom(as)
      }
    )
    messenger.onRequest(fileTransferChunk, async ({ peer, body }) => {
      if (peer.kind !== 'node') throw new NotAuthorizedError('files are for members')
      const transfer = this.#inbound.get(keyOf(peer.nodeId, body.transfer))
      if (transfer === undefined) throw new NotFoundError('no such transfer is under way')
      return { accepted: await transfer.take(body) }
    })
    messenger.onPeer(({ nodeId, connected }) => {
      for (const transfer of this.#inbound.values()) {
        if (transfer.record.peer === nodeId) transfer.handlePeer(connected)
      }
    })
  }

  get active(): number {
    return this.#records.active
  }

  get served(): number {
    return this.#outbound.size
  }

  get received(): number {
    return this.#inbound.size
  }

  views(): TransferView[] {
    return this.#records.views()
  }

  acceptFiles(decide: (offer: FileOffer) => string | null): void {
    this.#offers.acceptFiles(decide)
  }

  reconfigure(config: Config['sync']): void {
    this.#config = config
    this.#throttle.setRate(config.bytesPerSecond)
  }

  /** Nothing is written any more when it resolves. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const reason = new StoppedError('this node stops')
    for (const transfer of this.#inbound.values()) transfer.cancel(reason)
    for (const wake of this.#sending.values()) wake.wake()
    this.#outbound.stop()
    this.#throttle.stop()
    await Promise.allSettled(this.#running)
  }

  /** @throws BackpressureError; others: as `StateSync.fetchFile` */
  async receive(from: NodeId, file: string, options: InternalFetchOptions): Promise<TransferView> {
    const { id = this.#newId(), as } = options
    const { clock } = this.#components
    this.#assertRoom(as)
    if (!isServedName(file)) throw notPlain('file', file)
    const record = this.#records.begin({ id, direction: 'in', peer: from, file }, clock.now())
    const transfer = this.#newInbound(record, options)
    const key = keyOf(from, id)
    const cancel = () => transfer.cancel()
    options.signal?.addEventListener('abort', cancel, { once: true })
    this.#inbound.set(key, transfer)
    this.#names.add(as)
    this.#tellStarted(record)
    try {
      if (options.signal?.aborted) cancel()
      await this.#whileRunning(transfer.run())
      record.doneBytes = record.sizeBytes ?? 0
      return this.#end(record, null)
    } catch (error) {
      this.#end(record, error)
      throw error
    } finally {
      options.signal?.removeEventListener('abort', cancel)
      this.#inbound.delete(key)
      this.#names.delete(as)
    }
  }

  /** As `StateSync.sendFile`. */
  async send(to: NodeId, file: string, options: TransferOptions): Promise<TransferView> {
    const { clock, shelf } = this.#components
    if (this.#isStopped) throw new StoppedError('this node stops')
    const facts = await shelf.describe(file)
    const id = this.#newId()
    const record = this.#records.begin({ id, direction: 'out', peer: to, file }, clock.now())
    record.sizeBytes = facts.sizeBytes
    const wake = new Wake(clock)
    const cancel = () => wake.wake()
    options.signal?.addEventListener('abort', cancel, { once: true })
    this.#sending.set(id, wake)
    this.#tellStarted(record)
    try {
      await this.#offerUntilDone(record, facts, wake, options)
      record.doneBytes = facts.sizeBytes
      return this.#end(record, null)
    } catch (error) {
      this.#outbound.stopTransfer(to, id)
      this.#end(record, error)
      throw error
    } finally {
      options.signal?.removeEventListener('abort', cancel)
      this.#sending.delete(id)
    }
  }

  async #offerUntilDone(
    record: TransferRecord,
    facts: FileFacts,
    wake: Wake,
    { signal, onProgress }: TransferOptions
  ): Promise<void> {
    const { clock } = this.#components
    let progressAt = clock.now()
    let pauseMs = pollMinMs
    let heardBytes = 0
    for (;;) {
      if (this.#isStopped) throw new StoppedError('this node stops')
      if (signal?.aborted) {
        await this.#withdraw(record, facts)
        throw new CancelledError('the transfer was cancelled')
      }
      const answer = await this.#offer(record, facts)
      if (answer?.state === 'done') return
      if (answer?.state === 'refused' || answer?.state === 'failed') throw refusal(record, answer)
      if (answer !== null && answer.receivedBytes !== heardBytes) {
        heardBytes = answer.receivedBytes
        record.doneBytes = heardBytes
        progressAt = clock.now()
        pauseMs = pollMinMs
        onProgress?.(viewOf(record))
      }
      if (clock.now() - progressAt >= this.#config.giveUpAfterMs) throw stalled(record)
      await wake.wait(after(clock.now(), pauseMs))
      pauseMs = Math.min(pauseMs * 2, pollMaxMs)
    }
  }

  /** Null: it was not reached, or cannot now. */
  async #offer(record: TransferRecord, facts: FileFacts): Promise<OfferAnswer | null> {
    const { clock, requests } = this.#components
    const body = { offer: record.id, file: record.file, ...facts, cancelled: false }
    const deadline = after(clock.now(), offerTimeoutMs)
    try {
      return await requests.request(record.peer, fileOffer, body, { deadline })
    } catch (error) {
      if (isPassing(error)) return null
      throw error
    }
  }

  /** Where it does not arrive, the receiver finds out when it gets no further. */
  async #withdraw(record: TransferRecord, facts: FileFacts): Promise<void> {
    const { clock, messenger, logger } = this.#components
    const body = { offer: record.id, file: record.file, ...facts, cancelled: true }
    try {
      const deadline = after(clock.now(), offerTimeoutMs)
      await messenger.request(record.peer, fileOffer, body, { deadline })
    } catch (error) {
      logger.debug({ transfer: record.id, ...factsOf(error) }, 'the receiver was not told')
    }
  }

  #handleRunOver(transfer: string): boolean {
    const wake = this.#sending.get(transfer)
    wake?.wake()
    return wake !== undefined
  }

  #newInbound(record: TransferRecord, options: InternalFetchOptions): InboundTransfer {
    const { clock, random, crypto, requests, shelf, counters } = this.#components
    const { stallTimeoutMs, giveUpAfterMs, chunkBytes } = this.#config
    const { as, sha256 = null, sizeBytesMax = Number.MAX_SAFE_INTEGER, onProgress } = options
    const onChanged = () => onProgress?.(viewOf(record))
    return new InboundTransfer(
      {
        ...{ clock, crypto, requests, shelf, counters, onChanged },
        random: random.split(`transfer ${record.id}`)
      },
      record,
      { as, sha256, sizeBytesMax, chunkBytes, stallTimeoutMs, giveUpAfterMs }
    )
  }

  #assertRoom(as: string): void {
    if (this.#isStopped) throw new StoppedError('this node stops')
    const { transfersMax } = this.#config
    if (this.#inbound.size >= transfersMax) {
      throw new BackpressureError(`${transfersMax} files are on their way here`)
    }
    if (!isServedName(as)) throw notPlain('as', as)
    if (!this.#names.has(as)) return
    throw new FileTransferError(`another file is on its way to ${JSON.stringify(as)}`, {
      details: { reason: 'busy' }
    })
  }

  #tellStarted(record: TransferRecord): void {
    this.#components.counters.add('transfers_started')
    this.#components.publish({ type: 'TransferStarted', transfer: viewOf(record) })
  }

  #end(record: TransferRecord, error: unknown): TransferView {
    const { counters, clock, publish } = this.#components
    const isCancelled = error instanceof CancelledError
    const failed = isCancelled ? TransferStates.Cancelled : TransferStates.Failed
    const state = error === null ? TransferStates.Done : failed
    const ended = isCancelled ? 'transfers_cancelled' : 'transfers_failed'
    counters.add(error === null ? 'transfers_completed' : ended)
    const failure = error === null ? null : factsOf(error).code
    this.#records.end(record, { state, failure }, clock.now())
    publish({ type: 'TransferEnded', transfer: viewOf(record) })
    return viewOf(record)
  }

  async #whileRunning(run: Promise<void>): Promise<void> {
    this.#running.add(run)
    try {
      await run
    } finally {
      this.#running.delete(run)
    }
  }

  #newId(): string {
    return hexOf(this.#components.crypto.randomBytes(transferIdBytes))
  }
}

const keyOf = (peer: NodeId, transfer: string): string => `${peer}\n${transfer}`

function refusal({ file, peer }: TransferRecord, answer: OfferAnswer): FileTransferError {
  const { state, code } = answer
  const why = answer.reason.slice(0, reasonLengthMax) || code
  return new FileTransferError(`${peer} did not take ${JSON.stringify(file)}: ${why}`, {
    nodeId: peer,
    details: { reason: state === 'refused' ? 'refused' : code }
  })
}

const stalled = ({ file, peer }: TransferRecord): FileTransferError =>
  new FileTransferError(`${JSON.stringify(file)} gets no further on its way to ${peer}`, {
    nodeId: peer,
    details: { reason: 'stalled' }
  })

const notPlain = (field: string, name: string): InvalidArgumentError =>
  new InvalidArgumentError(field, `${JSON.stringify(name)} is no plain name of a file`)
