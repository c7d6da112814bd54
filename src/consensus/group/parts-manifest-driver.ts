import type { GroupId } from '../../core/ids.js'
import type { Disk, DiskFile } from '../../core/ports/disk.js'
import type { SnapshotDescription } from '../../core/ports/engine.js'
import {
  decodeManifest,
  encodeManifestHeader,
  encodePartRecords,
  type PartRecord,
  type PartsManifest
} from './parts-manifest.js'

/** Where the manifests of all groups are. */
export const manifestDirectory = 'incoming'

/** The file of one group that outlives the process: which parts of which snapshot are here. */
export class PartsManifestFile {
  readonly #disk: Disk
  readonly #path: string
  #file: DiskFile | null = null
  #sizeBytes = 0

  constructor(disk: Disk, group: GroupId) {
    this.#disk = disk
    this.#path = `${manifestDirectory}/${group}`
  }

  /** Null: there is none that is of use. */
  async read(): Promise<PartsManifest | null> {
    const bytes = await this.#disk.readFile(this.#path)
    return bytes === null ? null : decodeManifest(bytes)
  }

  /** In place of what was there. Durable when it resolves. @throws DiskFailedError */
  async begin(snapshot: SnapshotDescription, records: readonly PartRecord[]): Promise<void> {
    await this.close()
    await this.#disk.makeDirectory(manifestDirectory)
    await this.#disk.syncDirectory('')
    const aside = `${this.#path}.new`
    const chunks = [encodeManifestHeader(snapshot), encodePartRecords(records)]
    const file = await this.#disk.open(aside)
    try {
      await file.truncate(0)
      await file.write(0, chunks)
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#disk.rename(aside, this.#path)
    await this.#disk.syncDirectory(manifestDirectory)
    // Anew: an open file does not follow its name.
    this.#file = await this.#disk.open(this.#path)
    this.#sizeBytes = this.#file.sizeBytes
  }

  /** Behind what is there. Durable when it resolves. @throws DiskFailedError */
  async append(records: readonly PartRecord[]): Promise<void> {
    const bytes = encodePartRecords(records)
    const offset = this.#sizeBytes
    this.#sizeBytes += bytes.length
    await this.#file?.writeDurably(offset, [bytes])
  }

  /** @throws DiskFailedError */
  async remove(): Promise<void> {
    await this.close()
    for (const name of [this.#path, `${this.#path}.new`]) {
      if ((await this.#disk.readFile(name)) !== null) await this.#disk.remove(name)
    }
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = null
    await file?.close()
  }
}
