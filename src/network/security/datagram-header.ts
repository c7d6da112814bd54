/**
 * The header of a datagram, in the clear and authenticated. Big-endian:
 *
 *   u8 format (1 sealed, 2 plain) | u32 cluster tag | u32 key id (0 when plain) | u64 boot number
 *   | 16 bytes boot nonce | u32 zero, u64 counter (together the 96-bit counter)
 *   | u8 length, sender's node id
 *
 * Behind it: sealed, AES-256-GCM ciphertext with its 16-byte tag; plain, the payload and CRC-32C of
 * everything before it.
 */

import type { NodeId } from '../../core/ids.js'
import { isNodeId } from '../../core/ids.js'
import { datagramSizeBytesMax } from '../../core/limits.js'
import type { Crypto } from '../../core/ports/crypto.js'
import { ByteReader } from '../../wire/byte-reader.js'
import type { ByteWriter } from '../../wire/byte-writer.js'

export const DatagramFormats = { Sealed: 1, Plain: 2 } as const
export type DatagramFormat = (typeof DatagramFormats)[keyof typeof DatagramFormats]

export const bootNonceBytes = 16
export const counterBytes = 12
export const tagBytes = 16
export const checksumBytes = 4
const longestSenderBytes = 63
const fixedBytes = 1 + 4 + 4 + 8 + bootNonceBytes + counterBytes + 1
const longestTrailerBytes = Math.max(tagBytes, checksumBytes)

/** What a datagram may carry, whoever sends it: rumours must fit each member's datagrams. */
export const datagramPayloadBytesMax =
  datagramSizeBytesMax - fixedBytes - longestSenderBytes - longestTrailerBytes

export interface DatagramHeader {
  readonly format: DatagramFormat
  readonly clusterTag: number
  readonly keyId: number
  readonly bootNumber: number
  readonly bootNonce: Uint8Array
  readonly counter: number
  readonly sender: NodeId
  /** Of the header itself, so that the rest can be found. */
  readonly lengthBytes: number
}

export function writeHeader(writer: ByteWriter, header: Omit<DatagramHeader, 'lengthBytes'>): void {
  writer.u8(header.format)
  writer.u32(header.clusterTag)
  writer.u32(header.keyId)
  writer.u64(header.bootNumber)
  writer.raw(header.bootNonce)
  writer.u32(0)
  writer.u64(header.counter)
  writer.text(header.sender)
}

export type HeaderOutcome =
  | { readonly kind: 'read'; readonly header: DatagramHeader }
  | { readonly kind: 'truncated' }
  | { readonly kind: 'unknownVersion' }

/** Never throws; reads nothing behind the header. */
export function readHeader(bytes: Uint8Array): HeaderOutcome {
  const format = bytes[0]
  if (format === undefined) return { kind: 'truncated' }
  if (format !== DatagramFormats.Sealed && format !== DatagramFormats.Plain) {
    return { kind: 'unknownVersion' }
  }
  const trailerBytes = format === DatagramFormats.Sealed ? tagBytes : checksumBytes
  const senderBytes = bytes[fixedBytes - 1]
  if (senderBytes === undefined || bytes.length < fixedBytes + senderBytes + trailerBytes) {
    return { kind: 'truncated' }
  }
  // Numbers that no sender writes are a header of another kind, to be read as such.
  if (bytes[9] !== 0 || ((bytes[10] as number) & 0xe0) !== 0) return { kind: 'unknownVersion' }
  const reader = new ByteReader(bytes, 1)
  const clusterTag = reader.u32()
  const keyId = reader.u32()
  const bootNumber = reader.u64()
  const bootNonce = reader.raw(bootNonceBytes)
  const counterHigh = reader.u32()
  const counterMiddle = reader.u32()
  const counterLow = reader.u32()
  reader.u8()
  const sender = asciiOf(reader.raw(senderBytes))
  if (counterHigh !== 0 || counterMiddle > 0x1f_ffff || !isNodeId(sender)) {
    return { kind: 'unknownVersion' }
  }
  const counter = counterMiddle * 0x1_0000_0000 + counterLow
  const lengthBytes = fixedBytes + senderBytes
  return {
    kind: 'read',
    header: { format, clusterTag, keyId, bootNumber, bootNonce, counter, sender, lengthBytes }
  }
}

/** Tells clusters apart before any key is tried; the whole name is in the authenticated data. */
export const clusterTagOf = (crypto: Crypto, clusterName: string): number =>
  firstU32(crypto.sha256(new TextEncoder().encode(`skein cluster tag ${clusterName}`)))

/** Names a group key without revealing it. */
export function keyIdOf(crypto: Crypto, key: Uint8Array): number {
  return firstU32(crypto.deriveKey(key, new Uint8Array(0), 'skein gossip key id', 4))
}

const firstU32 = (bytes: Uint8Array): number =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0)

function asciiOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
