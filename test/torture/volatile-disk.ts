/**
 * A real disk for tests, on which SIGKILL is a power failure: bytes and names that nobody has
 * synced are in the memory of the process alone, so they die with it.
 *
 * 1. A file's bytes are below when `sync` or `writeDurably` resolves, those before it in the same
 *    `sync` too; of others, only what `writeBack` lets through, in any order, torn or whole.
 * 2. A name is below when its directory was synced, and that of the directory itself. A file that
 *    was synced under a name that was not is lost with it.
 * 3. Nothing appears below half: a file takes its durable bytes with it when its name appears.
 */
import { createHash } from 'node:crypto'
import { assert } from '../../src/core/index.js'
import type { Disk, DiskFile, DiskLock, DiskReader } from '../../src/core/ports/disk.js'
import { VolatileFile, type WriteBack } from './volatile-file.js'

type Entry = VolatileFile | 'directory'

type NameChange = {
  readonly path: string
  /** Its directory was synced, which is not durable itself yet. */
  isSynced: boolean
} & (
  | { readonly kind: 'file'; readonly file: VolatileFile }
  | { readonly kind: 'directory' | 'remove' }
  | { readonly kind: 'rename'; readonly to: string; readonly file: VolatileFile }
)

/** Where files get their bytes before they get their name. */
const wings = '.unnamed'

export class VolatileDisk implements Disk {
  readonly #disk: Disk
  readonly #writeBack: WriteBack
  /** Names as the process sees them, where they are not those below; null: gone. */
  readonly #names = new Map<string, Entry | null>()
  readonly #changes: NameChange[] = []
  /** Of files, so that their versions differ. */
  readonly #numbers = new WeakMap<VolatileFile, number>()
  #numbered = 0
  #appeared = 0
  #last: Promise<unknown> = Promise.resolve()

  constructor(disk: Disk, writeBack: WriteBack = () => 0) {
    this.#disk = disk
    this.#writeBack = writeBack
  }

