/**
 * The whole of a control replica as bytes: what its file holds, and what a snapshot carries.
 *
 *   image = struct, then the CRC-32C of it as u32
 *   struct = u8 format, applied index, log time, system keys, sections that were changed
 *
 * Keys and sections are in the order of their names, so replicas that have applied the same have
 * the same bytes.
 */
import { ProtocolError } from '../core/errors.js'
import { ByteReader } from '../wire/byte-reader.js'
import { ByteWriter } from '../wire/byte-writer.js'
import { bytes, list, logIndex, struct, type TypeOf, text, u8, u16 } from '../wire/codec.js'
import { crc32c } from '../wire/crc32c.js'
import { sectionNameBytesMax, sectionStateBytesMax, wallMs } from './change-command.js'

/** A replica's image; one that would be larger is fail-stop. */
export const controlImageBytesMax = 128 * 1024 * 1024
const imageSectionsMax = 256
const imageSystemKeysMax = 4 * 1024 * 1024
const imageSystemValueBytesMax = 64 * 1024
const checksumBytes = 4

/** Another one is not read, and stops the replica. */
export const imageFormat = 1

const image = struct({
  imageFormat: u8,
  appliedIndex: logIndex,
  now: wallMs,
  system: list(
    struct({ key: text(256), value: bytes(imageSystemValueBytesMax) }),
    imageSystemKeysMax
  ),
  sections: list(
    struct({ name: text(sectionNameBytesMax), format: u16, state: bytes(sectionStateBytesMax) }),
    imageSectionsMax
  )
})
export type StateImage = TypeOf<typeof image>

/** @throws MessageTooLargeError */
export function encodeImage(value: Omit<StateImage, 'imageFormat'>): Uint8Array {
  const writer = new ByteWriter(controlImageBytesMax)
  image.write(writer, { ...value, imageFormat })
  writer.u32(crc32c(writer.peek()))
  return writer.take()
}

/** @throws ProtocolError damaged, or of another format */
export function decodeImage(encoded: Uint8Array): StateImage {
  const end = encoded.length - checksumBytes
  if (end < 1) throw new ProtocolError(`an image of ${encoded.length} bytes`)
  const stored = new ByteReader(encoded, end).u32()
  if (stored !== crc32c(encoded, 0, end)) throw new ProtocolError('the checksum does not fit')
  if (encoded[0] !== imageFormat) throw new ProtocolError(`an image of format ${encoded[0]}`)
  const reader = new ByteReader(encoded, 0, end)
  const value = image.read(reader)
  reader.expectEnd()
  return value
}
