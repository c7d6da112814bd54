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

function putText(at: number, text: string): number {
  const length = bytes.write(text, at + 1, 'latin1')
  bytes[at] = length
  return at + 1 + length
}

const getU64 = (view: DataView, at: number): number =>
  view.getUint32(at) * 0x1_0000_0000 + view.getUint32(at + 4)

export const handWrittenVote = {
  encode(body: Vote): number {
    bytes.writeUInt32BE(body.group, 0)
    let at = putText(4, body.from)
    at = putText(at, body.to)
    at = putU64(at, body.term)
    at = putU64(at, body.lastIndex)
    at = putU64(at, body.lastTerm)
    bytes[at] = body.transfer ? 1 : 0
    return at + 1
  },
  decode(given: Uint8Array): Vote {
    const buffer = Buffer.from(given.buffer, given.byteOffset, given.byteLength)
    const view = new DataView(given.buffer, given.byteOffset, given.byteLength)
    const group = view.getUint32(0)
    let at = 5 + (given[4] as number)
    const from = buffer.toString('latin1', 5, at)
    const toEnd = at + 1 + (given[at] as number)
    const to = buffer.toString('latin1', at + 1, toEnd)
    at = toEnd
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
    putU64(0, body.sequence)
    putU64(8, body.sentAt)
    bytes.writeDoubleBE(body.load, 16)
    return 24
  },
  decode(given: Uint8Array): Check {
    const view = new DataView(given.buffer, given.byteOffset, given.byteLength)
    return { sequence: getU64(view, 0), sentAt: getU64(view, 8), load: view.getFloat64(16) }
  }
}

/** The bytes of the last `encode`. */
export const writtenBytes = (length: number): Uint8Array =>
  Uint8Array.from(bytes.subarray(0, length))
