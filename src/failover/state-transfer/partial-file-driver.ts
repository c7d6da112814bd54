/**
 * A file that is not whole yet: its bytes, and beside them the digest that each chunk came with.
 * What counts as there is what reads as its digest says, so nothing need be durable before anything
 * else: whatever a crash leaves of the two, a chunk that is not sound is asked for again.
 *
 *   map = u32 CRC-32C of the next 45 bytes, u8 version of the format, SHA-256 of the whole,
 *         u64 size, u32 size of a chunk, zeros up to 64 bytes; then 32 bytes for each chunk:
 *         its SHA-256, or zeros
 */
import { must } from '../../core/assert.js'
import { CancelledError } from '../../core/errors.js'
import type { Crypto } from '../../core/ports/crypto.js'
import type { Disk, DiskFile, DiskReader } from '../../core/ports/disk.js'
import { crc32c } from '../../wire/crc32c.js'
import { ByteReader, ByteWriter } from '../../wire/index.js'
import { ChunkMap, chunkCount, chunkSpan } from './chunk-map.js'
import type { FileFacts } from './file-receiver.js'
import { digestBytes } from './messages.js'

const headBytes = 64
const formatVersion = 1
/** Digests of the map read at a time. */
const digestsReadMax = 1_024
const noDigest = new Uint8Array(digestBytes)

export interface PartialFileParts {
  readonly disk: Disk
  readonly crypto: Crypto
  /** Without the endings that the two files have. */
  readonly path: string
}

export interface Verification {
  /** Chunks that do not read as they came. */
  readonly unsound: readonly number[]
  /** Of the whole; only where every chunk is sound. */
  readonly isWhole: boolean
}

export class PartialFile {
  readonly facts: FileFacts
  readonly chunkBytes: number
  readonly map: ChunkMap
  /** Bytes that were there when it was opened. */
  readonly resumedBytes: number
  readonly #parts: PartialFileParts
  readonly #data: DiskFile
  readonly #digests: DiskFile

  private constructor(
    parts: PartialFileParts,
    facts: FileFacts,
    chunks: { readonly chunkBytes: number; readonly map: ChunkMap },
    files: { readonly data: DiskFile; readonly digests: DiskFile }
  ) {
    this.facts = facts
    this.chunkBytes = chunks.chunkBytes
    this.map = chunks.map
    this.resumedBytes = Math.min(chunks.map.present * chunks.chunkBytes, facts.sizeBytes)
    this.#parts = parts
    this.#data = files.data
    this.#digests = files.digests
  }

