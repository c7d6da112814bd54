/**
 * The shelf of a node: one flat directory of files that members may fetch, and a second one of
 * those that are on their way here. A name from outside becomes a path in `pathOf` alone, which
 * takes nothing but plain names; files on their way are called by the digest of their content.
 */
import { NotFoundError } from '../../core/errors.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk, DiskReader } from '../../core/ports/disk.js'
import { isServedName, isStateFile } from './file-name.js'
import type { FileFacts } from './file-receiver.js'
import { discardPartial, PartialFile, partialsAmong } from './partial-file-driver.js'

const shelfDirectory = 'files'
const incomingDirectory = 'files-incoming'
/** Digests of files that are remembered, so that asking again does not read them again. */
const digestsMax = 64
/** Read and hashed at a time. */
const readBytes = 512 * 1024

export interface FileShelfComponents {
  readonly disk: Disk
  readonly crypto: Crypto
}

export class FileShelf {
  readonly #components: FileShelfComponents
  readonly #partialsMax: number
  /** By name and version of the file; the one asked for longest ago goes first. */
  readonly #digests = new Map<string, Promise<FileFacts>>()
  /** Partial files that are open, by their names. */
  readonly #open = new Set<string>()
  #ready: Promise<void> | null = null

  constructor(components: FileShelfComponents, partialsMax: number) {
    this.#components = components
    this.#partialsMax = partialsMax
  }

  /** What a file is, read whole unless that is known. @throws NotFoundError */
  async describe(name: string): Promise<FileFacts> {
    const reader = await this.openToRead(name)
    const key = `${name}\n${reader.version}`
    const known = this.#digests.get(key)
    const facts = known ?? this.#hash(reader)
    this.#digests.delete(key)
    this.#digests.set(key, facts)
    const [oldest] = this.#digests.keys()
    if (this.#digests.size > digestsMax && oldest !== undefined) this.#digests.delete(oldest)
    try {
      return await facts
    } catch (error) {
      this.#digests.delete(key)
      throw error
    } finally {
      await reader.close()
    }
  }

  /** @throws NotFoundError there is no such file, or none may have that name */
  async openToRead(name: string): Promise<DiskReader> {
    await this.#prepare()
    const path = pathOf(name)
    const reader = path === null ? null : await this.#components.disk.openRead(path)
    if (reader === null) throw new NotFoundError(`no file ${JSON.stringify(name)} is on the shelf`)
    return reader
  }

  /** Whether this very content stands there already. */
  async holds(name: string, facts: FileFacts): Promise<boolean> {
    await this.#prepare()
    const path = pathOf(name)
    const reader = path === null ? null : await this.#components.disk.openRead(path)
    if (reader === null) return false
    await reader.close()
    if (reader.sizeBytes !== facts.sizeBytes) return false
    return hexOf((await this.describe(name)).sha256) === hexOf(facts.sha256)
  }

  /** Null: the same content is on its way here already. */
  async openPartial(
    facts: FileFacts,
    chunkBytes: number,
    signal: AbortSignal
  ): Promise<PartialFile | null> {
    await this.#prepare()
    const name = hexOf(facts.sha256)
    if (this.#open.has(name)) return null
    this.#open.add(name)
    try {
      await this.#forgetPartials(name)
      const path = `${incomingDirectory}/${name}`
      const partial = await PartialFile.open(
        { ...this.#components, path },
        facts,
        chunkBytes,
        signal
      )
      await this.#components.disk.syncDirectory(incomingDirectory)
      return partial
    } catch (error) {
      this.#open.delete(name)
      throw error
    }
  }

  /** The file stands on the shelf, durable, in the place of one of that name. */
  async finish(partial: PartialFile, name: string): Promise<void> {
    const path = pathOf(name)
    if (path === null) throw new NotFoundError(`no file may be called ${JSON.stringify(name)}`)
    await partial.finish(shelfDirectory, path)
    this.#open.delete(hexOf(partial.facts.sha256))
  }

  /** @param keep false: nothing of it is worth going on with */
  async release(partial: PartialFile, keep: boolean): Promise<void> {
    if (keep) await partial.close()
    else await partial.discard()
    this.#open.delete(hexOf(partial.facts.sha256))
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    await this.#prepare()
    const path = pathOf(name)
    if (path === null) throw new NotFoundError(`no file may be called ${JSON.stringify(name)}`)
    const file = await this.#components.disk.open(path)
    try {
      await file.truncate(0)
      await file.write(0, [bytes])
    } finally {
      await file.close()
    }
  }

  /** @throws NotFoundError */
  async readAll(name: string): Promise<Uint8Array> {
    const path = pathOf(name)
    const bytes = path === null ? null : await this.#components.disk.readFile(path)
    if (bytes === null) throw new NotFoundError(`no file ${JSON.stringify(name)} is on the shelf`)
    return bytes
  }

  async remove(name: string): Promise<void> {
    await this.#prepare()
    const path = pathOf(name)
    const reader = path === null ? null : await this.#components.disk.openRead(path)
    if (path === null || reader === null) return
    await reader.close()
    await this.#components.disk.remove(path)
  }

  /** Once, and before anything else: states that a former process left behind are of no use. */
  #prepare(): Promise<void> {
    this.#ready ??= this.#makeReady()
    return this.#ready
  }

  async #makeReady(): Promise<void> {
    const { disk } = this.#components
    await disk.makeDirectory(shelfDirectory)
    await disk.makeDirectory(incomingDirectory)
    for (const name of await disk.list(shelfDirectory)) {
      if (isStateFile(name)) await disk.remove(`${shelfDirectory}/${name}`)
    }
    await disk.syncDirectory('')
  }

  async #forgetPartials(except: string): Promise<void> {
    const { disk } = this.#components
    const kept = partialsAmong(await disk.list(incomingDirectory)).filter((name) => name !== except)
    const idle = kept.filter((name) => !this.#open.has(name))
    for (const name of idle.slice(0, Math.max(0, kept.length - this.#partialsMax + 1))) {
      await discardPartial(disk, `${incomingDirectory}/${name}`)
    }
  }

  async #hash(reader: DiskReader): Promise<FileFacts> {
    const hash = this.#components.crypto.startSha256()
    for (let offset = 0; offset < reader.sizeBytes; ) {
      const bytes = await reader.read(offset, Math.min(readBytes, reader.sizeBytes - offset))
      if (bytes.length === 0) throw new NotFoundError('the file became shorter while it was read')
      hash.update(bytes)
      offset += bytes.length
    }
    return { sizeBytes: reader.sizeBytes, sha256: hash.digest() }
  }
}

/** Null: no file is called so. */
const pathOf = (name: string): string | null =>
  isServedName(name) ? `${shelfDirectory}/${name}` : null

export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
