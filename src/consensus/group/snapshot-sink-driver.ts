/**
 * Takes in the snapshot that a leader offers: asks for its parts, several at a time, and for a part
 * again when it is damaged or does not come. What has arrived stays while the same snapshot is
 * offered, whatever breaks meanwhile, this process included (R-S08); another offer begins anew.
 *
 * 1. Parts go into the engine's restore beside its content, so the replica goes on as it was. Only
 *    `finish` replaces the content, in a turn of the owner's in which nothing else is done.
 * 2. Nothing is waited for by a clock: the leader repeats its offer as long as it counts on this
 *    replica, and that wakes what has broken off.
 * 3. A failure, for want of space say, is one of the transfer: it is told to the leader, which may
 *    give others their turn, and offers are refused for a while.
 */
import { after } from '../../core/deadlines.js'
import { ProtocolError, type SkeinError } from '../../core/errors.js'
import type { ConsensusEvent } from '../../core/events.js'
import { type GroupId, type MonotonicMs, nodeOf } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Engine } from '../../core/ports/engine.js'
import type { LogBase } from '../../core/ports/log-store.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import { factsOf } from '../../core/remote-error.js'
import { crc32c } from '../../wire/crc32c.js'
import type { ConsensusCounters } from '../counters.js'
import { baseKey, encodeBase } from '../log/engine-base.js'
import type { RaftEvent } from '../raft/types.js'
import { snapshotChunkRequest } from './group-messages.js'
import type { PartsManifest } from './parts-manifest.js'
import { PartsManifestFile } from './parts-manifest-driver.js'
import type { RaftDriver } from './raft-driver.js'
import { ReceivedParts } from './received-parts-driver.js'
import { backoffMs, type Chunk, isSame } from './snapshot-source-driver.js'

/** Parts of a snapshot asked for at a time. */
export const snapshotChunksInFlightMax = 8
/** Damaged parts of one snapshot after which it is given up. */
export const damagedChunksMax = 64
/** Larger snapshots are refused. */
export const snapshotSizeBytesMax = 2 ** 40

export type SnapshotOffer = Extract<RaftEvent, { readonly type: 'SnapshotOffered' }>

export interface SnapshotSinkComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly disk: Disk
  readonly engine: Engine
  readonly raft: RaftDriver
  readonly logger: Logger
  readonly counters: ConsensusCounters
  emit(event: ConsensusEvent): void
  /** All parts are here. */
  onReady(): void
}

export interface SnapshotSinkOptions {
  readonly group: GroupId
  readonly chunkTimeoutMs: number
  /** What a process before this one had of a snapshot; the engine has kept it. */
  readonly left: PartsManifest | null
}

/** One snapshot on its way. */
interface Pull {
  offer: SnapshotOffer
  parts: ReceivedParts | null
  /** Parts from here on were not asked for yet. */
  next: number
  /** Asked for in vain. */
  readonly again: number[]
  asking: number
  damaged: number
}

export class SnapshotSink {
  readonly #components: SnapshotSinkComponents
  readonly #group: GroupId
  readonly #chunkTimeoutMs: number
  readonly #manifest: PartsManifestFile
  #left: PartsManifest | null
  #pull: Pull | null = null
  /** Of a restore that was given up: the engine takes one at a time. */
  #clearing: Promise<void> = Promise.resolve()
  #isFinishing = false
  #failures = 0
  /** As the counter has it. */
  #missingBytes = 0
  #refusesUntil = Number.NEGATIVE_INFINITY as MonotonicMs
  #isStopped = false

  constructor(components: SnapshotSinkComponents, options: SnapshotSinkOptions) {
    this.#components = components
    this.#group = options.group
    this.#chunkTimeoutMs = options.chunkTimeoutMs
    this.#left = options.left
    this.#manifest = new PartsManifestFile(components.disk, options.group)
  }

  get isReady(): boolean {
    return this.#pull?.parts?.isComplete ?? false
  }

  get chunksInFlight(): number {
    return this.#pull?.asking ?? 0
  }

