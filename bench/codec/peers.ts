/**
 * The others, for the same bodies: a codec written by hand for each of two messages, protobufjs and
 * msgpackr. Each encodes into bytes that the caller may keep, and decodes to plain objects.
 */
import { Packr } from 'msgpackr'
import protobuf from 'protobufjs'

export interface PeerCodec {
  readonly name: string
  encode(body: object): Uint8Array
  decode(bytes: Uint8Array): unknown
}

const entry = { term: 'uint64', payload: 'bytes' }
const fields: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  RequestVote: {
    group: 'uint32',
    from: 'string',
    to: 'string',
    term: 'uint64',
    lastIndex: 'uint64',
    lastTerm: 'uint64',
    transfer: 'bool'
  },
  AppendEntries1K: {
    group: 'uint32',
    from: 'string',
    to: 'string',
    term: 'uint64',
    prevIndex: 'uint64',
    prevTerm: 'uint64',
    commitIndex: 'uint64',
    entries: 'Entry[]'
  },
  HealthCheck: { sequence: 'uint32', sentAt: 'uint64', load: 'double' }
}

/** Null: protobufjs has no schema of it here. */
export function protobufOf(name: string): PeerCodec | null {
  const own = fields[name]
  if (own === undefined) return null
  const root = new protobuf.Root()
  root.add(typeOf('Entry', entry))
  const type = typeOf(name, own)
  root.add(type)
  return {
    name: 'protobufjs',
    encode: (body) => type.encode(body as protobuf.Message).finish(),
    decode: (bytes) => type.decode(bytes)
  }
}

function typeOf(name: string, own: Readonly<Record<string, string>>): protobuf.Type {
  const type = new protobuf.Type(name)
  Object.entries(own).forEach(([field, given], i) => {
    const isList = given.endsWith('[]')
    const rule = isList ? 'repeated' : 'required'
    type.add(new protobuf.Field(field, i + 1, isList ? given.slice(0, -2) : given, rule))
  })
  return type
}

/** With record structures, its quickest way, both ends knowing them. */
export function msgpackr(): PeerCodec {
  const packr = new Packr({ structures: [] })
  return {
    name: 'msgpackr',
    encode: (body) => packr.pack(body),
    decode: (bytes) => packr.unpack(bytes)
  }
}
