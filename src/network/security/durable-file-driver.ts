import { CertificateError } from '../../core/errors.js'
import type { Disk } from '../../core/ports/disk.js'
import { crc32c } from '../../wire/crc32c.js'

const checksumBytes = 4

/**
 * A small file that is replaced whole: after a crash or a full disk it is what it was before or
 * what it became, never half of it. Readable by its owner alone, as all files of a `Disk` are.
 *
 *   file = u32 CRC-32C of the rest, content
 */
export class DurableFile {
  readonly #disk: Disk
  readonly #directory: string
  readonly #path: string

  constructor(disk: Disk, directory: string, name: string) {
    this.#disk = disk
    this.#directory = directory
    this.#path = `${directory}/${name}`
  }

  /** Null: there is none. @throws CertificateError its bytes are not those that were written */
  async read(): Promise<Uint8Array | null> {
    await this.#disk.makeDirectory(this.#directory)
    const bytes = await this.#disk.readFile(this.#path)
    if (bytes === null) return null
    const content = bytes.subarray(checksumBytes)
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length >= checksumBytes && view.getUint32(0) === crc32c(content)) return content
    throw new CertificateError(`${this.#path}: is damaged`)
  }

  /** Durable when it resolves. @throws DiskFailedError what was there is still there */
  async replace(content: Uint8Array): Promise<void> {
    const checksum = new Uint8Array(checksumBytes)
    new DataView(checksum.buffer).setUint32(0, crc32c(content))
    const aside = `${this.#path}.new`
    const file = await this.#disk.open(aside)
    try {
      await file.truncate(0)
      await file.write(0, [checksum, content])
      await file.sync()
    } finally {
      await file.close()
    }
    await this.#disk.rename(aside, this.#path)
    await this.#disk.syncDirectory(this.#directory)
  }
}
