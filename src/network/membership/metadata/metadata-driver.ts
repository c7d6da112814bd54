import type { ClusterMetadata, MetadataEntry } from '../../../core/cluster-metadata.js'
import { DeadlineTimer } from '../../../core/deadline-timer.js'
import { after } from '../../../core/deadlines.js'
import type { NodeId } from '../../../core/ids.js'
import {
  memberEntriesMax,
  memberEntryKeyBytesMax,
  memberEntryValueBytesMax
} from '../../../core/limits.js'
import type { Clock } from '../../../core/ports/clock.js'
import type { Disk } from '../../../core/ports/disk.js'
import type { Logger } from '../../../core/ports/logger.js'
import { factsOf } from '../../../core/remote-error.js'
import { crc32c } from '../../../wire/crc32c.js'
import { ByteReader, ByteWriter, list, struct, text, u64 } from '../../../wire/index.js'
import { replaceFile } from '../small-file-driver.js'
import type { Swim } from '../swim.js'
import type { VersionedEntry } from './metadata-store.js'

const directory = 'membership'
const file = `${directory}/metadata`
const metadataFileBytesMax = 64 * 1024
/** Changes are gathered for so long before they are written. */
const writeDelayMs = 100
const formatVersion = 1
/** What may have been told and not written: versions of the next life begin above it. */
const versionsUnwrittenMax = 1_000_000

const ownEntries = struct({
  version: u64,
  entries: list(
    struct({
      key: text(memberEntryKeyBytesMax),
      value: text(memberEntryValueBytesMax),
      version: u64
    }),
    memberEntriesMax
  )
})

export interface MetadataDriverComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly swim: Swim
  readonly enter: (call: () => void) => void
  readonly assertRunning: () => void
  /** Keeps this node's own pairs; absent: they end with the process. */
  readonly disk?: Disk | undefined
}

/**
 * This node's pairs and the others', and its own on disk. The file is a help: where it cannot be
 * read, the others' memory of this node's version keeps new pairs above old ones.
 *
 *   file = u32 CRC-32C of the rest, u8 version of the format, { version, entries }
 */
export class MetadataDriver implements ClusterMetadata {
  readonly #components: MetadataDriverComponents
  readonly #nodeId: NodeId
  readonly #timer: DeadlineTimer
  #writing: Promise<void> | null = null
  #isKept: boolean

  constructor(components: MetadataDriverComponents, nodeId: NodeId) {
    this.#components = components
    this.#nodeId = nodeId
    this.#isKept = components.disk !== undefined
    this.#timer = new DeadlineTimer(components.clock, () => void this.#write())
  }

  /** Before the node begins to speak. */
  async load(): Promise<void> {
    const { disk, logger, swim, enter } = this.#components
    if (disk === undefined) return
    try {
      await disk.makeDirectory(directory)
      const bytes = await disk.readFile(file)
      const kept = bytes === null ? null : readOwn(bytes)
      if (kept === null) return
      enter(() => swim.metadata.restore(kept.version + versionsUnwrittenMax, kept.entries))
    } catch (error) {
      logger.warn({ file, cause: factsOf(error) }, 'the own metadata cannot be read')
    }
  }

  /** Writes what is not written yet. */
  async stop(): Promise<void> {
    const isDue = this.#timer.isArmed
    this.#timer.stop()
    await this.#writing
    if (isDue) await this.#write()
  }

  set(key: string, value: string): void {
    this.#change(() => this.#components.swim.metadata.set(key, value, this.#components.clock.now()))
  }

  delete(key: string): boolean {
    return this.#change(() =>
      this.#components.swim.metadata.delete(key, this.#components.clock.now())
    )
  }

  get(key: string, nodeId: NodeId = this.#nodeId): string | undefined {
    return this.of(nodeId).find((entry) => entry.key === key)?.value
  }

  entries(): readonly MetadataEntry[] {
    return this.of(this.#nodeId)
  }

  of(nodeId: NodeId): readonly MetadataEntry[] {
    return liveOf(this.#components.swim.metadataOf(nodeId))
  }

  #change<T>(change: () => T): T {
    const { assertRunning, enter, clock } = this.#components
    assertRunning()
    let result: T | undefined
    enter(() => {
      result = change()
    })
    if (this.#isKept) this.#timer.arm(after(clock.now(), writeDelayMs))
    return result as T
  }

  async #write(): Promise<void> {
    if (this.#writing !== null) {
      await this.#writing
      return this.#write()
    }
    this.#writing = this.#writeNow()
    await this.#writing
    this.#writing = null
  }

  async #writeNow(): Promise<void> {
    const { disk, logger, swim } = this.#components
    if (disk === undefined || !this.#isKept) return
    const entries = this.entries()
    const version = swim.metadataVersion()
    try {
      await replaceFile(disk, { directory, file }, writeOwn({ version, entries }))
    } catch (error) {
      this.#isKept = false
      logger.warn({ file, cause: factsOf(error) }, 'the own metadata is not kept any more')
    }
  }
}

const liveOf = (entries: readonly VersionedEntry[]): MetadataEntry[] =>
  entries.flatMap(({ key, value, version }) => (value === null ? [] : [{ key, value, version }]))

interface Kept {
  readonly version: number
  readonly entries: readonly MetadataEntry[]
}

function writeOwn(kept: Kept): Uint8Array {
  const body = new ByteWriter(metadataFileBytesMax)
  body.u8(formatVersion)
  ownEntries.write(body, kept)
  const writer = new ByteWriter(metadataFileBytesMax)
  writer.u32(crc32c(body.peek()))
  writer.raw(body.peek())
  return writer.take()
}

/** Null where the bytes are not those that were written. */
function readOwn(bytes: Uint8Array): Kept | null {
  if (bytes.length > metadataFileBytesMax || bytes.length < 5) return null
  const reader = new ByteReader(bytes)
  if (reader.u32() !== crc32c(bytes.subarray(4)) || reader.u8() !== formatVersion) return null
  const kept = ownEntries.read(reader)
  reader.expectEnd()
  return kept
}
