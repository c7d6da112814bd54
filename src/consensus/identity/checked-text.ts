/**
 * A small file of three lines: what it is and in which version, JSON, and the CRC-32C of these two
 * lines, line breaks included, in eight hex digits.
 */
import { crc32c } from '../../wire/crc32c.js'

const textEncoder = new TextEncoder()

export function encodeCheckedText(firstLine: string, fields: object): Uint8Array {
  const lines = `${firstLine}\n${JSON.stringify(fields)}\n`
  return textEncoder.encode(`${lines}${checksumOf(lines)}\n`)
}

/** @throws Error it is not what was once written */
export function decodeCheckedText(firstLine: string, bytes: Uint8Array): Record<string, unknown> {
  const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  const [first, json = '', checksum] = text.split('\n')
  if (first !== firstLine || checksum !== checksumOf(`${first}\n${json}\n`)) {
    throw new Error('the checksum does not fit')
  }
  return JSON.parse(json) as Record<string, unknown>
}

const checksumOf = (lines: string): string =>
  crc32c(textEncoder.encode(lines)).toString(16).padStart(8, '0')
