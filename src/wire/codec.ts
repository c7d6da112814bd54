/**
 * The schema language. A `Codec` writes and reads one shape; larger ones are put together from
 * smaller ones, and the TypeScript type of a message is derived from its codec. What is read is
 * checked against the named bounds before anything is allocated for it.
 *
 * Grammar (big-endian; `docs/wire.md` is the specification):
 *   text  = varint length, UTF-8          bytes = varint length, octets
 *   list  = varint count, items           nullable = u8 0 | u8 1, value
 *   union = u8 number of the member, its struct
 *   struct = fields in declared order
 *   open struct = struct, then { u8 tag, varint length, value }…, up to the end of what encloses it
 */
import { assert, InvariantError } from '../core/assert.js'
import { ProtocolError } from '../core/errors.js'
import type {
  ClientId,
  ClusterId,
  GroupId,
  Incarnation,
  LogIndex,
  NodeId,
  ReplicaId,
  Serial,
  Term
} from '../core/ids.js'
import * as ids from '../core/ids.js'
import type { ByteReader } from './byte-reader.js'
import type { ByteWriter } from './byte-writer.js'
import type { CodecSpec, IdFormat } from './codec-spec.js'

/** Ids that one codec recognises; a new one takes the place of the one in its slot. */
const recentIdsMax = 64

export interface Codec<T> {
  /** How its bytes lie, for samples and documentation. */
  readonly spec: CodecSpec
  write(writer: ByteWriter, value: T): void
  read(reader: ByteReader): T
}

/** The type that a codec reads and writes. */
export type TypeOf<C> = C extends Codec<infer T> ? T : never

export const u8: Codec<number> = {
  spec: { kind: 'u8' },
  write(writer, value) {
    if (!(Number.isInteger(value) && value >= 0 && value <= 0xff)) outOfRange('u8', value)
    writer.u8(value)
  },
  read: (reader) => reader.u8()
}

export const u16: Codec<number> = {
  spec: { kind: 'u16' },
  write(writer, value) {
    if (!(Number.isInteger(value) && value >= 0 && value <= 0xffff)) outOfRange('u16', value)
    writer.u16(value)
  },
  read: (reader) => reader.u16()
}

export const u32: Codec<number> = {
  spec: { kind: 'u32' },
  write(writer, value) {
    if (!(Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff)) outOfRange('u32', value)
    writer.u32(value)
  },
  read: (reader) => reader.u32()
}

/** Seven bits a byte, up to 2^32-1. */
export const varint: Codec<number> = {
  spec: { kind: 'varint' },
  write(writer, value) {
    if (value >>> 0 !== value) outOfRange('varint', value)
    writer.varint(value)
  },
  read: (reader) => reader.varint()
}

/** Seven bits a byte, a safe integer: shorter than `u64` below 2^49, and slower. */
export const varint53: Codec<number> = {
  spec: { kind: 'varint53' },
  write: (writer, value) => writer.varint53(value),
  read: (reader) => reader.varint53()
}

/** 64 bits on the wire, a safe integer here. */
export const u64: Codec<number> = {
  spec: { kind: 'u64' },
  write: (writer, value) => writer.u64(value),
  read: (reader) => reader.u64()
}

export const i64: Codec<bigint> = {
  spec: { kind: 'i64' },
  write: (writer, value) => writer.i64(value),
  read: (reader) => reader.i64()
}

export const f64: Codec<number> = {
  spec: { kind: 'f64' },
  write: (writer, value) => writer.f64(value),
  read: (reader) => reader.f64()
}

export const bool: Codec<boolean> = {
  spec: { kind: 'bool' },
  write: (writer, value) => writer.u8(value ? 1 : 0),
  read(reader) {
    const value = reader.u8()
    if (value > 1) throw new ProtocolError(`bool of ${value}`)
    return value === 1
  }
}

export const text = (sizeBytesMax: number): Codec<string> => ({
  spec: { kind: 'text', sizeBytesMax },
  write(writer, value) {
    const length = writer.text(value)
    if (length > sizeBytesMax) outOfRange(`text(${sizeBytesMax})`, length)
  },
  read: (reader) => reader.text(sizeBytesMax)
})

