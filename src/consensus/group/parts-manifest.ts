/**
 * How the file looks that says which parts of a snapshot have arrived. Decides nothing.
 *
 * manifest = magic "SKPM" u32, format version u32, index u64, format u32, size u64, SHA-256,
 *            CRC-32C of these 60 bytes u32, record…
 * record   = part u32, CRC-32C of its bytes u32
 *
 * All numbers are big-endian. A record is a claim that is checked against the part's bytes before
 * anybody relies on it, so records need no checksums of their own: one that is torn, or whose part
 * did not reach the disk, is one that does not fit. The last record of a part counts.
 */
import { ProtocolError } from '../../core/errors.js'
import type { SnapshotDescription } from '../../core/ports/engine.js'
import { ByteReader } from '../../wire/byte-reader.js'
import { ByteWriter } from '../../wire/byte-writer.js'
import { logIndex } from '../../wire/codec.js'
import { crc32c } from '../../wire/crc32c.js'
import { snapshotHashBytes } from '../raft-bodies.js'

const magic = 0x534b504d
const formatVersion = 1
const checksumBytes = 4
const describedBytes = 28 + snapshotHashBytes
export const manifestHeaderBytes = describedBytes + checksumBytes
export const manifestRecordBytes = 8

/** A part, and the CRC-32C of its bytes. */
export type PartRecord = readonly [part: number, checksum: number]

export interface PartsManifest {
  readonly snapshot: SnapshotDescription
  readonly checksums: ReadonlyMap<number, number>
}

export function encodeManifestHeader(snapshot: SnapshotDescription): Uint8Array {
  const writer = new ByteWriter(manifestHeaderBytes)
  writer.u32(magic)
  writer.u32(formatVersion)
  logIndex.write(writer, snapshot.index)
  writer.u32(snapshot.format)
  writer.u64(snapshot.sizeBytes)
  writer.raw(snapshot.sha256)
  writer.u32(crc32c(writer.peek()))
  return writer.take()
}

export function encodePartRecords(records: readonly PartRecord[]): Uint8Array {
  const bytes = new Uint8Array(records.length * manifestRecordBytes)
  const view = new DataView(bytes.buffer)
  for (const [i, [part, checksum]] of records.entries()) {
    view.setUint32(i * manifestRecordBytes, part)
    view.setUint32(i * manifestRecordBytes + 4, checksum)
  }
  return bytes
}

/** Null: it is of no use, torn or of another version. */
export function decodeManifest(bytes: Uint8Array): PartsManifest | null {
  if (bytes.length < manifestHeaderBytes) return null
  const reader = new ByteReader(bytes)
  try {
    if (reader.u32() !== magic || reader.u32() !== formatVersion) return null
    const index = logIndex.read(reader)
    const [format, sizeBytes] = [reader.u32(), reader.u64()]
    const sha256 = reader.raw(snapshotHashBytes).slice()
    if (reader.u32() !== crc32c(bytes.subarray(0, describedBytes))) return null
    const checksums = new Map<number, number>()
    while (reader.remaining >= manifestRecordBytes) checksums.set(reader.u32(), reader.u32())
    return { snapshot: { index, format, sizeBytes, sha256 }, checksums }
  } catch (error) {
    if (error instanceof ProtocolError) return null
    throw error
  }
}
