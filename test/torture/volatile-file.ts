import { assert } from '../../src/core/index.js'
import type { Disk, DiskFile } from '../../src/core/ports/disk.js'

type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly sizeBytes: number }

/**
 * How many of the first bytes of an un-synced write reach the disk by themselves, as a system's
 * write-back does; 0: none.
 */
export type WriteBack = (sizeBytes: number) => number

/**
 * What a file's name leads to. Below lie the durable bytes: in a file of the disk once the name is
 * durable, in memory before. Above lie the changes that nobody has synced, in order.
 *
 * A durable write makes itself durable and nothing before it: that is all that O_DSYNC promises.
 */
export class VolatileFile {
  readonly #disk: Disk
  readonly #writeBack: WriteBack
  /** Of the disk; null: the name is not durable yet. */
  #path: string | null
  #below: DiskFile | null = null
  /** Durable bytes of a file without a durable name. */
  #unnamed: Uint8Array = new Uint8Array(0)
  #changes: Change[] = []
  #sizeBytes: number
  #openCount = 0
  #last: Promise<unknown> = Promise.resolve()

  private constructor(disk: Disk, writeBack: WriteBack, path: string | null, sizeBytes: number) {
    this.#disk = disk
    this.#writeBack = writeBack
    this.#path = path
    this.#sizeBytes = sizeBytes
  }

  static unnamed(disk: Disk, writeBack: WriteBack): VolatileFile {
    return new VolatileFile(disk, writeBack, null, 0)
  }

  /** A file that the disk has. */
  static async at(disk: Disk, writeBack: WriteBack, path: string): Promise<VolatileFile> {
    const below = await disk.open(path)
    const { sizeBytes } = below
    await below.close()
    return new VolatileFile(disk, writeBack, path, sizeBytes)
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  open(): void {
    this.#openCount++
  }

  close(): Promise<void> {
    this.#openCount--
    return this.#alone(async () => {
      if (this.#openCount > 0) return
      await this.#below?.close()
      this.#below = null
    })
  }

  /** As the process sees it. */
  read(): Promise<Uint8Array> {
    return this.#alone(async () => {
      const durable = this.#path === null ? this.#unnamed : await this.#disk.readFile(this.#path)
      assert(durable !== null, `${this.#path} is gone`)
      return this.#changes.reduce(changed, durable.slice())
    })
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const bytes = joined(chunks)
    this.#note({ kind: 'write', offset, bytes })
    const length = Math.min(bytes.length, this.#writeBack(bytes.length))
    if (length === 0) return
    await this.#alone(() =>
      this.#apply({ kind: 'write', offset, bytes: bytes.subarray(0, length) })
    )
  }

  async writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    const bytes = joined(chunks)
    const change: Change = { kind: 'write', offset, bytes }
    // What is not synced yet stays so, and would come to lie above.
    if (this.#changes.length > 0) this.#note(change)
    else this.#sizeBytes = Math.max(this.#sizeBytes, offset + bytes.length)
    await this.#alone(async () => {
      if (this.#path === null) return this.#apply(change)
      await (await this.#opened(this.#path)).writeDurably(offset, [bytes])
    })
  }

  truncate(sizeBytes: number): void {
    this.#note({ kind: 'truncate', sizeBytes })
  }

  /** What was written before it began is durable when it ends. */
  sync(): Promise<void> {
    const changes = [...this.#changes]
    return this.#alone(async () => {
      for (const change of changes) await this.#apply(change)
      if (this.#path !== null) await (await this.#opened(this.#path)).sync()
      const done = new Set(changes)
      this.#changes = this.#changes.filter((change) => !done.has(change))
    })
  }

  /** The name becomes durable: `path` appears with the durable bytes, or not at all. */
  appear(path: string, by: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    return this.#alone(async () => {
      await by(this.#unnamed)
      this.#path = path
      this.#unnamed = new Uint8Array(0)
    })
  }

  /** The durable name is another one. */
  rename(path: string): void {
    this.#path = path
  }

  #note(change: Change): void {
    this.#changes.push(change)
    this.#sizeBytes =
      change.kind === 'truncate'
        ? change.sizeBytes
        : Math.max(this.#sizeBytes, change.offset + change.bytes.length)
  }

  async #apply(change: Change): Promise<void> {
    if (this.#path === null) {
      this.#unnamed = changed(this.#unnamed, change)
      return
    }
    const below = await this.#opened(this.#path)
    if (change.kind === 'truncate') await below.truncate(change.sizeBytes)
    else await below.write(change.offset, [change.bytes])
  }

  async #opened(path: string): Promise<DiskFile> {
    this.#below ??= await this.#disk.open(path)
    return this.#below
  }

  /** One after the other: the order of changes is the order of calls. */
  #alone<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }
}

function changed(before: Uint8Array, change: Change): Uint8Array {
  if (change.kind === 'truncate') {
    const cut = new Uint8Array(change.sizeBytes)
    cut.set(before.subarray(0, change.sizeBytes))
    return cut
  }
  const { offset, bytes } = change
  const after = new Uint8Array(Math.max(before.length, offset + bytes.length))
  after.set(before)
  after.set(bytes, offset)
  return after
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}
