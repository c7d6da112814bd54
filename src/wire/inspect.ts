import { SkeinError } from '../core/errors.js'
import { frameHeaderBytes } from '../core/limits.js'
import { ByteReader } from './byte-reader.js'
import type { Catalogue } from './catalogue.js'
import { type Extension, readExtension } from './extension.js'
import { checkFrameLength, FrameFlags, priorityOf, readFrame } from './frame.js'
import { hybridToWall } from './hybrid-clock.js'

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
  /** Decoded; null when the type is unknown, the frame is a chunk, or the body is damaged. */
  readonly body: unknown
  /** Why the body could not be shown. */
  readonly fault: string | null
  readonly bodyHex: string
}

/**
 * Takes one frame apart, length field included. A damaged body is reported, not thrown.
 *
 * @throws ProtocolError when not even the header can be read
 */
export function inspectFrame(bytes: Uint8Array, catalogue: Catalogue): FrameInspection {
  const reader = new ByteReader(bytes)
  const end = 4 + checkFrameLength(reader.u32())
  const frame = readFrame(reader.reset(bytes, 4, Math.min(end, bytes.length)), bytes, end)
  const declaration = catalogue.byNumber(frame.type)
  const extension = (frame.flags & FrameFlags.Extension) !== 0 ? readExtension(reader) : null
  const bodyHex = toHex(bytes.subarray(reader.offset, end))
  const { body, fault } = inspectBody(
    () => {
      if (end !== bytes.length) return `${bytes.length} bytes where ${end} are announced`
      if (declaration === undefined) return 'unknown type'
      return (frame.flags & FrameFlags.MoreFollows) !== 0 ? 'one chunk of several' : null
    },
    () => {
      const value = declaration?.codec.read(reader)
      reader.expectEnd()
      return value
    }
  )
  return {
    sizeBytes: end,
    version: frame.version,
    priority: priorityNames[priorityOf(frame.flags)] ?? 'low',
    flags: flagNames.filter(([bit]) => (frame.flags & bit) !== 0).map(([, name]) => name),
    type: frame.type,
    name: declaration?.name ?? null,
    messageId: frame.messageId,
    time: new Date(hybridToWall(frame.timestamp)).toISOString(),
    source: frame.source,
    destination: frame.destination,
    extension,
    body,
    fault,
    bodyHex
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
  lines.push(fault === null ? `  body ${toText(inspection.body)}` : `  body not shown: ${fault}`)
  return lines.join('\n')
}

function inspectBody(
  obstacle: () => string | null,
  read: () => unknown
): { body: unknown; fault: string | null } {
  const fault = obstacle()
  if (fault !== null) return { body: null, fault }
  try {
    return { body: read(), fault: null }
  } catch (error) {
    if (error instanceof SkeinError) return { body: null, fault: error.message }
    throw error
  }
}

function toText(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner instanceof Uint8Array) return `0x${toHex(inner)}`
    return typeof inner === 'bigint' ? inner.toString() : inner
  })
}

const toHex = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
