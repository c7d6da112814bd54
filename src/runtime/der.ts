/**
 * Reads DER as far as certificates and revocation lists need it: definite, minimal lengths, nothing
 * copied, nothing allocated for a length before it is checked, no recursion.
 */
export const DerTags = {
  Boolean: 0x01,
  Integer: 0x02,
  BitString: 0x03,
  OctetString: 0x04,
  ObjectId: 0x06,
  UtcTime: 0x17,
  GeneralizedTime: 0x18,
  Sequence: 0x30,
  Context0: 0xa0,
  Context3: 0xa3
} as const

export class DerError extends Error {
  override readonly name = 'DerError'
}

export interface DerValue {
  readonly tag: number
  /** With tag and length. */
  readonly whole: Buffer
  readonly content: Buffer
}

const longestLengthBytes = 4

export class DerReader {
  readonly #bytes: Buffer
  #offset = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length
  }

  /** Of the next value; null at the end. */
  peekTag(): number | null {
    return this.#bytes[this.#offset] ?? null
  }

  /** @throws DerError malformed */
  next(): DerValue {
    const start = this.#offset
    const tag = this.#byte()
    if ((tag & 0x1f) === 0x1f) throw new DerError('a tag of several bytes')
    const lengthBytes = this.#length()
    const end = this.#offset + lengthBytes
    if (end > this.#bytes.length) throw new DerError('a value is longer than what holds it')
    const value = {
      tag,
      whole: this.#bytes.subarray(start, end),
      content: this.#bytes.subarray(this.#offset, end)
    }
    this.#offset = end
    return value
  }

  /** @throws DerError malformed, or of another tag */
  expect(tag: number): DerValue {
    const value = this.next()
    if (value.tag !== tag) throw new DerError(`tag ${value.tag}, wanted ${tag}`)
    return value
  }

  /** The values in the next one, which is a sequence. */
  enter(tag: number = DerTags.Sequence): DerReader {
    return new DerReader(this.expect(tag).content)
  }

  /** Null: the next value has another tag. */
  maybe(tag: number): DerValue | null {
    return this.peekTag() === tag ? this.next() : null
  }

  expectEnd(): void {
    if (!this.isAtEnd) throw new DerError('bytes behind the end')
  }

  #byte(): number {
    const byte = this.#bytes[this.#offset++]
    if (byte === undefined) throw new DerError('truncated')
    return byte
  }

  #length(): number {
    const first = this.#byte()
    if (first < 0x80) return first
    const count = first & 0x7f
    if (count === 0 || count > longestLengthBytes) throw new DerError('a length of this form')
    let length = 0
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte()
    if (length < 0x80 || length < 256 ** (count - 1)) throw new DerError('a length is not minimal')
    return length
  }
}

/** Lower-case hex without leading zeros, as certificates' serial numbers are compared. */
export const hexOf = (bytes: Buffer): string => normalSerial(bytes.toString('hex'))

export const normalSerial = (hex: string): string => hex.toLowerCase().replace(/^0+(?=.)/, '')

/** Dotted. */
export function objectIdOf(content: Buffer): string {
  const parts: number[] = []
  let part = 0
  for (const byte of content) {
    part = part * 128 + (byte & 0x7f)
    if (!Number.isSafeInteger(part)) throw new DerError('an object id is too long')
    if ((byte & 0x80) !== 0) continue
    if (parts.length === 0) {
      const first = Math.min(Math.floor(part / 40), 2)
      parts.push(first, part - first * 40)
    } else parts.push(part)
    part = 0
  }
  return parts.join('.')
}

/** Milliseconds since 1970, RFC 5280 section 4.1.2.5. */
export function timeOf({ tag, content }: DerValue): number {
  const text = content.toString('latin1')
  const isShort = tag === DerTags.UtcTime
  const pattern = isShort ? /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/ : longTime
  const fields = pattern.exec(text)?.slice(1).map(Number)
  if (fields === undefined || (!isShort && tag !== DerTags.GeneralizedTime)) {
    throw new DerError('a time of this form')
  }
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields
  const whole = isShort ? year + (year < 50 ? 2_000 : 1_900) : year
  return Date.UTC(whole, month - 1, day, hour, minute, second)
}

const longTime = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/

export interface Extension {
  readonly id: string
  readonly isCritical: boolean
  readonly value: Buffer
}

/** Of a certificate or a revocation list. */
export function readExtensions(extensions: DerReader): Extension[] {
  const read: Extension[] = []
  while (!extensions.isAtEnd) {
    const fields = extensions.enter()
    const id = objectIdOf(fields.expect(DerTags.ObjectId).content)
    const isCritical = (fields.maybe(DerTags.Boolean)?.content[0] ?? 0) !== 0
    read.push({ id, isCritical, value: fields.expect(DerTags.OctetString).content })
    fields.expectEnd()
  }
  return read
}
