/** Bytes made from the shape of a codec: valid ones, and ones that are nearly so. */
import type { Random } from '../../src/core/index.js'
import {
  ByteReader,
  ByteWriter,
  type Codec,
  type CodecSpec,
  type IdFormat
} from '../../src/wire/index.js'

export interface SampleOptions {
  /** Items of a list and letters of a text, mostly. */
  readonly lengthMax: number
}

const ordinary: SampleOptions = { lengthMax: 4 }
const room = 2 * 1024 * 1024

/**
 * A body that the codec reads, as it writes it; null when none was found, as where a codec refuses
 * most of what has its shape.
 */
export function sampleBody(
  codec: Codec<unknown>,
  random: Random,
  options: SampleOptions = ordinary,
  attempts = 20
): Uint8Array | null {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const value = tryRead(codec, sampleBytes(codec.spec, random, options))
    if (value === undefined) continue
    const writer = new ByteWriter(room)
    codec.write(writer, value.body)
    return writer.take()
  }
  return null
}

/** Bytes of the shape; whether the codec takes them is another question. */
export function sampleBytes(
  spec: CodecSpec,
  random: Random,
  options: SampleOptions = ordinary
): Uint8Array {
  const writer = new ByteWriter(room)
  write(spec, writer, random, options)
  return writer.take()
}

/** Undefined: refused. */
export function tryRead(codec: Codec<unknown>, bytes: Uint8Array): { body: unknown } | undefined {
  try {
    const reader = new ByteReader(bytes)
    const body = codec.read(reader)
    reader.expectEnd()
    return { body }
  } catch {
    return undefined
  }
}

/** One to four changes: bytes, a cut, a repeated part, an inserted extreme. */
export function mutate(bytes: Uint8Array, random: Random): Uint8Array {
  let mutated: Uint8Array = bytes.slice()
  const changes = 1 + random.nextInt(4)
  for (let i = 0; i < changes; i++) mutated = mutateOnce(mutated, random)
  return mutated
}

function mutateOnce(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(random.nextInt(256))
  const at = random.nextInt(bytes.length)
  switch (random.nextInt(6)) {
    case 0:
      bytes[at] = random.nextInt(256)
      return bytes
    case 1:
      bytes[at] = (bytes[at] as number) ^ (1 << random.nextInt(8))
      return bytes
    case 2:
      return bytes.slice(0, at)
    case 3: {
      const end = Math.min(bytes.length, at + 1 + random.nextInt(16))
      return concat([bytes.subarray(0, end), bytes.subarray(at)])
    }
    case 4: {
      const extreme = extremes[random.nextInt(extremes.length)] as readonly number[]
      bytes.set(extreme.slice(0, bytes.length - at), at)
      return bytes
    }
    default: {
      const extra = Uint8Array.from({ length: 1 + random.nextInt(8) }, () => random.nextInt(256))
      return concat([bytes.subarray(0, at), extra, bytes.subarray(at)])
    }
  }
}

/** Numbers at which lengths and counters break. */
const extremes: readonly (readonly number[])[] = [
  [0xff, 0xff, 0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0, 0x20, 0, 0, 0, 0, 0, 0],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
  [0, 0, 0, 0]
]

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts))
}