/** What is read is a view on the received bytes; copy it to keep it beyond the message. */
export const bytes = (sizeBytesMax: number): Codec<Uint8Array> => ({
  spec: { kind: 'bytes', sizeBytesMax },
  write(writer, value) {
    if (value.length > sizeBytesMax) outOfRange(`bytes(${sizeBytesMax})`, value.length)
    writer.varint(value.length)
    writer.raw(value)
  },
  read(reader) {
    const length = reader.varint()
    if (length > sizeBytesMax) {
      throw new ProtocolError(`${length} bytes, at most ${sizeBytesMax}`)
    }
    return reader.raw(length)
  }
})

export const list = <T>(item: Codec<T>, countMax: number): Codec<readonly T[]> => ({
  spec: { kind: 'list', item: item.spec, countMax },
  write(writer, value) {
    if (value.length > countMax) outOfRange(`list of at most ${countMax}`, value.length)
    writer.varint(value.length)
    for (const element of value) item.write(writer, element)
  },
  read(reader) {
    const count = readCount(reader, countMax)
    const items: T[] = []
    for (let i = 0; i < count; i++) items.push(item.read(reader))
    return items
  }
})

/** The count of a list's items, which follow. */
export function readCount(reader: ByteReader, countMax: number): number {
  const count = reader.varint()
  // Every item takes at least one byte, so a longer count lies before any of it is allocated.
  if (count > countMax || count > reader.remaining) {
    throw new ProtocolError(`list of ${count}, at most ${countMax}`)
  }
  return count
}

export const nullable = <T>(value: Codec<T>): Codec<T | null> => ({
  spec: { kind: 'nullable', value: value.spec },
  write(writer, given) {
    writer.u8(given === null ? 0 : 1)
    if (given !== null) value.write(writer, given)
  },
  read: (reader) => (bool.read(reader) ? value.read(reader) : null)
})

/** One of a closed set of words; the position is the number on the wire, so append only. */
export const oneOf = <const Words extends readonly string[]>(
  words: Words
): Codec<Words[number]> => ({
  spec: { kind: 'oneOf', words },
  write(writer, value) {
    const number = words.indexOf(value)
    if (number < 0) outOfRange(`oneOf(${words.join(' | ')})`, value)
    writer.u8(number)
  },
  read(reader) {
    const number = reader.u8()
    const word = words[number]
    if (word === undefined) throw new ProtocolError(`no word has number ${number}`)
    return word
  }
})

type StructSpec = Extract<CodecSpec, { kind: 'struct' }>
type StructOf<F> = { readonly [Key in keyof F]: TypeOf<F[Key]> }

/**
 * Fields in declared order, nothing between them. A new field needs a new version: see
 * `openStruct`.
 */
export function struct<const F extends Record<string, unknown>>(fields: F): Codec<StructOf<F>> {
  const entries = Object.entries(fields as unknown as Record<string, Codec<unknown>>)
  const names = entries.map(([name]) => name)
  const codecs = entries.map(([, codec]) => codec)
  return {
    spec: {
      kind: 'struct',
      fields: entries.map(([name, codec]) => ({ name, spec: codec.spec })),
      optional: null
    },
    write(writer, value) {
      const record = value as Record<string, unknown>
      for (let i = 0; i < codecs.length; i++) {
        ;(codecs[i] as Codec<unknown>).write(writer, record[names[i] as string])
      }
    },
    read(reader) {
      const record: Record<string, unknown> = {}
      for (let i = 0; i < codecs.length; i++) {
        record[names[i] as string] = (codecs[i] as Codec<unknown>).read(reader)
      }
      return record as StructOf<F>
    }
  }
}

/** A struct's later, optional fields: name → [tag, codec]; tags are append-only, from 1. */
type OptionalFields = Readonly<Record<string, readonly [number, unknown]>>
type OpenStructOf<F, O> = StructOf<F> & {
  readonly [Key in keyof O]?: O[Key] extends readonly [number, infer C] ? TypeOf<C> : never
}

