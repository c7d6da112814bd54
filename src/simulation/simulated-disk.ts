/**
 * A disk with a power failure. Every file has a cached and a durable image; names too are durable
 * only after their directory was synced. `crash` decides the fate of everything un-synced, each by
 * itself, so code that works on this disk works on any that keeps the contract of the `Disk` port.
 *
 * A process sees the disk through `mount`; a crash kills every mount: calls of the old process
 * never come back, neither those in flight nor later ones.
 */
import { after } from '../core/deadlines.js'
import { DataDirectoryInUseError } from '../core/errors.js'
import { compareText } from '../core/ids.js'
import type { Clock } from '../core/ports/clock.js'
import type { Disk, DiskFile, DiskLock, DiskReader } from '../core/ports/disk.js'
import type { Random } from '../core/ports/random.js'
import { SimulatedFile } from './simulated-file.js'

export interface SimulatedDiskOptions {
  /** Time of a write and of a sync; each is drawn from [min, max]. */
  readonly writeLatencyMs: readonly [number, number]
  readonly syncLatencyMs: readonly [number, number]
  /** A write tears only between sectors. */
  readonly sectorBytes: number
  /** Writes that would need more fail with ENOSPC. */
  readonly capacityBytes: number
}

export const simulatedDiskDefaults: SimulatedDiskOptions = {
  writeLatencyMs: [0, 0],
  syncLatencyMs: [0, 0],
  sectorBytes: 512,
  capacityBytes: Number.POSITIVE_INFINITY
}

/** How often each fault struck, by the simulator's names. */
export interface DiskFaults {
  torn_write: number
  unsynced_loss: number
  bit_rot: number
  disk_full: number
  fsync_error: number
}

type Entry = SimulatedFile | 'directory'

/** Files and directories by their paths. */
export type DiskCopy = ReadonlyMap<string, Uint8Array | 'directory'>

type NameChange =
  | { readonly kind: 'add'; readonly path: string; readonly entry: Entry }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly entry: Entry }

export class SimulatedDisk {
  readonly #clock: Clock
  readonly #random: Random
  readonly #options: SimulatedDiskOptions
  readonly #cachedNames = new Map<string, Entry>()
  readonly #durableNames = new Map<string, Entry>()
  readonly #locks = new Set<string>()
  #nameChanges: NameChange[] = []
  #life = 0
  #filesMade = 0
  #syncFailures = 0
  #capacityBytes: number
  readonly faults: DiskFaults = {
    torn_write: 0,
    unsynced_loss: 0,
    bit_rot: 0,
    disk_full: 0,
    fsync_error: 0
  }

  constructor(
    components: { readonly clock: Clock; readonly random: Random },
    options: Partial<SimulatedDiskOptions> = {}
  ) {
    this.#clock = components.clock
    this.#random = components.random
    this.#options = { ...simulatedDiskDefaults, ...options }
    this.#capacityBytes = this.#options.capacityBytes
  }

