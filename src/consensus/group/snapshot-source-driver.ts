/**
 * The snapshot that a replica holds for others: taken when Raft wants one, served in parts to
 * whoever asks, given up when nobody has asked for long, or when it is older than the log.
 *
 * A snapshot that cannot be taken, for want of space say, is an error of the transfer: it is tried
 * again, ever more rarely, and the replica goes on.
 */
import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import { InvalidArgumentError, NotFoundError } from '../../core/errors.js'
import type { ConsensusEvent } from '../../core/events.js'
import type { GroupId, MonotonicMs } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Engine, EngineSnapshot } from '../../core/ports/engine.js'
import type { Logger } from '../../core/ports/logger.js'
import { factsOf } from '../../core/remote-error.js'
import type { TypeOf } from '../../wire/codec.js'
import { crc32c } from '../../wire/crc32c.js'
import type { ConsensusCounters } from '../counters.js'
import { snapshotChunkBytes, type snapshotChunkRequest } from './group-messages.js'
import type { RaftDriver } from './raft-driver.js'

export type ChunkRequest = TypeOf<typeof snapshotChunkRequest.codec>
export type Chunk = TypeOf<typeof snapshotChunkRequest.response.codec>

/** A snapshot that failed is tried again after the first, then twice as long, up to the second. */
export const snapshotBackoffMinMs = 1_000
export const snapshotBackoffMaxMs = 60_000

export interface SnapshotSourceComponents {
  readonly clock: Clock
  readonly engine: Engine
  readonly raft: RaftDriver
  readonly logger: Logger
  readonly counters: ConsensusCounters
  emit(event: ConsensusEvent): void
}

export class SnapshotSource {
  readonly #components: SnapshotSourceComponents
  readonly #group: GroupId
  readonly #keepMs: number
  readonly #timer: DeadlineTimer
  #kept: EngineSnapshot | null = null
  #taking: Promise<void> | null = null
  #usedAt = 0 as MonotonicMs
  #servedBytes = 0
  #failures = 0
  #isStopped = false

  constructor(
    components: SnapshotSourceComponents,
    options: { readonly group: GroupId; readonly keepMs: number }
  ) {
    this.#components = components
    this.#group = options.group
    this.#keepMs = options.keepMs
    this.#timer = new DeadlineTimer(components.clock, (now) => this.#handleTimeout(now))
  }

  /** The log must not be compacted: it would outrun what is being taken. */
  get isTaking(): boolean {
    return this.#taking !== null
  }

  /** How far the snapshot that is kept was sent, by what was asked for last; 1: there is none. */
  get servedShare(): number {
    if (this.isTaking) return 0
    if (this.#kept === null) return 1
    return Math.min(1, this.#servedBytes / this.#kept.description.sizeBytes)
  }

  /** Raft has a use for one. */
  want(): void {
    if (this.#isStopped || this.#taking !== null || this.#isBackingOff) return
    const { raft } = this.#components
    const description = this.#kept?.description
    if (description !== undefined && description.index >= raft.status().baseIndex) {
      this.#use()
      raft.handleSnapshot(description)
      return
    }
    this.#taking = this.#take().finally(() => {
      this.#taking = null
    })
  }

  /** @throws NotFoundError it is not here any more; InvalidArgumentError it has no such part */
  async serve({ sha256, number }: ChunkRequest): Promise<Chunk> {
    const kept = this.#kept
    if (kept === null || !isSame(kept.description.sha256, sha256)) {
      throw new NotFoundError('this snapshot is not here any more')
    }
    const offset = number * snapshotChunkBytes
    const { sizeBytes } = kept.description
    if (offset >= sizeBytes) throw new InvalidArgumentError('number', `no part ${number}`)
    this.#use()
    this.#servedBytes = offset + snapshotChunkBytes
    const bytes = await kept.read(offset, Math.min(snapshotChunkBytes, sizeBytes - offset))
    const { counters } = this.#components
    counters.add('snapshot_chunks_sent')
    counters.add('snapshot_bytes_sent', bytes.length)
    return { checksum: crc32c(bytes), bytes }
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    this.#timer.stop()
    await this.#taking
    await this.#drop()
  }

  async #take(): Promise<void> {
    const { engine, raft, counters, emit, logger } = this.#components
    if (engine.snapshot === undefined) return
    try {
      await this.#drop()
      this.#kept = await engine.snapshot()
      this.#servedBytes = 0
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#failures = 0
    const { index, sizeBytes } = this.#kept.description
    counters.add('snapshots_taken')
    logger.info({ group: this.#group, index, sizeBytes }, 'a snapshot was taken')
    emit({ type: 'SnapshotTaken', group: this.#group, index, sizeBytes })
    this.#use()
    raft.handleSnapshot(this.#kept.description)
  }

  get #isBackingOff(): boolean {
    return this.#failures > 0 && this.#timer.isArmed
  }

  #fail(error: unknown): void {
    const { clock, counters, emit, logger } = this.#components
    const { code, message } = factsOf(error)
    counters.add('snapshots_failed')
    logger.warn({ group: this.#group, error }, 'no snapshot could be taken')
    emit({ type: 'SnapshotFailed', group: this.#group, code, message })
    this.#timer.arm(after(clock.now(), backoffMs(this.#failures++)))
  }

  #use(): void {
    this.#usedAt = this.#components.clock.now()
    if (!this.#timer.isArmed) this.#timer.arm(after(this.#usedAt, this.#keepMs))
  }

  /** The time to try again, or nobody has asked for long. */
  #handleTimeout(now: MonotonicMs): void {
    const { raft, logger } = this.#components
    if (this.#kept === null) {
      raft.handleSnapshot(null)
    } else if (now < after(this.#usedAt, this.#keepMs)) {
      this.#timer.arm(after(this.#usedAt, this.#keepMs))
    } else {
      raft.handleSnapshot(null)
      this.#drop().catch((error: unknown) => {
        logger.warn({ group: this.#group, error }, 'a snapshot could not be removed')
      })
    }
  }

  async #drop(): Promise<void> {
    const kept = this.#kept
    this.#kept = null
    await kept?.close()
  }
}

/** Before the try behind so many failures. */
export const backoffMs = (failures: number): number =>
  Math.min(snapshotBackoffMinMs * 2 ** Math.min(failures, 16), snapshotBackoffMaxMs)

export const isSame = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])
