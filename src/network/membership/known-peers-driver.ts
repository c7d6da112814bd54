import { DeadlineTimer } from '../../core/deadline-timer.js'
import { after } from '../../core/deadlines.js'
import type { Clock } from '../../core/ports/clock.js'
import type { Disk } from '../../core/ports/disk.js'
import type { Logger } from '../../core/ports/logger.js'
import type { Address } from '../../core/ports/stream-network.js'
import { factsOf } from '../../core/remote-error.js'
import { crc32c } from '../../wire/crc32c.js'
import { ByteReader, ByteWriter, list, text } from '../../wire/index.js'
import { replaceFile } from './small-file-driver.js'

/** Members whose addresses are kept. */
export const knownPeersMax = 64

const directory = 'membership'
const file = `${directory}/peers`
const peersFileBytesMax = 32 * 1024
/** Changes are gathered for so long before they are written. */
const writeDelayMs = 2_000
const formatVersion = 1
const addresses = list(text(262), knownPeersMax)

export interface KnownPeersComponents {
  readonly clock: Clock
  readonly disk: Disk
  readonly logger: Logger
  /** Of the other live members. */
  readonly addresses: () => readonly Address[]
}

/**
 * Where the other members were last, kept on disk: a node that comes back finds its cluster though
 * its seeds are gone. It is a cache: what cannot be read is as if it were not there, and after a
 * write that failed it is left alone.
 *
 *   file = u32 CRC-32C of the rest, u8 version, list of addresses
 */
export class KnownPeers {
  readonly #components: KnownPeersComponents
  readonly #timer: DeadlineTimer
  #written = ''
  #isWriting = false
  #isStopped = false

  constructor(components: KnownPeersComponents) {
    this.#components = components
    this.#timer = new DeadlineTimer(components.clock, () => void this.#write())
  }

  async load(): Promise<Address[]> {
    const { disk, logger } = this.#components
    try {
      await disk.makeDirectory(directory)
      const bytes = await disk.readFile(file)
      return bytes === null ? [] : [...readPeers(bytes)]
    } catch (error) {
      logger.warn({ file, cause: factsOf(error) }, 'the known peers cannot be read')
      return []
    }
  }

  /** The live members changed. Without others there is nothing to remember in place of what is. */
  onMembersChanged(): void {
    if (this.#isStopped || this.#isWriting || this.#components.addresses().length === 0) return
    this.#timer.arm(after(this.#components.clock.now(), writeDelayMs))
  }

  stop(): void {
    this.#isStopped = true
    this.#timer.stop()
  }

  async #write(): Promise<void> {
    const { disk, logger } = this.#components
    const peers = this.#components.addresses().slice(0, knownPeersMax)
    const written = peers.join()
    if (peers.length === 0 || written === this.#written) return
    this.#isWriting = true
    try {
      await replaceFile(disk, { directory, file }, writePeers(peers))
      this.#written = written
      this.#isWriting = false
      this.onMembersChanged()
    } catch (error) {
      this.stop()
      logger.warn({ file, cause: factsOf(error) }, 'the known peers are not kept any more')
    }
  }
}

function writePeers(peers: readonly Address[]): Uint8Array {
  const body = new ByteWriter(peersFileBytesMax)
  body.u8(formatVersion)
  addresses.write(body, [...peers])
  const writer = new ByteWriter(peersFileBytesMax)
  writer.u32(crc32c(body.peek()))
  writer.raw(body.peek())
  return writer.take()
}

/** None where the bytes are not those that were written. */
function readPeers(bytes: Uint8Array): readonly Address[] {
  if (bytes.length > peersFileBytesMax || bytes.length < 5) return []
  const reader = new ByteReader(bytes)
  if (reader.u32() !== crc32c(bytes.subarray(4)) || reader.u8() !== formatVersion) return []
  const peers = addresses.read(reader)
  reader.expectEnd()
  return peers
}
