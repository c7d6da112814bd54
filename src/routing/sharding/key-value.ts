/** Where in a statement a value stands, and what it is once the parameters are known. */
import type { SqlValue, Statement } from '../../core/sql.js'
import { isSymbol, type Token, TokenKinds } from '../sql-tokens.js'

export type KeyValue =
  | { readonly kind: 'fixed'; readonly value: SqlValue }
  /** From 0, as SQLite numbers them. */
  | { readonly kind: 'numbered'; readonly number: number }
  /** Without its prefix. */
  | { readonly kind: 'named'; readonly name: string }

const decimal = /^(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?$/
const whole = /^\d+$/
const hexadecimal = /^0[xX][0-9a-fA-F]{1,16}$/

/** The value that stands at `at`, and where it ends; null: it is not a plain one. */
export function keyValueAt(
  tokens: readonly Token[],
  at: number
): { readonly value: KeyValue; readonly end: number } | null {
  const isNegative = isSymbol(tokens[at], '-')
  const start = isNegative ? at + 1 : at
  const token = tokens[start]
  if (token === undefined) return null
  const end = start + 1
  if (token.kind === TokenKinds.Number) {
    const number = numberOf(token.text)
    return number === null ? null : { value: fixed(isNegative ? -number : number), end }
  }
  if (isNegative) return null
  if (token.kind === TokenKinds.Text) return { value: fixed(unquoted(token.text)), end }
  if (token.kind === TokenKinds.Blob) {
    const bytes = bytesOf(token.text)
    return bytes === null ? null : { value: fixed(bytes), end }
  }
  if (token.kind !== TokenKinds.Parameter) return null
  return { value: parameterAt(tokens, start), end }
}

/** Undefined: the parameters do not have it. */
export function resolved(value: KeyValue, params: Statement['params']): SqlValue | undefined {
  switch (value.kind) {
    case 'fixed':
      return value.value
    case 'numbered':
      return Array.isArray(params)
        ? (params as readonly SqlValue[])[value.number]
        : named(params, String(value.number + 1))
    case 'named':
      return Array.isArray(params) ? undefined : named(params, value.name)
  }
}

const fixed = (value: SqlValue): KeyValue => ({ kind: 'fixed', value })

const unquoted = (text: string): string => text.replaceAll("''", "'")

function numberOf(text: string): number | bigint | null {
  if (whole.test(text)) {
    const integer = BigInt(text)
    return BigInt.asIntN(64, integer) === integer ? integer : Number(text)
  }
  if (hexadecimal.test(text)) return BigInt.asIntN(64, BigInt(text))
  return decimal.test(text) ? Number(text) : null
}

function bytesOf(hex: string): Uint8Array | null {
  if (hex.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(hex)) return null
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) =>
    Number.parseInt(hex.slice(i * 2, i * 2 + 2), 16)
  )
}

/** `?` is one more than the greatest number before it; a name takes a number where it is new. */
function parameterAt(tokens: readonly Token[], at: number): KeyValue {
  const own = tokens[at] as Token
  if (!own.text.startsWith('?')) return { kind: 'named', name: own.text.slice(1) }
  if (own.text !== '?') return { kind: 'numbered', number: Number(own.text.slice(1)) - 1 }
  const names = new Set<string>()
  let greatest = 0
  for (const { kind, text } of tokens.slice(0, at)) {
    if (kind !== TokenKinds.Parameter) continue
    if (text === '?') greatest++
    else if (text.startsWith('?')) greatest = Math.max(greatest, Number(text.slice(1)))
    else if (!names.has(text)) greatest++
    names.add(text)
  }
  return { kind: 'numbered', number: greatest }
}

function named(params: Statement['params'], name: string): SqlValue | undefined {
  const byName = (params ?? {}) as Readonly<Record<string, SqlValue>>
  for (const prefix of ['', ':', '@', '$']) {
    if (Object.hasOwn(byName, `${prefix}${name}`)) return byName[`${prefix}${name}`]
  }
  return undefined
}
