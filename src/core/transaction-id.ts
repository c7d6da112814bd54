/**
 * `SSSSSSSSSSSS-RRRRRRRRRRRRRRRR`: twelve hex digits of the start stamp, then sixteen at random.
 * The text order is the age, oldest first, and total. Who tries a transaction again takes a new id
 * with the stamp of the first attempt: so it grows older, and at last nobody is before it.
 */

import { InvalidArgumentError } from './errors.js'
import { compareText, type TransactionId } from './ids.js'

const TRANSACTION_ID = /^[0-9a-f]{12}-[0-9a-f]{16}$/
const stampDigits = 12
/** The largest stamp that twelve hex digits hold. */
const stampMsMax = 0xffff_ffff_ffff

/** @param random two numbers of 32 bits */
export function transactionIdOf(stampMs: number, random: readonly [number, number]): TransactionId {
  if (!Number.isSafeInteger(stampMs) || stampMs < 0 || stampMs > stampMsMax) {
    throw new InvalidArgumentError('stampMs', `must be an integer from 0 to ${stampMsMax}`)
  }
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
  const [high, low] = random
  return `${hex(stampMs, stampDigits)}-${hex(high, 8)}${hex(low, 8)}` as TransactionId
}

export function toTransactionId(value: string): TransactionId {
  if (TRANSACTION_ID.test(value)) return value as TransactionId
  throw new InvalidArgumentError('transactionId', 'must be 12 hex digits, a dash, 16 hex digits')
}

/** When the first attempt began, by the clock of its coordinator; orders, and measures nothing. */
export const stampOf = (transaction: TransactionId): number =>
  Number.parseInt(transaction.slice(0, stampDigits), 16)

export const compareAge: (a: TransactionId, b: TransactionId) => number = compareText