/**
 * A message body: required fields, then tagged optional ones up to the end of the bytes. Tags
 * that the reader does not know are skipped, so that a newer sender can talk to an older
 * receiver.
 */
export function openStruct<
  const F extends Record<string, unknown>,
  const O extends OptionalFields = Record<never, never>
>(fields: F, optional: O = {} as O): Codec<OpenStructOf<F, O>> {
  const required = struct(fields)
  const later = laterFieldsOf(optional)
  return {
    spec: { ...(required.spec as StructSpec), optional: later.specs },
    write(writer, value) {
      required.write(writer, value)
      later.write(writer, value)
    },
    read(reader) {
      const record = required.read(reader)
      later.read(reader, record)
      return record as OpenStructOf<F, O>
    }
  }
}

/** The optional fields alone, for a body whose required ones are spelled out. */
export interface LaterFields {
  readonly specs: readonly { name: string; tag: number; spec: CodecSpec }[]
  write(writer: ByteWriter, value: object): void
  /** Up to the end of the bytes, into `record`. */
  read(reader: ByteReader, record: object): void
}

export function laterFieldsOf(optional: OptionalFields): LaterFields {
  const later = Object.entries(optional).map(([name, [tag, codec]]) => {
    assert(Number.isInteger(tag) && tag >= 1 && tag <= 255, `tag ${tag} of ${name}`)
    return { name, tag, codec: codec as Codec<unknown> }
  })
  const byTag = new Map(later.map((field) => [field.tag, field]))
  assert(byTag.size === later.length, 'two optional fields share a tag')
  return {
    specs: later.map(({ name, tag, codec }) => ({ name, tag, spec: codec.spec })),
    write(writer, value) {
      for (let i = 0; i < later.length; i++) {
        writeLater(writer, later[i] as LaterField, value as Record<string, unknown>)
      }
    },
    read(reader, record) {
      if (reader.remaining > 0) readLaterFields(reader, byTag, record as Record<string, unknown>)
    }
  }
}

interface LaterField {
  readonly name: string
  readonly tag: number
  readonly codec: Codec<unknown>
}

function writeLater(
  writer: ByteWriter,
  { name, tag, codec }: LaterField,
  record: Record<string, unknown>
): void {
  const value = record[name]
  if (value === undefined) return
  writer.u8(tag)
  const start = writer.beginSized()
  codec.write(writer, value)
  writer.endSized(start)
}

const noFields: ReadonlyMap<number, LaterField> = new Map()

/** Of a body without optional fields, up to its end: those of later versions. */
export function skipLaterFields(reader: ByteReader): void {
  if (reader.remaining > 0) readLaterFields(reader, noFields, {})
}

function readLaterFields(
  reader: ByteReader,
  byTag: ReadonlyMap<number, LaterField>,
  record: Record<string, unknown>
): void {
  while (reader.remaining > 0) {
    const tag = reader.u8()
    const known = byTag.get(tag)
    const length = reader.varint()
    const end = reader.offset + length
    if (length > reader.remaining) throw new ProtocolError('optional field is truncated')
    if (known === undefined) {
      const bytes = reader.raw(length)
      reader.unknownFields?.push({ tag, bytes })
      continue
    }
    record[known.name] = known.codec.read(reader)
    if (reader.offset !== end) throw new ProtocolError(`${known.name} has another length`)
  }
}

/** name → [number on the wire, codec of the member's fields]; numbers are append-only. */
type UnionMembers = Readonly<Record<string, readonly [number, unknown]>>
type UnionOf<M> = {
  [Key in keyof M]: { readonly kind: Key } & (M[Key] extends readonly [number, infer C]
    ? TypeOf<C>
    : never)
}[keyof M]

