/** Which versions each list went through, as far as reads tell. */
import { InvalidArgumentError } from '../core/errors.js'
import type { HistoryValue } from './history.js'
import type { Transaction, TransactionOperation } from './transactions.js'

export type Element = string | number

/** Transactions are told by their place. */
export interface Append {
  readonly writer: number
  /** Of those that its transaction did to the list. */
  isLast: boolean
}

export interface ListRead {
  readonly reader: number
  readonly list: readonly Element[]
  /** What the list held before the reader's own appends. */
  readonly foreignLength: number
}

export interface KeyVersions {
  readonly appends: ReadonlyMap<Element, Append>
  /** The first read of each transaction that was acknowledged. */
  readonly reads: readonly ListRead[]
  /** The longest list that was read: each of its beginnings was a version. */
  readonly order: readonly Element[]
  /** Two readers neither of whose lists begins with the other's. */
  readonly contradiction: readonly [number, number] | null
}

export function versionsOf(transactions: readonly Transaction[]): Map<string, KeyVersions> {
  const appends = new Map<string, Map<Element, Append>>()
  const reads = new Map<string, ListRead[]>()
  for (const [at, transaction] of transactions.entries()) {
    noteAppends(appends, at, transaction)
    if (transaction.outcome === 'ok') noteReads(reads, at, transaction)
  }
  const keys = new Set([...appends.keys(), ...reads.keys()])
  return new Map(
    [...keys].map((key) => {
      const ofKey = reads.get(key) ?? []
      return [key, { appends: appends.get(key) ?? new Map(), reads: ofKey, ...orderOf(ofKey) }]
    })
  )
}

function noteAppends(
  appends: Map<string, Map<Element, Append>>,
  writer: number,
  { name, operations }: Transaction
): void {
  const lastOf = new Map<string, Append>()
  for (const { op, key, input } of operations) {
    if (op !== 'append') continue
    const element = elementOf(input, name)
    const ofKey = appends.get(key) ?? new Map<Element, Append>()
    appends.set(key, ofKey)
    if (ofKey.has(element)) {
      const reason = `value: ${element} is appended to ${key} twice; elements have to be unique`
      throw new InvalidArgumentError('history', reason)
    }
    const before = lastOf.get(key)
    if (before !== undefined) before.isLast = false
    const append = { writer, isLast: true }
    lastOf.set(key, append)
    ofKey.set(element, append)
  }
}

function noteReads(
  reads: Map<string, ListRead[]>,
  reader: number,
  { name, operations }: Transaction
): void {
  const own = new Map<string, number>()
  const isRead = new Set<string>()
  for (const operation of operations) {
    const { op, key } = operation
    if (op === 'append') own.set(key, (own.get(key) ?? 0) + 1)
    if (op !== 'read' || isRead.has(key)) continue
    isRead.add(key)
    const list = listOf(operation, name)
    const foreignLength = Math.max(0, list.length - (own.get(key) ?? 0))
    const ofKey = reads.get(key)
    if (ofKey === undefined) reads.set(key, [{ reader, list, foreignLength }])
    else ofKey.push({ reader, list, foreignLength })
  }
}

function orderOf(reads: readonly ListRead[]): Pick<KeyVersions, 'order' | 'contradiction'> {
  const longest = reads.reduce<ListRead | null>(
    (best, read) => (best === null || read.list.length > best.list.length ? read : best),
    null
  )
  if (longest === null) return { order: [], contradiction: null }
  const order = longest.list
  const other = reads.find(({ list }) => list.some((element, i) => element !== order[i]))
  return { order, contradiction: other === undefined ? null : [longest.reader, other.reader] }
}

function listOf({ output }: TransactionOperation, name: string): Element[] {
  if (output === null) return []
  if (!Array.isArray(output)) {
    throw new InvalidArgumentError('history', `value: ${name} reads what is no list`)
  }
  return output.map((element: HistoryValue) => elementOf(element, name))
}

function elementOf(value: HistoryValue, name: string): Element {
  if (typeof value === 'string' || typeof value === 'number') return value
  const reason = `value: an element of ${name} is neither text nor number`
  throw new InvalidArgumentError('history', reason)
}
