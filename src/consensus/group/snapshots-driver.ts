/**
 * Snapshots of one replica's engine, both ways, and the log that may be short because of them.
 * Without an engine that takes snapshots, a follower could not be brought back once the log is
 * compacted: then it never is.
 */
import type { Config } from '../../core/config/schema.js'
import type { ConsensusEvent } from '../../core/events.js'
import type { GroupId } from '../../core/ids.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Engine } from '../../core/ports/engine.js'
import type { LogBase } from '../../core/ports/log-store.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Messenger } from '../../core/ports/messenger.js'
import type { TellQueue } from '../../core/tell-queue.js'
import type { ConsensusCounters } from '../counters.js'
import type { RaftEvent } from '../raft/types.js'
import { LogKeeper } from './log-keeper-driver.js'
import type { PartsManifest } from './parts-manifest.js'
import type { RaftDriver } from './raft-driver.js'
import { SnapshotSink, snapshotChunksInFlightMax } from './snapshot-sink-driver.js'
import { type Chunk, type ChunkRequest, SnapshotSource } from './snapshot-source-driver.js'
import { WritePace } from './write-pace-driver.js'

export interface SnapshotsComponents {
  readonly clock: Clock
  readonly messenger: Messenger
  readonly disk: Disk
  readonly engine: Engine
  readonly raft: RaftDriver
  readonly logger: Logger
  readonly counters: ConsensusCounters
  emit(event: ConsensusEvent): void
  /** There is work to do. */
  onWork(): void
}

type SnapshotEvent = Extract<
  RaftEvent,
  { readonly type: 'SnapshotWanted' } | { readonly type: 'SnapshotOffered' }
>

export class Snapshots {
  readonly #source: SnapshotSource
  readonly #sink: SnapshotSink
  readonly #keeper: LogKeeper
  readonly #pace: WritePace
  readonly #isAble: boolean

  constructor(
    components: SnapshotsComponents,
    options: {
      readonly group: GroupId
      readonly config: Config['consensus']
      readonly left: PartsManifest | null
    }
  ) {
    const { engine, logger } = components
    const { group, config, left } = options
    const { snapshotKeepMs: keepMs, snapshotChunkTimeoutMs: chunkTimeoutMs } = config
    this.#source = new SnapshotSource(components, { group, keepMs })
    const onReady = () => components.onWork()
    this.#sink = new SnapshotSink({ ...components, onReady }, { group, chunkTimeoutMs, left })
    this.#keeper = new LogKeeper(components, config)
    const transferredShare = () => this.#source.servedShare
    this.#pace = new WritePace({ ...components, transferredShare, onRelease: onReady }, config)
    this.#isAble =
      engine.capabilities().snapshots &&
      engine.snapshot !== undefined &&
      engine.restore !== undefined
    if (!this.#isAble)
      logger.info({ group }, 'the engine takes no snapshots: the log is kept whole')
  }

  tellQueues(tell: TellQueue): void {
    tell('snapshotChunksInFlightMax', this.#sink.chunksInFlight, snapshotChunksInFlightMax)
  }

  /** A snapshot is to replace the engine's content, or the log to be compacted. */
  get hasWork(): boolean {
    return this.#sink.isReady || this.#mustCompact
  }

  get #mustCompact(): boolean {
    return this.#isAble && !this.#source.isTaking && this.#keeper.isDue
  }

  handle(event: SnapshotEvent): void {
    if (event.type === 'SnapshotWanted') this.#source.want()
    else this.#sink.offer(event)
  }

  /** False: the next batch of writes waits for a replica that catches up. */
  get mayPropose(): boolean {
    return this.#pace.mayPropose
  }

  noteProposed(): void {
    this.#pace.noteProposed()
  }

  /** The log has brought more. */
  handleApplied(): void {
    this.#sink.dropIfMoot()
  }

  /**
   * Does what there is to do, in a turn of the owner's in which nothing else is done with the
   * engine. Null, or what the engine holds now.
   */
  async work(): Promise<LogBase | null> {
    if (this.#sink.isReady) return this.#sink.finish()
    if (this.#mustCompact) await this.#keeper.compact()
    return null
  }

  /** @throws NotFoundError, InvalidArgumentError */
  async serve(request: ChunkRequest): Promise<Chunk> {
    const chunk = await this.#source.serve(request)
    this.#pace.handleProgress()
    return chunk
  }

  async stop(): Promise<void> {
    this.#pace.stop()
    await this.#source.stop()
    await this.#sink.stop()
  }
}
