/**
 * A change of a section as it stands in the log, and the codecs' bytes around it. Stamped by the
 * leader that planned it: index and time are part of the command, so that every replica executes it
 * with the same, however many entries it applies at once.
 */
import { ProtocolError } from '../core/errors.js'
import type { WallMs } from '../core/ids.js'
import { ByteReader } from '../wire/byte-reader.js'
import { ByteWriter } from '../wire/byte-writer.js'
import { bytes, type Codec, logIndex, struct, type TypeOf, text, u16, u64 } from '../wire/codec.js'

/** Of the command format, as `Engine.version` tells it. */
export const controlFormat = 1
export const controlTag = 'control'

/** Bytes of one change, of what `apply` answers, and of a section's name. */
export const controlChangeBytesMax = 64 * 1024
/** Kept for a retry with room to spare (`keptResultSizeBytesMax`). */
export const controlAnswerBytesMax = 3_072
export const sectionNameBytesMax = 32
/** Of one section, encoded: it must fit into a message. */
export const sectionStateBytesMax = 960 * 1024

export const wallMs: Codec<WallMs> = u64 as Codec<number> as Codec<WallMs>

const changeCommand = struct({
  section: text(sectionNameBytesMax),
  format: u16,
  index: logIndex,
  now: wallMs,
  change: bytes(controlChangeBytesMax)
})
export type ChangeCommand = TypeOf<typeof changeCommand>

export const encodeCommand = (command: ChangeCommand): Uint8Array =>
  encodeWith(changeCommand, command, controlChangeBytesMax + 256)

/** @throws ProtocolError */
export const decodeCommand = (encoded: Uint8Array): ChangeCommand =>
  decodeWith(changeCommand, encoded)

/** @throws MessageTooLargeError */
export function encodeWith<T>(codec: Codec<T>, value: T, sizeBytesMax: number): Uint8Array {
  const writer = new ByteWriter(sizeBytesMax)
  codec.write(writer, value)
  return writer.take()
}

/** @throws ProtocolError damaged, or of a format that this node does not know */
export function decodeWith<T>(codec: Codec<T>, encoded: Uint8Array): T {
  const reader = new ByteReader(encoded)
  const value = codec.read(reader)
  if (reader.remaining > 0) throw new ProtocolError(`${reader.remaining} bytes too many`)
  return value
}
