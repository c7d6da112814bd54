/** What a careful programmer would write for two messages and nothing else, with the same bytes. */
const bytes = Buffer.allocUnsafe(1_024)

interface Vote {
  readonly group: number
  readonly from: string
  readonly to: string
  readonly term: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly transfer: boolean
}

function putU64(at: number, value: number): number {
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
  bytes.writeUInt32BE(value >>> 0, at + 4)
  return at + 8
}

function putVarint(start: number, value: number): number {
  let at = start
  let rest = value
  for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80
  bytes[at] = rest
  return at + 1
}

/** By tables: Buffer's own conversion costs more than the work for so few digits. */
const nibbles = Uint8Array.from({ length: 128 }, (_, code) =>
  Math.max(0, '0123456789abcdef'.indexOf(String.fromCharCode(code)))
)
const pairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

function putHex(start: number, digits: string): number {
  let at = start
  for (let i = 0; i < digits.length; i += 2) {
    const high = nibbles[digits.charCodeAt(i)] as number
    bytes[at++] = (high << 4) | (nibbles[digits.charCodeAt(i + 1)] as number)
  }
  return at
}

function getHex(given: Uint8Array, start: number): string {
  let digits = ''
  for (let at = start; at < start + 8; at++) digits += pairs[given[at] as number]
  return digits
}

const getU64 = (view: DataView, at: number): number =>
  view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4)

export const handWrittenVote = {
  encode(body: Vote): number {
    let at = putVarint(0, body.group)
    at = putHex(at, body.from)
    at = putHex(at, body.to)
    at = putU64(at, body.term)
    at = putU64(at, body.lastIndex)
    at = putU64(at, body.lastTerm)
    bytes[at] = body.transfer ? 1 : 0
    return at + 1
  },
  decode(given: Uint8Array): Vote {
    const view = new DataView(given.buffer, given.byteOffset, given.byteLength)
    let at = 0
    let group = 0
    for (let shift = 0; ; shift += 7) {
      const byte = given[at++] as number
      group |= (byte & 0x7f) << shift
      if (byte < 0x80) break
    }
    const from = getHex(given, at)
    const to = getHex(given, at + 8)
    at += 16
    return {
      group,
      from,
      to,
      term: getU64(view, at),
      lastIndex: getU64(view, at + 8),
      lastTerm: getU64(view, at + 16),
      transfer: given[at + 24] === 1
    }
  }
}

interface Check {
  readonly sequence: number
  readonly sentAt: number
  readonly load: number
}

export const handWrittenCheck = {
  encode(body: Check): number {
    bytes.writeUInt32BE(body.sequence, 0)
    putU64(4, body.sentAt)
    bytes.writeDoubleBE(body.load, 12)
    return 20
  },
  decode(given: Uint8Array): Check {
    const view = new DataView(given.buffer, given.byteOffset, given.byteLength)
    return { sequence: view.getUint32(0), sentAt: getU64(view, 4), load: view.getFloat64(12) }
  }
}

/** The bytes of the last `encode`. */
export const writtenBytes = (length: number): Uint8Array =>
  Uint8Array.from(bytes.subarray(0, length))
