/**
 * The log of one host in segment files `<directory>/<number>.log`, after `segment-format.ts`.
 *
 * 1. One write and one sync at a time. Requests that come while they run wait for the next pair and
 *    share it (group commit).
 * 2. A new segment begins with the hard state and the base of every group and is durable, name
 *    included, before anything else is written; so only the last segment's last frame can be torn.
 * 3. What recovery cuts from the tail is cut durably before the first new write.
 * 4. A segment all of whose entries are at or below their groups' bases is deleted, oldest first,
 *    when these bases are durable and a record that says so; what a crash leaves of it is deleted
 *    at the next start.
 * 5. After the first error of the disk nothing is written or synced again: every call fails with
 *    it.
 * 6. While nobody waits, zeros are written ahead of the frames: a write into blocks that the file
 *    has need not change what the file system knows of it. Only the last segment ends in zeros.
 */
import { DiskFailedError, LogCorruptedError, StoppedError } from '../../core/errors.js'
import { compareText, type GroupId } from '../../core/ids.js'
import type { Disk, DiskFile } from '../../core/ports/disk.js'
import type {
  HardState,
  LogBase,
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
  /** Zeros are written so far ahead; absent: none. */
  readonly aheadBytes?: number
}

interface Waiting {
  readonly requests: readonly PersistRequest[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface NamedSegment {
  readonly name: string
  readonly number: number
  readonly bytes: Uint8Array
  readonly scanned: ScannedSegment | null
}

/** Of each group the highest index that a segment holds. */
type Tops = Map<GroupId, number>

interface KeptSegment {
  readonly number: number
  readonly tops: Tops
}

/** What the frame to be written says: a segment that begins before it must not know it yet. */
interface Encoded {
  readonly tops: Tops
  readonly bases: Map<GroupId, LogBase>
  firstSegment: number | null
}

const nothingEncoded = (): Encoded => ({ tops: new Map(), bases: new Map(), firstSegment: null })

export class SegmentedLog implements LogStore {
  readonly #disk: Disk
  readonly #options: SegmentedLogOptions
  readonly #encoder = new FrameEncoder()
  readonly #hardStates = new Map<GroupId, HardState>()
  readonly #bases = new Map<GroupId, LogBase>()
  /** Oldest first; the last one is written to. */
  #segments: KeptSegment[] = []
  /** Everything live is in this segment or behind it. */
  #firstSegment = 1
  #encoded = nothingEncoded()
  #file: DiskFile | null = null
  #number = 0
  #sizeBytes = 0
  /** The current file is filled with zeros up to here, or ends with its frames. */
  #filledBytes = 0
  readonly #zeros: Uint8Array
  #position: ChainPosition = chainStart
  #waiting: Waiting[] = []
  #flushing: Promise<void> | null = null
  #failed: Error | null = null
  #syncCount = 0

  constructor(components: { readonly disk: Disk }, options: SegmentedLogOptions) {
    this.#disk = components.disk
    this.#options = options
    this.#zeros = new Uint8Array(options.aheadBytes ?? 0)
  }

  get syncCount(): number {
    return this.#syncCount
  }

  async open(): Promise<RecoveredLog> {
    const { directory } = this.#options
    await this.#disk.makeDirectory(directory)
    await this.#disk.syncDirectory('')
    const found = await this.#readSegments()
    const abandoned = takeAbandoned(found)
    this.#firstSegment = firstLiveOf(found)
    const segments = found.filter(({ number }) => number >= this.#firstSegment)
    expectWhole(segments, { mayBeTorn: abandoned === null, firstSegment: this.#firstSegment })
    const groups = new RecoveredGroups()
    for (const { number, scanned } of segments) {
      const tops: Tops = new Map()
      for (const record of scanned?.records ?? []) {
        if (record.kind !== 'firstSegment') groups.add(record)
        if (record.kind === 'entries') raise(tops, record.group, record.entries.at(-1))
      }
      this.#segments.push({ number, tops })
    }
    const recovered = groups.result()
    for (const [group, { hardState, base }] of recovered) {
      this.#hardStates.set(group, hardState)
      if (base) this.#bases.set(group, base)
    }
    const dead = found.filter(({ number }) => number < this.#firstSegment)
    const tornBytes = await this.#guarded(async () => {
      for (const { number } of dead) await this.#remove(number)
      return this.#continue(segments, abandoned)
    })
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
        for (const { resolve } of batch) resolve()
        await this.#guarded(() => this.#removeDead())
        await this.#guarded(() => this.#fillAhead())
      } catch (error) {
        for (const { reject } of [...batch, ...this.#waiting]) reject(error as Error)
        this.#waiting = []
        break
      }
    }
    this.#flushing = null
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    let hasBase = false
    for (const { requests } of batch) {
      for (const { group, hardState, base, entries } of requests) {
        if (hardState !== null) {
          this.#hardStates.set(group, hardState)
          this.#encoder.hardState(group, hardState)
        }
        if (base) {
          this.#encoder.base(group, base)
          this.#encoded.bases.set(group, base.base)
          hasBase = true
        }
        await this.#addEntries(group, entries)
      }
    }
    if (hasBase) this.#noteDead()
    if (!this.#encoder.isEmpty) await this.#writeFrame()
  }

  async #addEntries(group: GroupId, entries: readonly LogEntry[]): Promise<void> {
    for (let from = 0; from < entries.length; ) {
      if (this.#encoder.isFull) await this.#writeFrame()
      const until = this.#encoder.entries(group, entries, from)
      raise(this.#encoded.tops, group, entries[until - 1])
      from = until
    }
  }

  /** A frame is on its way behind which the oldest segments are not needed any more. */
  #noteDead(): void {
    const baseOf = (group: GroupId) => this.#encoded.bases.get(group) ?? this.#bases.get(group)
    const isDead = ({ number, tops }: KeptSegment) =>
      number !== this.#number &&
      [...tops].every(([group, top]) => top <= (baseOf(group)?.index ?? 0))
    const first = this.#segments.find((segment) => !isDead(segment))?.number ?? this.#number
    if (first <= this.#firstSegment) return
    this.#encoder.firstSegment(first)
    this.#encoded.firstSegment = first
  }

  async #removeDead(): Promise<void> {
    for (;;) {
      const oldest = this.#segments[0]
      if (oldest === undefined || oldest.number >= this.#firstSegment) return
      await this.#remove(oldest.number)
      this.#segments.shift()
    }
  }

  #remove(number: number): Promise<void> {
    return this.#disk.remove(`${this.#options.directory}/${segmentName(number)}`)
  }

  async #writeFrame(): Promise<void> {
    if (this.#sizeBytes >= this.#options.segmentBytes) await this.#roll()
    const file = this.#openFile()
    const frame = this.#encoder.finish(this.#position)
    await file.writeDurably(this.#sizeBytes, [frame.bytes])
    this.#syncCount++
    this.#sizeBytes += frame.bytes.length
    this.#position = frame.next
    this.#noteWritten()
  }

  /** Half of it is used up before the next. */
  async #fillAhead(): Promise<void> {
    const { segmentBytes } = this.#options
    const from = Math.max(this.#filledBytes, this.#sizeBytes)
    const length = Math.min(this.#zeros.length, segmentBytes - from)
    if (from - this.#sizeBytes > this.#zeros.length / 2 || length <= 0) return
    // Whoever is next may have come while the last one was answered, and goes first.
    await null
    if (this.#waiting.length > 0) return
    await this.#openFile().writeDurably(from, [this.#zeros.subarray(0, length)])
    this.#syncCount++
    this.#filledBytes = from + length
  }

  #noteWritten(): void {
    const { tops, bases, firstSegment } = this.#encoded
    const held = this.#segments.at(-1)?.tops
    for (const [group, top] of tops) held?.set(group, Math.max(top, held.get(group) ?? 0))
    for (const [group, base] of bases) this.#bases.set(group, base)
    this.#firstSegment = firstSegment ?? this.#firstSegment
    this.#encoded = nothingEncoded()
  }

  async #roll(): Promise<void> {
    const file = this.#openFile()
    if (this.#filledBytes > this.#sizeBytes) {
      await file.truncate(this.#sizeBytes)
      await this.#sync(file)
    }
    await file.close()
    await this.#begin(this.#number + 1)
  }

  async #begin(number: number): Promise<void> {
    const file = await this.#disk.open(`${this.#options.directory}/${segmentName(number)}`)
    this.#file = file
    const chunks = [encodeSegmentHeader(number, this.#position)]
    if (this.#hardStates.size + this.#bases.size > 0) {
      const encoder = new FrameEncoder()
      if (this.#firstSegment > 1) encoder.firstSegment(this.#firstSegment)
      for (const [group, hardState] of inOrder(this.#hardStates)) {
        encoder.hardState(group, hardState)
      }
      for (const [group, base] of inOrder(this.#bases)) {
        encoder.base(group, { base, replacesLog: false })
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
    this.#segments.push({ number, tops: new Map() })
    this.#sizeBytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    this.#filledBytes = this.#sizeBytes
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
      const number = Number(name.slice(0, -'.log'.length))
      segments.push({ name, number, bytes, scanned: scanned(name, bytes) })
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
    const { validBytes } = last.scanned
    if (last.bytes.length > validBytes) await this.#file.truncate(validBytes)
    // Synced even when nothing was cut: a dead process may have written without syncing, and what
    // is read here is built upon.
    await this.#sync(this.#file)
    await this.#disk.syncDirectory(this.#options.directory)
    this.#filledBytes = validBytes
    return endOfBytes(last.bytes, validBytes) - validBytes + cutBytes
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

/** Behind the last byte at or after `from` that is not zero. */
function endOfBytes(bytes: Uint8Array, from: number): number {
  let end = bytes.length
  while (end > from && bytes[end - 1] === 0) end--
  return end
}

const segmentName = (number: number): string => `${String(number).padStart(16, '0')}.log`

function scanned(name: string, bytes: Uint8Array): ScannedSegment | null {
  try {
    return scanSegment(bytes)
  } catch (cause) {
    throw new LogCorruptedError(`${name}: whole, but not understood`, { cause })
  }
}

const inOrder = <T>(groups: ReadonlyMap<GroupId, T>): [GroupId, T][] =>
  [...groups].sort(([a], [b]) => a - b)

function raise(tops: Tops, group: GroupId, last: LogEntry | undefined): void {
  tops.set(group, Math.max(last?.index ?? 0, tops.get(group) ?? 0))
}

/** Segments before it may be there, whole or not, and hold nothing that counts. */
function firstLiveOf(segments: readonly NamedSegment[]): number {
  let first = 1
  for (const { scanned: segment } of segments) {
    for (const record of segment?.records ?? []) {
      if (record.kind === 'firstSegment') first = Math.max(first, record.number)
    }
  }
  return first
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
function expectWhole(
  segments: readonly NamedSegment[],
  { mayBeTorn, firstSegment }: { readonly mayBeTorn: boolean; readonly firstSegment: number }
): void {
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
    if (end === null ? segment.number !== firstSegment : !isSame(end, segment.start)) {
      throw new LogCorruptedError(`${name} does not follow its predecessor: a segment is missing`)
    }
    end = segment.end
  }
}

const isSame = (a: ChainPosition, b: ChainPosition): boolean =>
  a.nextFrame === b.nextFrame && a.checksum === b.checksum
