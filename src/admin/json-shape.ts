/**
 * What a body is made of, counted in one pass over its bytes before anything is built from them.
 * Parsing costs the main loop by the part, not by the byte: a body of the largest size is parsed in
 * a few milliseconds when it is one long text, and in hundreds when it is a million small values.
 */
import { InvalidArgumentError } from '../core/index.js'

/** Brackets within brackets; `statements[0].params[0].$int` needs five. */
export const bodyDepthMax = 16
/** Brackets, commas, colons and texts; with this many no body holds the main loop for 10 ms. */
export const bodyPartsMax = 16_384
/** From here on a text has an integer that a number may not hold. */
const exactDigits = 15
/** `String(1e21)` has an exponent, so no longer text of digits comes back as it was. */
const integerDigitsMax = 21

const Quote = 0x22
const Comma = 0x2c
const Minus = 0x2d
const Dot = 0x2e
const Zero = 0x30
const Nine = 0x39
const Colon = 0x3a
const Backslash = 0x5c

/**
 * Whether it is JSON at all is not asked here.
 *
 * @returns how many parts it has
 * @throws InvalidArgumentError too deep, too many parts, an integer that would become another one
 */
export function checkJsonShape(bytes: Uint8Array): number {
  let depth = 0
  let parts = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (isOpening(byte)) {
      if (++depth > bodyDepthMax) throw new InvalidArgumentError('body', tooDeep)
      parts++
    } else if (isClosing(byte)) depth--
    else if (byte === Quote) {
      at = endOfText(bytes, at)
      parts++
    } else if (byte === Comma || byte === Colon) parts++
    else if (isDigit(byte)) at = endOfNumber(bytes, at)
    if (parts > bodyPartsMax) throw new InvalidArgumentError('body', tooManyParts)
  }
  return parts
}

const tooDeep = `has more than ${bodyDepthMax} brackets within brackets`
const tooManyParts = `has more than ${bodyPartsMax} brackets, commas, colons and texts`

/** `[` and `{`, which differ in one bit. */
const isOpening = (byte: number): boolean => (byte | 0x20) === 0x7b
const isClosing = (byte: number): boolean => (byte | 0x20) === 0x7d
const isDigit = (byte: number): boolean => byte >= Zero && byte <= Nine

/** Where its closing quote is; the last byte of all when there is none. */
function endOfText(bytes: Uint8Array, from: number): number {
  let at = from + 1
  while (at < bytes.length && bytes[at] !== Quote) at += bytes[at] === Backslash ? 2 : 1
  return Math.min(at, bytes.length - 1)
}

/**
 * Its last byte.
 * @throws InvalidArgumentError
 */
function endOfNumber(bytes: Uint8Array, from: number): number {
  let end = from
  while (end < bytes.length && isDigit(bytes[end] as number)) end++
  const length = end - from
  if (length > exactDigits && !isFraction(bytes[end])) {
    const sign = bytes[from - 1] === Minus ? '-' : ''
    const digits = length > integerDigitsMax ? '' : sign + latin1(bytes.subarray(from, end))
    if (String(Number(digits)) !== digits) throw new InvalidArgumentError('body', lossy)
  }
  return end - 1
}

const lossy = 'has an integer that a number does not hold: write {"$int": "…"}'

/** What may follow digits in a number: a point or an exponent. */
const isFraction = (byte: number | undefined): boolean =>
  byte === Dot || (byte !== undefined && (byte | 0x20) === 0x65)

const latin1 = (bytes: Uint8Array): string => String.fromCharCode(...bytes)
