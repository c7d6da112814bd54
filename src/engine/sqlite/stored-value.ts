/**
 * A value exactly as SQLite stores it: integers are bigint, reals number. Text that is not UTF-8
 * cannot be a JavaScript string and travels as its bytes.
 */
import { unreachable } from '../../core/assert.js'
import { ProtocolError } from '../../core/errors.js'
import { integerToSqlValue, type SqlValue } from '../../core/sql.js'
import type { ByteReader } from '../../wire/byte-reader.js'
import type { ByteWriter } from '../../wire/byte-writer.js'
import type { Codec } from '../../wire/codec.js'

export class RawText {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

export type StoredValue = null | bigint | number | string | Uint8Array | RawText

const Tags = { Null: 0, Small: 1, Int: 2, Real: 3, Text: 4, Blob: 5, RawText: 6 } as const
const smallLimit = 0x1_0000_0000n

/**
 *   value = u8 0 (null) | u8 1, varint (0…2^32-1) | u8 2, i64 | u8 3, f64
 *         | u8 4, text | u8 5, varint length, bytes | u8 6, varint length, bytes of text
 */
export const storedValue: Codec<StoredValue> = {
  spec: { kind: 'opaque' },
  write(writer, value) {
    if (value === null) writer.u8(Tags.Null)
    else if (typeof value === 'bigint') writeInteger(writer, value)
    else if (typeof value === 'number') {
      writer.u8(Tags.Real)
      writer.f64(value)
    } else if (typeof value === 'string') {
      writer.u8(Tags.Text)
      writer.text(value)
    } else if (value instanceof RawText) writeBytes(writer, Tags.RawText, value.bytes)
    else if (value instanceof Uint8Array) writeBytes(writer, Tags.Blob, value)
    else unreachable(value)
  },
  read(reader) {
    const tag = reader.u8()
    switch (tag) {
      case Tags.Null:
        return null
      case Tags.Small:
        return BigInt(reader.varint())
      case Tags.Int:
        return reader.i64()
      case Tags.Real:
        return reader.f64()
      case Tags.Text:
        return reader.text(reader.remaining)
      case Tags.Blob:
        return readBytes(reader)
      case Tags.RawText:
        return new RawText(readBytes(reader))
      default:
        throw new ProtocolError(`no stored value has tag ${tag}`)
    }
  }
}

/** As callers get it. Text that is not UTF-8 loses what cannot be said in a string. */
export function toSqlValue(value: null | bigint | number | string | Uint8Array): SqlValue {
  if (typeof value === 'bigint') return integerToSqlValue(value)
  if (value instanceof Uint8Array) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
  }
  return value
}

/** As it is bound: an integral number is an INTEGER, as in every SQL text. */
export function toBinding(value: SqlValue): null | bigint | number | string | Uint8Array {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
  return value
}

/** Rough size of a value in an answer. */
export function sizeOf(value: SqlValue): number {
  if (typeof value === 'string') return 5 + utf8Length(value)
  return value instanceof Uint8Array ? value.length + 5 : 9
}

/** Two values are the same key part when their texts are. */
export function keyTextOf(value: StoredValue): string {
  if (value === null) return 'n'
  if (typeof value === 'bigint') return `i${value}`
  if (typeof value === 'number') return `r${value}`
  if (typeof value === 'string') return `t${value.length}:${value}`
  const bytes = value instanceof RawText ? value.bytes : value
  return `${value instanceof RawText ? 'u' : 'b'}${bytes.length}:${bytes.join()}`
}

function writeInteger(writer: ByteWriter, value: bigint): void {
  if (value >= 0n && value < smallLimit) {
    writer.u8(Tags.Small)
    writer.varint(Number(value))
  } else {
    writer.u8(Tags.Int)
    writer.i64(value)
  }
}

function writeBytes(writer: ByteWriter, tag: number, bytes: Uint8Array): void {
  writer.u8(tag)
  writer.varint(bytes.length)
  writer.raw(bytes)
}

const readBytes = (reader: ByteReader): Uint8Array => reader.raw(reader.varint()).slice()

function utf8Length(text: string): number {
  let length = text.length
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) length += code > 0x7ff ? 2 : 1
  }
  return length
}