  offer(offer: SnapshotOffer): void {
    const { clock, engine, raft } = this.#components
    if (this.#isStopped || this.#isFinishing || this.isReady) return
    const { index, sizeBytes } = offer.snapshot
    const pull = this.#pull
    if (pull !== null && isSame(pull.offer.snapshot.sha256, offer.snapshot.sha256)) {
      pull.offer = offer
      this.#ask(pull)
    } else if (engine.restore === undefined || sizeBytes > snapshotSizeBytesMax) {
      raft.refuseSnapshot(index)
    } else if (clock.now() < this.#refusesUntil) {
      raft.refuseSnapshot(index)
    } else if (raft.needsSnapshot(index)) {
      this.#begin(offer)
    }
  }

  /** What the log has brought meanwhile need not come in a snapshot. */
  dropIfMoot(): void {
    const left = this.#left
    if (left !== null && !this.#components.raft.needsSnapshot(left.snapshot.index)) {
      this.#left = null
      this.#clear(() => this.#forget(left))
    }
    const pull = this.#pull
    if (pull === null || this.#isFinishing) return
    if (!this.#components.raft.needsSnapshot(pull.offer.snapshot.index)) this.#abandon(pull)
  }

  /**
   * Replaces the engine's content, when all is here and of use still. Null: the engine is what it
   * was.
   * @throws the engine's error when it is not known what its content is
   */
  async finish(): Promise<LogBase | null> {
    this.dropIfMoot()
    const pull = this.#pull
    const parts = pull?.parts ?? null
    if (pull === null || parts === null || !parts.isComplete) return null
    this.#isFinishing = true
    const { base, snapshot, from } = pull.offer
    try {
      await parts.finish([{ key: baseKey, value: encodeBase(base) }])
    } catch (error) {
      if ((error as Partial<SkeinError>).code !== 'ERR_SKEIN_SNAPSHOT_REFUSED') throw error
      this.#fail(pull, error)
      return null
    } finally {
      this.#isFinishing = false
    }
    this.#pull = null
    this.#clear(() => parts.abandon())
    this.#failures = 0
    const { index, sizeBytes } = snapshot
    const { counters, emit, logger } = this.#components
    counters.add('snapshots_installed')
    logger.info({ group: this.#group, index, sizeBytes, from }, 'a snapshot was taken in')
    emit({ type: 'SnapshotInstalled', group: this.#group, index, sizeBytes, from: nodeOf(from) })
    return base
  }

  /** What has arrived stays, for the next process. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const parts = this.#pull?.parts ?? null
    this.#pull = null
    this.#noteMissing(0)
    if (parts !== null) this.#clear(() => parts.suspend())
    await this.#clearing
  }

  #begin(offer: SnapshotOffer): void {
    if (this.#pull !== null) this.#abandon(this.#pull)
    const pull: Pull = { offer, parts: null, next: 0, again: [], asking: 0, damaged: 0 }
    this.#pull = pull
    this.#open(pull).catch((error: unknown) => this.#fail(pull, error))
  }

  async #open(pull: Pull): Promise<void> {
    await this.#clearing
    if (this.#pull !== pull) return
    const { counters, engine, logger } = this.#components
    const { snapshot } = pull.offer
    const left = this.#left
    this.#left = null
    const isLeft = left !== null && isSame(left.snapshot.sha256, snapshot.sha256)
    const components = { engine, manifest: this.#manifest }
    const parts = await ReceivedParts.open(components, snapshot, isLeft ? left : null)
    if (parts === null) return
    if (this.#pull !== pull) {
      this.#clear(() => (this.#isStopped ? parts.suspend() : parts.abandon()))
      return
    }
    const { resumedBytes } = parts
    counters.add('snapshot_bytes_resumed', resumedBytes)
    if (isLeft) logger.info({ group: this.#group, resumedBytes }, 'a snapshot is gone on with')
    pull.parts = parts
    this.#noteMissing(parts.missingBytes)
    if (this.isReady) this.#components.onReady()
    else this.#ask(pull)
  }

  #ask(pull: Pull): void {
    const { parts } = pull
    if (parts === null) return
    while (pull.asking < snapshotChunksInFlightMax) {
      let number = pull.again.pop()
      if (number === undefined) {
        number = parts.missingFrom(pull.next)
        if (number >= parts.count) return
        pull.next = number + 1
      }
      pull.asking++
      this.#fetch(pull, parts, number)
    }
  }

  #fetch(pull: Pull, parts: ReceivedParts, number: number): void {
    const { clock, messenger } = this.#components
    const { from, snapshot } = pull.offer
    const request = { group: this.#group, sha256: snapshot.sha256, number }
    const deadline = after(clock.now(), this.#chunkTimeoutMs)
    messenger
      .request(nodeOf(from), snapshotChunkRequest, request, { deadline, group: this.#group })
      .then(
        (chunk) => this.#take(pull, parts, number, chunk),
        // Its turn comes with the next offer.
        () => {
          pull.asking--
          pull.again.push(number)
        }
      )
      .catch((error: unknown) => this.#fail(pull, error))
  }

  async #take(pull: Pull, parts: ReceivedParts, number: number, chunk: Chunk): Promise<void> {
    if (this.#pull !== pull) return
    const { counters } = this.#components
    const length = parts.lengthOf(number)
    const isIntact = chunk.bytes.length === length && crc32c(chunk.bytes) === chunk.checksum
    if (isIntact) {
      await parts.take(number, chunk.bytes.slice(), chunk.checksum)
      counters.add('snapshot_chunks_received')
      counters.add('snapshot_bytes_received', length)
      if (this.#pull === pull) this.#noteMissing(parts.missingBytes)
    } else {
      counters.add('snapshot_chunks_damaged')
      if (++pull.damaged > damagedChunksMax) throw new ProtocolError('too many parts are damaged')
      pull.again.push(number)
    }
    pull.asking--
    if (this.#pull !== pull) return
    if (this.isReady) this.#components.onReady()
    else this.#ask(pull)
  }

  #noteMissing(bytes: number): void {
    this.#components.counters.add('snapshot_bytes_missing', bytes - this.#missingBytes)
    this.#missingBytes = bytes
  }

  #fail(pull: Pull, error: unknown): void {
    if (this.#pull !== pull || this.#isStopped) return
    const { clock, counters, emit, logger, raft } = this.#components
    const { code, message } = factsOf(error)
    counters.add('snapshots_failed')
    logger.warn({ group: this.#group, error }, 'a snapshot could not be taken in')
    emit({ type: 'SnapshotFailed', group: this.#group, code, message })
    this.#refusesUntil = after(clock.now(), backoffMs(this.#failures++))
    this.#abandon(pull)
    raft.refuseSnapshot(pull.offer.snapshot.index)
  }

  #abandon({ parts }: Pull): void {
    this.#pull = null
    this.#noteMissing(0)
    if (parts !== null) this.#clear(() => parts.abandon())
  }

  /** Of what nobody goes on with. */
  async #forget({ snapshot }: PartsManifest): Promise<void> {
    await (await this.#components.engine.restore?.(snapshot))?.abandon()
    await this.#manifest.remove()
  }

  #clear(work: () => Promise<void>): void {
    this.#clearing = this.#clearing.then(work).catch((error: unknown) => {
      this.#components.logger.warn({ group: this.#group, error }, 'a restore was not cleared away')
    })
  }
}
