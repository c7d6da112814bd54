import { DiskFailedError } from '../../src/core/errors.js'
import type { Disk, DiskFile, DiskLock, DiskReader } from '../../src/core/ports/disk.js'

/** Files in memory, at once; a test can let writes fail. Nothing is lost, nothing torn. */
export class MemoryDisk implements Disk {
  readonly files = new Map<string, Uint8Array>()
  /** Writes to more than this many bytes of a file fail, as on a full disk. */
  fullAfterBytes = Number.POSITIVE_INFINITY

  async makeDirectory(): Promise<void> {}

  async list(path: string): Promise<string[]> {
    const below = [...this.files.keys()].filter((file) => file.startsWith(`${path}/`))
    return below.map((file) => file.slice(path.length + 1)).sort()
  }

  async readFile(path: string): Promise<Uint8Array | null> {
    return this.files.get(path)?.slice() ?? null
  }

  async open(path: string): Promise<DiskFile> {
    if (!this.files.has(path)) this.files.set(path, new Uint8Array(0))
    const content = () => this.files.get(path) as Uint8Array
    const write = async (offset: number, chunks: readonly Uint8Array[]) => {
      const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
      const grown = new Uint8Array(Math.max(content().length, offset + length))
      grown.set(content())
      let at = offset
      for (const chunk of chunks) {
        grown.set(chunk, at)
        at += chunk.length
      }
      this.files.set(path, grown.slice(0, this.fullAfterBytes))
      if (grown.length > this.fullAfterBytes) throw new DiskFailedError(`${path}: disk full`)
    }
    return {
      get sizeBytes() {
        return content().length
      },
      write,
      writeDurably: write,
      truncate: async (sizeBytes) => void this.files.set(path, content().slice(0, sizeBytes)),
      sync: async () => {},
      close: async () => {}
    }
  }

  async openRead(path: string): Promise<DiskReader | null> {
    const bytes = this.files.get(path)
    if (bytes === undefined) return null
    return {
      sizeBytes: bytes.length,
      version: `${bytes.length}`,
      read: async (offset, lengthMax) =>
        (this.files.get(path) ?? bytes).slice(offset, offset + lengthMax),
      close: async () => {}
    }
  }

  async rename(from: string, to: string): Promise<void> {
    this.files.set(to, this.files.get(from) ?? new Uint8Array(0))
    this.files.delete(from)
  }

  async remove(path: string): Promise<void> {
    this.files.delete(path)
  }

  async syncDirectory(): Promise<void> {}

  async lock(): Promise<DiskLock> {
    return { release: async () => {} }
  }
}
