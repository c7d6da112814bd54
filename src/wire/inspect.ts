import { must } from '../core/assert.js'
import { SkeinError } from '../core/errors.js'
import { frameHeaderBytes, messageSizeBytesMax } from '../core/limits.js'
import type { Compression } from '../core/ports/compression.js'
import { ByteReader, type UnknownField } from './byte-reader.js'
import type { Catalogue } from './catalogue.js'
import type { AnyDeclaration } from './declaration.js'
import { type Extension, readExtension } from './extension.js'
import { checkFrameLength, type Frame, FrameFlags, priorityOf, readFrame } from './frame.js'
import { hybridToWall } from './hybrid-clock.js'

/** The last millisecond that ISO 8601 and `Date` know. */
const lastCalendarMs = 8_640_000_000_000_000

const priorityNames = ['critical', 'high', 'normal', 'low'] as const
const flagNames: readonly (readonly [number, string])[] = [
  [FrameFlags.Request, 'request'],
  [FrameFlags.Response, 'response'],
  [FrameFlags.AckWanted, 'ack-wanted'],
  [FrameFlags.Compressed, 'compressed'],
  [FrameFlags.MoreFollows, 'more-follows'],
  [FrameFlags.Extension, 'extension']
]

/** A frame for human eyes. */
export interface FrameInspection {
  readonly sizeBytes: number
  readonly version: number
  readonly priority: (typeof priorityNames)[number]
  readonly flags: readonly string[]
  readonly type: number
  /** From the catalogue; null for a number that it does not know. */
  readonly name: string | null
  readonly messageId: number
  /** The wall-clock part of the hybrid time, ISO 8601. */
  readonly time: string
  readonly source: number
  readonly destination: number
  readonly extension: Extension | null
  /** Decoded; null when it cannot be: unknown, not the last chunk, damaged; or is secret. */
  readonly body: unknown
  /** Optional fields that the catalogue does not know. */
  readonly unknownFields: readonly { readonly tag: number; readonly hex: string }[]
  /** Of the decoded body, all chunks together and inflated. */
  readonly wholeBytes: number | null
  /** Why the body, or the extension block, could not be shown. */
  readonly fault: string | null
  /** Empty for a body that is secret. */
  readonly bodyHex: string
}

/** Every frame of some bytes, and what is left of them. */
export interface Inspection {
  readonly frames: readonly FrameInspection[]
  /** Why the rest is no frame; null: nothing is left. */
  readonly fault: string | null
  readonly restHex: string
}

/** Takes bytes, or a received frame, apart; whatever they are, the answer is a value. */
export function inspect(
  given: Uint8Array | Frame,
  catalogue: Catalogue,
  compression: Compression | null = null
): Inspection {
  const bodies = new Bodies(compression)
  const bytes =
    given instanceof Uint8Array
      ? given
      : given.bytes.subarray(given.start - frameHeaderBytes, given.end)
  const frames: FrameInspection[] = []
  let at = 0
  while (at < bytes.length) {
    const rest = bytes.subarray(at)
    const outcome = attempt(() => {
      const end = 4 + checkFrameLength(new ByteReader(rest).u32())
      return inspectFrame(rest.length > end ? rest.subarray(0, end) : rest, catalogue, bodies)
    })
    if (outcome.fault !== null) return { frames, fault: outcome.fault, restHex: toHex(rest) }
    frames.push(outcome.value)
    at += Math.min(outcome.value.sizeBytes, rest.length)
  }
  return { frames, fault: null, restHex: '' }
}

/**
 * Takes one frame apart, length field included. A damaged body or extension block is reported,
 * not thrown.
 *
 * @throws ProtocolError when not even the header can be read
 */
export function inspectFrame(
  bytes: Uint8Array,
  catalogue: Catalogue,
  bodies = new Bodies(null)
): FrameInspection {
  const reader = new ByteReader(bytes)
  const end = 4 + checkFrameLength(reader.u32())
  const shownEnd = Math.min(end, bytes.length)
  const frame = readFrame(reader.reset(bytes, 4, shownEnd), bytes, end)
  const declaration = catalogue.byNumber(frame.type)
  const isExtended = (frame.flags & FrameFlags.Extension) !== 0
  const extended = attempt(() => (isExtended ? readExtension(reader) : null))
  const isSecret = declaration?.secret ?? false
  const unknownFields: UnknownField[] = []
  reader.unknownFields = unknownFields
  const body = bytes.subarray(reader.offset, shownEnd)
  const whole = end === bytes.length ? bodies.whole(frame, body) : { fault: cut(bytes, end) }
  const obstacle = extended.fault ?? obstacleTo(declaration) ?? whole.fault
  const decoded =
    obstacle === null
      ? attempt(() => readBody(reader, must(whole.bytes, 'body'), must(declaration, 'type')))
      : null
  return {
    sizeBytes: end,
    version: frame.version,
    priority: priorityNames[priorityOf(frame.flags)] ?? 'low',
    flags: flagNames.filter(([bit]) => (frame.flags & bit) !== 0).map(([, name]) => name),
    type: frame.type,
    name: declaration?.name ?? null,
    messageId: frame.messageId,
    time: timeOf(frame.timestamp),
    source: frame.source,
    destination: frame.destination,
    extension: extended.value ?? null,
    body: decoded?.value ?? null,
    unknownFields: unknownFields.map(({ tag, bytes }) => ({ tag, hex: toHex(bytes) })),
    wholeBytes: decoded === null ? null : must(whole.bytes, 'body').length,
    fault: obstacle ?? decoded?.fault ?? null,
    bodyHex: isSecret ? '' : toHex(body)
  }
}