/** A tagged union; the tag is the field `kind`. */
export function union<const M extends UnionMembers>(members: M): Codec<UnionOf<M>> {
  const byNumber = new Map<number, { kind: string; codec: Codec<object> }>()
  const byKind = new Map<string, { number: number; codec: Codec<object> }>()
  for (const [kind, [number, codec]] of Object.entries(members)) {
    assert(!byNumber.has(number), `two members have number ${number}`)
    byNumber.set(number, { kind, codec: codec as Codec<object> })
    byKind.set(kind, { number, codec: codec as Codec<object> })
  }
  return {
    spec: {
      kind: 'union',
      members: [...byKind].map(([name, { number, codec }]) => ({ name, number, spec: codec.spec }))
    },
    write(writer, value) {
      const member = byKind.get((value as { kind: string }).kind)
      if (member === undefined) outOfRange('union', (value as { kind: string }).kind)
      writer.u8(member.number)
      member.codec.write(writer, value as object)
    },
    read(reader) {
      const number = reader.u8()
      const member = byNumber.get(number)
      if (member === undefined) throw new ProtocolError(`no member has number ${number}`)
      return withKind(member.kind, member.codec.read(reader)) as unknown as UnionOf<M>
    }
  }
}

/** What a codec has just read is nobody else's yet: the tag is put into it, not into a copy. */
export function withKind<Kind extends string, Body extends object>(
  kind: Kind,
  fresh: Body
): { readonly kind: Kind } & Body {
  const record = fresh as Body & { kind: Kind }
  record.kind = kind
  return record
}

/** Another type over the same bytes; `from` throws for values that are out of its range. */
export function mapped<Wire, T>(
  codec: Codec<Wire>,
  to: (value: T) => Wire,
  from: (wire: Wire) => T,
  spec: CodecSpec = codec.spec
): Codec<T> {
  return {
    spec,
    write: (writer, value) => codec.write(writer, to(value)),
    read(reader) {
      const wire = codec.read(reader)
      try {
        return from(wire)
      } catch (cause) {
        throw new ProtocolError(cause instanceof Error ? cause.message : String(cause), { cause })
      }
    }
  }
}

const branded = <Wire, T extends Wire>(codec: Codec<Wire>, from: (wire: Wire) => T): Codec<T> =>
  mapped<Wire, T>(codec, (value) => value, from)

/**
 * An id as text. The same few come again and again: one that was read lately is recognised by its
 * bytes, and neither decoded nor checked a second time.
 */
function textId<T extends string>(
  format: IdFormat,
  sizeBytesMax: number,
  from: (text: string) => T
): Codec<T> {
  const checked = branded(text(sizeBytesMax), from)
  const recent: (T | undefined)[] = new Array(recentIdsMax).fill(undefined)
  return {
    spec: { kind: 'text', sizeBytesMax, format },
    write: checked.write,
    read(reader) {
      const slot = reader.peekTextHash() % recentIdsMax
      const known = recent[slot]
      if (known !== undefined && reader.skipText(known)) return known
      const id = checked.read(reader)
      recent[slot] = id
      return id
    }
  }
}

export const nodeId: Codec<NodeId> = textId('nodeId', 63, ids.toNodeId)
export const clusterId: Codec<ClusterId> = textId('clusterId', 32, ids.toClusterId)
export const replicaId: Codec<ReplicaId> = textId('replicaId', 80, ids.toReplicaId)
export const clientId: Codec<ClientId> = textId('clientId', 64, ids.toClientId)
// A u32, and a u64 as it is read, are all that these ids may be.
export const groupId: Codec<GroupId> = u32 as Codec<number> as Codec<GroupId>
/** In one byte up to 127: for messages that name their group and little else. */
export const shortGroupId: Codec<GroupId> = varint as Codec<number> as Codec<GroupId>
export const term: Codec<Term> = u64 as Codec<number> as Codec<Term>
export const logIndex: Codec<LogIndex> = u64 as Codec<number> as Codec<LogIndex>
export const incarnation: Codec<Incarnation> = u64 as Codec<number> as Codec<Incarnation>
export const serial: Codec<Serial> = u64 as Codec<number> as Codec<Serial>

/** Apart from its callers, so that a value that fits costs no text. */
function outOfRange(shape: string, value: unknown): never {
  throw new InvariantError(`${shape} of ${String(value)}`)
}
