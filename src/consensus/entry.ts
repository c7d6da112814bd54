/**
 * The payload of a log entry. Raft makes the first two kinds and looks into `configuration`
 * alone; what stands in a `batch` is the group's. Numbers are append-only: an entry that was ever
 * written keeps its meaning. The first byte of a payload is the number of its kind.
 */
import type { ReplicaId } from '../core/ids.js'
import { messageSizeBytesMax } from '../core/limits.js'
import { ByteReader } from '../wire/byte-reader.js'
import { ByteWriter } from '../wire/byte-writer.js'
import { bytes, list, replicaId, struct, type TypeOf, union } from '../wire/codec.js'

/** Replicas that one configuration may name, voters and learners each. */
export const configurationMembersMax = 64

export const entryPayload = union({
  noop: [0, struct({})],
  configuration: [
    1,
    struct({
      voters: list(replicaId, configurationMembersMax),
      learners: list(replicaId, configurationMembersMax)
    })
  ],
  batch: [2, struct({ bytes: bytes(messageSizeBytesMax) })]
})
export type EntryPayload = TypeOf<typeof entryPayload>

/** Who votes and who only listens, sorted; takes effect when it is appended. */
export interface Configuration {
  readonly voters: readonly ReplicaId[]
  readonly learners: readonly ReplicaId[]
}

const configurationKindNumber = 1

/** @throws MessageTooLargeError above `messageSizeBytesMax` */
export function encodeEntryPayload(payload: EntryPayload): Uint8Array {
  const writer = new ByteWriter(messageSizeBytesMax)
  entryPayload.write(writer, payload)
  return writer.take()
}

/** @throws ProtocolError for bytes of no known kind */
export function decodeEntryPayload(payload: Uint8Array): EntryPayload {
  const reader = new ByteReader(payload)
  const decoded = entryPayload.read(reader)
  reader.expectEnd()
  return decoded
}

/**
 * The configuration in `payload`; null, at the cost of one byte's look, when it is another kind.
 */
export function configurationIn(payload: Uint8Array): Configuration | null {
  if (payload[0] !== configurationKindNumber) return null
  const decoded = decodeEntryPayload(payload)
  return decoded.kind === 'configuration' ? decoded : null
}
