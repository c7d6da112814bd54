/**
 * The parts of one snapshot that have arrived: their bytes in the engine's restore, and which they
 * are in a manifest beside it, so that a process which dies need not be sent them again.
 *
 * 1. What a manifest claims is checked part by part before it counts, for a crash may have lost
 *    what it tells of; what does not fit is missing, no more.
 * 2. A record is written when its bytes are durable, for so many parts at a time; a crash costs at
 *    most those and what is on its way.
 * 3. One snapshot at a time: whatever begins or ends takes the place of what was there.
 */
import { SnapshotRefusedError } from '../../core/errors.js'
import type {
  Engine,
  EngineRestore,
  SnapshotDescription,
  SystemWrite
} from '../../core/ports/engine.js'
import { crc32c } from '../../wire/crc32c.js'
import { snapshotChunkBytes } from './group-messages.js'
import type { PartRecord, PartsManifest } from './parts-manifest.js'
import type { PartsManifestFile } from './parts-manifest-driver.js'

/** Parts after which it is made durable which they are. */
export const partsPerRecord = 32

export interface ReceivedPartsComponents {
  readonly engine: Engine
  readonly manifest: PartsManifestFile
}

export class ReceivedParts {
  readonly #restore: EngineRestore
  readonly #manifest: PartsManifestFile
  readonly #snapshot: SnapshotDescription
  readonly #isHere: Uint8Array
  readonly count: number
  #received = 0
  #missingBytes: number
  #resumedBytes = 0
  #unrecorded: PartRecord[] = []
  #recording: Promise<void> = Promise.resolve()

  private constructor(
    restore: EngineRestore,
    manifest: PartsManifestFile,
    snapshot: SnapshotDescription
  ) {
    this.#restore = restore
    this.#manifest = manifest
    this.#snapshot = snapshot
    this.count = Math.ceil(snapshot.sizeBytes / snapshotChunkBytes)
    this.#missingBytes = snapshot.sizeBytes
    this.#isHere = new Uint8Array(this.count)
  }

  /**
   * `left`: what a process before this one had of the same snapshot; null: it begins anew.
   * @throws SnapshotRefusedError of another format, or there is no room for it
   */
  static async open(
    { engine, manifest }: ReceivedPartsComponents,
    snapshot: SnapshotDescription,
    left: PartsManifest | null
  ): Promise<ReceivedParts | null> {
    const restore = await engine.restore?.(snapshot, { resumes: left !== null })
    if (restore === undefined) return null
    const parts = new ReceivedParts(restore, manifest, snapshot)
    try {
      await parts.#begin(left)
    } catch (error) {
      await parts.abandon()
      throw error
    }
    return parts
  }

  get isComplete(): boolean {
    return this.#received === this.count
  }

  get missingBytes(): number {
    return this.#missingBytes
  }

  /** What was here already. */
  get resumedBytes(): number {
    return this.#resumedBytes
  }

  /** The first part at or behind `part` that is not here; `count`: none. */
  missingFrom(part: number): number {
    let next = part
    while (next < this.count && this.#isHere[next] === 1) next++
    return next
  }

  lengthOf(part: number): number {
    return Math.min(snapshotChunkBytes, this.#snapshot.sizeBytes - part * snapshotChunkBytes)
  }

  /** `checksum` is that of `bytes`. @throws SnapshotRefusedError there is no room */
  async take(part: number, bytes: Uint8Array, checksum: number): Promise<void> {
    await this.#restore.write(part * snapshotChunkBytes, bytes)
    this.#note(part)
    if (this.#restore.lasting === undefined) return
    this.#unrecorded.push([part, checksum])
    if (this.#unrecorded.length >= partsPerRecord) await this.#record()
  }

  /** @throws as the engine's `finish` */
  async finish(systemWrites: readonly SystemWrite[]): Promise<void> {
    await this.#recording.catch(() => {})
    await this.#restore.finish(systemWrites)
  }

  /** Nothing is left of them; also when they are in the engine's content now. */
  async abandon(): Promise<void> {
    await this.#recording.catch(() => {})
    await this.#restore.abandon()
    await this.#manifest.remove()
  }

  /** Everything that has arrived is left for a later process, where the engine can. */
  async suspend(): Promise<void> {
    const { lasting } = this.#restore
    if (lasting === undefined) return this.#restore.abandon()
    try {
      await this.#record()
    } finally {
      await lasting.suspend()
      await this.#manifest.close()
    }
  }

  async #begin(left: PartsManifest | null): Promise<void> {
    const { lasting } = this.#restore
    if (lasting === undefined) return
    const intact: PartRecord[] = []
    for (const [part, checksum] of left?.checksums ?? []) {
      if (part >= this.count) continue
      const bytes = await lasting.read(part * snapshotChunkBytes, this.lengthOf(part))
      if (bytes.length !== this.lengthOf(part) || crc32c(bytes) !== checksum) continue
      intact.push([part, checksum])
      this.#note(part)
      this.#resumedBytes += bytes.length
    }
    await refusing(() => this.#manifest.begin(this.#snapshot, intact))
  }

  #note(part: number): void {
    if (this.#isHere[part] === 1) return
    this.#isHere[part] = 1
    this.#received++
    this.#missingBytes -= this.lengthOf(part)
  }

  #record(): Promise<void> {
    this.#recording = this.#recording.then(async () => {
      const records = this.#unrecorded
      this.#unrecorded = []
      if (records.length === 0) return
      await this.#restore.lasting?.sync()
      await refusing(() => this.#manifest.append(records))
    })
    return this.#recording
  }
}

/** What fails there is beside the replica's data and log. */
async function refusing(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    throw new SnapshotRefusedError('which parts have arrived could not be noted', { cause })
  }
}