function write(spec: CodecSpec, writer: ByteWriter, random: Random, options: SampleOptions): void {
  switch (spec.kind) {
    case 'u8':
      writer.u8(random.nextInt(256))
      return
    case 'u16':
      writer.u16(random.nextInt(0x1_0000))
      return
    case 'u32':
      writer.u32(skewed(random))
      return
    case 'varint':
      writer.varint(skewed(random))
      return
    case 'varint53':
      writer.varint53(random.nextInt(8) === 0 ? Number.MAX_SAFE_INTEGER : skewed(random))
      return
    case 'u64':
      writer.u64(random.nextInt(8) === 0 ? Number.MAX_SAFE_INTEGER : skewed(random))
      return
    case 'storageId':
      writer.u32Pair(random.nextUint32(), random.nextUint32())
      return
    case 'i64':
      writer.i64(BigInt.asIntN(64, BigInt(skewed(random)) << BigInt(random.nextInt(33))))
      return
    case 'f64':
      writer.f64(random.nextInt(4) === 0 ? skewed(random) : random.nextFloat())
      return
    case 'bool':
      writer.u8(random.nextInt(2))
      return
    case 'text':
      writer.text(textOf(spec, random, options))
      return
    case 'bytes':
      writeBytes(writer, Math.min(spec.sizeBytesMax, lengthOf(random, options)), random)
      return
    case 'opaque':
      for (let i = random.nextInt(32); i > 0; i--) writer.u8(random.nextInt(256))
      return
    default:
      writeComposed(spec, writer, random, options)
  }
}

type Composed = Extract<
  CodecSpec,
  { kind: 'sized' | 'list' | 'nullable' | 'oneOf' | 'struct' | 'union' }
>

function writeComposed(
  spec: Composed,
  writer: ByteWriter,
  random: Random,
  options: SampleOptions
): void {
  switch (spec.kind) {
    case 'sized': {
      const start = writer.beginSized()
      write(spec.value, writer, random, options)
      writer.endSized(start)
      return
    }
    case 'list': {
      const count = Math.min(spec.countMax, lengthOf(random, options))
      writer.varint(count)
      for (let i = 0; i < count; i++) write(spec.item, writer, random, options)
      return
    }
    case 'nullable': {
      const isNull = options.lengthMax === 0 || random.nextInt(2) === 0
      writer.u8(isNull ? 0 : 1)
      if (!isNull) write(spec.value, writer, random, options)
      return
    }
    case 'oneOf':
      writer.u8(random.nextInt(spec.words.length))
      return
    case 'union': {
      const member = spec.members[random.nextInt(spec.members.length)]
      if (member === undefined) return
      writer.u8(member.number)
      write(member.spec, writer, random, options)
      return
    }
    case 'struct':
      for (const field of spec.fields) write(field.spec, writer, random, options)
      for (const field of spec.optional ?? []) {
        if (options.lengthMax === 0 || random.nextInt(2) === 0) continue
        writer.u8(field.tag)
        const start = writer.beginSized()
        write(field.spec, writer, random, options)
        writer.endSized(start)
      }
  }
}

function writeBytes(writer: ByteWriter, length: number, random: Random): void {
  writer.varint(length)
  for (let i = 0; i < length; i++) writer.u8(random.nextInt(256))
}

/** Mostly short, now and then long. */
function lengthOf(random: Random, { lengthMax }: SampleOptions): number {
  if (lengthMax === 0) return 0
  return random.nextInt(64) === 0 ? random.nextInt(200) : random.nextInt(lengthMax + 1)
}

const skewed = (random: Random): number => random.nextUint32() >>> random.nextInt(32)

const letters = ['a', 'b', '0', '9', '-', ' ', 'é', '→', '🦢', '\u0000', '"']

function textOf(
  spec: Extract<CodecSpec, { kind: 'text' }>,
  random: Random,
  options: SampleOptions
): string {
  if (spec.format !== undefined) return idOf(spec.format, random)
  let text = ''
  for (let i = lengthOf(random, options); i > 0; i--) {
    const longer = text + (letters[random.nextInt(letters.length)] as string)
    if (Buffer.byteLength(longer) > spec.sizeBytesMax) break
    text = longer
  }
  return text
}

function idOf(format: IdFormat, random: Random): string {
  const digits = (count: number) =>
    Array.from({ length: count }, () => random.nextInt(16).toString(16)).join('')
  const node = `node-${random.nextInt(20)}`
  switch (format) {
    case 'nodeId':
      return node
    case 'clusterId':
      return digits(32)
    case 'replicaId':
      return `${node}/${digits(16)}`
    case 'clientId':
      return `client:${random.nextInt(20)}`
  }
}