  /** The disk as one process sees it, until the next crash. */
  mount(): Disk {
    return new Mount(this, this.#life)
  }

  /** Power fails: un-synced writes and names are kept, lost or torn as `random` says. */
  crash(random: Random): void {
    this.#life++
    this.#locks.clear()
    this.#crashFiles(random)
    for (const change of this.#nameChanges) {
      if (random.nextInt(2) === 0) performChange(this.#durableNames, change)
      else this.faults.unsynced_loss++
    }
    this.#nameChanges = []
    this.#dropOrphans()
    this.#resetNames()
  }

  /** The process dies and the machine goes on: what was written stays. */
  kill(): void {
    this.#life++
    this.#locks.clear()
  }

  /** The next `count` syncs fail with EIO; what they should have made durable stays un-synced. */
  failSyncs(count: number): void {
    this.#syncFailures = count
  }

  setCapacityBytes(capacityBytes: number): void {
    this.#capacityBytes = capacityBytes
  }

  /** Flips one random bit of a file below `prefix`; false when there is none to flip. */
  rot(random: Random, prefix: string): boolean {
    const files = this.#filesSorted().filter(
      ([path, file]) => path.startsWith(prefix) && file.sizeBytes > 0
    )
    if (files.length === 0) return false
    const [, file] = files[random.nextInt(files.length)] as [string, SimulatedFile]
    file.flipBit(random.nextInt(file.sizeBytes), random.nextInt(8))
    this.faults.bit_rot++
    return true
  }

  /** Flips a bit at a chosen place. */
  rotAt(path: string, offset: number, bit: number): void {
    this.fileAt(path).flipBit(offset, bit)
    this.faults.bit_rot++
  }

  /** Everything is gone, or what `lost` names: the machine got another disk for it. */
  wipe(lost = /^/): void {
    this.#life++
    this.#locks.clear()
    for (const change of this.#nameChanges) performChange(this.#durableNames, change)
    this.#nameChanges = []
    for (const names of [this.#cachedNames, this.#durableNames]) {
      for (const name of [...names.keys()]) if (lost.test(name)) names.delete(name)
    }
  }

  /** What a copy of everything holds that is made now, whatever is durable of it. */
  copy(): DiskCopy {
    return new Map(
      [...this.#cachedNames].map(([path, entry]) => [
        path,
        entry === 'directory' ? entry : entry.read()
      ])
    )
  }

  /** Everything is as it was copied: an operator, or a hypervisor, has put it back. */
  putBack(copy: DiskCopy): void {
    this.wipe()
    for (const [path, content] of copy) {
      const entry = content === 'directory' ? content : new SimulatedFile(this.#filesMade++)
      if (entry !== 'directory') {
        entry.write(0, content as Uint8Array)
        entry.settle(entry.syncPoint)
      }
      this.#cachedNames.set(path, entry)
      this.#durableNames.set(path, entry)
    }
  }

  // The following are called by mounts alone.

  isAlive(life: number): boolean {
    return life === this.#life
  }

  /**
   * Does `work` after the latency of its kind; never comes back when the process died meanwhile.
   */
  async perform<T>(life: number, kind: 'write' | 'sync' | 'none', work: () => T): Promise<T> {
    const latency = kind === 'none' ? [0, 0] : this.#options[`${kind}LatencyMs`]
    const [min, max] = latency as [number, number]
    const ms = max === 0 ? 0 : min + this.#random.nextFloat() * (max - min)
    await new Promise<void>((resolve) => {
      if (ms === 0) resolve()
      else this.#clock.schedule(after(this.#clock.now(), ms), resolve)
    })
    if (!this.isAlive(life)) return new Promise<never>(() => {})
    return work()
  }

  takeSyncFailure(): void {
    if (this.#syncFailures === 0) return
    this.#syncFailures--
    this.faults.fsync_error++
    throw systemError('EIO', 'fsync')
  }

  reserve(file: SimulatedFile, end: number): void {
    if (this.#capacityBytes === Number.POSITIVE_INFINITY) return
    const used = this.#filesSorted().reduce((sum, [, other]) => sum + other.sizeBytes, 0)
    if (used + Math.max(0, end - file.sizeBytes) <= this.#capacityBytes) return
    this.faults.disk_full++
    throw systemError('ENOSPC', 'write')
  }

  makeDirectory(path: string): void {
    const parts = path.split('/').filter((part) => part !== '')
    for (let i = 1; i <= parts.length; i++) {
      const directory = parts.slice(0, i).join('/')
      const entry = this.#cachedNames.get(directory)
      if (entry === 'directory') continue
      if (entry !== undefined) throw systemError('ENOTDIR', directory)
      this.#change({ kind: 'add', path: directory, entry: 'directory' })
    }
  }

  list(path: string): string[] {
    const prefix = path === '' ? '' : `${path}/`
    return [...this.#cachedNames.keys()]
      .filter((name) => name.startsWith(prefix) && !name.slice(prefix.length).includes('/'))
      .map((name) => name.slice(prefix.length))
      .sort(compareText)
  }

  find(path: string): SimulatedFile | null {
    const entry = this.#cachedNames.get(path)
    if (entry === 'directory') throw systemError('EISDIR', path)
    return entry ?? null
  }

  fileAt(path: string): SimulatedFile {
    const file = this.find(path)
    if (file === null) throw systemError('ENOENT', path)
    return file
  }

  openFile(path: string): SimulatedFile {
    const found = this.find(path)
    if (found !== null) return found
    const parent = parentOf(path)
    if (parent !== '' && this.#cachedNames.get(parent) !== 'directory') {
      throw systemError('ENOENT', path)
    }
    const file = new SimulatedFile(this.#filesMade++)
    this.#change({ kind: 'add', path, entry: file })
    return file
  }

  rename(from: string, to: string): void {
    this.#change({ kind: 'rename', from, to, entry: this.fileAt(from) })
  }

  remove(path: string): void {
    this.fileAt(path)
    this.#change({ kind: 'remove', path })
  }

  syncDirectory(path: string): void {
    if (path !== '' && this.#cachedNames.get(path) !== 'directory')
      throw systemError('ENOENT', path)
    const isBelow = (change: NameChange): boolean =>
      change.kind === 'rename'
        ? parentOf(change.from) === path || parentOf(change.to) === path
        : parentOf(change.path) === path
    for (const change of this.#nameChanges) {
      if (isBelow(change)) performChange(this.#durableNames, change)
    }
    this.#nameChanges = this.#nameChanges.filter((change) => !isBelow(change))
  }

  lock(path: string): () => void {
    if (this.#locks.has(path)) throw new DataDirectoryInUseError(`${path} is locked`)
    this.#locks.add(path)
    return () => {
      this.#locks.delete(path)
    }
  }

  #change(change: NameChange): void {
    performChange(this.#cachedNames, change)
    this.#nameChanges.push(change)
  }

  #crashFiles(random: Random): void {
    const files = new Set(this.#filesSorted().map(([, file]) => file))
    for (const entry of this.#durableNames.values()) if (entry !== 'directory') files.add(entry)
    for (const file of files) {
      const outcome = file.crash(random, this.#options.sectorBytes)
      this.faults.torn_write += outcome.torn
      this.faults.unsynced_loss += outcome.dropped
    }
  }

  /** A name whose directory did not survive is lost with it. */
  #dropOrphans(): void {
    for (const path of [...this.#durableNames.keys()].sort(compareText)) {
      const parent = parentOf(path)
      if (parent !== '' && this.#durableNames.get(parent) !== 'directory') {
        this.#durableNames.delete(path)
      }
    }
  }

  #resetNames(): void {
    this.#cachedNames.clear()
    for (const [path, entry] of this.#durableNames) this.#cachedNames.set(path, entry)
  }

  #filesSorted(): [string, SimulatedFile][] {
    const files: [string, SimulatedFile][] = []
    for (const [path, entry] of this.#cachedNames) {
      if (entry !== 'directory') files.push([path, entry])
    }
    return files.sort(([a], [b]) => compareText(a, b))
  }
}

class Mount implements Disk {
  readonly #disk: SimulatedDisk
  readonly #life: number

  constructor(disk: SimulatedDisk, life: number) {
    this.#disk = disk
    this.#life = life
  }

  makeDirectory(path: string): Promise<void> {
    return this.#perform('none', (disk) => disk.makeDirectory(normalize(path)))
  }

  list(path: string): Promise<string[]> {
    return this.#perform('none', (disk) => disk.list(normalize(path)))
  }

  readFile(path: string): Promise<Uint8Array | null> {
    return this.#perform('none', (disk) => disk.find(normalize(path))?.read() ?? null)
  }

  open(path: string): Promise<DiskFile> {
    return this.#perform(
      'none',
      (disk) => new OpenFile(disk, this.#life, disk.openFile(normalize(path)))
    )
  }

  openRead(path: string): Promise<DiskReader | null> {
    return this.#perform('none', (disk) => {
      const file = disk.find(normalize(path))
      return file === null ? null : new OpenReader(disk, this.#life, file)
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.#perform('none', (disk) => disk.rename(normalize(from), normalize(to)))
  }

  remove(path: string): Promise<void> {
    return this.#perform('none', (disk) => disk.remove(normalize(path)))
  }

  syncDirectory(path: string): Promise<void> {
    return this.#perform('sync', (disk) => {
      disk.takeSyncFailure()
      disk.syncDirectory(normalize(path))
    })
  }

  lock(path: string): Promise<DiskLock> {
    return this.#perform('none', (disk) => {
      const release = disk.lock(normalize(path))
      return { release: () => this.#perform('none', release) }
    })
  }

  #perform<T>(kind: 'sync' | 'none', work: (disk: SimulatedDisk) => T): Promise<T> {
    return this.#disk.perform(this.#life, kind, () => work(this.#disk))
  }
}

class OpenFile implements DiskFile {
  readonly #disk: SimulatedDisk
  readonly #life: number
  readonly #file: SimulatedFile
  #closed = false

  constructor(disk: SimulatedDisk, life: number, file: SimulatedFile) {
    this.#disk = disk
    this.#life = life
    this.#file = file
  }

  get sizeBytes(): number {
    return this.#file.sizeBytes
  }

  async write(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    this.#expectOpen()
    const bytes = concat(chunks)
    await this.#disk.perform(this.#life, 'none', () => {
      this.#disk.reserve(this.#file, offset + bytes.length)
      this.#file.write(offset, bytes)
    })
    await this.#disk.perform(this.#life, 'write', () => {})
  }

  async writeDurably(offset: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.write(offset, chunks)
    await this.sync()
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#expectOpen()
    await this.#disk.perform(this.#life, 'none', () => this.#file.truncate(sizeBytes))
  }

  async sync(): Promise<void> {
    this.#expectOpen()
    const syncPoint = this.#file.syncPoint
    await this.#disk.perform(this.#life, 'sync', () => {
      this.#disk.takeSyncFailure()
      this.#file.settle(syncPoint)
    })
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #expectOpen(): void {
    if (this.#closed) throw systemError('EBADF', 'file is closed')
  }
}

class OpenReader implements DiskReader {
  readonly sizeBytes: number
  readonly version: string
  readonly #disk: SimulatedDisk
  readonly #life: number
  readonly #file: SimulatedFile

  constructor(disk: SimulatedDisk, life: number, file: SimulatedFile) {
    this.#disk = disk
    this.#life = life
    this.#file = file
    this.sizeBytes = file.sizeBytes
    this.version = file.version
  }

  read(offset: number, lengthMax: number): Promise<Uint8Array> {
    const read = () => this.#file.readAt(offset, lengthMax)
    return this.#disk.perform(this.#life, 'none', read)
  }

  async close(): Promise<void> {}
}

function performChange(names: Map<string, Entry>, change: NameChange): void {
  if (change.kind === 'add') names.set(change.path, change.entry)
  else if (change.kind === 'remove') names.delete(change.path)
  else {
    names.delete(change.from)
    names.set(change.to, change.entry)
  }
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')))

const normalize = (path: string): string =>
  path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')

function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    bytes.set(chunk, at)
    at += chunk.length
  }
  return bytes
}

const systemError = (code: string, what: string): Error & { code: string } =>
  Object.assign(new Error(`${code}: ${what}`), { code })