/** `inspectFrame` as lines of text, the bytes of the header first. */
export function formatInspection(inspection: FrameInspection): string {
  const { name, type, flags, extension, fault } = inspection
  const hex = type.toString(16).padStart(4, '0')
  const sizes = `${inspection.sizeBytes} bytes of which ${frameHeaderBytes} header`
  const lines = [
    `${name ?? 'unknown'} (0x${hex}), message ${inspection.messageId}, ${sizes}`,
    `  version ${inspection.version}`,
    `  priority ${inspection.priority}; flags ${flags.join(', ') || 'none'}`,
    `  time ${inspection.time}; from index ${inspection.source} to ${inspection.destination}`
  ]
  if (extension !== null) lines.push(`  extension ${toText(extension)}`)
  for (const { tag, hex } of inspection.unknownFields) {
    lines.push(`  unknown field ${tag}: 0x${hex}`)
  }
  const unpacked = flags.includes('compressed')
    ? ` of ${inspection.wholeBytes} bytes, inflated,`
    : ''
  lines.push(
    fault === null ? `  body${unpacked} ${toText(inspection.body)}` : `  body not shown: ${fault}`
  )
  return lines.join('\n')
}

/** `inspect` as lines of text. */
export function formatInspections({ frames, fault, restHex }: Inspection): string {
  const rest = fault === null ? [] : [`${restHex.length / 2} bytes left over: ${fault}`]
  return [...frames.map(formatInspection), ...rest].join('\n')
}

/** As JSON can carry it: bytes as `0x…`, 64-bit integers as text. */
export const toPlain = (value: unknown): unknown => JSON.parse(toText(value))

const secretBody = 'it is secret'

const cut = (bytes: Uint8Array, end: number): string =>
  `${bytes.length} bytes where ${end} are announced`

const obstacleTo = (declaration: AnyDeclaration | undefined): string | null =>
  declaration === undefined ? 'unknown type' : declaration.secret ? secretBody : null

type WholeBody =
  | { readonly bytes: Uint8Array; readonly fault: null }
  | { readonly bytes?: undefined; readonly fault: string }

/** Puts chunks together, as far as they are among the bytes, and inflates what is compressed. */
class Bodies {
  readonly #compression: Compression | null
  /** By message, of those whose last chunk has not come: no more than the bytes that are given. */
  readonly #chunks = new Map<string, Uint8Array[]>()

  constructor(compression: Compression | null) {
    this.#compression = compression
  }

  whole({ flags, type, messageId }: Frame, body: Uint8Array): WholeBody {
    const key = `${type} ${flags & FrameFlags.Response} ${messageId}`
    const chunks = this.#chunks.get(key) ?? []
    chunks.push(body)
    if ((flags & FrameFlags.MoreFollows) !== 0) {
      this.#chunks.set(key, chunks)
      return { fault: 'one chunk of several' }
    }
    this.#chunks.delete(key)
    const bytes = joined(chunks)
    if (bytes.length > messageSizeBytesMax) return { fault: tooLarge }
    if ((flags & FrameFlags.Compressed) === 0) return { bytes, fault: null }
    if (this.#compression === null) return { fault: 'compressed' }
    const inflated = this.#compression.inflate(bytes, messageSizeBytesMax)
    return inflated === null ? { fault: notInflated } : { bytes: inflated, fault: null }
  }
}

const tooLarge = `its chunks have more than ${messageSizeBytesMax} bytes`
const notInflated = `compressed, and damaged or above ${messageSizeBytesMax} bytes`

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [only] = chunks
  if (chunks.length === 1 && only !== undefined) return only
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

function readBody(reader: ByteReader, body: Uint8Array, declaration: AnyDeclaration): unknown {
  reader.reset(body, 0, body.length)
  const value = declaration.codec.read(reader)
  reader.expectEnd()
  return value
}

/** Beyond what a calendar can show it is shown as it stands. */
function timeOf(timestamp: number): string {
  const wall = hybridToWall(timestamp)
  return wall <= lastCalendarMs ? new Date(wall).toISOString() : `${timestamp}`
}

type Attempt<T> =
  | { readonly value: T; readonly fault: null }
  | { readonly value?: undefined; readonly fault: string }

function attempt<T>(act: () => T): Attempt<T> {
  try {
    return { value: act(), fault: null }
  } catch (error) {
    if (error instanceof SkeinError) return { fault: error.message }
    throw error
  }
}

function toText(value: unknown): string {
  // Of `this`, because a Buffer has been made into something else when it is handed over.
  return JSON.stringify(value, function (this: Record<string, unknown>, key: string) {
    const inner = this[key]
    if (inner instanceof Uint8Array) return `0x${toHex(inner)}`
    return typeof inner === 'bigint' ? inner.toString() : inner
  })
}

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
