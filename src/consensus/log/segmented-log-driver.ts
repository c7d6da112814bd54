/**
 * The log of one host in segment files `<directory>/<number>.log`, after `segment-format.ts`.
 *
 * 1. One write and one sync at a time. Requests that come while they run wait for the next pair and
 *    share it (group commit).
 * 2. A new segment begins with the hard state of every group and is durable, name included, before
 *    anything else is written; so only the last segment's last frame can be torn.
 * 3. What recovery cuts from the tail is cut durably before the first new write.
 * 4. After the first error of the disk nothing is written or synced again: every call fails with
 *    it.
 */
import { DiskFailedError, LogCorruptedError, StoppedError } from '../../core/errors.js'
import type { GroupId } from '../../core/ids.js'
import { compareText } from '../../core/ids.js'
import type { Disk, DiskFile } from '../../core/ports/disk.js'
import type {
  HardState,
  LogEntry,
  LogStore,
  PersistRequest,
  RecoveredLog
} from '../../core/ports/log-store.js'
import { RecoveredGroups } from './recovered-groups.js'
import {
  type ChainPosition,
  chainStart,
  encodeSegmentHeader,
  FrameEncoder,
  hasFrame,
  type ScannedSegment,
  scanSegment,
  segmentHeaderBytes
} from './segment-format.js'

export interface SegmentedLogOptions {
  /** Below the disk's root. */
  readonly directory: string
  /** A new segment file begins when the current one has reached this size. */
  readonly segmentBytes: number
}

