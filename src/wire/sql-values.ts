/**
 * Codecs of SQL values, statements and results, for every room that sends or stores them. A value
 * comes back as the JavaScript value it was: numbers stay numbers and bigints bigints.
 *
 * Grammar:
 *   value  = u8 0 (null) | u8 1, varint (small integer) | u8 2, f64 | u8 3, i64 (bigint)
 *          | u8 4, text | u8 5, bytes
 *   params = u8 0, list of values | u8 1, list of { text, value }
 */
import { unreachable } from '../core/assert.js'
import { ProtocolError } from '../core/errors.js'
import { messageSizeBytesMax, sqlTextBytesMax } from '../core/limits.js'
import type { SqlValue, Statement, StatementResult } from '../core/sql.js'
import {
  bool,
  bytes,
  type Codec,
  f64,
  i64,
  list,
  mapped,
  nullable,
  struct,
  type TypeOf,
  text,
  u64
} from './codec.js'
import type { CodecSpec } from './codec-spec.js'

/** Statements of one command. */
export const statementsMax = 1_024
/** Parameters of one statement, as in SQLite. */
export const parametersMax = 32_766
/** Columns of one result, as in SQLite. */
export const columnsMax = 2_000

const Tags = { Null: 0, Small: 1, Real: 2, Big: 3, Text: 4, Blob: 5 } as const

const anyText = text(messageSizeBytesMax)
/** Copied, because values outlive the message that they came in. */
const anyBytes = mapped<Uint8Array, Uint8Array>(
  bytes(messageSizeBytesMax),
  (value) => value,
  (view) => view.slice()
)

const empty: CodecSpec = { kind: 'struct', fields: [], optional: null }

export const sqlValue: Codec<SqlValue> = {
  spec: {
    kind: 'union',
    members: [
      { name: 'null', number: Tags.Null, spec: empty },
      { name: 'real', number: Tags.Real, spec: f64.spec },
      { name: 'bigint', number: Tags.Big, spec: i64.spec },
      { name: 'text', number: Tags.Text, spec: anyText.spec },
      { name: 'blob', number: Tags.Blob, spec: anyBytes.spec },
      { name: 'small', number: Tags.Small, spec: { kind: 'varint' } }
    ]
  },
  write(writer, value) {
    if (value === null) writer.u8(Tags.Null)
    else if (typeof value === 'number') {
      const isSmall = value >>> 0 === value && !Object.is(value, -0)
      writer.u8(isSmall ? Tags.Small : Tags.Real)
      if (isSmall) writer.varint(value)
      else writer.f64(value)
    } else if (typeof value === 'string') {
      writer.u8(Tags.Text)
      anyText.write(writer, value)
    } else if (typeof value === 'bigint') {
      writer.u8(Tags.Big)
      writer.i64(value)
    } else if (value instanceof Uint8Array) {
      writer.u8(Tags.Blob)
      anyBytes.write(writer, value)
    } else unreachable(value)
  },
  read(reader) {
    const tag = reader.u8()
    switch (tag) {
      case Tags.Null:
        return null
      case Tags.Small:
        return reader.varint()
      case Tags.Real:
        return reader.f64()
      case Tags.Big:
        return reader.i64()
      case Tags.Text:
        return anyText.read(reader)
      case Tags.Blob:
        return anyBytes.read(reader)
      default:
        throw new ProtocolError(`no SQL value has tag ${tag}`)
    }
  }
}

type Params = NonNullable<Statement['params']>

const positional = list(sqlValue, parametersMax)
const named = list(struct({ name: text(255), value: sqlValue }), parametersMax)

const params: Codec<Params> = {
  spec: {
    kind: 'union',
    members: [
      { name: 'positional', number: 0, spec: positional.spec },
      { name: 'named', number: 1, spec: named.spec }
    ]
  },
  write(writer, value) {
    const isPositional = Array.isArray(value)
    bool.write(writer, !isPositional)
    if (isPositional) positional.write(writer, value as readonly SqlValue[])
    else {
      const entries = Object.entries(value as Readonly<Record<string, SqlValue>>)
      named.write(
        writer,
        entries.map(([name, value]) => ({ name, value }))
      )
    }
  },
  read(reader) {
    if (!bool.read(reader)) return positional.read(reader)
    // Without a prototype, so that no name is special.
    const values: Record<string, SqlValue> = Object.create(null)
    for (const { name, value } of named.read(reader)) values[name] = value
    return values
  }
}

const wireStatement = struct({ sql: text(sqlTextBytesMax), params: nullable(params) })

export const statement: Codec<Statement> = mapped<TypeOf<typeof wireStatement>, Statement>(
  wireStatement,
  ({ sql, params }) => ({ sql, params: params ?? null }),
  ({ sql, params }) => (params === null ? { sql } : { sql, params })
)

const rowid = nullable(sqlValue) as Codec<StatementResult['lastInsertRowid']>

export const statementResult: Codec<StatementResult> = struct({
  columns: list(text(65_535), columnsMax),
  rows: list(list(sqlValue, columnsMax), messageSizeBytesMax),
  rowsAffected: u64,
  lastInsertRowid: rowid
})

/** What the values take when encoded, at most; cheap, exact only where texts are long. */
export function encodedSizeOf(values: Iterable<SqlValue>): number {
  let sizeBytes = 0
  for (const value of values) {
    if (typeof value === 'string') sizeBytes += 6 + utf8Length(value)
    else if (value instanceof Uint8Array) sizeBytes += 6 + value.length
    else sizeBytes += 9
  }
  return sizeBytes
}

/** Bytes of a text in UTF-8. */
export function utf8Length(value: string): number {
  let length = value.length
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code < 0x80) continue
    if (code < 0x800) length += 1
    else if (code >= 0xd800 && code <= 0xdbff && isLow(value.charCodeAt(i + 1))) {
      length += 2
      i++
    } else length += 2
  }
  return length
}

const isLow = (code: number): boolean => code >= 0xdc00 && code <= 0xdfff
