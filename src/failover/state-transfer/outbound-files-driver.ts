/** What this node sends of the files on its shelf, to whoever of the members asks. */
import {
  BackpressureError,
  FileTransferError,
  InvalidArgumentError,
  NotAuthorizedError,
  StoppedError
} from '../../core/errors.js'
import type { NodeId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { DiskReader } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Inbound, Messenger } from '../../core/ports/messenger.js'
import { factsOf } from '../../core/remote-error.js'
import { TransferStates } from '../../core/state-sync.js'
import type { TypeOf } from '../../wire/index.js'
import { ChunkMap, chunkCount } from './chunk-map.js'
import type { StateSyncCounters } from './counters.js'
import type { FileShelf } from './file-shelf-driver.js'
import { fileChunkBytesMax, fileChunksMax, fileTransfer } from './messages.js'
import { OutboundRun } from './outbound-run-driver.js'
import { equalBytes } from './partial-file-driver.js'
import type { ThrottleDriver } from './throttle-driver.js'
import type { TransferRecord, TransferRecords } from './transfer-records.js'

const chunkBytesMin = 4_096

type Asked = TypeOf<(typeof fileTransfer)['codec']>
type Answer = TypeOf<(typeof fileTransfer)['response']['codec']>

export interface OutboundFilesComponents {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly messenger: Messenger
  readonly logger: Logger
  readonly shelf: FileShelf
  readonly throttle: ThrottleDriver
  readonly counters: StateSyncCounters
  readonly records: TransferRecords
}

export interface OutboundFilesOptions {
  readonly transfersServedMax: number
  readonly window: () => number
  /** A run is over. True: this node offered the file, and hears elsewhere how it ends. */
  readonly onRunOver: (transfer: string) => boolean
}

export class OutboundFiles {
  readonly #components: OutboundFilesComponents
  readonly #options: OutboundFilesOptions
  /** By receiver and transfer: asked again, the run before is over. */
  readonly #runs = new Map<string, OutboundRun>()
  #opening = 0
  #isStopped = false

  constructor(components: OutboundFilesComponents, options: OutboundFilesOptions) {
    this.#components = components
    this.#options = options
    components.messenger.onRequest(fileTransfer, (inbound) => this.#serve(inbound))
  }

  get size(): number {
    return this.#runs.size
  }

  /** What is being sent of it is not sent any further. */
  stopTransfer(to: NodeId, transfer: string): void {
    this.#runs.get(keyOf(to, transfer))?.stop()
  }

  stop(): void {
    this.#isStopped = true
    for (const run of [...this.#runs.values()]) run.stop()
  }

  async #serve({ peer, body }: Inbound<Asked>): Promise<Answer> {
    const { shelf } = this.#components
    if (peer.kind !== 'node') throw new NotAuthorizedError('files are for members')
    if (this.#isStopped) throw new StoppedError('this node stops')
    const { file, chunkBytes, sha256 } = body
    if (chunkBytes < chunkBytesMin || chunkBytes > fileChunkBytesMax) {
      const range = `${chunkBytesMin} to ${fileChunkBytesMax}`
      throw new InvalidArgumentError('chunkBytes', `must be from ${range}`)
    }
    const facts = await shelf.describe(file)
    const chunks = chunkCount(facts.sizeBytes, chunkBytes)
    const answer = { ...facts, chunkBytes, chunks: Math.min(chunks, 0xffff_ffff) }
    if (sha256 === null || !equalBytes(sha256, facts.sha256)) return answer
    if (chunks > fileChunksMax)
      throw new InvalidArgumentError('chunkBytes', 'makes too many chunks')
    const reader = await this.#open(peer.nodeId, body)
    const isHeldUp = this.#runs.get(keyOf(peer.nodeId, body.transfer))?.isHeldUp ?? false
    if (reader.sizeBytes !== facts.sizeBytes || isHeldUp) await reader.close()
    else this.#begin(peer.nodeId, body, reader)
    return answer
  }

  /** @throws BackpressureError */
  async #open(to: NodeId, { transfer, file }: Asked): Promise<DiskReader> {
    const { transfersServedMax } = this.#options
    const isKnown = this.#runs.has(keyOf(to, transfer))
    if (!isKnown && this.#runs.size + this.#opening >= transfersServedMax) {
      throw new BackpressureError(`${transfersServedMax} files are being sent`)
    }
    this.#opening++
    try {
      return await this.#components.shelf.openToRead(file)
    } finally {
      this.#opening--
    }
  }

  #begin(to: NodeId, asked: Asked, reader: DiskReader): void {
    const { transfer, chunkBytes, firstChunk, have } = asked
    const key = keyOf(to, transfer)
    this.#runs.get(key)?.stop(new FileTransferError('the receiver asked again'))
    const record = this.#recordOf(to, asked)
    const count = chunkCount(reader.sizeBytes, chunkBytes)
    const map = ChunkMap.fromHave(count, firstChunk, have)
    record.state = TransferStates.Moving
    record.sizeBytes = reader.sizeBytes
    record.doneBytes = Math.min(map.present * chunkBytes, reader.sizeBytes)
    const { onOver, onChunk } = this.#handlersOf(key, record, () => run)
    const { clock, crypto, messenger, throttle, counters } = this.#components
    const { window } = this.#options
    const parts = { clock, crypto, messenger, throttle, counters, window, onChunk, onOver }
    const run = new OutboundRun(parts, reader, { to, transfer, chunkBytes, have: map })
    this.#runs.set(key, run)
    run.start()
  }

  #handlersOf(key: string, record: TransferRecord, runOf: () => OutboundRun) {
    return {
      onChunk: (outcome: { readonly taken: boolean; readonly lengthBytes: number }) => {
        if (outcome.taken) record.doneBytes += outcome.lengthBytes
        else record.chunksDamaged++
      },
      onOver: (error: unknown) => {
        // The receiver asked again: the run that took this one's place goes on with the record.
        if (this.#runs.get(key) !== runOf()) return
        this.#runs.delete(key)
        this.#tellOver(record, error)
      }
    }
  }

  #tellOver(record: TransferRecord, error: unknown): void {
    const { clock, records, logger } = this.#components
    if (error !== null) {
      logger.debug({ transfer: record.id, ...factsOf(error) }, 'a file was not sent to its end')
    }
    if (this.#options.onRunOver(record.id)) return
    const state = error === null ? TransferStates.Done : TransferStates.Failed
    const failure = error === null ? null : factsOf(error).code
    records.end(record, { state, failure }, clock.now())
  }

  #recordOf(to: NodeId, { transfer, file }: Asked): TransferRecord {
    const { records, clock } = this.#components
    const opening = { id: transfer, direction: 'out', peer: to, file } as const
    const known = records.find(opening)
    if (known === null) return records.begin(opening, clock.now())
    records.revive(known)
    return known
  }
}

const keyOf = (to: NodeId, transfer: string): string => `${to}\n${transfer}`
