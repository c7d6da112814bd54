/** Values, statements and results as they pass the facade, the wire and the admin API. */

/** Integers come back as `number` up to 2^53 and as `bigint` beyond. */
export type SqlValue = null | number | bigint | string | Uint8Array

export interface Statement {
  readonly sql: string
  readonly params?: readonly SqlValue[] | Readonly<Record<string, SqlValue>>
}

export interface StatementResult {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly SqlValue[])[]
  readonly rowsAffected: number
  readonly lastInsertRowid: number | bigint | null
}

const INT_KEY = '$int'
const BLOB_KEY = '$blob'
const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

export type JsonSqlValue =
  | null
  | number
  | string
  | { readonly $int: string }
  | { readonly $blob: string }

/** Integers beyond 2^53 become `{"$int": "…"}`, blobs `{"$blob": "base64"}`. */
export function sqlValueToJson(value: SqlValue): JsonSqlValue {
  if (typeof value === 'bigint') return { [INT_KEY]: value.toString() } as { $int: string }
  if (value instanceof Uint8Array) return { [BLOB_KEY]: encodeBase64(value) } as { $blob: string }
  return value
}

/** The inverse; `undefined` when the JSON is no SQL value. */
export function sqlValueFromJson(json: unknown): SqlValue | undefined {
  if (json === null || typeof json === 'string') return json
  if (typeof json === 'number') return Number.isFinite(json) ? json : undefined
  if (typeof json === 'boolean') return json ? 1 : 0
  if (typeof json !== 'object') return undefined
  const entries = Object.entries(json)
  const [only] = entries
  if (entries.length !== 1 || only === undefined || typeof only[1] !== 'string') return undefined
  if (only[0] === INT_KEY && /^-?\d{1,19}$/.test(only[1])) return toInt64(BigInt(only[1]))
  if (only[0] === BLOB_KEY) return decodeBase64(only[1])
  return undefined
}

/** `number` where it is exact, `bigint` beyond. */
export const integerToSqlValue = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
    ? Number(value)
    : value

function toInt64(value: bigint): SqlValue | undefined {
  return BigInt.asIntN(64, value) === value ? integerToSqlValue(value) : undefined
}

function encodeBase64(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const a = bytes[i] as number
    const b = left > 1 ? (bytes[i + 1] as number) : 0
    const c = left > 2 ? (bytes[i + 2] as number) : 0
    text += BASE64.charAt(a >> 2) + BASE64.charAt(((a & 3) << 4) | (b >> 4))
    text += left > 1 ? BASE64.charAt(((b & 15) << 2) | (c >> 6)) : '='
    text += left > 2 ? BASE64.charAt(c & 63) : '='
  }
  return text
}

/** Six bits by the code of a character below 128; 0 for padding, which the pattern lets through. */
const sextets: readonly number[] = Array.from({ length: 128 }, (_, code) =>
  Math.max(0, BASE64.indexOf(String.fromCharCode(code)))
)

const wordAt = (text: string, at: number): number =>
  ((sextets[text.charCodeAt(at)] as number) << 18) |
  ((sextets[text.charCodeAt(at + 1)] as number) << 12) |
  ((sextets[text.charCodeAt(at + 2)] as number) << 6) |
  (sextets[text.charCodeAt(at + 3)] as number)

function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  const whole = bytes.length - (bytes.length % 3)
  let at = 0
  let i = 0
  for (; at < whole; at += 3, i += 4) {
    const word = wordAt(text, i)
    bytes[at] = word >> 16
    bytes[at + 1] = word >> 8
    bytes[at + 2] = word
  }
  for (let shift = 16; at < bytes.length; shift -= 8) bytes[at++] = wordAt(text, i) >> shift
  return bytes
}