  /** Goes on with what is there; with nothing, where that is of another file. */
  static async open(
    parts: PartialFileParts,
    facts: FileFacts,
    wantedChunkBytes: number,
    signal: AbortSignal
  ): Promise<PartialFile> {
    const { disk, path } = parts
    const kept = await readHead(disk, mapOf(path))
    const goesOn = kept !== null && isSame(kept, facts)
    const chunkBytes = goesOn ? kept.chunkBytes : wantedChunkBytes
    const data = await disk.open(dataOf(path))
    const digests = await disk.open(mapOf(path))
    if (!goesOn) {
      await data.truncate(0)
      await digests.truncate(0)
      await digests.write(0, [writeHead(facts, chunkBytes)])
    }
    const map = new ChunkMap(chunkCount(facts.sizeBytes, chunkBytes))
    const opened = new PartialFile(parts, facts, { chunkBytes, map }, { data, digests })
    if (!goesOn) return opened
    try {
      await opened.#look(signal, (chunk, isSound) => {
        if (isSound) map.add(chunk)
      })
    } catch (error) {
      await opened.close()
      throw error
    }
    return new PartialFile(parts, facts, { chunkBytes, map }, { data, digests })
  }

  /** The bytes come first: a digest without them is one that nothing reads as. */
  async write(chunk: number, data: Uint8Array, digest: Uint8Array): Promise<void> {
    await this.#data.write(chunk * this.chunkBytes, [data])
    await this.#digests.write(headBytes + chunk * digestBytes, [digest])
  }

  /** Reads everything back. @throws CancelledError */
  async verify(signal: AbortSignal): Promise<Verification> {
    const whole = this.#parts.crypto.startSha256()
    const unsound: number[] = []
    await this.#look(signal, (chunk, isSound, bytes) => {
      if (!isSound) unsound.push(chunk)
      else whole.update(must(bytes, 'bytes of a sound chunk'))
    })
    const isWhole = unsound.length === 0 && equalBytes(whole.digest(), this.facts.sha256)
    return { unsound, isWhole }
  }

  /** What was written is durable, and stands under `path`. */
  async finish(directory: string, path: string): Promise<void> {
    const { disk } = this.#parts
    await this.#data.sync()
    await this.close()
    await disk.rename(dataOf(this.#parts.path), path)
    await disk.syncDirectory(directory)
    await disk.remove(mapOf(this.#parts.path))
  }

  async close(): Promise<void> {
    await this.#data.close()
    await this.#digests.close()
  }

  /** Nothing of it is worth going on with. */
  async discard(): Promise<void> {
    await this.close()
    await discardPartial(this.#parts.disk, this.#parts.path)
  }

  /** Every chunk in order; chunks without a digest are not sound, and are not read. */
  async #look(
    signal: AbortSignal,
    tell: (chunk: number, isSound: boolean, bytes: Uint8Array | null) => void
  ): Promise<void> {
    const { disk, crypto, path } = this.#parts
    const data = must(await disk.openRead(dataOf(path)), 'the partial file')
    const digests = must(await disk.openRead(mapOf(path)), 'the map of the partial file')
    try {
      for (let first = 0; first < this.map.count; first += digestsReadMax) {
        const block = await readDigests(digests, first)
        const end = Math.min(this.map.count, first + digestsReadMax)
        for (let chunk = first; chunk < end; chunk++) {
          if (signal.aborted) throw new CancelledError('the transfer was cancelled')
          const at = (chunk - first) * digestBytes
          const digest = block.subarray(at, at + digestBytes)
          const isKnown = digest.length === digestBytes && !equalBytes(digest, noDigest)
          const { offset, length } = chunkSpan(chunk, this.facts.sizeBytes, this.chunkBytes)
          const bytes = isKnown ? await data.read(offset, length) : null
          const isSound =
            bytes !== null && bytes.length === length && equalBytes(crypto.sha256(bytes), digest)
          tell(chunk, isSound, bytes)
        }
      }
    } finally {
      await data.close()
      await digests.close()
    }
  }
}

const dataOf = (path: string): string => `${path}.part`
const mapOf = (path: string): string => `${path}.map`

/** The names of partial files among those of a directory, each once. */
export const partialsAmong = (names: readonly string[]): string[] => [
  ...new Set(names.map((name) => name.replace(/\.(part|map)$/, '')))
]

export async function discardPartial(disk: Disk, path: string): Promise<void> {
  for (const file of [mapOf(path), dataOf(path)]) {
    const reader = await disk.openRead(file)
    if (reader === null) continue
    await reader.close()
    await disk.remove(file)
  }
}

interface Head extends FileFacts {
  readonly chunkBytes: number
}

function writeHead({ sha256, sizeBytes }: FileFacts, chunkBytes: number): Uint8Array {
  const body = new ByteWriter(headBytes)
  body.u8(formatVersion)
  body.raw(sha256)
  body.u64(sizeBytes)
  body.u32(chunkBytes)
  const head = new ByteWriter(headBytes)
  head.u32(crc32c(body.peek()))
  head.raw(body.peek())
  const padded = new Uint8Array(headBytes)
  padded.set(head.peek())
  return padded
}

const headBodyBytes = 1 + digestBytes + 8 + 4

async function readHead(disk: Disk, path: string): Promise<Head | null> {
  const file = await disk.openRead(path)
  if (file === null) return null
  try {
    const bytes = await file.read(0, headBytes)
    if (bytes.length < headBytes) return null
    const reader = new ByteReader(bytes)
    if (reader.u32() !== crc32c(bytes.subarray(4, 4 + headBodyBytes))) return null
    if (reader.u8() !== formatVersion) return null
    return { sha256: reader.raw(digestBytes), sizeBytes: reader.u64(), chunkBytes: reader.u32() }
  } finally {
    await file.close()
  }
}

const readDigests = (digests: DiskReader, firstChunk: number): Promise<Uint8Array> =>
  digests.read(headBytes + firstChunk * digestBytes, digestsReadMax * digestBytes)

const isSame = (a: FileFacts, b: FileFacts): boolean =>
  a.sizeBytes === b.sizeBytes && equalBytes(a.sha256, b.sha256)

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