  makeDirectory(path: string): Promise<void> {
    return this.#alone(async () => {
      const parts = partsOf(path)
      for (let length = 1; length <= parts.length; length++) {
        const directory = parts.slice(0, length).join('/')
        if (await this.#isThere(directory)) continue
        this.#names.set(directory, 'directory')
        this.#changes.push({ kind: 'directory', path: directory, isSynced: false })
      }
    })
  }

  list(path: string): Promise<string[]> {
    return this.#alone(() => this.#list(normal(path)))
  }

  readFile(path: string): Promise<Uint8Array | null> {
    return this.#alone(async () => {
      const entry = this.#names.get(normal(path))
      if (entry === 'directory') throw systemError('EISDIR', path)
      if (entry === undefined) return this.#disk.readFile(path)
      return entry === null ? null : entry.read()
    })
  }

  open(path: string): Promise<DiskFile> {
    return this.#alone(async () => {
      const name = normal(path)
      const file = (await this.#find(name)) ?? (await this.#create(name))
      file.open()
      return new OpenFile(file)
    })
  }

  openRead(path: string): Promise<DiskReader | null> {
    return this.#alone(async () => {
      const name = normal(path)
      const entry = this.#names.get(name)
      if (entry === 'directory') throw systemError('EISDIR', path)
      if (entry === undefined) return this.#disk.openRead(name)
      return entry === null ? null : readerOf(entry, this.#numberOf(entry))
    })
  }

  #numberOf(file: VolatileFile): number {
    const number = this.#numbers.get(file) ?? ++this.#numbered
    this.#numbers.set(file, number)
    return number
  }

  rename(from: string, to: string): Promise<void> {
    return this.#alone(async () => {
      const [path, target] = [normal(from), normal(to)]
      const file = await this.#expect(path)
      this.#names.set(path, null)
      this.#names.set(target, file)
      this.#changes.push({ kind: 'rename', path, to: target, file, isSynced: false })
    })
  }

  remove(path: string): Promise<void> {
    return this.#alone(async () => {
      const name = normal(path)
      await this.#expect(name)
      this.#names.set(name, null)
      this.#changes.push({ kind: 'remove', path: name, isSynced: false })
    })
  }

  syncDirectory(path: string): Promise<void> {
    return this.#alone(async () => {
      const directory = normal(path)
      if (!(await this.#isThere(directory))) throw systemError('ENOENT', path)
      for (const change of this.#changes) if (isBelow(change, directory)) change.isSynced = true
      if (!this.#isPending(directory)) await this.#settle(directory)
    })
  }

  lock(path: string): Promise<DiskLock> {
    return this.#disk.lock(path)
  }

  /** The directory is below, and what was synced in it comes below now. */
  async #settle(directory: string): Promise<void> {
    const ready = this.#changes.filter(
      (change) => change.isSynced && isBelow(change, directory) && !this.#isHeldBack(change)
    )
    for (const change of ready) {
      await this.#perform(change)
      this.#changes.splice(this.#changes.indexOf(change), 1)
      if (change.kind === 'directory') await this.#settle(change.path)
    }
    await this.#disk.syncDirectory(directory)
  }

  #isPending(directory: string): boolean {
    return this.#changes.some(({ kind, path }) => kind === 'directory' && path === directory)
  }

  #isHeldBack(change: NameChange): boolean {
    return change.kind === 'rename' && this.#isPending(parentOf(change.to))
  }

  async #perform(change: NameChange): Promise<void> {
    switch (change.kind) {
      case 'directory':
        return this.#disk.makeDirectory(change.path)
      case 'remove':
        return this.#disk.remove(change.path)
      case 'rename':
        await this.#disk.rename(change.path, change.to)
        return change.file.rename(change.to)
      case 'file':
        return change.file.appear(change.path, (bytes) => this.#put(change.path, bytes))
    }
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    await this.#disk.makeDirectory(wings)
    const waiting = `${wings}/${++this.#appeared}`
    const file = await this.#disk.open(waiting)
    await file.truncate(0)
    await file.writeDurably(0, [bytes])
    await file.close()
    await this.#disk.rename(waiting, path)
  }

  async #list(path: string): Promise<string[]> {
    const names = new Set(await this.#disk.list(path))
    names.delete(wings)
    for (const [name, entry] of this.#names) {
      if (parentOf(name) !== path) continue
      if (entry === null) names.delete(nameOf(name))
      else names.add(nameOf(name))
    }
    return [...names].sort()
  }

  async #isThere(path: string): Promise<boolean> {
    if (path === '') return true
    const entry = this.#names.get(path)
    if (entry !== undefined) return entry !== null
    return (await this.#disk.list(parentOf(path))).includes(nameOf(path))
  }

  async #find(path: string): Promise<VolatileFile | null> {
    const entry = this.#names.get(path)
    if (entry === 'directory') throw systemError('EISDIR', path)
    if (entry !== undefined) return entry
    if (!(await this.#isThere(path))) return null
    const file = await VolatileFile.at(this.#disk, this.#writeBack, path)
    this.#names.set(path, file)
    return file
  }

  async #expect(path: string): Promise<VolatileFile> {
    const file = await this.#find(path)
    if (file === null) throw systemError('ENOENT', path)
    return file
  }

  async #create(path: string): Promise<VolatileFile> {
    if (!(await this.#isThere(parentOf(path)))) throw systemError('ENOENT', path)
    const file = VolatileFile.unnamed(this.#disk, this.#writeBack)
    this.#names.set(path, file)
    this.#changes.push({ kind: 'file', path, file, isSynced: false })
    return file
  }

  /** Names change one after the other. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}

async function readerOf(file: VolatileFile, number: number): Promise<DiskReader> {
  const bytes = await file.read()
  return {
    sizeBytes: bytes.length,
    version: `${number}.${createHash('sha256').update(bytes).digest('hex')}`,
    read: async (offset, lengthMax) => (await file.read()).slice(offset, offset + lengthMax),
    close: async () => {}
  }
}

class OpenFile implements DiskFile {
  readonly #file: VolatileFile
  #isClosed = false

  constructor(file: VolatileFile) {
    this.#file = file
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.#opened.write(offset, chunks)
  }

  async writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.#opened.writeDurably(offset, chunks)
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#opened.truncate(sizeBytes)
  }

  async sync(): Promise<void> {
    await this.#opened.sync()
  }

  async close(): Promise<void> {
    const file = this.#opened
    this.#isClosed = true
    await file.close()
  }

  get #opened(): VolatileFile {
    assert(!this.#isClosed, 'the file is closed')
    return this.#file
  }
}

const isBelow = (change: NameChange, directory: string): boolean =>
  parentOf(change.path) === directory ||
  (change.kind === 'rename' && parentOf(change.to) === directory)

const partsOf = (path: string): string[] =>
  path.split('/').filter((part) => part !== '' && part !== '.')

const normal = (path: string): string => partsOf(path).join('/')

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

const systemError = (code: string, what: string): Error & { code: string } =>
  Object.assign(new Error(`${code}: ${what}`), { code })