interface Waiting {
  readonly requests: readonly PersistRequest[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface NamedSegment {
  readonly name: string
  readonly bytes: Uint8Array
  readonly scanned: ScannedSegment | null
}

export class SegmentedLog implements LogStore {
  readonly #disk: Disk
  readonly #options: SegmentedLogOptions
  readonly #encoder = new FrameEncoder()
  readonly #hardStates = new Map<GroupId, HardState>()
  #file: DiskFile | null = null
  #number = 0
  #sizeBytes = 0
  #position: ChainPosition = chainStart
  #waiting: Waiting[] = []
  #flushing: Promise<void> | null = null
  #failed: Error | null = null
  #syncCount = 0

  constructor(components: { readonly disk: Disk }, options: SegmentedLogOptions) {
    this.#disk = components.disk
    this.#options = options
  }

  get syncCount(): number {
    return this.#syncCount
  }

  async open(): Promise<RecoveredLog> {
    const { directory } = this.#options
    await this.#disk.makeDirectory(directory)
    await this.#disk.syncDirectory('')
    const segments = await this.#readSegments()
    const abandoned = takeAbandoned(segments)
    expectWhole(segments, abandoned === null)
    const groups = new RecoveredGroups()
    for (const { scanned } of segments)
      for (const record of scanned?.records ?? []) groups.add(record)
    const recovered = groups.result()
    for (const [group, { hardState }] of recovered) this.#hardStates.set(group, hardState)
    const tornBytes = await this.#guarded(() => this.#continue(segments, abandoned))
    return { groups: recovered, tornBytes }
  }

  persist(requests: readonly PersistRequest[]): Promise<void> {
    if (this.#failed !== null) return Promise.reject(this.#failed)
    if (this.#file === null) return Promise.reject(new StoppedError('the log is not open'))
    return new Promise((resolve, reject) => {
      this.#waiting.push({ requests, resolve, reject })
      this.#flushing ??= this.#flush()
    })
  }

  async close(): Promise<void> {
    await this.#flushing
    const file = this.#file
    this.#file = null
    await file?.close()
  }

  /**
   * Runs while anybody waits. The first turn of the event loop's microtasks gathers what comes
   * together.
   */
  async #flush(): Promise<void> {
    await null
    while (this.#waiting.length > 0 && this.#failed === null) {
      const batch = this.#waiting
      this.#waiting = []
      try {
        await this.#guarded(() => this.#write(batch))
      } catch (error) {
        for (const { reject } of [...batch, ...this.#waiting]) reject(error as Error)
        this.#waiting = []
        break
      }
      for (const { resolve } of batch) resolve()
    }
    this.#flushing = null
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    for (const { requests } of batch) {
      for (const { group, hardState, entries } of requests) {
        if (hardState !== null) {
          this.#hardStates.set(group, hardState)
          this.#encoder.hardState(group, hardState)
        }
        await this.#addEntries(group, entries)
      }
    }
    if (!this.#encoder.isEmpty) await this.#writeFrame()
  }

  async #addEntries(group: GroupId, entries: readonly LogEntry[]): Promise<void> {
    for (let from = 0; from < entries.length; ) {
      if (this.#encoder.isFull) await this.#writeFrame()
      from = this.#encoder.entries(group, entries, from)
    }
  }

  async #writeFrame(): Promise<void> {
    if (this.#sizeBytes >= this.#options.segmentBytes) await this.#roll()
    const file = this.#openFile()
    const frame = this.#encoder.finish(this.#position)
    await file.writeDurably(this.#sizeBytes, [frame.bytes])
    this.#syncCount++
    this.#sizeBytes += frame.bytes.length
    this.#position = frame.next
  }

  async #roll(): Promise<void> {
    await this.#file?.close()
    await this.#begin(this.#number + 1)
  }

  async #begin(number: number): Promise<void> {
    const file = await this.#disk.open(`${this.#options.directory}/${segmentName(number)}`)
    this.#file = file
    const chunks = [encodeSegmentHeader(number, this.#position)]
    if (this.#hardStates.size > 0) {
      const encoder = new FrameEncoder()
      for (const group of [...this.#hardStates.keys()].sort((a, b) => a - b)) {
        encoder.hardState(group, this.#hardStates.get(group) as HardState)
      }
      const frame = encoder.finish(this.#position)
      chunks.push(frame.bytes)
      this.#position = frame.next
    }
    await file.truncate(0)
    await file.write(0, chunks)
    await this.#sync(file)
    await this.#disk.syncDirectory(this.#options.directory)
    this.#number = number
    this.#sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  async #sync(file: DiskFile): Promise<void> {
    await file.sync()
    this.#syncCount++
  }

  #openFile(): DiskFile {
    if (this.#file === null) throw new StoppedError('the log is closed')
    return this.#file
  }

  async #readSegments(): Promise<NamedSegment[]> {
    const names = await this.#disk.list(this.#options.directory)
    const segments: NamedSegment[] = []
    for (const name of names.filter((file) => /^\d{16}\.log$/.test(file)).sort(compareText)) {
      const bytes = (await this.#disk.readFile(`${this.#options.directory}/${name}`)) as Uint8Array
      segments.push({ name, bytes, scanned: scanned(name, bytes) })
    }
    return segments
  }

  /** Goes on in the last segment, without its torn tail; answers how many bytes were cut. */
  async #continue(
    segments: readonly NamedSegment[],
    abandoned: NamedSegment | null
  ): Promise<number> {
    if (abandoned !== null) {
      await this.#disk.remove(`${this.#options.directory}/${abandoned.name}`)
      await this.#disk.syncDirectory(this.#options.directory)
    }
    const cutBytes = abandoned?.bytes.length ?? 0
    const last = segments.at(-1)
    if (last === undefined || last.scanned === null) {
      await this.#begin(1)
      return cutBytes
    }
    this.#position = last.scanned.end
    this.#number = last.scanned.number
    this.#sizeBytes = last.scanned.validBytes
    this.#file = await this.#disk.open(`${this.#options.directory}/${last.name}`)
    const torn = last.bytes.length - last.scanned.validBytes
    if (torn > 0) await this.#file.truncate(last.scanned.validBytes)
    // Synced even when nothing was cut: a dead process may have written without syncing, and what
    // is read here is built upon.
    await this.#sync(this.#file)
    await this.#disk.syncDirectory(this.#options.directory)
    return torn + cutBytes
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      this.#failed ??= new DiskFailedError('the log could not be written; it is not tried again', {
        cause
      })
      throw this.#failed
    }
  }
}

const segmentName = (number: number): string => `${String(number).padStart(16, '0')}.log`

function scanned(name: string, bytes: Uint8Array): ScannedSegment | null {
  try {
    return scanSegment(bytes)
  } catch (cause) {
    throw new LogCorruptedError(`${name}: whole, but not understood`, { cause })
  }
}

/** Takes the last segment out when a crash came before it was begun: it holds nothing. */
function takeAbandoned(segments: NamedSegment[]): NamedSegment | null {
  const last = segments.at(-1)
  if (last === undefined) return null
  const { scanned: segment, bytes } = last
  const isBegun =
    segment === null
      ? hasFrame(bytes, segmentHeaderBytes, 1)
      : segment.records.length > 0 || segment.isDamagedInside || segment.number === 1
  if (isBegun) return null
  segments.pop()
  return last
}

/**
 * @throws LogCorruptedError anything but a torn tail of the last segment; and when a segment was
 * about to begin behind it, its predecessor was whole too
 */
function expectWhole(segments: readonly NamedSegment[], mayBeTorn: boolean): void {
  let end: ChainPosition | null = null
  for (const [i, { name, bytes, scanned: segment }] of segments.entries()) {
    if (segment === null) throw new LogCorruptedError(`${name}: the header is damaged`)
    if (segmentName(segment.number) !== name) {
      throw new LogCorruptedError(`${name} holds segment ${segment.number}`)
    }
    const isTorn = segment.validBytes !== bytes.length
    const tearIsTail = mayBeTorn && i === segments.length - 1 && !segment.isDamagedInside
    if (isTorn && !tearIsTail) {
      throw new LogCorruptedError(`${name}: damaged at byte ${segment.validBytes}`, {
        details: { segment: name, offset: segment.validBytes }
      })
    }
    if (end === null ? segment.number !== 1 : !isSame(end, segment.start)) {
      throw new LogCorruptedError(`${name} does not follow its predecessor: a segment is missing`)
    }
    end = segment.end
  }
}

const isSame = (a: ChainPosition, b: ChainPosition): boolean =>
  a.nextFrame === b.nextFrame && a.checksum === b.checksum
