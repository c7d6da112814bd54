import { constants } from 'node:fs'
import { type FileHandle, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import {
  assert,
  type Disk,
  DiskFailedError,
  type DiskFile,
  type DiskLock,
  type DiskReader
} from '../core/index.js'
import { lockDirectory } from './directory-lock.js'
import { makeDirectory } from './make-directory.js'

/** Files below one root directory, readable by their owner alone. */
export class NodeDisk implements Disk {
  readonly #root: string

  /** @param root created with the first directory or lock made in it */
  constructor(root: string) {
    this.#root = resolve(root)
  }

  async makeDirectory(path: string): Promise<void> {
    await attempt(`create directory ${path}`, () => makeDirectory(this.#at(path)))
  }

  async list(path: string): Promise<string[]> {
    const names = await attempt(`list ${path}`, () => orMissing(readdir(this.#at(path))))
    return (names ?? []).sort()
  }

  readFile(path: string): Promise<Uint8Array | null> {
    return attempt(`read ${path}`, () => orMissing(readFile(this.#at(path))))
  }

  open(path: string): Promise<DiskFile> {
    return attempt(`open ${path}`, async () => {
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW
      const handle = await open(this.#at(path), flags, 0o600)
      const { size } = await handle.stat()
      const openDurable = () => open(this.#at(path), constants.O_WRONLY | constants.O_DSYNC)
      return new NodeDiskFile(handle, openDurable, path, size)
    })
  }

  openRead(path: string): Promise<DiskReader | null> {
    return attempt(`open ${path}`, async () => {
      // Whatever else lies there must neither be followed nor waited for.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      const handle = await orMissing(open(this.#at(path), flags))
      if (handle === null) return null
      const stat = await handle.stat({ bigint: true })
      if (stat.isFile()) {
        const version = `${stat.ino}.${stat.size}.${stat.mtimeNs}`
        return new NodeDiskReader(handle, path, Number(stat.size), version)
      }
      await handle.close()
      throw new DiskFailedError(`${path} is no plain file`)
    })
  }

  async rename(from: string, to: string): Promise<void> {
    await attempt(`rename ${from} to ${to}`, () => rename(this.#at(from), this.#at(to)))
  }

  async remove(path: string): Promise<void> {
    await attempt(`remove ${path}`, () => rm(this.#at(path)))
  }

  async syncDirectory(path: string): Promise<void> {
    await attempt(`sync directory ${path}`, async () => {
      const handle = await open(this.#at(path), constants.O_RDONLY)
      try {
        await handle.sync()
      } finally {
        await handle.close()
      }
    })
  }

  lock(path: string): Promise<DiskLock> {
    return attempt(`lock ${path}`, () => lockDirectory(this.#at(path)))
  }

  #at(path: string): string {
    const parts = path.split('/')
    assert(!path.startsWith('/') && !parts.includes('..'), `${path} leaves the directory`)
    return join(this.#root, path)
  }
}

/** Not on every system. */
const isDsyncKnown = Number.isInteger(constants.O_DSYNC)

class NodeDiskFile implements DiskFile {
  readonly #handle: FileHandle
  readonly #openDurable: () => Promise<FileHandle>
  readonly #path: string
  /** Its writes are durable when they end, which spares a second way through the thread pool. */
  #durable: FileHandle | null = null
  #sizeBytes: number
  /** After a failure nobody knows what the file holds: every later call fails with it. */
  #failure: unknown = null

  constructor(
    handle: FileHandle,
    openDurable: () => Promise<FileHandle>,
    path: string,
    sizeBytes: number
  ) {
    this.#handle = handle
    this.#openDurable = openDurable
    this.#path = path
    this.#sizeBytes = sizeBytes
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#failStop('write', () => this.#writeTo(this.#handle, offset, chunks))
  }

  writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    return this.#failStop('write durably', async () => {
      if (isDsyncKnown) {
        this.#durable ??= await this.#openDurable()
        await this.#writeTo(this.#durable, offset, chunks)
      } else {
        await this.#writeTo(this.#handle, offset, chunks)
        await this.#handle.datasync()
      }
    })
  }

  truncate(sizeBytes: number): Promise<void> {
    return this.#failStop('truncate', async () => {
      await this.#handle.truncate(sizeBytes)
      this.#sizeBytes = sizeBytes
    })
  }

  sync(): Promise<void> {
    return this.#failStop('sync', () => this.#handle.datasync())
  }

  async close(): Promise<void> {
    await attempt(`close ${this.#path}`, async () => {
      await this.#durable?.close()
      await this.#handle.close()
    })
  }

  async #writeTo(handle: FileHandle, offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    let at = offset
    let rest = chunks.filter((chunk) => chunk.length > 0)
    while (rest.length > 0) {
      const { bytesWritten } = await handle.writev(rest, at)
      assert(bytesWritten > 0, `a write of ${this.#path} wrote nothing`)
      at += bytesWritten
      rest = dropBytes(rest, bytesWritten)
    }
    this.#sizeBytes = Math.max(this.#sizeBytes, at)
  }

  async #failStop(verb: string, action: () => Promise<void>): Promise<void> {
    if (this.#failure !== null) {
      throw new DiskFailedError(`${this.#path} failed before`, { cause: this.#failure })
    }
    try {
      await attempt(`${verb} ${this.#path}`, action)
    } catch (error) {
      this.#failure = error
      throw error
    }
  }
}

class NodeDiskReader implements DiskReader {
  readonly sizeBytes: number
  readonly version: string
  readonly #handle: FileHandle
  readonly #path: string

  constructor(handle: FileHandle, path: string, sizeBytes: number, version: string) {
    this.#handle = handle
    this.#path = path
    this.sizeBytes = sizeBytes
    this.version = version
  }

  read(offset: number, lengthMax: number): Promise<Uint8Array> {
    return attempt(`read ${this.#path}`, async () => {
      const bytes = Buffer.allocUnsafeSlow(lengthMax)
      let length = 0
      while (length < lengthMax) {
        const at = offset + length
        const { bytesRead } = await this.#handle.read(bytes, length, lengthMax - length, at)
        if (bytesRead === 0) break
        length += bytesRead
      }
      return bytes.subarray(0, length)
    })
  }

  async close(): Promise<void> {
    await attempt(`close ${this.#path}`, () => this.#handle.close())
  }
}

function dropBytes(chunks: readonly Uint8Array[], count: number): Uint8Array[] {
  let left = count
  const rest: Uint8Array[] = []
  for (const chunk of chunks) {
    if (left >= chunk.length) left -= chunk.length
    else {
      rest.push(left > 0 ? chunk.subarray(left) : chunk)
      left = 0
    }
  }
  return rest
}

/** Errors of the system become coded ones; ours pass. */
async function attempt<T>(what: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (!isSystemError(error)) throw error
    throw new DiskFailedError(`could not ${what}: ${error.message}`, {
      cause: error,
      details: { systemCode: error.code ?? 'unknown' }
    })
  }
}

async function orMissing<T>(action: Promise<T>): Promise<T | null> {
  try {
    return await action
  } catch (error) {
    if (isSystemError(error) && error.code === 'ENOENT') return null
    throw error
  }
}

const isSystemError = (error: unknown): error is NodeJS.ErrnoException =>
  error instanceof Error && 'syscall' in error
